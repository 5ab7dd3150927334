//! What is stored with an entry, until it is pruned, and no longer.

use ic_stable_structures::{Memory, VectorMemory};
use indus_certified::CertifiedLog;

use crate::{empty, leaf, payload};

#[test]
fn payloads_of_every_class_come_back_while_their_neighbours_change() {
    let lengths: Vec<usize> = (0..=21)
        .flat_map(|log| [(1 << log) - 1, 1 << log])
        .collect();
    let mut log = empty();
    for round in 0..3 {
        for (at, &length) in lengths.iter().enumerate() {
            let index = log.len();
            log.append(&leaf(index), &payload(index, length)).unwrap();
            // Every second entry of the round before goes, and its slot is taken by the next round.
            if round > 0 && at % 2 == 0 {
                assert_eq!(log.prune(index - lengths.len() as u64), Ok(true));
            }
        }
    }
    for index in 0..log.len() {
        let at = usize::try_from(index).unwrap();
        let (round, at) = (at / lengths.len(), at % lengths.len());
        let expected = (round == 2 || at % 2 == 1).then(|| payload(index, lengths[at]));
        assert!(log.payload(index) == Ok(expected), "entry {index}");
    }
}

#[test]
fn pruning_and_appending_does_not_grow_the_memory() {
    let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
    let bytes = |index: u64| {
        payload(
            index,
            [1, 64, 65, 1_000, 5_000, 70_000][usize::try_from(index % 6).unwrap()],
        )
    };
    for index in 0..60 {
        log.append(&leaf(index), &bytes(index)).unwrap();
    }
    let pages = payloads.size();
    for index in 60..3_000 {
        assert_eq!(log.prune(index - 60), Ok(true));
        if index % 500 == 0 {
            log = CertifiedLog::open(nodes.clone(), payloads.clone()).unwrap();
        }
        log.append(&leaf(index), &bytes(index)).unwrap();
        assert_eq!(payloads.size(), pages);
    }
    for index in 2_940..3_000 {
        assert_eq!(log.payload(index), Ok(Some(bytes(index))));
    }
}

#[test]
fn nothing_of_a_pruned_payload_stays_in_memory() {
    let payloads = VectorMemory::default();
    let mut log = CertifiedLog::create(VectorMemory::default(), payloads.clone()).unwrap();
    let before = payloads.borrow().clone();
    for (index, length) in [(0, 3), (1, 64), (2, 3_000)] {
        log.append(&leaf(index), &vec![0xee; length]).unwrap();
    }
    assert_ne!(*payloads.borrow(), before);
    for index in 0..3 {
        log.prune(index).unwrap();
    }
    assert!(!payloads.borrow().contains(&0xee));
}

#[test]
fn a_pruned_payload_is_gone_and_its_entry_stays_proved() {
    let mut log = empty();
    for index in 0..10 {
        log.append(&leaf(index), &payload(index, 100)).unwrap();
    }
    let (root, proof) = (log.root(), log.inclusion(4, 10));
    assert_eq!(log.prune(4), Ok(true));
    assert_eq!(log.prune(4), Ok(false));
    assert_eq!(log.payload(4), Ok(None));
    assert_eq!((log.root(), log.inclusion(4, 10)), (root, proof));

    // Its slot is taken by another entry.
    log.append(&leaf(10), &payload(10, 100)).unwrap();
    assert_eq!(log.payload(4), Ok(None));
    assert_eq!(log.prune(4), Ok(false));
    assert_eq!(log.payload(10), Ok(Some(payload(10, 100))));
}

#[test]
fn an_empty_payload_is_not_a_pruned_one() {
    let mut log = empty();
    log.append(&leaf(0), &[]).unwrap();
    assert_eq!(log.payload(0), Ok(Some(Vec::new())));
    assert_eq!(log.prune(0), Ok(true));
    assert_eq!(log.payload(0), Ok(None));
    assert_eq!(log.prune(0), Ok(false));
}
