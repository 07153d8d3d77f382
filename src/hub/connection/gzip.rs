//! A stream for a client that takes gzip: what of it is its own, around blocks that are everybody's.

use std::cell::RefCell;
use std::io::{self, IoSlice};

use bytes::Bytes;

use super::Connection;
use crate::domain::outbox::{Deflated, Outbox, Outgoing};
use crate::hub::gather;
use crate::hub::meter::Pass;
use crate::hub::packer::Packer;
use crate::wire::chunk;
use crate::wire::gzip::{HEADER, Sum};

/// A batch takes no more blocks once it has so many bytes: it is a copy, which a slow client holds up.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    has_begun: bool,
    has_ended: bool,
    sum: Sum,
    /// Of the pieces at the front of the queue, and not all of it written yet.
    batch: Option<Batch>,
}

/// What is handed on at once.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub pieces: usize,
    pub bytes: Bytes,
}

impl Gzip {
    fn next(&mut self, outbox: &Outbox, packer: &Packer, as_chunk: bool) -> Option<Batch> {
        if self.batch.is_none() {
            self.batch = self.made(outbox, packer, as_chunk);
        }
        self.batch.clone()
    }

    fn made(&mut self, outbox: &Outbox, packer: &Packer, as_chunk: bool) -> Option<Batch> {
        let mut waiting = outbox.waiting();
        if let (Some(only), None, true) = (waiting.next(), waiting.next(), self.has_begun) {
            let block = packer.single(only);
            self.sum.add(block);
            let bytes = bytes_of(block, as_chunk);
            return Some(Batch { pieces: 1, bytes });
        }
        let waiting: Vec<&Outgoing> = outbox.waiting().take(gather::PIECES_MAX).collect();
        let mut blocks = Vec::new();
        let (mut pieces, mut bytes) = (0, 0);
        while pieces < waiting.len() && bytes < BATCH_BYTES_MAX {
            let (of_next, block) = packer.pack(&waiting[pieces..]);
            self.sum.add(&block);
            bytes += block.block.len();
            blocks.push(block);
            pieces += of_next;
        }
        let bytes = match (&*blocks, self.has_begun) {
            ([], _) => return None,
            ([only], true) => bytes_of(only, as_chunk),
            (blocks, _) => self.joined(blocks, as_chunk),
        };
        Some(Batch { pieces, bytes })
    }

    /// Several blocks, behind what a stream begins with where they are the first.
    fn joined(&mut self, blocks: &[Deflated], as_chunk: bool) -> Bytes {
        let mut bytes = self.beginning().to_vec();
        blocks
            .iter()
            .for_each(|block| bytes.extend_from_slice(&block.block));
        match as_chunk {
            true => chunk::of(&bytes),
            false => bytes.into(),
        }
    }

    /// Nothing, once it has begun.
    fn beginning(&mut self) -> &'static [u8] {
        match std::mem::replace(&mut self.has_begun, true) {
            true => &[],
            false => &HEADER,
        }
    }

    fn end(&mut self) -> Option<Bytes> {
        let has_ended = std::mem::replace(&mut self.has_ended, true);
        (!has_ended).then(|| [self.beginning(), &self.sum.end()].concat().into())
    }
}

fn bytes_of(block: &Deflated, as_chunk: bool) -> Bytes {
    match as_chunk {
        true => block.chunk.clone(),
        false => block.block.clone(),
    }
}

impl Connection {
    /// Whether its client gets gzip.
    pub fn gzips(&self) -> bool {
        self.gzip.is_some()
    }

    /// As for the others, a batch at a time: one is out as a whole or not at all. It stands apart, so that
    /// what others cost does not grow by it.
    #[inline(never)]
    pub(super) fn write_out_in_gzip(&self, pass: &mut Pass<'_>) -> io::Result<bool> {
        let mut outbox = self.outbox.borrow_mut();
        while let Some(batch) = self.batch(&outbox) {
            let sent_before = outbox.announce(batch.pieces);
            let before = self.written.get();
            let done = self.line.write(&[IoSlice::new(&batch.bytes[before..])]);
            let written = before + *done.as_ref().unwrap_or(&0);
            let is_out = written == batch.bytes.len();
            if !is_out {
                outbox.withdraw(sent_before);
            }
            self.written.set(if is_out { 0 } else { written });
            match done {
                Ok(_) => self.wrote(&outbox, pass.now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(outbox);
                    self.waits(pass.now);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if is_out {
                self.batch_is_out();
                for piece in std::iter::from_fn(|| outbox.take()).take(batch.pieces) {
                    pass.handed_over(&piece, self.transport);
                }
            }
        }
        drop(outbox);
        self.ask_for_backlog();
        Ok(true)
    }

    /// What to write next where its client gets gzip; `None` where it does not, or nothing waits.
    pub(super) fn batch(&self, outbox: &Outbox) -> Option<Batch> {
        let mut gzip = self.gzip.as_deref().map(RefCell::borrow_mut)?;
        gzip.next(outbox, &self.worker.packer, self.is_direct.get())
    }

    /// All of what [`Connection::batch`] gave has been handed on.
    pub(super) fn batch_is_out(&self) {
        if let Some(gzip) = &self.gzip {
            gzip.borrow_mut().batch = None;
        }
    }

    /// What is to be written once nothing waits any more and nothing will, and only once.
    pub fn end_of_encoding(&self) -> Option<Bytes> {
        self.gzip.as_ref()?.borrow_mut().end()
    }
}

#[cfg(test)]
mod tests;
