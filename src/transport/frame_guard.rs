//! Reads the frame headers of a WebSocket client before actix's codec does.
//!
//! That codec looks at a frame's length only once the whole frame has arrived, so its limit does
//! not protect memory: a header that announces a gigabyte makes it buffer whatever comes. Also, the
//! stream around it copies all that has arrived before it decodes anything, while an actor is handed
//! at most 16 frames a poll, so that a flood of small frames would gather there. Therefore the guard
//! stands between the socket and the codec: it ends the stream at the first unlawful byte, and lets
//! one frame through at a time.
//!
//! The order of fragments, UTF-8 and what a close frame says are judged later, in
//! [`assembly`](super::assembly).

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::wire::websocket::Closing;

/// Longest payload of a control frame in bytes (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: u8 = 125;

/// Why a frame is unlawful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its header announces more bytes than the limit.
    TooBig,
    /// Its header is not one that RFC 6455 lets a client send.
    Protocol,
}

impl Verdict {
    /// What to close the connection with.
    pub fn closing(self) -> Closing {
        match self {
            Self::TooBig => Closing::TOO_BIG,
            Self::Protocol => Closing::PROTOCOL_ERROR,
        }
    }
}

/// The payload of an upgraded request, ended at the first unlawful frame.
///
/// It also ends when the socket fails: nobody is left then to be told why.
pub struct FrameGuard<S> {
    payload: S,
    headers: Headers,
    /// Came in one piece with what has been let through, and waits for its turn.
    unread: Bytes,
    /// A whole frame has just gone through: let the codec decode it first.
    pause: bool,
    ended: bool,
    verdict: Rc<Cell<Option<Verdict>>>,
}

impl<S> FrameGuard<S> {
    /// Lets frames with a payload of up to `frame_bytes_max` bytes through.
    pub fn new(payload: S, frame_bytes_max: usize) -> Self {
        Self {
            payload,
            headers: Headers::new(frame_bytes_max),
            unread: Bytes::new(),
            pause: false,
            ended: false,
            verdict: Rc::default(),
        }
    }

    /// Where to look, once the stream has ended, for the reason; `None` there means that the
    /// client ended it. Before the end it says nothing: lawful frames may still be on their way.
    pub fn verdict(&self) -> Rc<Cell<Option<Verdict>>> {
        self.verdict.clone()
    }
}

impl<S> Stream for FrameGuard<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while this.unread.is_empty() && !this.ended {
            match ready!(this.payload.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => this.unread = bytes,
                Some(Err(error)) => {
                    log::debug!("a WebSocket ended in the middle: {error}");
                    this.ended = true;
                }
                None => this.ended = true,
            }
        }
        Poll::Ready(this.let_through().map(Ok))
    }
}

impl<S> FrameGuard<S> {
    fn let_through(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let (lawful, end) = self.headers.feed(&self.unread);
        let bytes = self.unread.split_to(lawful);
        match end {
            End::Input => {}
            End::Frame => self.pause = true,
            End::Unlawful(verdict) => {
                self.verdict.set(Some(verdict));
                self.ended = true;
            }
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Follows a client's frames through any bytes they arrive in.
#[derive(Debug)]
pub struct Headers {
    frame_bytes_max: usize,
    next: Part,
}

/// Where [`Headers::feed`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the end of the bytes given.
    Input,
    /// At the end of a frame.
    Frame,
    /// Before a byte that makes its frame unlawful; there is no going on.
    Unlawful(Verdict),
}

/// What the next byte is.
#[derive(Debug, Clone, Copy)]
enum Part {
    FinAndOpcode,
    MaskAndLength {
        control: bool,
    },
    ExtendedLength {
        missing: u8,
        wide: bool,
        so_far: u64,
    },
    MaskingKey {
        missing: u8,
        payload: usize,
    },
    Payload {
        missing: usize,
    },
}

impl Headers {
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            next: Part::FinAndOpcode,
        }
    }

    /// Reads to the end of the current frame at most: how many bytes are lawful, and why it
    /// stopped after them.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, End) {
        let mut read = 0;
        loop {
            if let Part::Payload { missing } = &mut self.next {
                let here = (bytes.len() - read).min(*missing);
                read += here;
                *missing -= here;
                if *missing > 0 {
                    return (read, End::Input);
                }
                self.next = Part::FinAndOpcode;
                return (read, End::Frame);
            }
            let Some(byte) = bytes.get(read) else {
                return (read, End::Input);
            };
            match self.after(*byte) {
                Ok(part) => self.next = part,
                Err(verdict) => return (read, End::Unlawful(verdict)),
            }
            read += 1;
        }
    }

    /// What follows once `byte` has been read as the part that was next.
    fn after(&self, byte: u8) -> Result<Part, Verdict> {
        match self.next {
            Part::FinAndOpcode => fin_and_opcode(byte),
            Part::MaskAndLength { control } => self.mask_and_length(byte, control),
            Part::ExtendedLength {
                missing,
                wide,
                so_far,
            } => {
                let so_far = so_far << 8 | u64::from(byte);
                if missing == 1 {
                    return self.extended_length(so_far, wide);
                }
                Ok(Part::ExtendedLength {
                    missing: missing - 1,
                    wide,
                    so_far,
                })
            }
            Part::MaskingKey {
                missing: 1,
                payload,
            } => Ok(Part::Payload { missing: payload }),
            Part::MaskingKey { missing, payload } => Ok(Part::MaskingKey {
                missing: missing - 1,
                payload,
            }),
            // `feed` skips payloads.
            payload @ Part::Payload { .. } => Ok(payload),
        }
    }

    /// The second byte of a frame.
    fn mask_and_length(&self, byte: u8, control: bool) -> Result<Part, Verdict> {
        let (masked, length) = (byte & 0x80 != 0, byte & 0x7f);
        if !masked || control && length > CONTROL_BYTES_MAX {
            return Err(Verdict::Protocol);
        }
        let extended = |missing, wide| Part::ExtendedLength {
            missing,
            wide,
            so_far: 0,
        };
        match length {
            126 => Ok(extended(2, false)),
            127 => Ok(extended(8, true)),
            length => self.masking_key(u64::from(length)),
        }
    }

    /// RFC 6455, section 5.2: the shortest encoding must be used, and the top bit of the long one
    /// must be zero.
    fn extended_length(&self, length: u64, wide: bool) -> Result<Part, Verdict> {
        let lawful = match wide {
            false => 126..=u64::from(u16::MAX),
            true => u64::from(u16::MAX) + 1..=i64::MAX as u64,
        };
        if !lawful.contains(&length) {
            return Err(Verdict::Protocol);
        }
        self.masking_key(length)
    }

    fn masking_key(&self, length: u64) -> Result<Part, Verdict> {
        match usize::try_from(length) {
            Ok(payload) if payload <= self.frame_bytes_max => Ok(Part::MaskingKey {
                missing: 4,
                payload,
            }),
            _ => Err(Verdict::TooBig),
        }
    }
}

/// The first byte of a frame. No extension is ever agreed on, so the reserved bits are zero.
fn fin_and_opcode(byte: u8) -> Result<Part, Verdict> {
    let (fin, reserved, opcode) = (byte & 0x80 != 0, byte & 0x70, byte & 0x0f);
    match opcode {
        _ if reserved != 0 => Err(Verdict::Protocol),
        0x0..=0x2 => Ok(Part::MaskAndLength { control: false }),
        0x8..=0xa if fin => Ok(Part::MaskAndLength { control: true }),
        _ => Err(Verdict::Protocol),
    }
}

#[cfg(test)]
mod tests;
