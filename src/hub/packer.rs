//! A worker's compression: what connections share is compressed once for all of them.
//!
//! A piece by itself is compressed when the first connection wants it, and keeps that. Small messages
//! become small only together with others, so what has gathered for a connection is one block, a *run*;
//! as most connections of a worker wait for the same, the newest runs are kept for the next connection.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::outbox::{Deflated, Mixing, Outgoing};
use crate::wire::gzip::{self, Deflater};

/// Runs that are kept.
const RUNS_MAX: usize = 8;
/// What a run holds, in bytes: what lies further apart is not compared, and what is kept is bounded.
const RUN_BYTES_MAX: usize = 32 * 1024;
/// How often a piece is compressed with others. So a worker spends no more on a message however
/// differently it comes together with others in the queues of its connections.
const MIXED_MAX: u8 = 4;
/// A longer piece goes as it is: compressing it would keep the thread for more than a few milliseconds.
const DEFLATED_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct Packer {
    /// What is shorter goes as it is; `None`: nobody gets anything compressed.
    min_bytes: Option<usize>,
    /// Made when the first stream wants it.
    deflater: RefCell<Option<Deflater>>,
    /// The newest last.
    runs: RefCell<VecDeque<Run>>,
}

struct Run {
    /// Held, so that nothing else can come to have their addresses.
    contents: Vec<Bytes>,
    deflated: Deflated,
}

impl Packer {
    pub fn new(min_bytes: Option<usize>) -> Self {
        Self {
            min_bytes,
            deflater: RefCell::default(),
            runs: RefCell::default(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.min_bytes.is_some()
    }

    /// The next block of a stream for which `waiting` waits, of which there is at least one piece; and
    /// of how many pieces from the front it is.
    pub fn pack(&self, waiting: &[&Outgoing]) -> (usize, Deflated) {
        if let [_, _, ..] = waiting
            && let Some((pieces, deflated)) = self.run(waiting)
        {
            return (pieces, deflated);
        }
        (1, self.single(waiting[0]).clone())
    }

    /// A piece by itself.
    pub fn single<'a>(&self, piece: &'a Outgoing) -> &'a Deflated {
        let make = || {
            let bytes = piece.bytes.len();
            let pays = self.pays(bytes) && bytes <= DEFLATED_BYTES_MAX;
            let content = [&*piece.bytes].into_iter();
            Box::new(match piece.mixing {
                Mixing::Alone | Mixing::Together if pays => self.deflate(content),
                _ => gzip::store(content),
            })
        };
        piece.deflated.get_or_init(make)
    }

    /// As many as may be one block; `None` where that is one piece or none.
    fn run(&self, waiting: &[&Outgoing]) -> Option<(usize, Deflated)> {
        let run = run_of(waiting, |_| true);
        let known = self.known(run);
        if known.is_some() {
            return known;
        }
        let run = run_of(run, |piece| piece.mixed.get() < MIXED_MAX);
        let bytes = run.iter().map(|piece| piece.bytes.len()).sum();
        if run.len() < 2 || !self.pays(bytes) {
            return None;
        }
        let deflated = self.deflate(run.iter().map(|piece| &*piece.bytes));
        run.iter()
            .for_each(|piece| piece.mixed.set(piece.mixed.get() + 1));
        let mut runs = self.runs.borrow_mut();
        if runs.len() == RUNS_MAX {
            runs.pop_front();
        }
        runs.push_back(Run {
            contents: run.iter().map(|piece| piece.bytes.clone()).collect(),
            deflated: deflated.clone(),
        });
        Some((run.len(), deflated))
    }

    /// The longest known run that `run` begins with.
    fn known(&self, run: &[&Outgoing]) -> Option<(usize, Deflated)> {
        let runs = self.runs.borrow();
        let known = runs.iter().filter(|known| known.begins(run));
        let longest = known.max_by_key(|known| known.contents.len())?;
        Some((longest.contents.len(), longest.deflated.clone()))
    }

    fn pays(&self, bytes: usize) -> bool {
        self.min_bytes.is_some_and(|min| bytes >= min)
    }

    fn deflate<'a>(&self, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Deflated {
        let mut deflater = self.deflater.borrow_mut();
        deflater.get_or_insert_default().deflate(pieces)
    }
}

/// The pieces at the front that may share a block, if `wants` them.
fn run_of<'a, 'b>(
    waiting: &'a [&'b Outgoing],
    wants: impl Fn(&Outgoing) -> bool,
) -> &'a [&'b Outgoing] {
    let mut bytes = 0;
    let fits = |piece: &&&Outgoing| {
        bytes += piece.bytes.len();
        piece.mixing == Mixing::Together && bytes <= RUN_BYTES_MAX && wants(piece)
    };
    &waiting[..waiting.iter().take_while(fits).count()]
}

