//! `tail`: the stream in the terminal, one line a message.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::value::RawValue;

use super::follow::Follow;
use super::notice::Message;
use super::{Remote, note, printable};
use crate::cli::{Environment, arguments};
use crate::domain::pattern::Pattern;

/// Prints messages until something ends it for good; what concerns the connection goes to standard
/// error.
///
/// # Errors
/// No token, no hub there, a refusal, or an end that another try would not mend.
pub async fn tail(
    wanted: &arguments::Tail,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let remote = Remote::new(&wanted.remote, environment)?;
    let names: Vec<_> = wanted.metrics.iter().map(Pattern::as_str).collect();
    let metrics = names.join(",");
    let what = if metrics.is_empty() {
        "every metric"
    } else {
        &metrics
    };
    note(format_args!("following {what} at {}", remote.base));
    let mut show = |message: &Message<'_>, raw: &str| {
        match wanted.json {
            true => writeln!(out, "{raw}")?,
            false => write_line(out, message)?,
        }
        // Whoever reads the other end of a pipe wants it now.
        out.flush()
    };
    Follow::new(&remote, metrics).run(&mut show).await
}

/// When, what, and the value: `2026-01-02T03:04:05.678Z  credits.total  {"sum":1}`.
fn write_line(out: &mut impl Write, message: &Message<'_>) -> io::Result<()> {
    let time = printable(&message.timestamp);
    for (name, value) in parts(message) {
        writeln!(out, "{time}  {}  {}", printable(&name), printable(value))?;
    }
    Ok(())
}

/// An update is shown under its metric's name, anything else under its type.
fn parts<'a>(message: &Message<'a>) -> Vec<(String, &'a str)> {
    if message.kind == "metrics_update"
        && let Ok(values) = serde_json::from_str::<BTreeMap<String, &RawValue>>(message.data.get())
    {
        return values
            .into_iter()
            .map(|(name, value)| (name, value.get()))
            .collect();
    }
    vec![(message.kind.clone(), message.data.get())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_under_its_metric_or_its_type() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            write_line(&mut out, &serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(
            r#"{"type":"metrics_update","data":{"a.b":{"n":1.50}},"timestamp":"T"}"#,
            "T  a.b  {\"n\":1.50}\n",
        );
        check(
            r#"{"type":"system_alert","data":{"message":"x"},"timestamp":"T"}"#,
            "T  system_alert  {\"message\":\"x\"}\n",
        );
        check(
            r#"{"type":"metrics_update","data":5,"timestamp":"T"}"#,
            "T  metrics_update  5\n",
        );
    }
}
