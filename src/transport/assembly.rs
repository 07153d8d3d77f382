//! From WebSocket frames to whole text messages, within limits.
//!
//! actix's codec hands out continuation frames one by one, as raw bytes and without any limit on
//! their number; here they become one message. It does refuse frames out of order, but that is
//! checked again, since an error there would mix two messages into one.

use actix_http::ws::{CloseReason, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::wire::websocket::Closing;

/// What has become of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// It completes this message.
    Whole(ByteString),
    /// It is part of a message that is not complete yet.
    Pending,
    /// The connection must be closed with this.
    Refused(Closing),
}

/// The message in the making, of which there is at most one a connection.
#[derive(Debug)]
pub struct Assembly {
    bytes_max: usize,
    fragments_max: usize,
    /// Boxed because hardly any client sends fragments.
    begun: Option<Box<Begun>>,
}

#[derive(Debug)]
struct Begun {
    text: BytesMut,
    /// So many bytes of it are UTF-8.
    utf8: usize,
    fragments: usize,
    /// A part of it is missing, so nothing will come of it.
    ignored: bool,
}

impl Assembly {
    /// Messages of up to `bytes_max` bytes over all their frames, in up to `fragments_max` frames.
    pub fn new(bytes_max: usize, fragments_max: usize) -> Self {
        Self {
            bytes_max,
            fragments_max,
            begun: None,
        }
    }

    /// An unfragmented text message.
    pub fn text(&mut self, text: ByteString) -> Assembled {
        if self.begun.is_some() {
            Assembled::Refused(Closing::PROTOCOL_ERROR)
        } else if text.len() > self.bytes_max {
            Assembled::Refused(Closing::TOO_BIG)
        } else {
            Assembled::Whole(text)
        }
    }

    /// An unfragmented binary message, which no client has a reason to send.
    pub fn binary(&mut self) -> Assembled {
        Assembled::Refused(match self.begun {
            Some(_) => Closing::PROTOCOL_ERROR,
            None => Closing::NOT_TEXT,
        })
    }

    /// One frame of a fragmented message. After `Refused` what had been gathered is gone.
    pub fn fragment(&mut self, item: Item) -> Assembled {
        match (item, self.begun.take()) {
            (Item::FirstText(bytes), None) => self.gather(Box::new(Begun::nothing()), &bytes),
            (Item::FirstBinary(_), None) => Assembled::Refused(Closing::NOT_TEXT),
            (Item::Continue(bytes), Some(begun)) => self.gather(begun, &bytes),
            (Item::Last(bytes), Some(begun)) => match self.gather(begun, &bytes) {
                Assembled::Pending => self.finish(),
                refused => refused,
            },
            _ => Assembled::Refused(Closing::PROTOCOL_ERROR),
        }
    }

    /// A frame of a fragmented message that was one too many. The whole message goes with it: put
    /// together without that part, it might mean something else.
    pub fn ignore(&mut self, item: &Item) {
        self.begun = match item {
            Item::Last(_) => None,
            _ => Some(Box::new(Begun {
                ignored: true,
                ..Begun::nothing()
            })),
        };
    }

    fn gather(&mut self, mut begun: Box<Begun>, bytes: &Bytes) -> Assembled {
        if begun.ignored {
            self.begun = Some(begun);
            return Assembled::Pending;
        }
        begun.fragments += 1;
        if begun.text.len() + bytes.len() > self.bytes_max {
            return Assembled::Refused(Closing::TOO_BIG);
        }
        if begun.fragments > self.fragments_max {
            return Assembled::Refused(Closing::TOO_MANY_FRAGMENTS);
        }
        begun.text.extend_from_slice(bytes);
        if !begun.may_be_utf8() {
            return Assembled::Refused(Closing::NOT_UTF8);
        }
        self.begun = Some(begun);
        Assembled::Pending
    }

    /// A last character may be cut short only here.
    fn finish(&mut self) -> Assembled {
        let Some(Begun {
            text,
            ignored: false,
            ..
        }) = self.begun.take().map(|begun| *begun)
        else {
            return Assembled::Pending;
        };
        match ByteString::try_from(text.freeze()) {
            Ok(text) => Assembled::Whole(text),
            Err(_) => Assembled::Refused(Closing::NOT_UTF8),
        }
    }
}

impl Begun {
    fn nothing() -> Self {
        Self {
            text: BytesMut::new(),
            utf8: 0,
            fragments: 0,
            ignored: false,
        }
    }

    /// Whether more can make UTF-8 of what has come: a character may be split over frames, but what
    /// none begins with is refused before the rest of the message comes.
    fn may_be_utf8(&mut self) -> bool {
        match std::str::from_utf8(&self.text[self.utf8..]) {
            Ok(more) => self.utf8 += more.len(),
            Err(error) if error.error_len().is_none() => self.utf8 += error.valid_up_to(),
            Err(_) => return false,
        }
        true
    }
}

/// What to close with when actix's codec reports `error`.
///
/// `Io` means two things there: reserved bits, with the kind `InvalidData`, and a text frame that
/// is not UTF-8. Trouble with the socket would be a third, but the frame guard turns it into the
/// end of the stream.
pub fn close_code_for(error: &ProtocolError) -> Closing {
    match error {
        ProtocolError::Overflow => Closing::TOO_BIG,
        ProtocolError::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            Closing::NOT_UTF8
        }
        _ => Closing::PROTOCOL_ERROR,
    }
}

/// What to answer to a client's close frame: its own code, without its words.
///
/// 1000 where it gave none, and 1002 where it gave one that must not be sent: reserved (1004, 1005,
/// 1006, 1015) or undefined (below 1000, 1016 to 2999, from 5000). 1012 to 1014 are registered and
/// pass. Codes RFC 6455 forbids, a payload of one byte and a reason that is not UTF-8 mostly end as
/// a [`ProtocolError`] in the codec already, and so get the same 1002.
pub fn close_answer(received: Option<&CloseReason>) -> Closing {
    match received.map(|reason| u16::from(reason.code)) {
        None => Closing::GOODBYE,
        Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => Closing::new(code, ""),
        Some(_) => Closing::PROTOCOL_ERROR,
    }
}

#[cfg(test)]
mod tests;
