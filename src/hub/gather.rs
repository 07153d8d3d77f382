//! Several pieces in one write, and what is left of it where the socket took only a part.

use std::io::{self, IoSlice};

use crate::domain::outbox::Outgoing;

/// Pieces gathered into one write. The kernel takes up to 1,024; a burst is rarely above this, and
/// a slow client should not get a head start of megabytes.
const PIECES_MAX: usize = 32;
/// The size line of a chunk: up to 16 hexadecimal digits and a line break.
const SIZE_LINE_MAX: usize = 18;

/// What the pieces of a stream are wrapped in on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: they are whole as they are.
    None,
    /// A chunk for every write (RFC 9112, section 7.1).
    Chunked,
}

/// The write under way.
#[derive(Debug)]
pub struct Gathered {
    framing: Framing,
    /// Bytes of the pieces in it; 0 between two writes.
    bytes: usize,
    /// Of those, bytes of pieces that have been taken out of the queue since.
    taken: usize,
    /// What is written of it, framing included.
    written: usize,
}

impl Gathered {
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            bytes: 0,
            taken: 0,
            written: 0,
        }
    }

    /// How many pieces, from the front of the queue, are in the write under way, or in the next one.
    pub fn pieces<'a>(&mut self, waiting: impl Iterator<Item = &'a Outgoing> + Clone) -> usize {
        if self.bytes == 0 {
            let next = waiting.clone().take(PIECES_MAX);
            self.bytes = next.map(|piece| piece.bytes.len()).sum();
        }
        let mut left = self.bytes - self.taken;
        let in_it = waiting.take_while(|piece| {
            let is_in = left > 0;
            left = left.saturating_sub(piece.bytes.len());
            is_in
        });
        in_it.count()
    }

    /// One more write of what waits. Returns how many pieces from the front of the queue are out
    /// with it: the caller takes them out of the queue.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a Outgoing> + Clone,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let pieces = self.pieces(waiting.clone());
        let waiting = waiting.take(pieces).map(|piece| &piece.bytes[..]);
        let mut size_line = [0; SIZE_LINE_MAX];
        let (before, after) = match self.framing {
            Framing::None => (&[][..], &b""[..]),
            Framing::Chunked => (size_of_chunk(self.bytes, &mut size_line), &b"\r\n"[..]),
        };

        let mut slices = [IoSlice::new(&[]); PIECES_MAX + 2];
        let mut count = 0;
        let mut skip = self.written - self.taken;
        let whole = std::iter::once(before)
            .chain(waiting.clone())
            .chain([after]);
        for piece in whole {
            let rest = &piece[skip.min(piece.len())..];
            skip -= piece.len() - rest.len();
            if !rest.is_empty() {
                slices[count] = IoSlice::new(rest);
                count += 1;
            }
        }
        self.written += write(&slices[..count])?;
        if self.written == before.len() + self.bytes + after.len() {
            (self.bytes, self.taken, self.written) = (0, 0, 0);
            return Ok(pieces);
        }
        // The last piece stays until its chunk is closed, so that an empty queue means all is out.
        let content = self.written.saturating_sub(before.len());
        let mut complete = 0;
        for piece in waiting.take(pieces.saturating_sub(1)) {
            if self.taken + piece.len() > content {
                break;
            }
            self.taken += piece.len();
            complete += 1;
        }
        Ok(complete)
    }
}

/// The line that opens a chunk of so many bytes.
fn size_of_chunk(bytes: usize, line: &mut [u8; SIZE_LINE_MAX]) -> &[u8] {
    let digits = (usize::BITS - bytes.leading_zeros()).div_ceil(4).max(1) as usize;
    for (nth, place) in line[..digits].iter_mut().enumerate() {
        let nibble = bytes >> (4 * (digits - 1 - nth)) & 0xf;
        *place = b"0123456789abcdef"[nibble];
    }
    line[digits..digits + 2].copy_from_slice(b"\r\n");
    &line[..digits + 2]
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn piece(text: &str) -> Outgoing {
        Outgoing::notice(text.to_owned().into())
    }

    /// What comes out when the socket takes at most so many bytes at each write.
    fn written(framing: Framing, pieces: &[String], takes: &[usize]) -> String {
        let mut queue: VecDeque<Outgoing> = pieces.iter().map(|text| piece(text)).collect();
        let mut gathered = Gathered::new(framing);
        let mut out = Vec::new();
        let mut takes = takes.iter().cycle();
        while !queue.is_empty() {
            let take = *takes.next().unwrap();
            let complete = gathered.write(queue.iter(), |slices| {
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = take.min(all.len());
                out.extend_from_slice(&all[..taken]);
                Ok(taken)
            });
            queue.drain(..complete.unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pieces_that_have_gathered_are_one_chunk() {
        let pieces = ["hello".to_owned(), "0123456789".to_owned()];
        let whole = [usize::MAX];
        assert_eq!(written(Framing::None, &pieces, &whole), "hello0123456789");
        assert_eq!(
            written(Framing::Chunked, &pieces, &whole),
            "f\r\nhello0123456789\r\n"
        );
    }

    #[test]
    fn the_size_of_a_chunk_is_written_in_hexadecimal() {
        for (bytes, line) in [(0, "0"), (1, "1"), (15, "f"), (16, "10"), (0x1a2b, "1a2b")] {
            let expected = format!("{line}\r\n");
            assert_eq!(
                size_of_chunk(bytes, &mut [0; SIZE_LINE_MAX]),
                expected.as_bytes()
            );
        }
        let longest = size_of_chunk(usize::MAX, &mut [0; SIZE_LINE_MAX]).len();
        assert_eq!(longest, SIZE_LINE_MAX);
    }

    #[test]
    fn what_the_socket_does_not_take_stays_for_the_next_write() {
        let mut gathered = Gathered::new(Framing::Chunked);
        let queue = [piece("abc"), piece("de")];
        let blocked = gathered.write(queue.iter(), |_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(blocked.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(gathered.write(queue.iter(), |_| Ok(4)).unwrap(), 0);
        // What has come to the queue since is not part of the chunk that is under way.
        let longer = [piece("abc"), piece("de"), piece("f")];
        assert_eq!(gathered.pieces(longer.iter()), 2);
        let complete = gathered.write(longer.iter(), |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(all, b"bcde\r\n");
            Ok(3)
        });
        assert_eq!(complete.unwrap(), 1, "the first piece is out");
        let rest = [piece("de"), piece("f")];
        assert_eq!(gathered.pieces(rest.iter()), 1);
        let complete = gathered.write(rest.iter(), |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(all, b"e\r\n");
            Ok(3)
        });
        assert_eq!(complete.unwrap(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_repeated_however_little_the_socket_takes(
            pieces in prop::collection::vec("[a-z]{1,40}", 1..100),
            takes in prop::collection::vec(1..50usize, 1..20),
        ) {
            let all = pieces.concat();
            prop_assert_eq!(&written(Framing::None, &pieces, &takes), &all);
            let chunked = written(Framing::Chunked, &pieces, &takes);
            let mut rest = &chunked[..];
            let mut content = String::new();
            while let Some((size, after)) = rest.split_once("\r\n") {
                let size = usize::from_str_radix(size, 16).unwrap();
                content += &after[..size];
                rest = after[size..].strip_prefix("\r\n").unwrap();
            }
            prop_assert_eq!(content, all);
        }
    }
}
