//! A whole log at once says what an audit block by block says, and names the block that is wrong.

use std::collections::BTreeMap;
use std::num::NonZero;

use crate::audited::{Canister, Change, block_hash, listed, verified};
use indus_verify::{
    Audit, AuditError, BlockFault, Replay, Replayed, StoredBlock, leaf_hash, store_page,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// All blocks as they are kept in a file, fetched in pages of three.
fn stored(canister: &Canister) -> Vec<u8> {
    let (mut file, mut next) = (Vec::new(), 0);
    let size = canister.blocks.len();
    while next < size {
        let index = u64::try_from(next).unwrap();
        let page = canister.get_blocks(next, 3);
        let read = store_page(&page, index, size as u64, &mut file).unwrap();
        next += usize::try_from(read).unwrap();
    }
    file
}

/// Replays `file` on so many threads, reading `step` bytes more at a time.
fn replay(
    file: &[u8],
    canister: &Canister,
    threads: usize,
    step: usize,
) -> Result<Replayed, AuditError> {
    let mut replay = Replay::new(NonZero::new(threads).unwrap());
    replay.watch(2);
    let (mut done, mut until) = (0, 0);
    while until < file.len() {
        until = (until + step).min(file.len());
        done += replay.read(&file[done..until])?;
    }
    if done < file.len() {
        let index = replay.size();
        return Err(AuditError::Block {
            index,
            fault: BlockFault::Stored,
        });
    }
    replay.check(&verified(&canister.head()))
}

#[test]
fn a_file_of_blocks_explains_what_its_canister_certified() {
    let past = Canister::with_a_past();
    for size in 0..=past.blocks.len() {
        let mut canister = Canister::default();
        let whole = Canister::with_a_past();
        // The same canister, as far as it was after so many blocks.
        for _ in 0..size.min(8) {
            let number = u8::try_from(canister.blocks.len()).unwrap();
            canister.act(&[("seats", vec![0, 10 * number], Some(vec![number; 5]))]);
        }
        if size > 8 {
            canister = whole;
        }
        let file = stored(&canister);
        for (threads, step) in [
            (1, file.len().max(1)),
            (2, file.len().max(1)),
            (3, 500),
            (2, 1),
        ] {
            let said = replay(&file, &canister, threads, step).unwrap();
            assert_eq!(said.head.size, canister.blocks.len() as u64);
            assert_eq!(said.watched, canister.blocks.get(2).map(block_hash));
            for (name, contents) in &canister.collections {
                let leaves: BTreeMap<_, _> = said.collections[name].iter().collect();
                let expected: Vec<_> = contents
                    .iter()
                    .map(|(key, bytes)| (key, leaf_hash(bytes)))
                    .collect();
                let found: Vec<_> = leaves
                    .iter()
                    .map(|(key, hash)| (key.to_vec(), **hash))
                    .collect();
                assert!(
                    found.iter().map(|(key, hash)| (key, *hash)).eq(expected),
                    "{name}"
                );
            }
            let blocks: u64 = said
                .block_types
                .values()
                .map(|summary| summary.blocks)
                .sum();
            assert_eq!(blocks, said.head.size);
        }
    }
}

#[test]
fn whichever_byte_is_changed_its_block_is_named() {
    let canister = Canister::with_a_past();
    let file = stored(&canister);
    let (mut rest, mut start) = (&file[..], 0);
    for index in 0..canister.blocks.len() as u64 {
        let (block, after) = StoredBlock::read(rest).unwrap().unwrap();
        let original = &canister.blocks[usize::try_from(index).unwrap()];
        assert_eq!(block.hash(index), block_hash(original));
        assert_eq!(block.to_value(index), *original);
        let end = start + rest.len() - after.len();
        let names = end - block.event.len() - 32..end - block.event.len();
        for at in start..end {
            for threads in [1, 3] {
                let mut other = file.clone();
                other[at] ^= 0x10;
                let error = replay(&other, &canister, threads, file.len()).unwrap_err();
                let AuditError::Block { index: named, .. } = error else {
                    panic!("byte {at}: {error}");
                };
                // Which of two blocks was changed can't be told if nothing follows them.
                let neighbour = names.contains(&at) && named + 1 == index;
                assert!(
                    named == index || neighbour,
                    "byte {at} of block {index}: {error}"
                );
            }
        }
        (rest, start) = (after, end);
    }
}

#[test]
fn a_block_that_is_left_out_put_in_twice_or_moved_is_found() {
    let canister = Canister::with_a_past();
    let file = stored(&canister);
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut rest = &file[..];
    while let Some((_, after)) = StoredBlock::read(rest).unwrap() {
        blocks.push(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    let refused = |blocks: &[&[u8]]| {
        let file = blocks.concat();
        replay(&file, &canister, 2, file.len()).is_err()
    };
    assert!(!refused(&blocks));
    for at in 0..blocks.len() {
        let mut other = blocks.clone();
        other.remove(at);
        assert!(refused(&other), "without block {at}");
        let mut other = blocks.clone();
        other.insert(at, blocks[at]);
        assert!(refused(&other), "block {at} twice");
        let mut other = blocks.clone();
        other.swap(at, (at + 1) % blocks.len());
        assert!(refused(&other), "block {at} moved");
    }
    for end in 0..file.len() {
        assert!(
            replay(&file[..end], &canister, 2, file.len()).is_err(),
            "{end} bytes"
        );
    }
}

/// Changes of two collections, some of them impossible.
fn changes() -> impl Strategy<Value = Vec<(bool, u8, Option<u8>)>> {
    vec(
        (
            any::<bool>(),
            0_u8..12,
            proptest::option::weighted(0.8, any::<u8>()),
        ),
        0..3,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_an_audit_accepts_a_replay_accepts_and_nothing_else(
        history in vec(changes(), 0..40),
        odd in 0_u8..4,
        threads in 1_usize..5,
        step in 200_usize..2_000,
    ) {
        let mut canister = Canister::default();
        let mut audit = Audit::default();
        let mut accepted = true;
        for (time, mut changes) in history.into_iter().enumerate() {
            // Mostly in order; now and then not.
            if odd > 0 {
                changes.sort_unstable_by_key(|(first, key, _)| (*first, *key));
                changes.dedup_by_key(|(first, key, _)| (*first, *key));
            }
            let changes: Vec<Change<'_>> = changes
                .iter()
                .map(|(first, key, contents)| {
                    let name = if *first { "z" } else { "a" };
                    let mut key = vec![*key; if *first { 9 } else { 1 }];
                    if odd == 1 && time == 20 {
                        key.push(0);
                    }
                    (name, key, contents.map(|contents| vec![contents]))
                })
                .filter(|(name, key, contents)| {
                    let known = canister.collections.get(*name).is_some_and(|known| known.contains_key(key));
                    odd < 3 && time > 25 || contents.is_some() || known
                })
                .collect();
            let block = canister.block(listed(&changes));
            accepted &= audit.append(audit.size(), &block).is_ok();
            if !accepted {
                // It stays the last one.
                canister.blocks.push(block);
                break;
            }
            canister.act(&changes);
            canister.blocks.pop();
            canister.blocks.push(block);
        }
        let file = stored(&canister);
        let said = replay(&file, &canister, threads, step);
        let checked = accepted && audit.check(&verified(&canister.head())).is_ok();
        prop_assert_eq!(said.is_ok(), checked, "{:?}", said.err());
    }
}
