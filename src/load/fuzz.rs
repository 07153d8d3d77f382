//! What a server may send to a client of the load generator.

use super::frames::{Frames, Part};

/// One byte, how long the pieces are, then frames: they are read alike in whatever pieces.
pub fn frames(data: &[u8]) {
    let [piece, sent @ ..] = data else {
        return;
    };
    let whole = read(sent, sent.len().max(1));
    for piece in [1, usize::from(*piece).max(2)] {
        assert_eq!(read(sent, piece), whole, "in pieces of {piece}");
    }
}

/// What came of some bytes.
#[derive(Debug, Default, PartialEq)]
struct Came {
    /// The messages' bytes, each message begun by `None`.
    data: Vec<Option<u8>>,
    /// What pings held; `None` for a close.
    others: Vec<Option<Vec<u8>>>,
    is_lawful: bool,
}

fn read(sent: &[u8], piece: usize) -> Came {
    let mut came = Came::default();
    let mut frames = Frames::default();
    for mut input in sent.chunks(piece) {
        loop {
            match frames.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Part::Data { bytes, first })) => {
                    came.data.extend(first.then_some(None));
                    came.data.extend(bytes.iter().copied().map(Some));
                }
                Ok(Some(Part::Ping(payload))) => came.others.push(Some(payload)),
                Ok(Some(Part::Close)) => came.others.push(None),
                Err(_) => return came,
            }
        }
        assert!(input.is_empty());
    }
    came.is_lawful = true;
    came
}
