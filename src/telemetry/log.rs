//! The log: one event, one line, on standard error, with no credential in it.
//!
//! ```text
//! 2026-01-31T12:00:00.000Z INFO  statshub::app listening on 127.0.0.1:3001
//! ```
//!
//! What an event has besides its message it has as key-values of `log`: as text they stand behind it, in
//! JSON they are fields.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use env_filter::Filter;
use jiff::Timestamp;
use log::kv::{self, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value, json};

use super::mask::{cut, mask, mask_json, one_json_line, one_line};
use crate::config::{self, LogFormat};

/// Longest message in bytes, escapes included; the rest is cut off. Room for a panic's backtrace.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// What clients can make actix-http report as errors, at will: broken requests, and every stream
/// whose socket was taken over from it. Not the operator's business, and a way to flood the log.
const NOISE: &str = "actix_http::h1::dispatcher";

/// Read by the one writer there is, which env_logger lets nobody reach any more.
static IN_JSON: AtomicBool = AtomicBool::new(false);

/// The filter is not in env_logger's language. The text says what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("log filter {filter:?}: {why}")]
pub struct BadFilter {
    filter: String,
    why: String,
}

/// Starts logging. Called again, as on a reload, it changes filter and format.
///
/// # Errors
/// The filter cannot be read; the one in force stays.
pub fn init(settings: &config::Log) -> Result<(), BadFilter> {
    static LOGGER: OnceLock<Logger> = OnceLock::new();
    let filter = parse(&settings.filter)?;
    let level = filter.filter();
    let logger = LOGGER.get_or_init(Logger::new);
    logger.filter.store(Arc::new(filter));
    IN_JSON.store(settings.format == LogFormat::Json, Ordering::Relaxed);
    // Refused when it is set already: by the first call, or by a test harness, whose it is then.
    let _ = log::set_logger(logger);
    log::set_max_level(level);
    Ok(())
}

/// Lets panics be reported through the log, on one line, instead of raw on standard error.
/// With `RUST_BACKTRACE` set, the backtrace is in the line.
///
/// Where actix-http takes a request's head apart it panics over a header's name of more than 64 KiB.
/// That ends the one connection, as it should; it is no more an operator's business than a broken request.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.location().is_some_and(|at| is_noise(at.file())) {
            return log::debug!(target: NOISE, "a connection ended by a {panic}");
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        let backtrace = Backtrace::capture();
        match backtrace.status() {
            BacktraceStatus::Captured => log::error!("thread {name} {panic}\n{backtrace}"),
            _ => log::error!("thread {name} {panic}"),
        }
    }));
}

fn is_noise(file: &str) -> bool {
    let file = file.replace('\\', "/");
    file.contains("/actix-http-") && file.ends_with("/src/h1/decoder.rs")
}

/// env_logger writes, and this decides, because env_logger cannot change its mind.
struct Logger {
    filter: ArcSwap<Filter>,
    writer: env_logger::Logger,
}

impl Logger {
    fn new() -> Self {
        let writer = env_logger::Builder::new()
            .filter_level(LevelFilter::Trace)
            .format(|out, record| {
                let line = match IN_JSON.load(Ordering::Relaxed) {
                    true => object,
                    false => line,
                };
                writeln!(out, "{}", line(Timestamp::now(), record))
            })
            .write_style(env_logger::WriteStyle::Never)
            .build();
        Self {
            filter: ArcSwap::from_pointee(env_filter::Builder::new().build()),
            writer,
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.load().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.load().matches(record) {
            self.writer.log(record);
        }
    }

    fn flush(&self) {
        self.writer.flush();
    }
}

/// An empty filter means `info`. [`NOISE`] is off unless the filter speaks of actix-http itself.
fn parse(text: &str) -> Result<Filter, BadFilter> {
    let mut builder = env_filter::Builder::new();
    if !text.contains("actix_http") {
        builder.filter_module(NOISE, LevelFilter::Off);
    }
    let written = if text.trim().is_empty() { "info" } else { text };
    builder.try_parse(written).map_err(|error| BadFilter {
        filter: text.to_owned(),
        why: error.to_string(),
    })?;
    Ok(builder.build())
}

/// One event without its line break.
fn line(time: Timestamp, record: &Record<'_>) -> String {
    let mut message = record.args().to_string();
    // Strings are quoted, so that none can pass itself off as another field.
    let _ = record.key_values().visit(&mut Behind(&mut message));
    let message = mask(&message);
    format!(
        "{time:.3} {:5} {} {}",
        record.level(),
        one_line(record.target()),
        cut(&one_line(&message), MESSAGE_BYTES_MAX)
    )
}

/// As [`line`], in JSON. Escaped for terminals too.
fn object(time: Timestamp, record: &Record<'_>) -> String {
    let mut event = json!({
        "time": format!("{time:.3}"),
        "level": record.level().as_str().to_lowercase(),
        "target": record.target(),
        "message": record.args().to_string(),
    });
    if let Value::Object(fields) = &mut event {
        let _ = record.key_values().visit(&mut Beside(fields));
    }
    mask_json(&mut event, MESSAGE_BYTES_MAX);
    one_json_line(&event.to_string()).into_owned()
}

struct Behind<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Behind<'_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        match plain(&value) {
            Value::String(text) => write!(self.0, " {key}={text:?}"),
            number => write!(self.0, " {key}={number}"),
        }
        .map_err(kv::Error::from)
    }
}

struct Beside<'a>(&'a mut Map<String, Value>);

impl<'kvs> VisitSource<'kvs> for Beside<'_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        self.0.insert(key.to_string(), plain(&value));
        Ok(())
    }
}

