//! What people see of a measurement: how far it is, and what came out.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::load::{Mode, Progress, Report, Transport};

/// How often a line is written where it stays, as in a log.
const LOGGED_EVERY: Duration = Duration::from_secs(5);
/// Above this share of a processor the load generator is part of what it measures.
const CLIENT_SHARE_MAX: f64 = 0.9;

/// Standard error. On a terminal one line that changes, elsewhere a line now and then.
pub struct Screen {
    is_terminal: bool,
    logged_at: Instant,
    is_dirty: bool,
}

impl Screen {
    pub fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            logged_at: Instant::now(),
            is_dirty: false,
        }
    }

    /// A closed standard error is no reason to stop.
    pub fn show(&mut self, progress: Progress) {
        let line = line(progress);
        let mut err = io::stderr();
        let is_mark = matches!(progress, Progress::Measuring | Progress::Measured);
        if matches!(progress, Progress::Connected { .. }) || is_mark && !self.is_terminal {
            self.clear();
            let _ = writeln!(err, "{line}");
        } else if self.is_terminal {
            let _ = write!(err, "\r\x1b[K{line}");
            self.is_dirty = true;
        } else if self.logged_at.elapsed() >= LOGGED_EVERY {
            let _ = writeln!(err, "{line}");
            self.logged_at = Instant::now();
        }
    }

    /// Takes the changing line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(progress: Progress) -> String {
    match progress {
        Progress::Opening { open, of } => {
            format!(
                "{} of {} connections open",
                grouped(open as u64),
                grouped(of as u64)
            )
        }
        Progress::Connected {
            connections,
            seconds,
        } => format!(
            "connected {} in {seconds:.2} s",
            grouped(connections as u64)
        ),
        Progress::Measuring => "measuring".into(),
        Progress::Measured => "measured".into(),
        Progress::Running {
            seconds,
            of,
            delivered,
        } => format!(
            "{seconds:.0} of {of:.0} s, {} delivered",
            grouped(delivered)
        ),
    }
}

/// Writes the result for people.
pub fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}\n", title(report))?;
    let mut row = |name: &str, text: String| writeln!(out, "  {name:<14}{text}");
    row(
        "opened",
        format!(
            "{} in {:.2} s, {} a second",
            grouped(report.connections as u64),
            report.connect_seconds,
            whole(report.connects_per_second)
        ),
    )?;
    if let Some(seconds) = report.reconnect_seconds {
        row(
            "came back",
            format!("in {seconds:.2} s, with all they had missed"),
        )?;
    }
    if report.published > 0 {
        row(
            "published",
            format!("{} messages", grouped(report.published)),
        )?;
        row(
            "delivered",
            format!(
                "{}, {} a second, in {} bytes",
                grouped(report.delivered),
                whole(report.deliveries_per_second),
                grouped(report.received_bytes)
            ),
        )?;
    }
    if let Some(latency) = report.latency_ms {
        row(
            "latency",
            format!(
                "half within {:.2} ms, 99 % {:.2}, 99.9 % {:.2}, all {:.2}",
                latency.p50, latency.p99, latency.p999, latency.max
            ),
        )?;
    }
    let share = report.client_cpu_share;
    row(
        "this program",
        format!("used {:.0} % of a processor", share * 100.0),
    )?;
    warnings(report)
        .into_iter()
        .try_for_each(|text| row("but", text))
}

fn title(report: &Report) -> String {
    let connections = grouped(report.connections as u64);
    let over = match report.transport {
        Transport::Sse if report.gzip => "SSE in gzip",
        Transport::Sse => "SSE",
        Transport::WebSocket => "WebSocket",
    };
    let size = report.size;
    let metrics = match report.metrics {
        1 => String::new(),
        count => format!(" over {} metrics", grouped(count as u64)),
    };
    let what = match (report.mode, report.rate, report.in_flight) {
        (Mode::FanOut, Some(rate), _) => {
            format!(", {rate} messages a second of {size} bytes{metrics}")
        }
        (Mode::FanOut, _, Some(count)) => {
            format!(", messages of {size} bytes{metrics}, {count} in flight")
        }
        (Mode::Reconnect, ..) => ", dropped at once and back at once".into(),
        _ => String::new(),
    };
    format!("{connections} connections over {over}{what}")
}

/// Whatever makes the numbers worth less than they look.
fn warnings(report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |count: u64, text: &str| {
        if count > 0 {
            all.push(format!("{} {text}", grouped(count)));
        }
    };
    add(report.missing, "deliveries are missing");
    add(report.duplicates, "messages came twice");
    add(report.out_of_order, "messages came out of order");
    add(report.lost as u64, "connections were lost");
    add(report.retries, "tries to connect had to be repeated");
    add(report.refused, "messages were refused for lack of time");
    add(
        report.stalled as u64,
        "connections did not read, as was asked for",
    );
    if let Some(trouble) = &report.trouble {
        all.push(format!("of a connection: {trouble}"));
    }
    if report.behind_ms > 100.0 {
        all.push(format!(
            "messages went out up to {:.0} ms late: the server answered the publisher too slowly, or this program was too busy",
            report.behind_ms
        ));
    }
    if report.client_cpu_share > CLIENT_SHARE_MAX {
        all.push(
            "that is nearly all there is: the server may well do more than was measured".into(),
        );
    }
    all
}

fn whole(number: f64) -> String {
    grouped(number.round() as u64)
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
