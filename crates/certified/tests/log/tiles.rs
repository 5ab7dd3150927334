//! Tiles are enough to audit a log.

use indus_certified::Hash;

use crate::{empty, leaf, model};

/// More than one full tile at level 1, and partial ones at the edge.
const SIZE: u64 = 66_000;

/// The root over the hashes of a level, the ones at the edge included.
fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
            model::parent(&root(left), &root(right))
        }
    }
}

#[test]
fn the_tiles_of_each_level_are_the_tree() {
    let mut log = empty();
    for index in 0..SIZE {
        log.append(&leaf(index), &[]).unwrap();
    }
    let level = |level, tiles| -> Vec<Hash> {
        (0..tiles)
            .flat_map(|index| log.tile(level, index))
            .collect()
    };

    let leaves = level(0, SIZE.div_ceil(256));
    assert_eq!(leaves.len() as u64, SIZE);
    assert_eq!(root(&leaves), log.root());

    let parents = level(1, 2);
    assert_eq!(
        parents,
        leaves.chunks_exact(256).map(root).collect::<Vec<_>>()
    );
    assert_eq!(log.tile(2, 0), [root(&parents[..256])]);
}

#[test]
fn there_is_no_tile_beyond_the_tree() {
    let mut log = empty();
    assert_eq!(log.tile(0, 0), [[0; 32]; 0]);
    for index in 0..256 {
        log.append(&leaf(index), &[]).unwrap();
    }
    assert_eq!((log.tile(0, 0).len(), log.tile(1, 0).len()), (256, 1));
    for (level, index) in [
        (0, 1),
        (0, u64::MAX),
        (1, 1),
        (2, 0),
        (7, 0),
        (8, 0),
        (u8::MAX, u64::MAX),
    ] {
        assert_eq!(
            log.tile(level, index),
            [[0; 32]; 0],
            "level {level}, index {index}"
        );
    }
}
