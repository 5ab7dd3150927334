//! Operations on a log and on its model at once, given as values or as bytes.

use ic_stable_structures::VectorMemory;
use indus_certified::{CertifiedLog, Hash};

use crate::model::{self, Model};

/// So many operations take milliseconds, though the model hashes all entries again for each.
const MOST: usize = 300;

/// One step. Indices and sizes are taken modulo a little more than the log's size, so that some are beyond it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Append { seed: u8, length: u16 },
    Prune { index: u16 },
    Payload { index: u16 },
    Reopen,
    RootAt { size: u16 },
    Inclusion { index: u16, size: u16 },
    Consistency { from: u16, to: u16 },
    Tile { level: u8, index: u8 },
}

/// Reads operations of five bytes each, appends and prunes more often than others, and applies them.
pub(crate) fn run(bytes: &[u8]) {
    let operations: Vec<Operation> = bytes
        .chunks_exact(5)
        .take(MOST)
        .map(|bytes| {
            let [kind, a, b, c, d] = *bytes else {
                unreachable!("chunks of five")
            };
            let (first, second) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            match kind % 16 {
                0..=5 => Operation::Append {
                    seed: c,
                    length: first >> (d % 16),
                },
                6..=8 => Operation::Prune { index: first },
                9 => Operation::Payload { index: first },
                10 => Operation::Reopen,
                11 => Operation::RootAt { size: first },
                12..=13 => Operation::Inclusion {
                    index: first,
                    size: second,
                },
                14 => Operation::Consistency {
                    from: first,
                    to: second,
                },
                _ => Operation::Tile {
                    level: a % 3,
                    index: b % 3,
                },
            }
        })
        .collect();
    apply(&operations);
}

/// Applies operations to a new log. Panics where it differs from the model.
pub(crate) fn apply(operations: &[Operation]) {
    let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).expect("memory grows");
    let mut model = Model::default();
    for &operation in operations {
        let size = model.leaves.len();
        let pick = |number: u16| usize::from(number) % (size + 2);
        match operation {
            Operation::Append { seed, length } => {
                let (leaf, payload) = entry(seed, length);
                assert_eq!(log.append(&leaf, &payload), Ok(size as u64));
                model.leaves.push(leaf);
                model.payloads.push(Some(payload));
            }
            Operation::Prune { index } => {
                let index = pick(index);
                let expected = model
                    .payloads
                    .get_mut(index)
                    .map(|payload| payload.take().is_some());
                assert_eq!(log.prune(index as u64).ok(), expected);
            }
            Operation::Payload { index } => {
                let index = pick(index);
                assert_eq!(
                    log.payload(index as u64).ok(),
                    model.payloads.get(index).cloned()
                );
            }
            Operation::Reopen => {
                log = CertifiedLog::open(nodes.clone(), payloads.clone()).expect("own memories")
            }
            Operation::RootAt { size } => {
                let size = pick(size);
                let expected = model.leaves.get(..size).map(model::root);
                assert_eq!(log.root_at(size as u64).ok(), expected);
            }
            Operation::Inclusion { index, size } => {
                let (index, size) = (pick(index), pick(size));
                let leaves = model.leaves.get(..size).filter(|_| index < size);
                let expected = leaves.map(|leaves| model::path(index, leaves));
                assert_eq!(log.inclusion(index as u64, size as u64).ok(), expected);
            }
            Operation::Consistency { from, to } => {
                let (from, to) = (pick(from), pick(to));
                let leaves = model.leaves.get(..to).filter(|_| from <= to);
                let expected = leaves.map(|leaves| model::proof(from, leaves));
                assert_eq!(log.consistency(from as u64, to as u64).ok(), expected);
            }
            Operation::Tile { level, index } => {
                let hashes = model::level(1 << (8 * level), &model.leaves);
                let expected = hashes
                    .chunks(256)
                    .nth(usize::from(index))
                    .unwrap_or_default();
                assert_eq!(log.tile(level, u64::from(index)), expected);
            }
        }
        assert_eq!(log.len(), model.leaves.len() as u64);
    }
    assert_eq!(log.root(), model::root(&model.leaves));
    for (index, payload) in model.payloads.iter().enumerate() {
        assert_eq!(log.payload(index as u64).as_ref(), Ok(payload));
    }
}

/// A leaf and a payload that differ from those of other seeds in every byte.
fn entry(seed: u8, length: u16) -> (Hash, Vec<u8>) {
    let payload = (0..length).map(|at| at.to_le_bytes()[0] ^ seed).collect();
    ([seed; 32], payload)
}
