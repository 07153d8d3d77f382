//! What becomes of an event stream on its way: whether it flows, as it was written, and can be resumed.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use serde_json::json;

use super::finding::{Check, Finding, Report};
use super::reach::{clock, clock_finding};
use super::recipes;
use super::site::{Site, ask, seconds, text};
use super::stream::{self, Event, Failure, Next, Stream};
use crate::wire::gzip;

/// Subscribes to nothing that anybody publishes: only what is looked for comes.
pub const QUIET_STREAM: &str = "stream?metrics=statshub-doctor";
/// An event that took longer was kept somewhere, whatever the line is like.
const EVENT_WITHIN: Duration = Duration::from_secs(5);
/// After this nobody waits for it any more.
const EVENT_WITHIN_MAX: Duration = Duration::from_secs(15);
/// A clock that is off by less does no harm: tokens are granted 5 s.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(2);
/// What browsers say they can read.
const ENCODINGS: &str = "gzip, deflate, br, zstd";

/// Whether streams are worth being watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    Flow,
    /// None could be opened, or nothing comes of them; that was told.
    AreStuck,
}

/// What is looked at on streams that flow only.
const WHERE_THEY_FLOW: [Check; 3] = [Check::Delivery, Check::Compression, Check::LastEventId];

pub async fn all(site: &Site, report: &mut Report<'_>) -> anyhow::Result<Streams> {
    let before = Timestamp::now();
    let began = Instant::now();
    let opened = Stream::open(site.api(Method::GET, QUIET_STREAM)?).await;
    let (mut stream, first) = match first_of(opened).await {
        Ok(opened) => opened,
        Err(finding) => {
            report.add(finding)?;
            report.add(clock(site).await?)?;
            for check in WHERE_THEY_FLOW {
                report.add(Finding::skipped(check, "no stream to look at"))?;
            }
            return Ok(Streams::AreStuck);
        }
    };
    let head = stream.opened.saturating_duration_since(began);
    let event = first.at.saturating_duration_since(began);
    let text = format!(
        "opens: its head after {}, the first event after {}",
        seconds(head),
        seconds(event)
    );
    report.add(Finding::ok(Check::Stream, text))?;
    report.add(match first.written() {
        Some(written) => clock_finding(written, before, Timestamp::now(), CLOCK_OFF_MAX),
        None => clock(site).await?,
    })?;
    let mut position = match stream.wait_for("initial_metrics", EVENT_WITHIN).await {
        Next::Event(event) => event.id,
        _ => None,
    };
    let (finding, delivered) = delivery(site, &mut stream).await?;
    let flows = finding.verdict != super::finding::Verdict::Error;
    report.add(finding)?;
    position = delivered.and_then(|event| event.id).or(position);
    drop(stream);
    report.add(compression(site).await?)?;
    report.add(last_event_id(site, position.as_deref()).await?)?;
    Ok(match flows {
        true => Streams::Flow,
        false => Streams::AreStuck,
    })
}

/// The stream and its first message.
async fn first_of(opened: Result<Stream, Failure>) -> Result<(Stream, Event), Finding> {
    let error = |text: String| Finding::error(Check::Stream, text);
    let mut stream = opened.map_err(|failure| match failure {
        Failure::NoHead => error(
            "other answers come at once, a stream's head does not: it is kept until it is large, or over"
                .into(),
        )
        .mended_by(recipes::BUFFERING),
        Failure::Other(why) => error(format!("does not open: {why}")),
    })?;
    match first_message(&mut stream).await {
        Next::Event(event) => Ok((stream, event)),
        Next::Nothing => Err(error(format!(
            "opens, but no event comes within {}: they are kept until there are more",
            seconds(EVENT_WITHIN)
        ))
        .mended_by(recipes::BUFFERING)),
        Next::End(how) => Err(error(format!(
            "opens, but {how}, without a message: the proxy answers in the hub's place, because it finds none for streams"
        ))
        .mended_by(recipes::NO_HUB)),
    }
}

/// What a stream begins with; its `retry:` may come before.
async fn first_message(stream: &mut Stream) -> Next {
    let is_message = |event: &Event| !event.message["type"].is_null();
    stream.wait_until(EVENT_WITHIN, is_message).await
}

