//! What a log refuses, and that it has changed nothing then.

use indus_certified::{CertifiedLog, LogError, MAX_PAYLOAD};

use crate::memory::Watched;
use crate::{empty, leaf, payload};

#[test]
fn a_payload_above_the_limit_is_refused() {
    let mut log = empty();
    let refused = log.append(&leaf(0), &vec![1; MAX_PAYLOAD + 1]);
    let (value, bound) = (MAX_PAYLOAD as u64 + 1, MAX_PAYLOAD as u64);
    assert_eq!(
        refused,
        Err(LogError::AboveBound {
            field: "length of the payload",
            value,
            bound
        })
    );
    assert!(log.is_empty());
}

#[test]
fn what_does_not_exist_is_refused_with_its_bound() {
    let mut log = empty();
    log.append(&leaf(0), &[]).unwrap();
    let no_entry = |index, size| LogError::NoSuchEntry { index, size };
    let above = |field, value, bound| LogError::AboveBound {
        field,
        value,
        bound,
    };
    assert_eq!(log.payload(1), Err(no_entry(1, 1)));
    assert_eq!(log.prune(u64::MAX), Err(no_entry(u64::MAX, 1)));
    assert_eq!(log.root_at(2), Err(above("size", 2, 1)));
    assert_eq!(log.inclusion(0, u64::MAX), Err(above("size", u64::MAX, 1)));
    assert_eq!(log.inclusion(0, 0), Err(no_entry(0, 0)));
    assert_eq!(log.consistency(0, 2), Err(above("to", 2, 1)));
    assert_eq!(log.consistency(2, 1), Err(above("from", 2, 1)));
}

#[test]
fn a_memory_that_does_not_grow_changes_nothing() {
    for (full, nodes, payloads) in [
        ("nodes", Watched::new(), Watched::new()),
        ("payloads", Watched::new(), Watched::new()),
    ] {
        let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
        let closed = if full == "nodes" { &nodes } else { &payloads };
        closed.close();
        let refused = loop {
            let index = log.len();
            let before = (
                nodes.bytes.borrow().clone(),
                payloads.bytes.borrow().clone(),
                log.root(),
            );
            if let Err(error) = log.append(&leaf(index), &payload(index, 300)) {
                // The other memory may have got pages.
                assert!(nodes.bytes.borrow().starts_with(&before.0));
                assert!(payloads.bytes.borrow().starts_with(&before.1));
                assert_eq!((log.len(), log.root()), (index, before.2));
                break error;
            }
        };
        assert_eq!(
            refused,
            LogError::OutOfMemory {
                memory: full,
                pages: 1
            }
        );
        if full == "payloads" {
            // Room that is there is still used.
            let index = log.len();
            log.prune(0).unwrap();
            log.append(&leaf(index), &payload(index, 300)).unwrap();
        }
        closed.limit.set(u64::MAX);
        let index = log.len();
        assert_eq!(log.append(&leaf(index), &payload(index, 300)), Ok(index));
        let root = log.root();
        let log = CertifiedLog::open(nodes, payloads).unwrap();
        assert_eq!((log.len(), log.root()), (index + 1, root));
        assert_eq!(log.payload(index), Ok(Some(payload(index, 300))));
    }
}

#[test]
fn a_log_without_room_for_its_headers_is_refused() {
    let full = Watched::new();
    full.close();
    for (memory, nodes, payloads) in [
        ("nodes", full.clone(), Watched::new()),
        ("payloads", Watched::new(), full),
    ] {
        let refused = CertifiedLog::create(nodes, payloads).err();
        assert_eq!(refused, Some(LogError::OutOfMemory { memory, pages: 1 }));
    }
}
