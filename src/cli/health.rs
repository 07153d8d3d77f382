//! `health`: whether a running hub serves, for a container's health check.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::arguments::Health;
use super::{Environment, remote, whereabouts};

/// Below the default time-out of container health checks, which is 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    data: Report,
}

#[derive(Deserialize)]
struct Report {
    status: String,
}

/// Prints `healthy` or `degraded`; both serve.
///
/// # Errors
/// No hub there, or one that is starting or draining.
pub async fn ask(
    wanted: &Health,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = whereabouts(&wanted.config, environment);
    let second = settings.as_ref().and_then(|it| it.http.health_listen);
    let base = match second.filter(|_| wanted.url.is_none()) {
        // It answers also where clients have taken every socket of the first.
        Some(address) => remote::found_at("http", &address.ip().to_string(), address.port())?,
        None => remote::address(wanted.url.as_ref(), settings.as_ref())?,
    };
    let request = remote::client(&base, wanted.url.is_none(), &wanted.tls)?;
    let request = request.get(base.join("api/health")?);
    let response = request
        .timeout(ANSWER_TIMEOUT)
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no answer from {base}"))?;
    let status = response.status();
    if !status.is_success() {
        bail!("{base} answered {status}");
    }
    let answer: Answer = response
        .json()
        .await
        .context("that was not the answer of a hub")?;
    writeln!(out, "{}", answer.data.status)?;
    Ok(())
}
