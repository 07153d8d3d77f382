//! An SSE stream followed over every interruption.
//!
//! The position (the last id seen) and the session's reconnect token are all that a resume takes.
//! The hub's wishes are obeyed: `retry:`, `Retry-After`, and to stay away when it says so.

use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures::StreamExt;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode};
use sse_stream::{Sse, SseByteStream};

use super::backoff::Backoff;
use super::notice::{Message, Notice};
use super::{Refused, Remote, note, unreachable};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);

/// Where published messages go: the message, and the text it came as.
pub type Show<'a> = dyn FnMut(&Message<'_>, &str) -> io::Result<()> + 'a;

pub struct Follow<'a> {
    remote: &'a Remote,
    /// Patterns, comma-separated; empty: every metric.
    metrics: String,
    last_id: Option<String>,
    reconnect_token: Option<String>,
    /// What the hub's last `retry:` asked for.
    retry: Duration,
    backoff: Backoff,
    /// Whether a stream was ever open: before that a failure is told, not tried again, because it
    /// is most likely a wrong address or token.
    was_live: bool,
}

/// Why to wait before asking again.
struct Interrupted {
    why: anyhow::Error,
    at_least: Duration,
}

impl<'a> Follow<'a> {
    pub fn new(remote: &'a Remote, metrics: String) -> Self {
        Self {
            remote,
            metrics,
            last_id: None,
            reconnect_token: None,
            retry: Duration::ZERO,
            backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST),
            was_live: false,
        }
    }

    /// Shows what comes, for ever.
    ///
    /// # Errors
    /// What another try would not mend: refused credentials, an expired token that cannot be
    /// renewed, a session taken over elsewhere or ended by an operator, or an output that is closed.
    pub async fn run(mut self, show: &mut Show<'_>) -> anyhow::Result<()> {
        loop {
            let interrupted = match self.open().await {
                Ok(response) => self.read(response, show).await?,
                Err(error) => self.judge(error)?,
            };
            let wait = self.backoff.next(interrupted.at_least);
            let why = interrupted.why;
            note(format_args!(
                "{why:#}; trying again in {:.1} s",
                wait.as_secs_f64()
            ));
            tokio::time::sleep(wait).await;
        }
    }

    /// Resumes the session, or where it is gone begins another from the same position.
    async fn open(&mut self) -> anyhow::Result<Response> {
        if let Some(token) = &self.reconnect_token {
            let request = self.remote.get("reconnect")?.query(&[("token", token)]);
            match self.send(request).await {
                Err(error) if status(&error) == Some(StatusCode::GONE) => {
                    note(format_args!("the session is gone, beginning another"));
                    self.reconnect_token = None;
                }
                answer => return answer,
            }
        }
        let mut request = self.remote.get("stream")?;
        if !self.metrics.is_empty() {
            request = request.query(&[("metrics", &self.metrics)]);
        }
        self.send(request).await
    }

    async fn send(&self, mut request: RequestBuilder) -> anyhow::Result<Response> {
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request
            .header("Accept", "text/event-stream")
            .send()
            .await
            .map_err(|error| unreachable(&self.remote.base, error))?;
        if response.status() != StatusCode::OK {
            return Err(Refused::read(response).await.into());
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            bail!("{} answers, but not as a hub does", self.remote.base);
        }
        Ok(response)
    }

    /// Whether to try again after `error`, and how soon.
    fn judge(&self, error: anyhow::Error) -> anyhow::Result<Interrupted> {
        let refused = error.downcast_ref::<Refused>();
        let hopeless = refused.is_some_and(|refused| {
            let status = refused.status;
            !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
        });
        if hopeless || !self.was_live {
            return Err(error);
        }
        let at_least = refused.and_then(|refused| refused.retry_after);
        Ok(Interrupted {
            why: error,
            at_least: at_least.unwrap_or_default(),
        })
    }

    /// Takes events until the stream ends, however it does.
    async fn read(
        &mut self,
        response: Response,
        show: &mut Show<'_>,
    ) -> anyhow::Result<Interrupted> {
        if let Some(token) = response.headers().get("X-Reconnect-Token") {
            self.reconnect_token = token.to_str().ok().map(str::to_owned);
        }
        let mut events = SseByteStream::new(response.bytes_stream());
        let mut why = anyhow!("the stream ended");
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(event, show)?,
                Err(error) => why = anyhow!("the stream broke off: {}", root_cause(&error)),
            }
        }
        let at_least = self.retry;
        Ok(Interrupted { why, at_least })
    }

    fn take(&mut self, event: Sse, show: &mut Show<'_>) -> anyhow::Result<()> {
        self.was_live = true;
        self.backoff.reset();
        if let Some(retry) = event.retry {
            self.retry = Duration::from_millis(retry);
        }
        // A named event is the hub's cursor: it moves the position and says nothing.
        if let (None, Some(data)) = (&event.event, &event.data) {
            self.hear(data, show)?;
        }
        if event.id.is_some() {
            self.last_id = event.id;
        }
        Ok(())
    }

    fn hear(&mut self, data: &str, show: &mut Show<'_>) -> anyhow::Result<()> {
        let Ok(message) = serde_json::from_str::<Message<'_>>(data) else {
            note(format_args!("a message that cannot be read was skipped"));
            return Ok(());
        };
        match Notice::of(&message) {
            None => show(&message, data).context("writing to standard output")?,
            Some(Notice::Quiet) => {}
            Some(Notice::Told(text)) => note(format_args!("{text}")),
            Some(Notice::Opened { token, text }) => {
                self.reconnect_token = token.or(self.reconnect_token.take());
                note(format_args!("{text}"));
            }
            Some(Notice::TokenExpired) if self.remote.renews() => {
                note(format_args!("the token expired, making another"));
            }
            Some(Notice::TokenExpired) => bail!("the token has expired: give a fresh one"),
            Some(Notice::Replaced) => bail!("this session was resumed elsewhere"),
            Some(Notice::Disconnected(text)) => bail!("the hub says: {text}"),
        }
        Ok(())
    }
}

fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error
        .downcast_ref::<Refused>()
        .map(|refused| refused.status)
}

/// The innermost cause, which is the one with no URL in it: a resume's holds the reconnect token.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Environment, remote::flags};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A hub that gives each request the next of `answers` and hangs up; with the last one it is
    /// gone. Returns what was shown, the error that ended it, and the request heads.
    async fn follow(answers: &[String]) -> (Vec<String>, String, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async move {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap().into());
                }
                socket.write_all(answer.as_bytes()).await.unwrap();
                heads.push(head);
            }
            heads
        };
        let remote = flags::Remote {
            url: Some(format!("http://{address}").parse().unwrap()),
            token: Some("jwt".into()),
            ..Default::default()
        };
        let remote = Remote::new(&remote, &Environment::new()).unwrap();
        let mut shown = Vec::new();
        let mut show = |message: &Message<'_>, _: &str| {
            shown.push(message.data.to_string());
            Ok(())
        };
        let mut follow = Follow::new(&remote, "a.*,b".into());
        follow.backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));
        let (ended, heads) = tokio::join!(follow.run(&mut show), serving);
        (shown, format!("{:#}", ended.unwrap_err()), heads)
    }

    fn stream(events: &str) -> String {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    X-Reconnect-Token: tok\r\nConnection: close\r\n\r\n";
        format!("{head}{events}")
    }

    fn update(id: u32) -> String {
        format!(
            "id: {id}-0\ndata: {{\"type\":\"metrics_update\",\"data\":{id},\"timestamp\":\"t\"}}\n\n"
        )
    }

    fn notice(kind: &str, data: &str) -> String {
        format!("data: {{\"type\":\"{kind}\",\"data\":{data},\"timestamp\":\"t\"}}\n\n")
    }

    fn refusal(status: &str, error: &str) -> String {
        let body = format!("{{\"success\":false,\"error\":\"{error}\",\"code\":\"c\"}}");
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    fn stop() -> String {
        refusal("403 Forbidden", "enough")
    }

    #[actix_rt::test]
    async fn a_broken_stream_is_resumed_from_the_last_id_seen() {
        let torn = format!("{}{}id: 9-0\ndata: {{", update(1), update(2));
        let (shown, error, heads) = follow(&[stream(&torn), stream(&update(3)), stop()]).await;
        assert_eq!(shown, ["1", "2", "3"]);
        assert!(
            heads[0].starts_with("GET /api/admin/analytics/stream?metrics=a.*%2Cb "),
            "{}",
            heads[0]
        );
        assert!(!heads[0].contains("last-event-id"));
        assert!(heads[1].starts_with("GET /api/admin/analytics/reconnect?token=tok "));
        assert!(
            heads[1].contains("last-event-id: 2-0"),
            "an unfinished event moves nothing"
        );
        assert!(heads[2].contains("last-event-id: 3-0"));
        assert!(
            heads
                .iter()
                .all(|head| head.contains("authorization: Bearer jwt"))
        );
        assert!(error.starts_with("the hub answered 403: enough"), "{error}");
    }

    #[actix_rt::test]
    async fn the_cursor_moves_the_position_and_is_not_shown() {
        let quiet = format!(
            "{}event: cursor\nid: 7-0\ndata:\n\n: comment\n\n",
            update(1)
        );
        let (shown, _, heads) = follow(&[stream(&quiet), stop()]).await;
        assert_eq!(shown, ["1"]);
        assert!(heads[1].contains("last-event-id: 7-0"));
    }

    #[actix_rt::test]
    async fn a_session_that_is_gone_begins_anew_from_the_same_position() {
        let gone = refusal("410 Gone", "unknown");
        let (shown, _, heads) =
            follow(&[stream(&update(1)), gone, stream(&update(2)), stop()]).await;
        assert_eq!(shown, ["1", "2"]);
        assert!(heads[1].contains("/reconnect?"));
        assert!(heads[2].contains("/stream?") && heads[2].contains("last-event-id: 1-0"));
    }

    #[actix_rt::test]
    async fn the_token_in_the_first_message_counts_over_the_header() {
        let opened = notice("connection_established", "{\"reconnectToken\":\"two\"}");
        let (_, _, heads) = follow(&[stream(&opened), stop()]).await;
        assert!(heads[1].contains("/reconnect?token=two "));
    }

    #[actix_rt::test]
    async fn refusals_that_pass_are_outlasted_once_a_stream_was_open() {
        let busy = refusal("503 Service Unavailable", "starting").replacen(
            "\r\n",
            "\r\nRetry-After: 0\r\n",
            1,
        );
        let slow = refusal("429 Too Many Requests", "slow down");
        let (shown, _, heads) =
            follow(&[stream(&update(1)), busy, slow, stream(&update(2)), stop()]).await;
        assert_eq!(shown, ["1", "2"]);
        assert_eq!(heads.len(), 5);
    }

    #[actix_rt::test]
    async fn the_first_failure_of_all_is_told_at_once() {
        for (answer, expected) in [
            (
                refusal("503 Service Unavailable", "starting"),
                "the hub answered 503: starting",
            ),
            (
                refusal("401 Unauthorized", "no"),
                "the hub answered 401: no",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
                "http://127.0.0.1",
            ),
        ] {
            let (_, error, heads) = follow(&[answer]).await;
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(heads.len(), 1);
        }
    }

    #[actix_rt::test]
    async fn it_stays_away_when_told_to() {
        let expired = notice("error", "{\"code\":\"token_expired\",\"message\":\"m\"}");
        let ended = notice("error", "{\"code\":\"disconnected\",\"message\":\"m\"}");
        for (event, expected) in [
            (ended, "the hub says: m"),
            (
                notice("connection_replaced", "{}"),
                "this session was resumed elsewhere",
            ),
            (expired, "the token has expired: give a fresh one"),
        ] {
            let (_, error, _) = follow(&[stream(&event)]).await;
            assert_eq!(error, expected);
        }
    }

    #[actix_rt::test]
    async fn no_error_tells_the_reconnect_token() {
        let chunked = stream("zz\r\n").replacen("\r\n", "\r\nTransfer-Encoding: chunked\r\n", 1);
        let judged = follow(&[stream(&update(1)), chunked, refusal("400 Bad Request", "x")]).await;
        assert!(!judged.1.contains("tok"), "{}", judged.1);
        let remote = flags::Remote {
            url: Some("http://127.0.0.1:1".parse().unwrap()),
            token: Some("jwt".into()),
            ..Default::default()
        };
        let remote = Remote::new(&remote, &Environment::new()).unwrap();
        let mut follow = Follow::new(&remote, String::new());
        follow.reconnect_token = Some("SECRET".into());
        let error = follow.open().await.unwrap_err();
        assert!(!format!("{error:#} {error:?}").contains("SECRET"));
    }
}
