//! What happens to the memory: nothing leaks, nothing foreign is opened, and a full one is no catastrophe.

use ic_stable_structures::{Memory, VectorMemory};
use indus_certified::{CertifiedMap, Entry, MapError, map::OpenError, sha256};

use crate::{
    limited::Limited,
    model::{Model, insert, new, tree},
};

fn key(n: u32) -> [u8; 32] {
    sha256::digest(&n.to_be_bytes())
}

#[test]
fn slots_of_removed_keys_are_used_again() {
    let (memory, mut map) = new(32);
    let mut model = Model::new();
    for n in 0..2_000 {
        insert(&mut map, &mut model, &key(n), b"");
    }
    map.commit();
    let size = memory.size();
    for round in 1..6 {
        for n in 0..2_000 {
            let old = key((round - 1) * 2_000 + n);
            map.remove(&old).expect("removed");
            model.remove(&old[..]);
            insert(&mut map, &mut model, &key(round * 2_000 + n), b"");
            if n % 50 == 0 {
                map.commit();
            }
        }
        map.commit();
        assert_eq!(map.root_hash(), tree(&model).digest());
    }
    assert_eq!(
        memory.size(),
        size,
        "memory has grown though nothing was added"
    );
}

#[test]
fn a_map_that_was_emptied_is_as_good_as_a_new_one() {
    let (memory, mut map) = new(32);
    for n in 0..100 {
        map.insert(&key(n), &Entry::of(&[0])).expect("inserted");
    }
    map.commit();
    for n in 0..100 {
        assert_eq!(map.remove(&key(n)), Ok(Some(Entry::of(&[0]))));
    }
    assert_eq!(map.commit(), sha256::empty());
    let map = CertifiedMap::open(memory, 32).expect("it opens");
    assert!(map.is_empty());
}

#[test]
fn a_full_memory_refuses_a_key_and_keeps_the_others() {
    let none = CertifiedMap::create(Limited::to(0), 32).err();
    assert_eq!(none, Some(MapError::Full));

    let mut map = CertifiedMap::create(Limited::to(1), 32).expect("a map");
    let mut model = Model::new();
    let mut n = 0;
    let refused = loop {
        match map.insert(&key(n), &Entry::of(b"")) {
            Ok(before) => {
                assert_eq!(before, None);
                model.insert(key(n).to_vec(), Vec::new());
            }
            Err(error) => break error,
        }
        if n % 10 == 0 {
            map.commit();
        }
        n += 1;
    };
    assert_eq!(refused, MapError::Full);
    assert!(n > 400, "{n} keys took a page");
    assert_eq!(map.get(&key(n)), None);
    assert_eq!(map.commit(), tree(&model).digest());
    // Changes of what is there need no room.
    map.insert(&key(0), &Entry::of(&[9])).expect("changed");
    map.commit();
    map.remove(&key(1)).expect("removed");
    map.commit();
    map.insert(&key(n), &Entry::of(&[1]))
        .expect("there is a free slot");
    map.commit();
}

fn refusal(memory: &VectorMemory) -> OpenError {
    let before = memory.borrow().clone();
    let error = CertifiedMap::open(memory.clone(), 8)
        .err()
        .expect("refused");
    assert!(
        *memory.borrow() == before,
        "opening wrote into what it refused"
    );
    error
}

#[test]
fn foreign_newer_and_damaged_memories_are_refused_and_left_alone() {
    assert_eq!(refusal(&VectorMemory::default()), OpenError::NotAMap);
    let foreign = VectorMemory::default();
    foreign.grow(1);
    foreign.write(0, b"BTR\x01");
    assert_eq!(refusal(&foreign), OpenError::NotAMap);

    let changed = |at: u64, bytes: &[u8]| {
        let (memory, mut map) = new(8);
        map.insert(&[1; 8], &Entry::of(&[0])).expect("inserted");
        map.commit();
        memory.write(at, bytes);
        refusal(&memory)
    };
    assert_eq!(changed(3, &[2]), OpenError::UnknownVersion(2));
    let other_length = OpenError::KeyLength {
        found: 32,
        expected: 8,
    };
    assert_eq!(CertifiedMap::open(new(32).0, 8).err(), Some(other_length));
    for (at, bytes) in [
        (4, &[0, 0][..]),
        (4, &[65, 0]),
        (6, &[1]),
        (8, &[0; 8]),
        (16, &[0; 8]),
        (16, &[255; 8]),
        (24, &[1]),
        (32, &[255; 7]),
        (40, &[0; 8]),
        (40, &[255; 8]),
        (48, &[0; 8]),
        (48, &[255; 8]),
    ] {
        assert_eq!(
            changed(at, bytes),
            OpenError::Damaged,
            "byte {at} as {bytes:?}"
        );
    }
}

#[test]
fn a_key_takes_152_bytes_if_it_is_a_hash() {
    let (memory, mut map) = new(32);
    for n in 0..10_000 {
        map.insert(&key(n), &Entry::of(&[0])).expect("inserted");
    }
    map.commit();
    let pages = (96 + 10_000 * 152_u64).div_ceil(65_536);
    assert_eq!(memory.size(), pages);
}
