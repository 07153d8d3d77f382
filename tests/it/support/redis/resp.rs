//! The protocol of Redis, by hand: what judges the product must not share its client.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A stopped server answers nothing, and a test must go on.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

/// An answer, of version 2 or 3 of the protocol. The first byte says what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// One line: `+` text, `-` error, `:` number, and what version 3 adds.
    Line(u8, String),
    /// Counted bytes; `None`: nothing.
    Bulk(u8, Option<Vec<u8>>),
    /// A list, set, push or map (whose keys and values take turns); `None`: nothing.
    Many(u8, Option<Vec<Reply>>),
}

impl Reply {
    /// The first answer in `bytes` and its length; `None`: it is not complete.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let (kind, line) = (bytes[0], String::from_utf8_lossy(&bytes[1..end]));
        let mut used = end + 2;
        let count = || usize::try_from(line.parse::<i64>().expect("a count")).ok();
        let reply = match kind {
            b'$' | b'=' | b'!' => match count() {
                Some(length) => {
                    let text = bytes.get(used..used + length + 2)?[..length].to_vec();
                    used += length + 2;
                    Self::Bulk(kind, Some(text))
                }
                None => Self::Bulk(kind, None),
            },
            b'*' | b'~' | b'>' | b'%' => match count() {
                Some(count) => {
                    let mut list = Vec::new();
                    for _ in 0..count * if kind == b'%' { 2 } else { 1 } {
                        let (reply, length) = Self::parse(&bytes[used..])?;
                        used += length;
                        list.push(reply);
                    }
                    Self::Many(kind, Some(list))
                }
                None => Self::Many(kind, None),
            },
            _ => Self::Line(kind, line.into_owned()),
        };
        Some((reply, used))
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut head = |kind: u8, text: &str| {
            out.push(kind);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Self::Line(kind, line) => head(*kind, line),
            Self::Bulk(kind, None) | Self::Many(kind, None) => head(*kind, "-1"),
            Self::Bulk(kind, Some(text)) => {
                head(*kind, &text.len().to_string());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::Many(kind, Some(list)) => {
                let count = list.len() / if *kind == b'%' { 2 } else { 1 };
                head(*kind, &count.to_string());
                list.iter().for_each(|reply| reply.encode(out));
            }
        }
    }

    /// Text or number; empty where there is nothing.
    pub fn text(&self) -> String {
        match self {
            Self::Line(_, line) => line.clone(),
            Self::Bulk(_, text) => {
                String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into()
            }
            Self::Many(..) => panic!("a list is no text: {self:?}"),
        }
    }

    pub fn number(&self) -> i64 {
        let text = self.text();
        text.parse()
            .unwrap_or_else(|_| panic!("no number: {text:?}"))
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::Many(_, list) => list.as_deref().unwrap_or_default(),
            _ => panic!("no list: {self:?}"),
        }
    }

    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Line(b'-', line) => Some(line),
            _ => None,
        }
    }
}

/// A command as it goes over the wire.
pub fn command(words: &[&str]) -> Vec<u8> {
    let word = |word: &&str| Reply::Bulk(b'$', Some(word.as_bytes().to_vec()));
    let mut out = Vec::new();
    Reply::Many(b'*', Some(words.iter().map(word).collect())).encode(&mut out);
    out
}

/// One connection.
pub struct Resp {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Resp {
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = in_time(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let pending = Vec::new();
        Ok(Self { stream, pending })
    }

    /// One command and its answer, which may be an error of Redis's.
    pub async fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        in_time(async {
            self.stream.write_all(&command(words)).await?;
            loop {
                if let Some((reply, used)) = Reply::parse(&self.pending) {
                    self.pending.drain(..used);
                    return Ok(reply);
                }
                if self.stream.read_buf(&mut self.pending).await? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
        })
        .await
    }
}

async fn in_time<T>(what: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::from(ErrorKind::TimedOut);
    timeout(ANSWER_PATIENCE, what).await.map_err(late)?
}

#[test]
fn answers_are_read_and_written_back_as_they_were() {
    for text in [
        "+OK\r\n",
        "-ERR no\r\n",
        ":-7\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "$0\r\n\r\n",
        "$4\r\na\r\nb\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        "%1\r\n+a\r\n~2\r\n#t\r\n_\r\n",
        ">2\r\n+message\r\n=5\r\ntxt:a\r\n",
    ] {
        let bytes = text.as_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..cut]), None, "{text:?} cut at {cut}");
        }
        let (reply, used) = Reply::parse(&[bytes, b"+next"].concat()).unwrap();
        assert_eq!(used, bytes.len(), "{text:?}");
        let mut again = Vec::new();
        reply.encode(&mut again);
        assert_eq!(again, bytes, "{text:?}");
    }
}
