//! What a stream's bytes are wrapped in, one of three.

use super::chunked::{self, Chunked};
use super::frames::{self, Frames};
use super::head::{Body, Head};

/// Bytes that the protocol does not know. The connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent {0}")]
pub struct Malformed(pub &'static str);

/// How to read a stream after its head.
#[derive(Debug)]
pub enum Framing {
    /// Up to the end of the connection.
    Plain,
    Chunked(Chunked),
    Frames(Frames),
}

/// What comes next.
#[derive(Debug)]
pub enum Piece<'a> {
    /// `first`: a WebSocket message begins with it.
    Content {
        bytes: &'a [u8],
        first: bool,
    },
    Ping(Vec<u8>),
    /// The server has ended the stream.
    End,
}

impl Framing {
    /// That of the stream behind `head`.
    pub fn behind(head: &Head) -> Self {
        match head.body {
            _ if head.status == 101 => Self::Frames(Frames::default()),
            Body::Chunked => Self::Chunked(Chunked::default()),
            Body::Length(_) | Body::ToTheEnd => Self::Plain,
        }
    }

    /// Takes the next piece off the front of `input`; `None` when more is needed.
    ///
    /// # Errors
    /// Bytes that the protocol does not know.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Malformed> {
        let bytes = match self {
            Self::Plain if input.is_empty() => return Ok(None),
            Self::Plain => std::mem::take(input),
            Self::Chunked(body) => match body.next(input)? {
                None => return Ok(None),
                Some(chunked::Part::Data(bytes)) => bytes,
                Some(chunked::Part::End) => return Ok(Some(Piece::End)),
            },
            Self::Frames(frames) => {
                return Ok(frames.next(input)?.map(|part| match part {
                    frames::Part::Data { bytes, first } => Piece::Content { bytes, first },
                    frames::Part::Ping(payload) => Piece::Ping(payload),
                    frames::Part::Close => Piece::End,
                }));
            }
        };
        let first = false;
        Ok(Some(Piece::Content { bytes, first }))
    }
}
