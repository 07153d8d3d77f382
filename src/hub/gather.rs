//! Several pieces in one write, and what is left of it where the socket took only a part.

use std::io::{self, IoSlice};

/// Pieces gathered into one write. The kernel takes up to 1,024; a burst is rarely above this, and
/// a slow client should not get a head start of megabytes.
pub const PIECES_MAX: usize = 32;

/// One write of what waits, of whose first piece `written` bytes are out already. Returns how many
/// pieces from the front of the queue are out with it, and how many bytes of the one after them.
///
/// # Errors
/// Those of `write`.
pub fn write<'a>(
    waiting: impl Iterator<Item = &'a [u8]> + Clone,
    written: usize,
    write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<(usize, usize)> {
    let mut pieces = waiting.clone();
    if let (Some(only), None) = (pieces.next(), pieces.next()) {
        let out = written + write(&[IoSlice::new(&only[written..])])?;
        return Ok(if out == only.len() { (1, 0) } else { (0, out) });
    }
    let waiting = waiting.take(PIECES_MAX);
    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(waiting.clone()) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    if let Some(first) = slices.first_mut() {
        first.advance(written);
    }
    let mut out = written + write(&slices[..count])?;
    let mut complete = 0;
    for piece in waiting {
        if out < piece.len() {
            break;
        }
        out -= piece.len();
        complete += 1;
    }
    Ok((complete, out))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// What comes out when the socket takes at most so many bytes at each write.
    fn written(pieces: &[String], takes: &[usize]) -> String {
        let mut queue: VecDeque<&[u8]> = pieces.iter().map(|text| text.as_bytes()).collect();
        let mut of_first = 0;
        let mut out = Vec::new();
        let mut takes = takes.iter().cycle();
        while !queue.is_empty() {
            let take = *takes.next().unwrap();
            let done = write(queue.iter().copied(), of_first, |slices| {
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = take.min(all.len());
                out.extend_from_slice(&all[..taken]);
                Ok(taken)
            });
            let (complete, rest) = done.unwrap();
            queue.drain(..complete);
            of_first = rest;
        }
        assert_eq!(of_first, 0);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_has_gathered_goes_out_in_one_write() {
        let queue = [&b"abc"[..], b"de", b"f"];
        let done = write(queue.into_iter(), 1, |slices| {
            assert_eq!(slices.len(), 3);
            Ok(4)
        });
        assert_eq!(done.unwrap(), (2, 0), "bc and de are out");
    }

    #[test]
    fn what_the_socket_does_not_take_stays_for_the_next_write() {
        let queue = [&b"abc"[..], b"de"];
        let blocked = write(queue.into_iter(), 2, |_| {
            Err(io::ErrorKind::WouldBlock.into())
        });
        assert_eq!(blocked.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let some = write(queue.into_iter(), 2, |slices| {
            assert_eq!(&*slices[0], b"c");
            Ok(2)
        });
        assert_eq!(some.unwrap(), (1, 1), "abc is out, and d");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_repeated_however_little_the_socket_takes(
            pieces in prop::collection::vec("[a-z]{1,40}", 1..100),
            takes in prop::collection::vec(1..50usize, 1..20),
        ) {
            prop_assert_eq!(written(&pieces, &takes), pieces.concat());
        }
    }
}
