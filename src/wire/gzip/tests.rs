use std::io::Read;

use flate2::write::GzDecoder;
use proptest::prelude::*;
use std::io::Write;

use super::*;

fn deflate(pieces: &[&[u8]]) -> Deflated {
    Deflater::default().deflate(pieces.iter().copied())
}

/// One stream: the header, these blocks, and the end.
fn stream(blocks: &[&Deflated]) -> Vec<u8> {
    let mut sum = Sum::default();
    let mut bytes = HEADER.to_vec();
    for block in blocks {
        sum.add(block);
        bytes.extend_from_slice(&block.block);
    }
    bytes.extend_from_slice(&sum.end());
    bytes
}

/// What is read of it, with its check looked at.
fn inflated(stream: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(stream);
    decoder.read_to_end(&mut content).unwrap();
    content
}

#[test]
fn what_repeats_itself_becomes_small() {
    let event = b"data: {\"type\":\"metrics_update\"}\n\n".repeat(20);
    let block = deflate(&[&event]);
    assert!(block.block.len() * 5 < event.len(), "{}", block.block.len());
    assert_eq!(block.length, event.len() as u64);
    assert!(block.block.ends_with(&FLUSH[1..]), "it ends at a byte");
    assert_eq!(inflated(&stream(&[&block])), event);
}

/// Attack: content that is made to grow under compression.
#[test]
fn what_would_become_larger_is_stored() {
    let mut state = 88_172_645_463_325_252_u64;
    let noise = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let noise: Vec<u8> = (0..200_000).map(noise).collect();
    for length in [0, 1, 3, 100, 65_535, 65_536, noise.len()] {
        let block = deflate(&[&noise[..length]]);
        assert!(block.block.len() <= stored_bytes(length), "{length}");
        assert_eq!(inflated(&stream(&[&block])), &noise[..length]);
    }
    assert_eq!(
        store([&b"abc"[..]].into_iter()).block,
        &b"\0\x03\0\xfc\xffabc\0\0\0\xff\xff"[..]
    );
}

#[test]
fn a_block_is_also_a_chunk() {
    let block = store([&b"abc"[..]].into_iter());
    assert_eq!(block.chunk, chunk::of(&block.block));
}

#[test]
fn a_stream_without_blocks_has_an_end_too() {
    assert_eq!(inflated(&stream(&[])), b"");
}

#[test]
fn a_wrong_check_would_be_seen() {
    let block = deflate(&[b"hello"]);
    let mut bytes = stream(&[&block, &block]);
    let crc = bytes.len() - 8;
    bytes[crc] ^= 1;
    let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
    assert!(decoder.read_to_end(&mut Vec::new()).is_err());
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = prop_oneof![
        "[a-c]{0,400}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..70_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop::collection::vec(text, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The blocks are made once, by one deflater, several pieces in some; connections join anywhere, each
    /// at a piece of its own, and read at once what there is.
    #[test]
    fn any_connection_reads_from_shared_blocks_what_was_put_in(
        runs in prop::collection::vec((texts(), any::<bool>()), 1..8),
        joins in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let mut deflater = Deflater::default();
        let blocks: Vec<(Vec<u8>, Deflated)> = runs
            .iter()
            .map(|(pieces, deflates)| {
                let slices = pieces.iter().map(Vec::as_slice);
                let block = match deflates {
                    true => deflater.deflate(slices),
                    false => store(slices),
                };
                (pieces.concat(), block)
            })
            .collect();
        for join in joins {
            let from = join.index(blocks.len());
            let mut decoder = GzDecoder::new(Vec::new());
            let (mut sum, mut expected) = (Sum::default(), Vec::new());
            decoder.write_all(&HEADER).unwrap();
            for (plain, block) in &blocks[from..] {
                sum.add(block);
                expected.extend_from_slice(plain);
                decoder.write_all(&block.block).unwrap();
                decoder.flush().unwrap();
                prop_assert_eq!(decoder.get_ref(), &expected, "nothing is held back");
            }
            decoder.write_all(&sum.end()).unwrap();
            prop_assert_eq!(decoder.finish().unwrap(), expected);
        }
    }
}
