//! A real Prometheus, a child on a port of its own with its data in a temporary folder.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::ports::{free, loopback};
use super::{START_PATIENCE, found, within};

/// Killed when dropped.
pub struct Prometheus {
    address: SocketAddr,
    client: reqwest::Client,
    _child: Child,
    _directory: TempDir,
}

impl Prometheus {
    /// One that scrapes the hub at `target` as the job `statshub` and evaluates `rules`, both a few times a
    /// second, once it answers.
    ///
    /// # Panics
    /// When Prometheus is not installed or does not start; a test that needs it must not pass without.
    pub async fn start(target: SocketAddr, rules: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 250ms, evaluation_interval: 250ms }}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: statshub\n    static_configs: [{{ targets: [{:?}] }}]\n",
            target.to_string()
        );
        fs::write(&config, text).expect("a file");
        let address = loopback(free());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Prometheus is installed");
        let prometheus = Self {
            address,
            client: reqwest::Client::new(),
            _child: child,
            _directory: directory,
        };
        let is_ready = async || {
            let asked = prometheus.client.get(format!("http://{address}/-/ready"));
            let answer = asked.send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        within(START_PATIENCE, "Prometheus to answer", found(is_ready)).await;
        prometheus
    }

    /// `http://<address>` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What its interface says at `path`.
    ///
    /// # Panics
    /// It finds fault with the question.
    pub async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.client.get(url).query(query).send().await;
        let answer = answer.expect("an answer").json::<Value>().await;
        let mut answer = answer.expect("JSON");
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        answer["data"].take()
    }

    /// The series that `expression` gives now, each with its value.
    pub async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", expression)]).await;
        data["result"].as_array().cloned().unwrap_or_default()
    }
}
