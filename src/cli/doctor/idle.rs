//! How long a stream lives on which nothing happens but the hub's signs of life.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use tokio_tungstenite::tungstenite::Message;

use super::events::{QUIET_STREAM, Streams};
use super::finding::{Check, Finding, Report};
use super::recipes;
use super::site::{Site, seconds};
use super::stream::{Failure, Next, Stream};
use super::websocket::{self, Path, Socket};
use super::{Doctor, progress};

/// How often it is said how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Watches both kinds at the same time.
pub async fn both(
    site: &Site,
    wanted: &Doctor,
    streams: Streams,
    socket: Path,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let limit = wanted.idle();
    let on_streams = async {
        match streams {
            Streams::Flow => stream(site, limit).await,
            Streams::AreStuck => Ok(Finding::skipped(Check::IdleStream, "no stream to look at")),
        }
    };
    let on_sockets = async {
        match &socket {
            Some(path) => websocket(site, path, limit).await,
            None => Ok(Finding::skipped(
                Check::IdleWebsocket,
                "no WebSocket to look at",
            )),
        }
    };
    let watching = async { tokio::join!(on_streams, on_sockets) };
    let (stream, socket) = tokio::select! {
        both = watching => both,
        never = tell(limit) => match never {},
    };
    progress("");
    report.add(stream?)?;
    Ok(report.add(socket?)?)
}

async fn tell(limit: Duration) -> std::convert::Infallible {
    let began = Instant::now();
    loop {
        let (so_far, limit) = (began.elapsed().as_secs(), limit.as_secs());
        progress(&format!("watching quiet streams, {so_far} of {limit} s"));
        tokio::time::sleep(TOLD_EVERY).await;
    }
}

async fn stream(site: &Site, limit: Duration) -> anyhow::Result<Finding> {
    let check = Check::IdleStream;
    let mut stream = match Stream::open(site.api(Method::GET, QUIET_STREAM)?).await {
        Ok(stream) => stream,
        Err(Failure::NoHead) => return Ok(Finding::error(check, "did not open")),
        Err(Failure::Other(why)) => return Ok(Finding::error(check, why)),
    };
    let until = stream.opened + limit;
    let end = loop {
        let left = until.saturating_duration_since(Instant::now());
        match stream.next(left).await {
            Next::Nothing => break None,
            Next::Event(event) => {
                if let Some(why) = by_the_hub(&event.kind, &event.message) {
                    return Ok(Finding::skipped(check, why));
                }
            }
            Next::End(_) => break Some((stream.opened.elapsed(), stream.heard().elapsed())),
        }
    };
    Ok(judge(check, end, limit))
}

async fn websocket(site: &Site, path: &str, limit: Duration) -> anyhow::Result<Finding> {
    let check = Check::IdleWebsocket;
    let mut socket = match websocket::open(site, path).await? {
        Ok(socket) => socket,
        Err(finding) => return Ok(Finding { check, ..finding }),
    };
    let (opened, mut heard) = (Instant::now(), Instant::now());
    let end = loop {
        let left = (opened + limit).saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, socket.next()).await {
            Err(_) => break None,
            Ok(Some(Ok(Message::Text(text)))) => {
                let message: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let kind = message["type"].as_str().unwrap_or_default();
                if let Some(why) = by_the_hub(kind, &message) {
                    return Ok(Finding::skipped(check, why));
                }
                heard = Instant::now();
            }
            Ok(Some(Ok(Message::Close(Some(frame))))) => {
                let text = format!("the hub closed it with {}", u16::from(frame.code));
                return Ok(Finding::skipped(check, text));
            }
            // A ping is answered by the library.
            Ok(Some(Ok(_))) => heard = Instant::now(),
            Ok(None | Some(Err(_))) => break Some((opened.elapsed(), heard.elapsed())),
        }
    };
    close(socket).await;
    Ok(judge(check, end, limit))
}

/// So that the hub need not find out by itself.
async fn close(mut socket: Socket) {
    let _ = tokio::time::timeout(TOLD_EVERY, socket.send(Message::Close(None))).await;
}

/// Why the hub itself ends a stream, of its last message.
fn by_the_hub(kind: &str, message: &serde_json::Value) -> Option<String> {
    let code = message["data"]["code"].as_str().unwrap_or_default();
    let why = match (kind, code) {
        ("server_shutdown", _) => "the hub is stopping",
        ("connection_replaced", _) => "its session was resumed elsewhere",
        ("error", "token_expired") => "the token has expired meanwhile",
        ("error", "disconnected") => "an operator has ended it",
        _ => return None,
    };
    Some(why.to_owned())
}

/// `end`: how long it lived, and how long nothing had come then.
fn judge(check: Check, end: Option<(Duration, Duration)>, limit: Duration) -> Finding {
    let Some((lived, quiet)) = end else {
        let text = format!("lives on for all of {}", seconds(limit));
        return Finding::ok(check, text);
    };
    // A limit on the whole stream strikes whenever something last came.
    let what = match quiet < lived / 2 {
        true => "which is a limit on the whole stream, or somebody who restarts",
        false => {
            "which is an idle time-out below the 15 s (WebSocket: 30 s) between signs of life, or a limit on the whole stream"
        }
    };
    let text = format!(
        "is cut after {}, {} after something last came, {what}",
        seconds(lived),
        seconds(quiet)
    );
    Finding::error(check, text).mended_by(recipes::IDLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cut_it_is_told_by_how_quiet_it_had_been() {
        let check = |lived: u64, quiet: u64, expected: &str| {
            let [lived, quiet] = [lived, quiet].map(Duration::from_secs);
            let finding = judge(
                Check::IdleStream,
                Some((lived, quiet)),
                Duration::from_secs(75),
            );
            assert!(finding.text.contains(expected), "{}", finding.text);
        };
        check(
            60,
            3,
            "60 s, 3 s after something last came, which is a limit on the whole",
        );
        check(10, 10, "which is an idle time-out");
    }

    #[test]
    fn an_end_that_the_hub_announced_is_no_fault_of_the_way() {
        let expired = serde_json::json!({"data": {"code": "token_expired"}});
        assert!(by_the_hub("error", &expired).is_some());
        assert!(by_the_hub("server_shutdown", &serde_json::Value::Null).is_some());
        let other = serde_json::json!({"data": {"code": "unavailable"}});
        assert_eq!(by_the_hub("error", &other), None);
        assert_eq!(by_the_hub("heartbeat", &serde_json::Value::Null), None);
    }
}
