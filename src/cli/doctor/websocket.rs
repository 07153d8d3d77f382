//! Whether a WebSocket can be opened on this way, and with a token as a browser gives it.

use std::time::Duration;

use futures::StreamExt;
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Method, RequestBuilder, StatusCode, Upgraded};
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::finding::{Check, Finding, Report};
use super::reach::Info;
use super::recipes;
use super::site::{Site, seconds, text, told};
use crate::cli::remote::root_cause;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An example of RFC 6455. It is there against caches, which this is no concern of.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// Nothing that anybody publishes.
const QUIET: &str = "?metrics=statshub-doctor";

/// As a browser gives a token, which has no other way.
const PROTOCOL: &str = "statshub";

/// An open one.
pub type Socket = WebSocketStream<Upgraded>;

/// Where a WebSocket can be opened, to be watched later.
pub type Path = Option<String>;

pub async fn all(site: &Site, info: &Info, report: &mut Report<'_>) -> anyhow::Result<Path> {
    let Some(path) = &info.websocket_path else {
        for check in [Check::Websocket, Check::WebsocketToken] {
            report.add(Finding::skipped(check, "switched off (WEBSOCKET_ENABLED)"))?;
        }
        return Ok(None);
    };
    match open(site, path).await? {
        Ok(_) => report.add(Finding::ok(
            Check::Websocket,
            "opens, and its first message comes",
        ))?,
        Err(finding) => {
            report.add(finding)?;
            report.add(Finding::skipped(
                Check::WebsocketToken,
                "no WebSocket to look at",
            ))?;
            return Ok(None);
        }
    }
    report.add(token(site, path).await?)?;
    Ok(Some(path.clone()))
}

/// One that has had its first message.
pub async fn open(site: &Site, path: &str) -> anyhow::Result<Result<Socket, Finding>> {
    let request = site.with_token(upgrade(site, path)?);
    let error = |text: String| Finding::error(Check::Websocket, text);
    let answered = async {
        let response = request.send().await.map_err(|it| error(root_cause(&it)))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(response).await);
        }
        let upgraded = response.upgrade().await;
        let upgraded = upgraded.map_err(|it| error(root_cause(&it)))?;
        let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
        match socket.next().await {
            Some(Ok(Message::Text(text))) if is_opening(&text) => Ok(socket),
            other => Err(error(format!(
                "was opened, but then came {}",
                match other {
                    None => "its end".to_owned(),
                    Some(Err(why)) => why.to_string(),
                    Some(Ok(_)) => "something else than a hub says".to_owned(),
                }
            ))),
        }
    };
    Ok(match tokio::time::timeout(ANSWER_WITHIN, answered).await {
        Ok(opened) => opened,
        Err(_) => Err(error(format!(
            "neither opened nor refused, nor was there a message, within {}",
            seconds(ANSWER_WITHIN)
        ))
        .mended_by(recipes::UPGRADE)),
    })
}

fn upgrade(site: &Site, path: &str) -> anyhow::Result<RequestBuilder> {
    let request = site.request(Method::GET, &format!("{path}{QUIET}"))?;
    Ok(request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, KEY))
}

fn is_opening(text: &str) -> bool {
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    message["type"] == "connection_established"
}

/// The hub refuses what is no upgrade as a bad request; for anything else it has other answers.
async fn refused(response: reqwest::Response) -> Finding {
    let status = response.status();
    let told = told(response).await;
    let lacks_upgrade = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED
    );
    let by_hub = told.starts_with("the hub");
    let finding = |text: String| Finding::error(Check::Websocket, text);
    match (by_hub, lacks_upgrade) {
        (true, true) => finding(format!("the upgrade does not reach the hub: {told}"))
            .mended_by(recipes::UPGRADE),
        (true, false) => finding(format!("is not opened: {told}")),
        (false, _) => finding(format!("is not opened: {told}")).mended_by(recipes::UPGRADE),
    }
}

/// A token in `Sec-WebSocket-Protocol`, and the hub's choice among what is offered there.
async fn token(site: &Site, path: &str) -> anyhow::Result<Finding> {
    let token = site.token.as_deref().unwrap_or_default();
    let offered = format!("{PROTOCOL}, bearer.{token}");
    let request = upgrade(site, path)?.header(SEC_WEBSOCKET_PROTOCOL, offered);
    let error = |text: String| Finding::error(Check::WebsocketToken, text);
    let response = match tokio::time::timeout(ANSWER_WITHIN, request.send()).await {
        Err(_) => {
            return Ok(error(format!(
                "no answer within {}",
                seconds(ANSWER_WITHIN)
            )));
        }
        Ok(Err(why)) => return Ok(error(root_cause(&why))),
        Ok(Ok(response)) => response,
    };
    let status = response.status();
    let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let chosen = chosen.and_then(text).map(str::to_owned);
    Ok(match (status, chosen.as_deref()) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(PROTOCOL)) => {
            Finding::ok(Check::WebsocketToken, "taken from Sec-WebSocket-Protocol")
        }
        (StatusCode::SWITCHING_PROTOCOLS, _) => {
            error("the hub's Sec-WebSocket-Protocol is lost: browsers close at once".into())
                .mended_by(recipes::PROTOCOL_HEADER)
        }
        (StatusCode::UNAUTHORIZED, _) => error(
            "Sec-WebSocket-Protocol, which has a browser's token, does not reach the hub".into(),
        )
        .mended_by(recipes::PROTOCOL_HEADER),
        _ => error(told(response).await),
    })
}
