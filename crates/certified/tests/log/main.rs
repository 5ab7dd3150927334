//! Promises of the certified log, each against something that does not share its code: the recursive definitions of
//! RFC 9162, and ct-merkle.

#![allow(clippy::unwrap_used)]

mod bounds;
mod costs;
mod layout;
mod memory;
mod model;
mod opening;
mod operations;
mod oracle;
mod payloads;
mod random;
mod tiles;

use ic_stable_structures::VectorMemory;
use indus_certified::{CertifiedLog, Hash};

fn empty() -> CertifiedLog<VectorMemory> {
    CertifiedLog::create(VectorMemory::default(), VectorMemory::default()).unwrap()
}

/// A leaf that tells its index.
fn leaf(index: u64) -> Hash {
    let mut leaf = [0x5a; 32];
    leaf[..8].copy_from_slice(&index.to_be_bytes());
    leaf
}

/// A payload that tells its index, without a byte of zero.
fn payload(index: u64, length: usize) -> Vec<u8> {
    let seed = index.to_le_bytes();
    (0..length)
        .map(|at| (seed[at % 2] ^ at.to_le_bytes()[0]) | 0x80)
        .collect()
}
