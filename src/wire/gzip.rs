//! gzip (RFC 1952) of blocks that are compressed once and are right on every connection.
//!
//! A block is made with an empty dictionary and ends at a byte, so it refers to nothing before it and may
//! stand anywhere in any stream. What of a stream is its own is the header at its beginning, and at its
//! end the check of all that came: that is put together from the checks of the blocks.

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};

use super::chunk;
use crate::domain::outbox::Deflated;

/// What a stream begins with: deflate, no name, no time, by an unknown system.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty stored block. Readers that gather, as that of Go does, hand on at it what they have.
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];
/// The last block, which is empty.
const LAST: [u8; 2] = [3, 0];
/// Measured: a tenth larger than the best there is, in a third of the time. Level 1 is half as fast
/// again and leaves a third more.
const LEVEL: u32 = 2;
/// Bytes in front of each part of a stored block, and how long a part may be.
const STORED_HEAD_BYTES: usize = 5;
const STORED_BYTES_MAX: usize = u16::MAX as usize;

/// Whether a body in gzip that begins with `bytes` comes from a hub as it was made: its first event is in a
/// block that is not compressed, which nobody does who compresses.
pub fn is_beginning(bytes: &[u8]) -> bool {
    let block = bytes.strip_prefix(&HEADER);
    let event = block.and_then(|block| block.get(STORED_HEAD_BYTES..));
    event.is_some_and(|event| event.starts_with(b"retry: ") || event.starts_with(b"data: "))
}

/// Makes blocks. It has some 300 KB at hand, so there is one a thread.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Self {
        Self(Compress::new(Compression::new(LEVEL), false))
    }
}

impl Deflater {
    /// `pieces`, one behind the other, as one block; as they are where they would not become smaller.
    pub fn deflate<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Deflated {
        let length = pieces.clone().map(<[u8]>::len).sum();
        let mut block = Vec::with_capacity(stored_bytes(length));
        match self.fill(pieces.clone(), &mut block) {
            true => framed(&block, pieces),
            false => store(pieces),
        }
    }

    /// False where it does not fit into `block`.
    fn fill<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>, block: &mut Vec<u8>) -> bool {
        let Self(compress) = self;
        compress.reset();
        let mut length = 0;
        for piece in pieces {
            length += piece.len() as u64;
            if compress
                .compress_vec(piece, block, FlushCompress::None)
                .is_err()
            {
                return false;
            }
        }
        let flushed = compress.compress_vec(&[], block, FlushCompress::Sync);
        // With room left over nothing has been held back.
        flushed.is_ok() && compress.total_in() == length && block.len() < block.capacity()
    }
}

/// `pieces` as they are, in a block like any other.
pub fn store<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Deflated {
    let mut block = Vec::new();
    for part in pieces
        .clone()
        .flat_map(|piece| piece.chunks(STORED_BYTES_MAX))
    {
        let length = part.len() as u16;
        block.push(0);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&(!length).to_le_bytes());
        block.extend_from_slice(part);
    }
    block.extend_from_slice(&FLUSH);
    framed(&block, pieces)
}

/// How much `length` bytes are as they are.
fn stored_bytes(length: usize) -> usize {
    length + length.div_ceil(STORED_BYTES_MAX) * STORED_HEAD_BYTES + FLUSH.len()
}

fn framed<'a>(block: &[u8], pieces: impl Iterator<Item = &'a [u8]>) -> Deflated {
    let (mut hasher, mut length) = (Hasher::new(), 0);
    for piece in pieces {
        hasher.update(piece);
        length += piece.len() as u64;
    }
    let chunk = chunk::of(block);
    let behind = chunk.len() - chunk::END.len();
    Deflated {
        block: chunk.slice(behind - block.len()..behind),
        chunk,
        crc: hasher.finalize(),
        length,
    }
}

/// What the blocks of one stream add up to.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    hasher: Hasher,
    length: u64,
}

impl Sum {
    pub fn add(&mut self, block: &Deflated) {
        self.hasher
            .combine(&Hasher::new_with_initial_len(block.crc, block.length));
        self.length += block.length;
    }

    /// The end of the stream: without it all is there too, but nobody can tell that it was all.
    pub fn end(&self) -> Bytes {
        let mut end = BytesMut::with_capacity(LAST.len() + 8);
        end.extend_from_slice(&LAST);
        end.extend_from_slice(&self.hasher.clone().finalize().to_le_bytes());
        // RFC 1952: the size modulo 2^32.
        end.extend_from_slice(&(self.length as u32).to_le_bytes());
        end.freeze()
    }
}

#[cfg(test)]
mod tests;
