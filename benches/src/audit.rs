//! The verification of a log of a million entries, against the hashes alone that its formats ask for.

use std::{
    num::NonZero,
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indus_verify::{Replay, RootKey, Time, TimeBound, Verifier};
use sha2::{Digest as _, Sha256};
use testnet::LongLog;

const BLOCKS: u64 = 1_000_000;
/// Times that each is measured; the fastest counts, because only that is the work alone.
const RUNS: usize = 3;
/// Bytes that one compression of SHA-256 takes in.
const COMPRESSED: usize = 64;

/// Verification on one thread, as a multiple of the time of its hashes.
pub(crate) fn ratio() -> anyhow::Result<f64> {
    let log = log();
    let verification = fastest(|| verify(log, 1))?;
    let hashes = fastest(|| Ok(hash(log.compressions)))?;
    Ok(verification / hashes)
}

/// Seconds on two threads.
pub(crate) fn seconds() -> anyhow::Result<f64> {
    let log = log();
    fastest(|| verify(log, 2))
}

fn log() -> &'static LongLog {
    static LOG: OnceLock<LongLog> = OnceLock::new();
    LOG.get_or_init(|| LongLog::of(BLOCKS))
}

fn fastest(run: impl Fn() -> anyhow::Result<Duration>) -> anyhow::Result<f64> {
    let runs: Vec<Duration> = (0..RUNS).map(|_| run()).collect::<Result<_, _>>()?;
    let fastest = runs.into_iter().min().context("there are some")?;
    Ok(fastest.as_secs_f64())
}

fn verify(log: &LongLog, threads: usize) -> anyhow::Result<Duration> {
    let threads = NonZero::new(threads).context("some")?;
    let start = Instant::now();
    let verifier = Verifier::new(RootKey::from_der(&log.root_key_der)?);
    let (now, bound) = (
        Time::from_nanos(log.time_ns),
        TimeBound::within(Duration::ZERO),
    );
    let witness = verifier
        .certificate(&log.certificate, log.canister, now, bound)?
        .witness(&log.witness)?;
    let mut replay = Replay::new(threads);
    replay.read(&log.stored)?;
    replay.check(&witness)?;
    Ok(start.elapsed())
}

fn hash(compressions: usize) -> Duration {
    let buffer = vec![7; 1 << 20];
    let mut hasher = Sha256::new();
    let mut bytes = COMPRESSED * compressions;
    let start = Instant::now();
    while bytes > 0 {
        let length = bytes.min(buffer.len());
        hasher.update(&buffer[..length]);
        bytes -= length;
    }
    std::hint::black_box(hasher.finalize());
    start.elapsed()
}
