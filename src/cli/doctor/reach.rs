//! Whether the hub is there, and what anybody may know of the way to it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, StatusCode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use rustls_platform_verifier::Verifier;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::finding::{Check, Finding, Report};
use super::recipes;
use super::site::{Answer, Site, ask, seconds};
use crate::cli::remote::is_local;

/// What a token may be large with, some roles and groups in it.
const HEAD_BYTES: usize = 4096;
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// What `Date` may be off by: it has whole seconds, and tokens are granted 5 s.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(3);

/// Whether there is a hub to look at.
pub async fn hub(site: &Site, report: &mut Report<'_>) -> anyhow::Result<bool> {
    let base = &site.base;
    let answer = match ask(site.request(Method::GET, "api/health")?).await {
        Ok(answer) => answer,
        Err(why) => {
            let (text, recipe) = match why.contains("certificate") {
                true => (
                    format!("this machine does not trust the certificate at {base}: {why}"),
                    recipes::UNTRUSTED,
                ),
                false => (format!("{base} does not answer: {why}"), recipes::NO_HUB),
            };
            report.add(Finding::error(Check::Reachable, text).mended_by(recipe))?;
            return Ok(false);
        }
    };
    if answer.status != StatusCode::OK || !answer.is_hubs() {
        let text = format!("at {base} {}", answer.told());
        let finding = Finding::error(Check::Reachable, text);
        report.add(match answer.is_hubs() {
            true => finding,
            false => finding.mended_by(recipes::NO_HUB),
        })?;
        return Ok(false);
    }
    let version = answer.data()["version"].as_str().unwrap_or("?").to_owned();
    let text = format!(
        "statshub {version} answers at {base} in {}",
        seconds(answer.took)
    );
    report.add(Finding::ok(Check::Reachable, text))?;
    Ok(true)
}

/// Which HTTP and TLS a browser would be offered.
pub async fn transport(site: &Site) -> Finding {
    if site.base.scheme() != "https" {
        return match is_local(&site.base) {
            true => Finding::ok(Check::Transport, "HTTP/1.1 without TLS, on this machine only"),
            false => Finding::warning(
                Check::Transport,
                "no TLS: tokens can be read on the way, and browsers speak HTTP/1.1, with six streams at most",
            )
            .mended_by(recipes::TLS),
        };
    }
    match handshake(site).await {
        // The hub was reached over TLS before, perhaps by a proxy of the environment, which is not asked here.
        Err(error) => Finding::skipped(
            Check::Transport,
            format!("over TLS; which HTTP browsers get cannot be seen: {error:#}"),
        ),
        Ok((tls, true)) => Finding::ok(Check::Transport, format!("HTTP/2 over {tls}")),
        Ok((tls, false)) => Finding::warning(
            Check::Transport,
            format!(
                "HTTP/1.1 over {tls}: a browser opens six connections, and a seventh stream hangs"
            ),
        )
        .mended_by(recipes::HTTP2),
    }
}

/// The version of TLS, and whether HTTP/2 is spoken.
async fn handshake(site: &Site) -> anyhow::Result<(&'static str, bool)> {
    let host = site.base.host_str().context("no host")?;
    let host = host.trim_matches(['[', ']']);
    let port = site.base.port_or_known_default().unwrap_or(443);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trusts = Verifier::new_with_extra_roots(site.authorities.clone(), provider.clone())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusts))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned())?;
    let shaken = async {
        let socket = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
    };
    let stream = timeout(TLS_WITHIN, shaken).await;
    let stream = stream.map_err(|_| anyhow!("no handshake within {}", seconds(TLS_WITHIN)))??;
    let (_, session) = stream.get_ref();
    let tls = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    Ok((tls, session.alpn_protocol() == Some(b"h2")))
}

/// Whether a token as large as tokens get would come through.
pub async fn request_head(site: &Site, report: &mut Report<'_>) -> anyhow::Result<()> {
    let request = site.request(Method::GET, "api/health")?;
    let answer = ask(request.header("X-Statshub-Doctor", "x".repeat(HEAD_BYTES))).await;
    let refused = match answer {
        Ok(answer) if answer.status == StatusCode::OK => None,
        Ok(answer) => Some(answer.told()),
        Err(why) => Some(why),
    };
    let finding = match refused {
        None => Finding::ok(Check::RequestHead, "a header of 4 KB passes"),
        Some(why) => Finding::error(
            Check::RequestHead,
            format!("a header of 4 KB, as a token may be, does not pass: {why}"),
        )
        .mended_by(recipes::HEAD),
    };
    Ok(report.add(finding)?)
}

/// Each answer of the hub has an id of its own: one that comes twice was kept by somebody.
pub async fn cache(site: &Site, report: &mut Report<'_>) -> anyhow::Result<()> {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = ask(site.request(Method::GET, "api/health")?).await;
        let id = |answer: Answer| answer.header("x-request-id").map(str::to_owned);
        ids.extend(answer.ok().and_then(id));
    }
    let finding = match &ids[..] {
        [one, other] if one == other => Finding::error(
            Check::Cache,
            "an answer came twice: it is kept on the way, and others may see it",
        )
        .mended_by(recipes::CACHE),
        [_, _] => Finding::ok(Check::Cache, "answers are not kept on the way"),
        _ => Finding::skipped(Check::Cache, "X-Request-Id is taken away on the way"),
    };
    Ok(report.add(finding)?)
}

