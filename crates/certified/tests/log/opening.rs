//! Memories that are not a log, or not a whole one, are refused and stay as they are.

use ic_stable_structures::{Memory, VectorMemory};
use indus_certified::{CertifiedLog, LogError, OpenError};

use crate::leaf;

const ENTRIES: u64 = 2_000;

/// A log with payloads in several pages, and free slots.
fn memories() -> (VectorMemory, VectorMemory) {
    let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
    for index in 0..ENTRIES {
        log.append(&leaf(index), &[7; 100]).unwrap();
    }
    log.prune(0).unwrap();
    log.prune(1).unwrap();
    (nodes, payloads)
}

/// Opens, and makes sure that no byte has changed.
fn refusal(nodes: &VectorMemory, payloads: &VectorMemory) -> OpenError {
    let before = (nodes.borrow().clone(), payloads.borrow().clone());
    let refused = CertifiedLog::open(nodes.clone(), payloads.clone())
        .err()
        .expect("a refusal");
    assert!(
        (nodes.borrow().clone(), payloads.borrow().clone()) == before,
        "bytes changed"
    );
    refused
}

fn memory_of(text: &[u8]) -> VectorMemory {
    let memory = VectorMemory::default();
    memory.grow(1);
    memory.write(0, text);
    memory
}

#[test]
fn opening_writes_nothing() {
    let (nodes, payloads) = memories();
    let before = (nodes.borrow().clone(), payloads.borrow().clone());
    let log = CertifiedLog::open(nodes.clone(), payloads.clone()).unwrap();
    assert_eq!(log.len(), ENTRIES);
    assert!((nodes.borrow().clone(), payloads.borrow().clone()) == before);
}

#[test]
fn empty_memories_are_refused() {
    let (nodes, payloads) = memories();
    let empty = VectorMemory::default();
    assert_eq!(
        refusal(&empty, &payloads),
        OpenError::Empty { memory: "nodes" }
    );
    assert_eq!(
        refusal(&nodes, &empty),
        OpenError::Empty { memory: "payloads" }
    );
}

#[test]
fn foreign_and_swapped_memories_are_refused() {
    let (nodes, payloads) = memories();
    let foreign = memory_of(b"MGR\x01 another structure");
    let magic = *b"MGR\x01 ano";
    assert_eq!(
        refusal(&foreign, &payloads),
        OpenError::Foreign {
            memory: "nodes",
            magic
        }
    );
    assert_eq!(
        refusal(&nodes, &foreign),
        OpenError::Foreign {
            memory: "payloads",
            magic
        }
    );
    let magic = *b"INDLOG-P";
    assert_eq!(
        refusal(&payloads, &nodes),
        OpenError::Foreign {
            memory: "nodes",
            magic
        }
    );
    assert_eq!(
        refusal(&nodes, &nodes),
        OpenError::Foreign {
            memory: "payloads",
            magic: *b"INDLOG-N"
        }
    );
}

#[test]
fn other_versions_are_refused() {
    for version in [0, 2, u32::MAX] {
        let (nodes, payloads) = memories();
        payloads.write(8, &version.to_le_bytes());
        assert_eq!(
            refusal(&nodes, &payloads),
            OpenError::UnknownVersion {
                memory: "payloads",
                version
            }
        );
        nodes.write(8, &version.to_le_bytes());
        assert_eq!(
            refusal(&nodes, &payloads),
            OpenError::UnknownVersion {
                memory: "nodes",
                version
            }
        );
    }
}

#[test]
fn truncated_memories_are_refused() {
    let (nodes, payloads) = memories();
    let shorten = |memory: &VectorMemory| {
        let length = memory.borrow().len() - 64 * 1024;
        memory.borrow_mut().truncate(length);
        length as u64
    };
    let bound = shorten(&payloads);
    let value = 512 + ENTRIES * 112;
    let expected = OpenError::Inconsistent {
        memory: "payloads",
        field: "end",
        value,
        bound,
    };
    assert_eq!(refusal(&nodes, &payloads), expected);

    let bound = shorten(&nodes);
    let value = 32 + 72 * ENTRIES - 32 * u64::from(ENTRIES.count_ones());
    assert_eq!(
        refusal(&nodes, &payloads),
        OpenError::Inconsistent {
            memory: "nodes",
            field: "end",
            value,
            bound
        }
    );
}

#[test]
fn damaged_headers_are_refused() {
    let end = 512 + ENTRIES * 112;
    for entries in [10_000, 1 << 48, (1 << 48) + 1, u64::MAX] {
        let (nodes, payloads) = memories();
        nodes.write(16, &entries.to_le_bytes());
        let refused = refusal(&nodes, &payloads);
        assert!(
            matches!(
                refused,
                OpenError::Inconsistent {
                    memory: "nodes",
                    ..
                }
            ),
            "{entries}: {refused}"
        );
    }
    for offset in [0, 496, end + 8] {
        let (nodes, payloads) = memories();
        nodes.write(24, &offset.to_le_bytes());
        assert_eq!(
            refusal(&nodes, &payloads),
            OpenError::NotASlot {
                field: "end",
                offset
            }
        );
    }
    // In the header, unaligned, the last 80 bytes of a class of 112, and behind the end.
    for offset in [8, 16, 520, end - 80, end, u64::MAX] {
        let (nodes, payloads) = memories();
        payloads.write(16 + 8 * 3, &offset.to_le_bytes());
        assert_eq!(
            refusal(&nodes, &payloads),
            OpenError::NotASlot {
                field: "first free slot",
                offset
            }
        );
    }
}

#[test]
fn a_damaged_reference_is_refused_and_changes_nothing() {
    let (nodes, payloads) = memories();
    let reference = 32 + 40 * 5 + 32 * 3 + 32;
    // No length, one above 2 MiB, in the header, and behind the end.
    for value in [
        (512 / 16) << 22,
        ((512 / 16) << 22) | 0x20_0001,
        (1 << 22) | 1,
        u64::MAX - 1,
    ] {
        nodes.write(reference, &u64::to_le_bytes(value));
        let before = (nodes.borrow().clone(), payloads.borrow().clone());
        let mut log = CertifiedLog::open(nodes.clone(), payloads.clone()).unwrap();
        let damaged = LogError::Damaged {
            field: "payload reference",
            value,
        };
        assert_eq!(log.payload(5), Err(damaged));
        assert_eq!(log.prune(5), Err(damaged));
        assert!((nodes.borrow().clone(), payloads.borrow().clone()) == before);
    }
}

#[test]
fn a_damaged_free_list_is_refused_and_changes_nothing() {
    let (nodes, payloads) = memories();
    payloads.write(512 + 112, &8u64.to_le_bytes());
    let before = (nodes.borrow().clone(), payloads.borrow().clone());
    let mut log = CertifiedLog::open(nodes.clone(), payloads.clone()).unwrap();
    let damaged = LogError::Damaged {
        field: "next free slot",
        value: 8,
    };
    assert_eq!(log.append(&leaf(0), &[1; 100]), Err(damaged));
    assert_eq!(log.len(), ENTRIES);
    assert!((nodes.borrow().clone(), payloads.borrow().clone()) == before);
}
