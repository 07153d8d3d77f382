//! What was found, and how it is told.

use std::io::{self, Write};

use serde::Serialize;

use super::recipes::Recipe;
use crate::cli::remote::printable;

/// How good what was seen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It was not looked at, and why stands in the text.
    Skipped,
    Warning,
    Error,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What is looked at, by the names that `--json` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Reachable,
    Transport,
    Health,
    RequestHead,
    Clock,
    Cache,
    Cors,
    Token,
    Cookie,
    OpenFiles,
    Stream,
    Delivery,
    Compression,
    LastEventId,
    Websocket,
    WebsocketToken,
    IdleStream,
    IdleWebsocket,
}

impl Check {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Transport => "transport",
            Self::Health => "health",
            Self::RequestHead => "request head",
            Self::Clock => "clock",
            Self::Cache => "cache",
            Self::Cors => "CORS",
            Self::Token => "token",
            Self::Cookie => "cookie",
            Self::OpenFiles => "open files",
            Self::Stream => "stream",
            Self::Delivery => "delivery",
            Self::Compression => "compression",
            Self::LastEventId => "Last-Event-ID",
            Self::Websocket => "WebSocket",
            Self::WebsocketToken => "WebSocket token",
            Self::IdleStream => "idle stream",
            Self::IdleWebsocket => "idle WebSocket",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub check: Check,
    pub verdict: Verdict,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<Recipe>,
}

impl Finding {
    fn new(check: Check, verdict: Verdict, text: impl Into<String>) -> Self {
        // Some of it comes from the other side, and may be shown in a terminal.
        let text = printable(&text.into());
        Self {
            check,
            verdict,
            text,
            mend: None,
        }
    }

    pub fn ok(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, text)
    }

    pub fn skipped(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, text)
    }

    pub fn warning(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, text)
    }

    pub fn error(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Error, text)
    }

    pub fn mended_by(self, recipe: Recipe) -> Self {
        let mend = Some(recipe);
        Self { mend, ..self }
    }
}

/// The findings, told as they come, or at the end to a program.
pub struct Report<'a> {
    out: &'a mut dyn Write,
    json: bool,
    /// Warnings count as errors do.
    strict: bool,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub fn new(out: &'a mut dyn Write, json: bool, strict: bool) -> Self {
        let findings = Vec::new();
        Self {
            out,
            json,
            strict,
            findings,
        }
    }

    /// # Errors
    /// Standard output cannot be written.
    pub fn add(&mut self, finding: Finding) -> io::Result<()> {
        if !self.json {
            write_finding(self.out, &finding)?;
            self.out.flush()?;
        }
        self.findings.push(finding);
        Ok(())
    }

    /// Whether something keeps the hub from being used as it should be.
    pub fn is_bad(&self) -> bool {
        self.count(Verdict::Error) > 0 || self.strict && self.count(Verdict::Warning) > 0
    }

    /// # Errors
    /// Standard output cannot be written.
    pub fn end(self) -> io::Result<()> {
        let [errors, warnings, skipped] =
            [Verdict::Error, Verdict::Warning, Verdict::Skipped].map(|it| self.count(it));
        if self.json {
            let all = serde_json::json!({
                "ok": !self.is_bad(),
                "errors": errors,
                "warnings": warnings,
                "skipped": skipped,
                "findings": self.findings,
            });
            return writeln!(self.out, "{all}");
        }
        let verdict = match errors + warnings > 0 {
            true => format!("{}, {}", many(errors, "error"), many(warnings, "warning")),
            false => "all well".to_owned(),
        };
        let rest = match skipped {
            0 => String::new(),
            _ => format!("; {skipped} not looked at"),
        };
        writeln!(self.out, "\n{verdict}{rest}")
    }

    fn count(&self, verdict: Verdict) -> usize {
        let findings = self.findings.iter();
        findings.filter(|it| it.verdict == verdict).count()
    }
}

fn many(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

fn write_finding(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let (verdict, check) = (finding.verdict.as_str(), finding.check.as_str());
    writeln!(out, "{verdict:8} {check:16} {}", finding.text)?;
    let Some(recipe) = &finding.mend else {
        return Ok(());
    };
    for (of, lines) in recipe.parts() {
        for (nth, line) in lines.lines().enumerate() {
            let of = if nth == 0 { of } else { "" };
            writeln!(out, "    {of:11} {line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::recipes;
    use super::*;

    fn told(json: bool, findings: Vec<Finding>) -> String {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, json, true);
        for finding in findings {
            report.add(finding).unwrap();
        }
        report.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_finding_is_one_line_and_below_it_what_mends_it() {
        let text = told(
            false,
            vec![
                Finding::ok(Check::Reachable, "here\u{1b}"),
                Finding::error(Check::Delivery, "late").mended_by(recipes::BUFFERING),
            ],
        );
        assert!(
            text.starts_with("ok       reachable        here\\u{1b}\n"),
            "{text}"
        );
        assert!(
            text.contains("\nerror    delivery         late\n    nginx       "),
            "{text}"
        );
        assert!(text.ends_with("\n1 error, 0 warnings\n"), "{text}");
    }

    #[test]
    fn a_program_gets_the_same_as_one_object() {
        let text = told(
            true,
            vec![
                Finding::skipped(Check::Cookie, "no token"),
                Finding::warning(Check::Compression, "gzip").mended_by(recipes::COMPRESSION),
            ],
        );
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["ok"], false);
        assert_eq!(all["skipped"], 1);
        assert_eq!(all["findings"][0]["check"], "cookie");
        assert!(all["findings"][0].get("mend").is_none());
        assert_eq!(all["findings"][1]["verdict"], "warning");
        let mend = all["findings"][1]["mend"].as_object().unwrap();
        assert!(
            ["nginx", "haproxy", "caddy", "aws_alb", "cloudflare"]
                .iter()
                .all(|it| mend.contains_key(*it))
        );
    }
}
