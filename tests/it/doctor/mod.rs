//! `doctor`: what is wrong with a deployment is found, and nothing else is.

mod alone;
mod faults;
mod proxies;

use serde_json::Value;

use crate::support::hub::{Hub, Start};
use crate::support::message::text;

/// For how long quiet streams are watched where that is not what a test is about.
const BRIEFLY: &str = "1";

/// A hub whose limits any machine can bear.
fn a_hub() -> Start {
    Hub::with()
        .config("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n[sessions]\nconnections_max = 100\n")
}

/// What the doctor says of what is at `url`.
struct Examined {
    code: Option<i32>,
    report: Value,
}

async fn examine(url: &str, token: Option<&str>, more: &[&str]) -> Examined {
    examine_with(Hub::with(), url, token, more).await
}

/// As [`examine`], with variables that are set already.
async fn examine_with(
    mut command: Start,
    url: &str,
    token: Option<&str>,
    more: &[&str],
) -> Examined {
    for word in ["doctor", "--json", "--url", url].iter().chain(more) {
        command = command.arg(word);
    }
    if !more.contains(&"--idle") {
        command = command.arg("--idle").arg(BRIEFLY);
    }
    if let Some(token) = token {
        command = command.env("STATSHUB_TOKEN", token);
    }
    let said = command.says().await;
    let report = serde_json::from_str(&said.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error} in {said:?}"));
    let code = said.code;
    Examined { code, report }
}

impl Examined {
    fn findings(&self) -> &[Value] {
        let findings = self.report["findings"].as_array();
        findings.expect("a list of findings")
    }

    fn of(&self, check: &str) -> &Value {
        let mut findings = self.findings().iter();
        let found = findings.find(|it| it["check"] == check);
        found.unwrap_or_else(|| panic!("nothing about {check}: {:#}", self.report))
    }

    /// The names of those with this verdict.
    fn with(&self, verdict: &str) -> Vec<&str> {
        let findings = self.findings().iter();
        let findings = findings.filter(|it| it["verdict"] == verdict);
        findings.map(|it| text(&it["check"])).collect()
    }

    fn is_well(&self) {
        assert_eq!(self.faults(), [""; 0], "{:#}", self.report);
        assert_eq!(self.code, Some(0), "{:#}", self.report);
    }

    /// What is to be mended.
    fn faults(&self) -> Vec<&str> {
        [self.with("error"), self.with("warning")].concat()
    }
}
