//! Operations on a map and on its model at once, given as bytes.

use ic_stable_structures::VectorMemory;
use indus_certified::{CertifiedMap, Entry, MapError, Request};

use crate::model::{Model, check_key, check_range, new, tree, witness};

/// So many bytes take milliseconds, though the model's tree is hashed again after each operation.
const MOST: usize = 1_000;

/// The bytes of a fuzzer, read as choices; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A key: anything, one that is near another, or one that is there.
    fn key(&mut self, key_bytes: usize, model: &Model) -> Vec<u8> {
        let choice = self.byte();
        let near = model
            .keys()
            .nth(usize::from(self.byte()) % model.len().max(1));
        let mut key = match (choice % 4, near) {
            (1..=3, Some(near)) => near.clone(),
            _ => (0..key_bytes).map(|_| self.byte()).collect(),
        };
        if choice % 4 == 3 {
            let bit = usize::from(self.byte()) % (8 * key_bytes);
            key[bit / 8] ^= 0x80 >> (bit % 8);
        }
        key
    }
}

/// Runs the operations that `bytes` stand for, and compares with a plain map after each.
pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Choices(&bytes[..bytes.len().min(MOST)]);
    let key_bytes = [1, 2, 8, 32, 64][usize::from(choices.byte()) % 5];
    let (memory, mut map) = new(key_bytes);
    let mut model = Model::new();
    let mut committed = Model::new();
    while !choices.0.is_empty() {
        match choices.byte() % 16 {
            0..=5 => {
                let key = choices.key(key_bytes, &model);
                let value = vec![choices.byte(); usize::from(choices.byte()) % 90];
                match map.insert(&key, &Entry::of(&value)) {
                    Ok(before) => {
                        let known = model.insert(key, value);
                        assert_eq!(before, known.map(|value| Entry::of(&value)));
                    }
                    Err(error) => assert_eq!(error, MapError::TooDeep),
                }
            }
            6..=8 => {
                let key = choices.key(key_bytes, &model);
                let known = model.remove(&key).map(|value| Entry::of(&value));
                assert_eq!(map.remove(&key), Ok(known));
            }
            9 => {
                let key = choices.key(key_bytes, &model);
                let expected = model.get(&key).map(|value| Entry::of(value));
                assert_eq!(map.get(&key), expected);
            }
            10 => {
                // What is staged is lost with the heap, as after a trap, or taken back.
                if choices.byte() % 2 == 0 {
                    map = reopened(&memory, key_bytes);
                } else {
                    map.discard();
                }
                model = committed.clone();
            }
            11..=12 => {
                let key = choices.key(key_bytes, &model);
                let other = choices.key(key_bytes, &model);
                map.commit();
                check_key(&map, &model, &key);
                let both = [Request::Key(&key), Request::Key(&other)];
                let tree = witness(&map, &model, &both);
                for key in [&key, &other] {
                    let absent =
                        tree.lookup_path([&key[..]]) == ic_certification::LookupResult::Absent;
                    assert_eq!(absent, !model.contains_key(key));
                }
            }
            13 => {
                let (one, other) = (
                    choices.key(key_bytes, &model),
                    choices.key(key_bytes, &model),
                );
                let kind = choices.byte();
                map.commit();
                let after = (kind & 1 == 1).then_some(&one[..]);
                let until = (kind & 2 == 2).then_some(&other[..]);
                check_range(&map, &model, after, until, 1 + usize::from(kind >> 2) % 8);
            }
            _ => drop(map.commit()),
        }
        if map.is_committed() {
            committed.clone_from(&model);
            assert_eq!(map.root_hash(), tree(&model).digest());
        } else {
            assert_eq!(map.root_hash(), tree(&committed).digest());
        }
        assert_eq!(map.len(), model.len() as u64);
    }
    map.commit();
    let map = reopened(&memory, key_bytes);
    assert_eq!(map.root_hash(), tree(&model).digest());
    let all = map.range(None, None, usize::MAX).expect("a range");
    let expected: Vec<_> = model
        .iter()
        .map(|(key, value)| (key.clone(), Entry::of(value)))
        .collect();
    assert_eq!(all, expected);
}

fn reopened(memory: &VectorMemory, key_bytes: usize) -> CertifiedMap<VectorMemory> {
    CertifiedMap::open(memory.clone(), key_bytes).expect("it opens")
}