impl Run {
    /// Whether `run` begins with the same bytes: the very same, not equal ones.
    fn begins(&self, run: &[&Outgoing]) -> bool {
        let same = |(held, piece): (&Bytes, &&Outgoing)| {
            held.as_ptr() == piece.bytes.as_ptr() && held.len() == piece.bytes.len()
        };
        run.len() >= self.contents.len() && self.contents.iter().zip(run).all(same)
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use std::io::Read;

    use super::*;
    use crate::domain::message::MessageId;
    use crate::wire::gzip::Sum;

    fn piece(n: u64, mixing: Mixing) -> Outgoing {
        let text = format!("data: {{\"metric\":\"orders.today\",\"value\":{n}}}\n\n");
        let id = MessageId::new(n, 0).unwrap();
        Outgoing {
            mixing,
            ..Outgoing::at(id, text.into())
        }
    }

    /// The same message in the queue of a connection that came by another way.
    fn again(piece: &Outgoing) -> Outgoing {
        Outgoing {
            mixing: piece.mixing,
            ..Outgoing::notice(piece.bytes.clone())
        }
    }

    /// Of how many pieces each block is, and what a client reads.
    fn packed(packer: &Packer, pieces: &[&Outgoing]) -> (Vec<usize>, Vec<Deflated>) {
        let (mut counts, mut blocks, mut at) = (Vec::new(), Vec::new(), 0);
        while at < pieces.len() {
            let (count, block) = packer.pack(&pieces[at..]);
            counts.push(count);
            blocks.push(block);
            at += count;
        }
        let (mut sum, mut stream) = (Sum::default(), gzip::HEADER.to_vec());
        for block in &blocks {
            sum.add(block);
            stream.extend_from_slice(&block.block);
        }
        stream.extend_from_slice(&sum.end());
        let mut text = Vec::new();
        GzDecoder::new(&*stream).read_to_end(&mut text).unwrap();
        let plain: Vec<u8> = pieces.iter().flat_map(|it| it.bytes.to_vec()).collect();
        assert_eq!(text, plain);
        (counts, blocks)
    }

    fn is_plain(deflated: &Deflated) -> bool {
        deflated.block.len() as u64 > deflated.length
    }

    #[test]
    fn what_has_gathered_is_compressed_together_once_for_all() {
        let packer = Packer::new(Some(1));
        let pieces: Vec<Outgoing> = (0..20).map(|n| piece(n, Mixing::Together)).collect();
        let (counts, first) = packed(&packer, &pieces.iter().collect::<Vec<_>>());
        assert_eq!(counts, [20]);
        assert!(first[0].block.len() * 4 < first[0].length as usize);
        let others: Vec<Outgoing> = pieces.iter().map(again).collect();
        let (_, second) = packed(&packer, &others.iter().collect::<Vec<_>>());
        assert_eq!(first[0].block.as_ptr(), second[0].block.as_ptr());
    }

    #[test]
    fn one_for_which_more_waits_shares_the_run_that_it_begins_with() {
        let packer = Packer::new(Some(1));
        let pieces: Vec<Outgoing> = (0..6).map(|n| piece(n, Mixing::Together)).collect();
        let pieces: Vec<&Outgoing> = pieces.iter().collect();
        assert_eq!(packed(&packer, &pieces[..4]).0, [4]);
        assert_eq!(packed(&packer, &pieces).0, [4, 2]);
        assert_eq!(packed(&packer, &pieces[1..4]).0, [3], "it begins elsewhere");
    }

    /// Attack: content of an attacker's beside a secret, whose size together tells how alike they are.
    #[test]
    fn what_is_one_users_is_never_compressed_with_anything_else() {
        let packer = Packer::new(Some(1));
        let public = [piece(1, Mixing::Together), piece(2, Mixing::Together)];
        let own = piece(3, Mixing::Alone);
        let secret = piece(4, Mixing::Never);
        let pieces = [&secret, &public[0], &own, &public[1], &own, &secret];
        let (counts, blocks) = packed(&packer, &pieces);
        assert_eq!(counts, [1; 6]);
        assert!(is_plain(&blocks[0]), "it may hold a credential");
    }

    /// Attack: clients that each wait for a message beside another one.
    #[test]
    fn a_message_is_compressed_a_bounded_number_of_times() {
        let packer = Packer::new(Some(1));
        let shared = piece(0, Mixing::Together);
        let others: Vec<Outgoing> = (1..50).map(|n| piece(n, Mixing::Together)).collect();
        let runs = others
            .iter()
            .filter(|other| packer.pack(&[&shared, other]).0 == 2);
        assert_eq!(runs.count(), usize::from(MIXED_MAX));
        let (first, second) = (packer.single(&shared), packer.single(&shared));
        assert_eq!(first.block.as_ptr(), second.block.as_ptr());
        assert!(packer.runs.borrow().len() <= RUNS_MAX);
    }

    #[test]
    fn what_is_too_short_or_too_long_goes_as_it_is() {
        let packer = Packer::new(Some(100));
        let short: Vec<Outgoing> = (0..4).map(|n| piece(n, Mixing::Together)).collect();
        assert!(is_plain(packer.single(&short[0])));
        let (counts, blocks) = packed(&packer, &short.iter().collect::<Vec<_>>());
        assert_eq!(counts, [4], "together they are long enough");
        assert!(!is_plain(&blocks[0]));
        let long = |bytes: usize| Outgoing {
            mixing: Mixing::Alone,
            ..Outgoing::notice(vec![b'x'; bytes].into())
        };
        assert!(!is_plain(packer.single(&long(DEFLATED_BYTES_MAX))));
        assert!(is_plain(packer.single(&long(DEFLATED_BYTES_MAX + 1))));
    }
}