/// A number where it is one, else a text.
fn plain(value: &kv::Value<'_>) -> Value {
    if value.to_borrowed_str().is_some() {
        return value.to_string().into();
    }
    let whole = value.to_u64().map(Value::from);
    let number = whole.or_else(|| value.to_f64().map(Value::from));
    number.unwrap_or_else(|| value.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn written(level: Level, target: &str, message: &str) -> String {
        let time = Timestamp::from_millisecond(1_700_000_000_007).unwrap();
        let mut record = Record::builder();
        record.level(level).target(target);
        line(time, &record.args(format_args!("{message}")).build())
    }

    #[test]
    fn a_line_is_time_level_target_message() {
        assert_eq!(
            written(Level::Info, "statshub::app", "listening"),
            "2023-11-14T22:13:20.007Z INFO  statshub::app listening"
        );
    }

    /// Attack: log injection.
    #[test]
    fn fields_stand_behind_the_message_or_beside_it() {
        let time = Timestamp::from_millisecond(1_700_000_000_007).unwrap();
        let fields = [
            ("status", kv::Value::from(404)),
            ("ms", kv::Value::from(1.5)),
            ("path", kv::Value::from("/a\" status=200\n\u{202e}")),
            ("by", kv::Value::from("Bearer CANARY")),
        ];
        let mut record = Record::builder();
        record.level(Level::Warn).target("t").key_values(&fields);
        let record = record.args(format_args!("answered")).build();
        assert_eq!(
            line(time, &record),
            r#"2023-11-14T22:13:20.007Z WARN  t answered status=404 ms=1.5 path="/a\" status=200\n\u{202e}" by="Bearer ***""#
        );
        let text = object(time, &record);
        assert!(
            !text.contains(['\n', '\u{202e}']) && !text.contains("CANARY"),
            "{text}"
        );
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            event,
            json!({
                "time": "2023-11-14T22:13:20.007Z", "level": "warn", "target": "t", "message": "answered",
                "status": 404, "ms": 1.5, "path": "/a\" status=200\n\u{202e}", "by": "Bearer ***",
            })
        );
    }

    /// Attack: log injection.
    #[test]
    fn no_message_makes_a_second_line_or_drives_the_terminal() {
        for message in [
            "a\n2023-11-14T22:13:20.007Z ERROR forged",
            "a\r\nb",
            "\u{1b}[2J\u{1b}[31m",
            "user \u{202e}nimda",
            "\u{2028}\u{85}\0",
        ] {
            let line = written(Level::Warn, "t\n", message);
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            assert!(!line.contains(['\u{202e}', '\u{2028}']), "{line:?}");
        }
    }

    #[test]
    fn only_a_head_that_is_none_panics_in_silence() {
        let registry = "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
        let check = |file: &str, expected| assert_eq!(is_noise(file), expected, "{file}");
        check(
            &format!("{registry}/actix-http-3.20.0/src/h1/decoder.rs"),
            true,
        );
        check(
            r"C:\cargo\registry\actix-http-3.20.0\src\h1\decoder.rs",
            true,
        );
        check(
            &format!("{registry}/actix-http-3.20.0/src/h1/dispatcher.rs"),
            false,
        );
        check(
            &format!("{registry}/actix-web-4.18.1/src/h1/decoder.rs"),
            false,
        );
        check("src/hub/actor.rs", false);
    }

    /// Attack: reading credentials out of logs, errors or the trail (the canary).
    #[test]
    fn a_canary_never_comes_out() {
        for message in [
            "GET /stream?access_token=CANARY",
            "Authorization: Bearer CANARY",
            "ticket=CANARY\nticket=CANARY",
            "refused eyJhbGciOiJIUzI1NiJ9.eyJDQU5BUlkifQ.CANARY",
        ] {
            let line = written(Level::Trace, "t", message);
            assert!(!line.contains("CANARY"), "{line}");
        }
    }

    #[test]
    fn an_endless_message_is_cut() {
        let line = written(Level::Info, "t", &"é".repeat(MESSAGE_BYTES_MAX));
        assert!(line.len() < MESSAGE_BYTES_MAX + 64);
        assert!(line.ends_with("é…"));
    }

    #[test]
    fn filters_say_what_is_logged() {
        let check = |filter: &str, level: Level, target: &str, expected: bool| {
            let metadata = Metadata::builder().level(level).target(target).build();
            let filter = parse(filter).unwrap();
            assert_eq!(filter.enabled(&metadata), expected, "{level} {target}");
        };
        check("", Level::Info, "statshub::app", true);
        check("", Level::Debug, "statshub::app", false);
        check("warn,statshub=debug", Level::Debug, "statshub::app", true);
        check("warn,statshub=debug", Level::Info, "hyper", false);
        check("trace", Level::Error, NOISE, false);
        check("trace", Level::Warn, "actix_http::h2", true);
        check("warn,actix_http=debug", Level::Debug, NOISE, true);
    }

    #[test]
    fn starting_twice_changes_the_filter_and_a_bad_one_changes_nothing() {
        let start = |filter: &str| {
            init(&config::Log {
                filter: filter.to_owned(),
                format: LogFormat::Text,
            })
        };
        start("warn").unwrap();
        assert_eq!(log::max_level(), LevelFilter::Warn);
        start("error,statshub=debug").unwrap();
        assert_eq!(log::max_level(), LevelFilter::Debug);
        let error = start("statshub=loud").unwrap_err().to_string();
        assert!(
            error.starts_with("log filter \"statshub=loud\": "),
            "{error}"
        );
        assert_eq!(log::max_level(), LevelFilter::Debug);
    }
}