/// Has a test message sent to the stream that is open; the message, where it came.
async fn delivery(site: &Site, stream: &mut Stream) -> anyhow::Result<(Finding, Option<Event>)> {
    let began = Instant::now();
    let request = site.api(Method::POST, "test-connection")?;
    let answer = ask(request.json(&json!({"connectionType": "sse"}))).await;
    let refused = match answer {
        Ok(answer) if answer.status.is_success() && answer.is_hubs() => None,
        Ok(answer) => Some(answer.told()),
        Err(why) => Some(why),
    };
    if let Some(why) = refused {
        let text = format!("no test message could be asked for (POST): {why}");
        return Ok((Finding::error(Check::Delivery, text), None));
    }
    let come = stream.wait_for("test_message", EVENT_WITHIN_MAX).await;
    let late = |text: String| Finding::error(Check::Delivery, text).mended_by(recipes::BUFFERING);
    Ok(match come {
        Next::Event(event) => {
            let took = event.at.saturating_duration_since(began);
            let finding = match took > EVENT_WITHIN {
                false => Finding::ok(
                    Check::Delivery,
                    format!("an event is here {} after it was asked for", seconds(took)),
                ),
                true => late(format!(
                    "an event took {}: it was kept until more came",
                    seconds(took)
                )),
            };
            (finding, Some(event))
        }
        Next::Nothing => {
            let text = format!(
                "the first events came, a later one did not within {}: it is kept until there are more",
                seconds(EVENT_WITHIN_MAX)
            );
            (late(text), None)
        }
        // How long streams live is looked at later.
        Next::End(how) => {
            let text = format!("the stream was over before it could be seen: {how}");
            (Finding::skipped(Check::Delivery, text), None)
        }
    })
}

/// Opens a stream as a browser does, which says that it can read what is compressed.
async fn compression(site: &Site) -> anyhow::Result<Finding> {
    let request = site.api(Method::GET, QUIET_STREAM)?;
    let opened = stream::open(request.header(ACCEPT_ENCODING, ENCODINGS)).await;
    let mut response = match opened {
        Ok(response) => response,
        Err(Failure::NoHead) => {
            let text =
                "its head does not come once a browser says that it can read what is compressed";
            let finding = Finding::error(Check::Compression, text);
            return Ok(finding.mended_by(recipes::COMPRESSION));
        }
        Err(Failure::Other(why)) => return Ok(Finding::error(Check::Compression, why)),
    };
    let encoding = response.headers().get(CONTENT_ENCODING).and_then(text);
    let Some(encoding) = encoding.filter(|it| *it != "identity").map(str::to_owned) else {
        return Ok(Finding::ok(
            Check::Compression,
            "the stream comes as it was written",
        ));
    };
    let finding = match tokio::time::timeout(EVENT_WITHIN, response.chunk()).await {
        Ok(Ok(Some(first))) if gzip::is_beginning(&first) => {
            let text = "the hub compresses the stream itself, and no event waits for that";
            return Ok(Finding::ok(Check::Compression, text));
        }
        Ok(Ok(Some(_))) => Finding::warning(
            Check::Compression,
            format!(
                "the stream is compressed on its way ({encoding}): events may be kept for it, and it costs memory for each stream"
            ),
        ),
        _ => Finding::error(
            Check::Compression,
            format!(
                "the stream is compressed on its way ({encoding}), and its events are kept for that"
            ),
        ),
    };
    Ok(finding.mended_by(recipes::COMPRESSION))
}

/// Comes back as an EventSource does, which has nothing but the header.
async fn last_event_id(site: &Site, position: Option<&str>) -> anyhow::Result<Finding> {
    let Some(id) = position else {
        let text = "nothing with an id came that could be resumed after";
        return Ok(Finding::skipped(Check::LastEventId, text));
    };
    let with_header = site
        .api(Method::GET, QUIET_STREAM)?
        .header("Last-Event-ID", id);
    match resumes(with_header).await {
        Ok(true) => {
            return Ok(Finding::ok(
                Check::LastEventId,
                "a stream is resumed with it",
            ));
        }
        Ok(false) => {}
        Err(why) => return Ok(Finding::error(Check::LastEventId, why)),
    }
    let in_query = format!("{QUIET_STREAM}&lastEventId={id}");
    Ok(match resumes(site.api(Method::GET, &in_query)?).await {
        Ok(true) => Finding::error(
            Check::LastEventId,
            "does not reach the hub: whoever comes back misses what was sent meanwhile",
        )
        .mended_by(recipes::LAST_EVENT_ID),
        Ok(false) => Finding::error(
            Check::LastEventId,
            "a stream cannot be resumed where it was: several hubs without REDIS_URL in common, or one whose log was just begun anew",
        ),
        Err(why) => Finding::error(Check::LastEventId, why),
    })
}

async fn resumes(request: reqwest::RequestBuilder) -> Result<bool, String> {
    let mut stream = Stream::open(request)
        .await
        .map_err(|failure| match failure {
            Failure::NoHead => "the stream to look at did not open".to_owned(),
            Failure::Other(why) => why,
        })?;
    match first_message(&mut stream).await {
        Next::Event(event) => Ok(event.is_resumed()),
        Next::Nothing => Err("no event came of the stream to look at".to_owned()),
        Next::End(how) => Err(how),
    }
}
