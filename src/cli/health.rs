//! `health`: whether a running hub serves, for a container's health check.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use url::Url;

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

/// It answers also where clients have taken every socket of the first.
fn second_listener(mut address: SocketAddr) -> anyhow::Result<Url> {
    // A hub that listens everywhere is found on loopback.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(Url::parse(&format!("http://{address}/"))?)
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
        Some(address) => second_listener(address)?,
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
