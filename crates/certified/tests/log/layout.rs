//! The stored bytes are the documented ones. They may never change: canisters of earlier releases hold them.

use ic_stable_structures::VectorMemory;
use indus_certified::CertifiedLog;

use crate::{leaf, model};

fn u64_at(memory: &VectorMemory, offset: usize) -> u64 {
    u64::from_le_bytes(memory.borrow()[offset..offset + 8].try_into().unwrap())
}

#[test]
fn version_1_is_stored_as_documented() {
    let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
    log.append(&leaf(0), &[0xa0; 65]).unwrap();
    log.append(&leaf(1), &[]).unwrap();
    log.append(&leaf(2), &[0xa2; 66]).unwrap();
    log.append(&leaf(3), &[0xa3; 1]).unwrap();
    log.prune(0).unwrap();
    log.prune(2).unwrap();

    let hash = |index| model::root(&[leaf(index)]);
    let (left, right) = (
        model::parent(&hash(0), &hash(1)),
        model::parent(&hash(2), &hash(3)),
    );
    let slot = 512 + 80 + 80;
    let mut expected = b"INDLOG-N\x01\0\0\0\0\0\0\0".to_vec();
    for bytes in [
        &4u64.to_le_bytes()[..],
        &(slot + 64u64).to_le_bytes(),
        &hash(0),
        &u64::MAX.to_le_bytes(),
        &hash(1),
        &0u64.to_le_bytes(),
        &left,
        &hash(2),
        &u64::MAX.to_le_bytes(),
        &hash(3),
        &(((slot / 16) << 22) | 1).to_le_bytes(),
        &right,
        &model::parent(&left, &right),
    ] {
        expected.extend_from_slice(bytes);
    }
    assert_eq!(nodes.borrow()[..expected.len()], expected);
    assert!(
        nodes.borrow()[expected.len()..]
            .iter()
            .all(|&byte| byte == 0)
    );

    // Class 1 (80 bytes) has the slot of entry 2, and behind it the one of entry 0.
    let mut expected = vec![0; 64 * 1024];
    expected[..16].copy_from_slice(b"INDLOG-P\x01\0\0\0\0\0\0\0");
    expected[16 + 8..16 + 16].copy_from_slice(&(512u64 + 80).to_le_bytes());
    expected[512 + 80..512 + 88].copy_from_slice(&512u64.to_le_bytes());
    expected[512 + 160] = 0xa3;
    assert_eq!(*payloads.borrow(), expected);
}

#[test]
fn free_slots_are_taken_last_in_first_out() {
    let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
    for index in 0..3 {
        log.append(&leaf(index), &[1; 100]).unwrap();
    }
    let end = u64_at(&nodes, 24);
    for (index, free) in [(1, 512 + 112), (0, 512), (2, 512 + 224)] {
        log.prune(index).unwrap();
        assert_eq!(u64_at(&payloads, 16 + 8 * 3), free);
    }
    for free in [512, 512 + 112, 0] {
        log.append(&leaf(9), &[2; 97]).unwrap();
        assert_eq!(u64_at(&payloads, 16 + 8 * 3), free);
    }
    assert_eq!(u64_at(&nodes, 24), end);
}
