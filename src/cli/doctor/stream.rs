//! One event stream, with the times at which its pieces came.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};

use super::site::{seconds, text, told};
use crate::cli::remote::root_cause;

/// A hub answers a stream's request at once; over the rate limit it may take a few seconds.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

type Events = Pin<Box<dyn futures::Stream<Item = Result<Sse, String>>>>;

pub struct Stream {
    pub opened: Instant,
    events: Events,
    heard: Rc<Cell<Instant>>,
}

/// Why there is no stream.
#[derive(Debug)]
pub enum Failure {
    /// Not even the head of an answer came.
    NoHead,
    /// Something answered in its place.
    Other(String),
}

/// What comes next of a stream.
#[derive(Debug)]
pub enum Next {
    Event(Event),
    /// Nothing came for as long as was waited.
    Nothing,
    /// It is over; the text says how.
    End(String),
}

/// One event, by the type of its message; `cursor` and `retry` for those without one.
#[derive(Debug)]
pub struct Event {
    pub kind: String,
    pub id: Option<String>,
    pub message: Value,
    pub at: Instant,
}

/// The head of a stream's answer.
pub async fn open(request: RequestBuilder) -> Result<Response, Failure> {
    let request = request.header("Accept", "text/event-stream");
    let response = match tokio::time::timeout(HEAD_WITHIN, request.send()).await {
        Err(_) => return Err(Failure::NoHead),
        Ok(Err(error)) => return Err(Failure::Other(root_cause(&error))),
        Ok(Ok(response)) => response,
    };
    if response.status() != StatusCode::OK {
        return Err(Failure::Other(told(response).await));
    }
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(text).unwrap_or_default();
    match kind.starts_with("text/event-stream") {
        true => Ok(response),
        false => Err(Failure::Other(format!(
            "200 was answered as {kind:?}, not as text/event-stream"
        ))),
    }
}

impl Stream {
    pub async fn open(request: RequestBuilder) -> Result<Self, Failure> {
        let response = open(request).await?;
        let opened = Instant::now();
        let heard = Rc::new(Cell::new(opened));
        let hears = heard.clone();
        let pieces = response
            .bytes_stream()
            .inspect_ok(move |_| hears.set(Instant::now()));
        let events = SseByteStream::new(pieces).map(|it| it.map_err(|error| root_cause(&error)));
        Ok(Self {
            opened,
            events: Box::pin(events),
            heard,
        })
    }

    /// When the last piece came, be it a comment only.
    pub fn heard(&self) -> Instant {
        self.heard.get()
    }

    /// The next event, for so long at most.
    pub async fn next(&mut self, within: Duration) -> Next {
        match tokio::time::timeout(within, self.events.next()).await {
            Err(_) => Next::Nothing,
            Ok(None) => Next::End(format!("it ended after {}", seconds(self.opened.elapsed()))),
            Ok(Some(Err(why))) => Next::End(format!(
                "it broke off after {}: {why}",
                seconds(self.opened.elapsed())
            )),
            Ok(Some(Ok(sse))) => Next::Event(Event::of(sse)),
        }
    }

    /// The first event of this type, for so long at most.
    pub async fn wait_for(&mut self, kind: &str, within: Duration) -> Next {
        self.wait_until(within, |event| event.kind == kind).await
    }

    /// The first event that is wanted, for so long at most.
    pub async fn wait_until(
        &mut self,
        within: Duration,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Next {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.next(left).await {
                Next::Event(event) if !is_wanted(&event) => {}
                other => return other,
            }
        }
    }
}

impl Event {
    fn of(sse: Sse) -> Self {
        let data = sse.data.as_deref().unwrap_or_default();
        let message: Value = serde_json::from_str(data).unwrap_or_default();
        let kind = sse.event;
        let kind = kind.or_else(|| message["type"].as_str().map(str::to_owned));
        Self {
            kind: kind.unwrap_or_else(|| "retry".to_owned()),
            id: sse.id,
            message,
            at: Instant::now(),
        }
    }

    /// When the hub wrote it.
    pub fn written(&self) -> Option<Timestamp> {
        self.message["timestamp"].as_str()?.parse().ok()
    }

    /// Whether a session was resumed, of the first message of a stream.
    pub fn is_resumed(&self) -> bool {
        self.message["data"]["resumed"] == true
    }
}
