//! A body in chunks (RFC 9112, section 7.1), taken apart as it comes, wherever it is cut.

use super::framing::Malformed;

/// Where in the body one is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chunked {
    at: At,
    /// The size read so far, then the bytes of the chunk that are still to come.
    left: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum At {
    /// Before the first digit of a size.
    #[default]
    Size,
    MoreSize,
    /// Behind the size, up to the end of its line.
    Extension,
    Data,
    /// The line break behind a chunk's data.
    DataEnd,
    /// Behind the chunk of size 0. Trailers mean nothing here.
    End,
}

/// What a body holds next.
#[derive(Debug, PartialEq)]
pub enum Part<'a> {
    Data(&'a [u8]),
    End,
}

impl Chunked {
    /// Takes the next part off the front of `input`; `None` when more is needed.
    ///
    /// # Errors
    /// Not a chunked body.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, Malformed> {
        loop {
            if self.at == At::Data && !input.is_empty() {
                let length = usize::try_from(self.left).map_or(input.len(), |n| n.min(input.len()));
                let (data, rest) = input.split_at(length);
                *input = rest;
                self.left -= length as u64;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                return Ok(Some(Part::Data(data)));
            }
            if self.at == At::End {
                *input = &[];
                return Ok(Some(Part::End));
            }
            let Some((byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            *input = rest;
            self.at = self.after(*byte)?;
        }
    }

    /// Goes over one byte outside the data.
    fn after(&mut self, byte: u8) -> Result<At, Malformed> {
        match (self.at, byte) {
            (At::Size | At::MoreSize, digit) if digit.is_ascii_hexdigit() => {
                // At most 16 digits fit; nobody sends half of that.
                if self.left >> 60 != 0 {
                    return Err(Malformed("a chunk of an absurd size"));
                }
                let digit = char::from(digit).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                Ok(At::MoreSize)
            }
            (At::MoreSize | At::Extension, b'\n') if self.left == 0 => Ok(At::End),
            (At::MoreSize | At::Extension, b'\n') => Ok(At::Data),
            (At::MoreSize, b'\r' | b';' | b' ') | (At::Extension, _) => Ok(At::Extension),
            (At::DataEnd, b'\r') => Ok(At::DataEnd),
            (At::DataEnd, b'\n') => Ok(At::Size),
            _ => Err(Malformed("a body that is not in chunks")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The data in all `pieces`, and whether the body has ended.
    fn decoded(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Malformed> {
        let (mut body, mut data) = (Chunked::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(part) = body.next(&mut rest)? {
                match part {
                    Part::Data(bytes) => data.extend_from_slice(bytes),
                    Part::End => return Ok((data, true)),
                }
            }
        }
        Ok((data, false))
    }

    #[test]
    fn sizes_extensions_and_the_end_are_understood() {
        let check = |text: &str, expected: &str, ended| {
            let got = decoded(&[text.as_bytes()]).unwrap();
            assert_eq!(got, (expected.as_bytes().to_vec(), ended), "{text:?}");
        };
        check("3\r\nabc\r\n", "abc", false);
        check("00A;x=y\r\n0123456789\r\n1 \r\nx\r\n", "0123456789x", false);
        check("1\r\na\r\n0\r\n\r\n", "a", true);
        check("1\na\n0\n", "a", true);
        check("5\r\nab", "ab", false);
    }

    #[test]
    fn what_is_not_in_chunks_is_refused() {
        for text in [
            "data: x\n",
            "\r\n",
            "1\r\nab",
            "fffffffffffffffff\r\n",
            ";\r\n",
        ] {
            assert!(decoded(&[text.as_bytes()]).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn chunks_are_understood_wherever_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut stream = Vec::new();
            for chunk in &chunks {
                stream.extend(format!("{:x}\r\n", chunk.len()).bytes());
                stream.extend_from_slice(chunk);
                stream.extend_from_slice(b"\r\n");
            }
            stream.extend_from_slice(b"0\r\n\r\n");
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            prop_assert_eq!(decoded(&pieces), Ok((chunks.concat(), true)));
        }

        #[test]
        fn no_bytes_at_all_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decoded(&[&bytes]);
        }
    }
}
