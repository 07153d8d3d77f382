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

/// The messages' bytes, each message begun by `None`; what else came; and whether all was lawful.
fn read(sent: &[u8], piece: usize) -> (Vec<Option<u8>>, Vec<Option<Vec<u8>>>, bool) {
    let (mut data, mut others) = (Vec::new(), Vec::new());
    let mut frames = Frames::default();
    for mut input in sent.chunks(piece) {
        loop {
            match frames.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Part::Data { bytes, first })) => {
                    data.extend(first.then_some(None));
                    data.extend(bytes.iter().copied().map(Some));
                }
                Ok(Some(Part::Ping(payload))) => others.push(Some(payload)),
                Ok(Some(Part::Close)) => others.push(None),
                Err(_) => return (data, others, false),
            }
        }
        assert!(input.is_empty());
    }
    (data, others, true)
}
