//! How often the memories are called.

use indus_certified::CertifiedLog;

use crate::memory::Watched;
use crate::{leaf, payload};

#[test]
fn an_append_reads_nothing_and_writes_three_times() {
    let (nodes, payloads) = (Watched::new(), Watched::new());
    let mut log = CertifiedLog::create(nodes.clone(), payloads.clone()).unwrap();
    let calls = |memory: &Watched| (memory.reads.take(), memory.writes.take());
    for index in 0..1_000 {
        calls(&nodes);
        calls(&payloads);
        log.append(&leaf(index), &payload(index, 100)).unwrap();
        assert_eq!(
            (calls(&nodes), calls(&payloads)),
            ((0, 2), (0, 1)),
            "(reads, writes) for entry {index}"
        );
    }
    log.prune(7).unwrap();
    assert_eq!((calls(&nodes), calls(&payloads)), ((1, 1), (0, 2)));
    log.append(&leaf(1_000), &payload(1_000, 100)).unwrap();
    assert_eq!((calls(&nodes), calls(&payloads)), ((0, 2), (1, 2)));
    log.append(&leaf(1_001), &[]).unwrap();
    assert_eq!((calls(&nodes), calls(&payloads)), ((0, 2), (0, 0)));
}

#[test]
fn the_leaves_of_a_tile_take_one_read() {
    let nodes = Watched::new();
    let mut log = CertifiedLog::create(nodes.clone(), Watched::new()).unwrap();
    for index in 0..700 {
        log.append(&leaf(index), &[]).unwrap();
    }
    for (index, length) in [(0, 256), (1, 256), (2, 188)] {
        nodes.reads.set(0);
        assert_eq!(log.tile(0, index).len(), length);
        assert_eq!(nodes.reads.get(), 1);
    }
}
