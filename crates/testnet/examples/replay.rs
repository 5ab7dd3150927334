//! `replay [BLOCKS]`: how long the verification of a log takes, and its hashes alone.

#![allow(clippy::print_stdout, reason = "a command")]

use std::num::NonZero;
use std::time::{Duration, Instant};

use indus_verify::{Replay, RootKey, Time, TimeBound, Verifier};
use sha2::{Digest, Sha256};
use testnet::LongLog;

fn main() {
    let blocks = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let log = LongLog::of(blocks.unwrap_or(1_000_000));
    println!(
        "{} bytes, {} compressions",
        log.stored.len(),
        log.compressions
    );
    for _ in 0..3 {
        let (one, two, hashes) = (verify(&log, 1), verify(&log, 2), hash(log.compressions));
        println!(
            "one thread {one:?}, two {two:?}, hashes {hashes:?}, ratio {:.2}",
            one.as_secs_f64() / hashes.as_secs_f64()
        );
    }
}

fn verify(log: &LongLog, threads: usize) -> Duration {
    let start = Instant::now();
    let key = RootKey::from_der(&log.root_key_der).expect("a key");
    let bound = TimeBound::within(Duration::ZERO);
    let witness = Verifier::new(key)
        .certificate(
            &log.certificate,
            log.canister,
            Time::from_nanos(log.time_ns),
            bound,
        )
        .and_then(|certificate| certificate.witness(&log.witness))
        .expect("a proof");
    let mut replay = Replay::new(NonZero::new(threads).expect("some"));
    replay.read(&log.stored).expect("a log");
    replay.check(&witness).expect("a certified log");
    start.elapsed()
}

fn hash(compressions: usize) -> Duration {
    let buffer = vec![7; 1 << 20];
    let mut hasher = Sha256::new();
    let start = Instant::now();
    let mut bytes = 64 * compressions;
    while bytes > 0 {
        let length = bytes.min(buffer.len());
        hasher.update(&buffer[..length]);
        bytes -= length;
    }
    std::hint::black_box(hasher.finalize());
    start.elapsed()
}
