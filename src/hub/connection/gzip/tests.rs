use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use flate2::write::GzDecoder;
use proptest::prelude::*;

use super::*;
use crate::domain::message::MessageId;
use crate::domain::outbox::{Limits, Mixing};

const MIXINGS: [Mixing; 3] = [Mixing::Never, Mixing::Alone, Mixing::Together];

fn piece(n: u64, bytes: usize, mixing: Mixing) -> Rc<Outgoing> {
    let text = format!("id: {n}-0\ndata: {}\n\n", "metric ".repeat(bytes / 7));
    let id = MessageId::new(n, 0).unwrap();
    Rc::new(Outgoing {
        mixing,
        ..Outgoing::at(id, text.into())
    })
}

/// A client of one stream, which reads at once what there is.
struct Client {
    outbox: Outbox,
    gzip: Gzip,
    written: usize,
    as_chunks: bool,
    decoder: GzDecoder<Vec<u8>>,
    expected: Vec<u8>,
}

impl Client {
    fn new(as_chunks: bool) -> Self {
        let limits = Limits {
            messages_max: 1000,
            bytes_max: 1 << 20,
        };
        Self {
            outbox: Outbox::new(limits, Arc::default()),
            gzip: Gzip::default(),
            written: 0,
            as_chunks,
            decoder: GzDecoder::new(Vec::new()),
            expected: Vec::new(),
        }
    }

    fn push(&mut self, piece: &Rc<Outgoing>) {
        self.outbox.push(piece.clone());
    }

    /// Writes once, of which the socket takes at most so many bytes.
    fn write(&mut self, packer: &Packer, takes: usize) {
        let Some(batch) = self.gzip.next(&self.outbox, packer, self.as_chunks) else {
            return;
        };
        self.written = self.written.saturating_add(takes);
        if self.written >= batch.bytes.len() {
            self.written = 0;
            self.gzip.batch = None;
            for piece in std::iter::from_fn(|| self.outbox.take()).take(batch.pieces) {
                self.expected.extend_from_slice(&piece.bytes);
            }
            self.read(&batch.bytes);
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let content = match self.as_chunks {
            true => {
                let size = bytes.iter().position(|byte| *byte == b'\n').unwrap();
                let content = &bytes[size + 1..bytes.len() - chunk::END.len()];
                assert_eq!(chunk::of(content), bytes);
                content
            }
            false => bytes,
        };
        self.decoder.write_all(content).unwrap();
        self.decoder.flush().unwrap();
        assert_eq!(
            *self.decoder.get_ref(),
            self.expected,
            "nothing is held back"
        );
    }

    fn end(mut self, packer: &Packer) {
        while !self.outbox.is_empty() {
            self.write(packer, usize::MAX);
        }
        let end = self.gzip.end().unwrap();
        self.decoder.write_all(&end).unwrap();
        assert_eq!(self.decoder.finish().unwrap(), self.expected);
        assert_eq!(self.gzip.end(), None, "it ends once");
    }
}

#[test]
fn two_connections_are_handed_the_very_same_bytes() {
    let packer = Packer::new(Some(1));
    let mut clients = [Client::new(true), Client::new(true)];
    let opening = piece(1, 100, Mixing::Never);
    for client in &mut clients {
        client.push(&opening);
        client.write(&packer, usize::MAX);
    }
    for pieces in [1, 5] {
        let pieces: Vec<_> = (0..pieces)
            .map(|n| piece(n, 200, Mixing::Together))
            .collect();
        let bytes = clients.each_mut().map(|client| {
            pieces.iter().for_each(|piece| client.push(piece));
            let batch = client.gzip.next(&client.outbox, &packer, true).unwrap();
            client.write(&packer, usize::MAX);
            batch.bytes.as_ptr()
        });
        assert_eq!(bytes[0], bytes[1]);
    }
    clients.into_iter().for_each(|client| client.end(&packer));
}

#[test]
fn a_stream_that_ends_before_it_began_is_whole_too() {
    Client::new(false).end(&Packer::new(Some(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_client_reads_what_was_put_in_for_it_however_it_is_written(
        steps in prop::collection::vec((0..4usize, 0..3usize, 0..600usize, 1..400usize), 1..60),
        as_chunks in any::<[bool; 4]>(),
        min_bytes in 0..300usize,
    ) {
        let packer = Packer::new(Some(min_bytes));
        let mut clients = as_chunks.map(Client::new);
        for (n, (slow, mixing, bytes, takes)) in steps.into_iter().enumerate() {
            let piece = piece(n as u64, bytes, MIXINGS[mixing]);
            // Each client joins at a step of its own, and one of them writes only now and then.
            for (joins, client) in clients.iter_mut().enumerate() {
                if n >= joins * 5 {
                    client.push(&piece);
                    if joins == slow {
                        client.write(&packer, takes);
                    }
                }
            }
        }
        clients.into_iter().for_each(|client| client.end(&packer));
    }
}
