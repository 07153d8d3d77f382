//! What libFuzzer has found, run again, and changed a little.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{TARGETS, Target, run};

/// For how long inputs are changed, of each target.
const CHANGES_FOR: Duration = Duration::from_millis(300);
/// Of an input that fails, in bytes.
const SHOWN_MAX: usize = 2000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Fails with the input that does.
fn check(target: &Target, input: &[u8], whence: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let shown = input[..input.len().min(SHOWN_MAX)].escape_ascii();
        panic!("{} fails, {whence}: {shown}", target.name);
    }
}

/// As libFuzzer does it in its simplest ways: bytes and pieces changed, left out, doubled, and joined with
/// those of another.
fn changed(rng: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=input.len());
        let to = rng.random_range(at..=input.len().min(at + 16));
        match rng.random_range(0..5) {
            0 => input.insert(at, rng.random()),
            1 => _ = input.drain(at..to),
            2 => {
                let piece = input[at..to].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = &corpus[rng.random_range(0..corpus.len())];
                let from = rng.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
            _ => {}
        }
    }
    input
}

/// Attack: whatever bytes a stranger, a file, a database or another hub may send.
#[test]
fn whatever_comes_in_is_taken_or_refused_as_promised() {
    let given = std::env::var("FUZZ_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    for target in &TARGETS {
        let corpus = corpus(target);
        assert!(!corpus.is_empty());
        for input in &corpus {
            check(target, input, "as it is in its corpus");
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let began = Instant::now();
        while began.elapsed() < CHANGES_FOR {
            let input = changed(&mut rng, &corpus);
            check(target, &input, &format!("FUZZ_SEED={seed}"));
        }
    }
}

#[test]
fn libfuzzer_runs_every_target() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for target in &TARGETS {
        let path = format!("fuzz_targets/{}.rs", target.name);
        assert!(manifest.contains(&path));
        let program = fs::read_to_string(folder().join(path)).unwrap();
        assert!(program.contains(&format!("run(\"{}\"", target.name)));
        run(target.name, b"");
    }
}
