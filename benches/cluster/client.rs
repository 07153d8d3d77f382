//! A dashboard: a stream over server-sent events, that can be resumed at any hub.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::http::{BASE, token};

/// What only the first event of a stream has.
const TOKEN: &str = r#""reconnectToken":""#;

pub struct Client {
    pub session: Session,
    /// How often it was told that it begins anew: the hub cannot tell what it missed.
    pub anew: usize,
    lines: Lines<BufReader<TcpStream>>,
}

/// What a client comes back with.
#[derive(Debug, Clone, Default)]
pub struct Session {
    authorization: String,
    token: String,
    last_event_id: String,
}

impl Client {
    /// Opens a stream of one metric, for a user.
    ///
    /// # Errors
    /// The hub is away or does not want to.
    pub async fn open(hub: SocketAddr, user: &str, metric: &str) -> Result<Self> {
        let session = Session {
            authorization: token(user),
            ..Session::default()
        };
        let path = format!("{BASE}/stream?metrics={metric}");
        Self::begin(hub, &path, session).await
    }

    /// Goes on with a session.
    ///
    /// # Errors
    /// The hub is away or does not want to, or the session is not what it was.
    pub async fn resume(hub: SocketAddr, session: Session) -> Result<Self> {
        let Session {
            token,
            last_event_id,
            ..
        } = &session;
        let path = format!("{BASE}/reconnect?token={token}&lastEventId={last_event_id}");
        Self::begin(hub, &path, session).await
    }

    async fn begin(hub: SocketAddr, path: &str, session: Session) -> Result<Self> {
        let mut stream = TcpStream::connect(hub).await?;
        let authorization = &session.authorization;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {authorization}\r\n\
             Accept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let resumes = !session.token.is_empty();
        let mut client = Self {
            session,
            anew: 0,
            lines: BufReader::new(stream).lines(),
        };
        let status = client.lines.next_line().await?.unwrap_or_default();
        if !status.contains(" 200 ") {
            return Err(Error::new(ErrorKind::ConnectionRefused, status));
        }
        let established = client.next().await?;
        let token = after(&established, TOKEN).unwrap_or_default();
        let token = token.split('"').next().unwrap_or_default();
        let is_resumed = established.contains(r#""resumed":true"#);
        if token.is_empty() || is_resumed != resumes {
            return Err(Error::new(ErrorKind::InvalidData, established));
        }
        client.session.token = token.to_owned();
        Ok(client)
    }

    /// Data of the next event that has any. Heads of chunks lie between lines and look like none of them.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn next(&mut self) -> Result<String> {
        loop {
            let line = self.lines.next_line().await?;
            let line = line.ok_or(ErrorKind::UnexpectedEof)?;
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut self.session.last_event_id);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Ok(data.to_owned());
            }
        }
    }

    /// As [`Client::next`], until an event has a number in its data: see [`number`].
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn next_number(&mut self) -> Result<usize> {
        loop {
            let data = self.next().await?;
            self.anew += usize::from(data.contains(TOKEN));
            if let Some(number) = number(&data) {
                return Ok(number);
            }
        }
    }
}

/// The body of a message with a number in it.
pub fn numbered(metric: &str, number: usize) -> String {
    format!(r#"{{"metric":"{metric}","data":{{"numbered":{number}}}}}"#)
}

fn number(data: &str) -> Option<usize> {
    let digits = after(data, r#""numbered":"#)?;
    let end = digits.find(|it: char| !it.is_ascii_digit())?;
    digits[..end].parse().ok()
}

fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_once(name).map(|(_, after)| after)
}