/// The clock as `Date` tells it, of the hub or of the proxy.
pub async fn clock(site: &Site) -> anyhow::Result<Finding> {
    let before = Timestamp::now();
    let answer = ask(site.request(Method::GET, "api/health")?).await;
    let date = answer.ok().and_then(|answer| {
        let text = answer.header("date")?.to_owned();
        let parsed = rfc2822::DateTimeParser::new().parse_timestamp(&text);
        parsed.ok()
    });
    Ok(match date {
        None => Finding::skipped(Check::Clock, "no Date in the answers"),
        Some(date) => clock_finding(date, before, Timestamp::now(), CLOCK_OFF_MAX),
    })
}

/// `told` was read somewhere between two moments of this machine.
pub fn clock_finding(
    told: Timestamp,
    before: Timestamp,
    after: Timestamp,
    off_max: Duration,
) -> Finding {
    let ms = Timestamp::as_millisecond;
    let off = (ms(before) - ms(told)).max(ms(told) - ms(after)).max(0);
    let off = Duration::from_millis(u64::try_from(off).unwrap_or(0));
    let side = if told < before { "behind" } else { "ahead of" };
    match off > off_max {
        true => Finding::warning(
            Check::Clock,
            format!(
                "the hub's clock is {} {side} this machine's: tokens are taken too early, or too late (timedatectl set-ntp true)",
                seconds(off)
            ),
        ),
        false => Finding::ok(Check::Clock, "as this machine's"),
    }
}

/// What a token opens.
pub struct Info {
    /// Whether it may open streams, or only publish.
    pub may_watch: bool,
    /// Where WebSockets are opened, below the address; `None`: switched off.
    pub websocket_path: Option<String>,
}

/// `None` where the token is not taken.
pub async fn token(site: &Site, report: &mut Report<'_>) -> anyhow::Result<Option<Info>> {
    let answer = match ask(site.api(Method::GET, "websocket-info")?).await {
        Ok(answer) => answer,
        Err(why) => {
            report.add(Finding::error(Check::Token, why))?;
            return Ok(None);
        }
    };
    let info = match (answer.status, answer.is_hubs()) {
        (StatusCode::OK, true) => Info {
            may_watch: true,
            websocket_path: websocket_path(answer.data()),
        },
        (StatusCode::FORBIDDEN, true) => Info {
            may_watch: false,
            websocket_path: None,
        },
        _ => {
            let hint = "`statshub check-token` on the hub's machine says what it lacks";
            let text = format!("{}; {hint}", answer.told());
            report.add(Finding::error(Check::Token, text))?;
            return Ok(None);
        }
    };
    let text = match info.may_watch {
        true => "taken",
        false => "taken, but its role may not open streams",
    };
    report.add(Finding::ok(Check::Token, text))?;
    Ok(Some(info))
}

fn websocket_path(info: &Value) -> Option<String> {
    let path = info["endpoint"].as_str()?.trim_start_matches('/');
    (info["enabled"] == true).then(|| path.to_owned())
}

/// What the hub itself says ails it.
pub async fn checks(site: &Site, report: &mut Report<'_>) -> anyhow::Result<()> {
    let request = site.with_token(site.request(Method::GET, "api/health")?);
    let answer = match ask(request).await {
        Ok(answer) => answer,
        Err(why) => return Ok(report.add(Finding::error(Check::Health, why))?),
    };
    let (data, checks) = (answer.data(), &answer.data()["checks"]);
    let ailing = checks.as_object().into_iter().flatten();
    let ailing = ailing.filter(|(name, it)| *name != "openFiles" && it["ok"] == false);
    let mut ailing: Vec<_> = ailing
        .map(|(name, it)| match it["lastError"].as_str() {
            Some(error) => format!("{name}: {error}"),
            None => name.clone(),
        })
        .collect();
    if ailing.is_empty() && data["status"] == "degraded" {
        ailing.push("a source, see checks.sources of /api/health".into());
    }
    report.add(match ailing.is_empty() {
        true => Finding::ok(Check::Health, "healthy"),
        false => Finding::warning(Check::Health, format!("degraded: {}", ailing.join("; "))),
    })?;
    Ok(report.add(open_files(&checks["openFiles"]))?)
}

fn open_files(told: &Value) -> Finding {
    let (Some(max), Some(connections)) = (told["max"].as_u64(), told["connectionsMax"].as_u64())
    else {
        return Finding::skipped(Check::OpenFiles, "this hub does not tell its limit");
    };
    match told["ok"] == false {
        true => Finding::warning(
            Check::OpenFiles,
            format!(
                "the hub may open {max} files, too few for sessions.connections_max, which is {connections}: LimitNOFILE=65536 in its unit, --ulimit nofile=65536:65536 for a container"
            ),
        ),
        false => Finding::ok(
            Check::OpenFiles,
            format!("the hub may open {max}, for {connections} connections"),
        ),
    }
}
