//! Single promises.

use ic_certification::LookupResult;
use indus_certified::{Encoder, Entry, MapError, Request, map::MAX_HEIGHT};

use crate::model::{InRow, Model, check_key, check_range, insert, new, row, tree, witness};

fn id(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

#[test]
fn an_empty_map_proves_everything_absent() {
    let (_, map) = new(8);
    let model = Model::new();
    check_key(&map, &model, &id(7));
    check_range(&map, &model, None, None, 10);
    assert_eq!(map.root_hash(), tree(&model).digest());
}

#[test]
fn what_is_staged_is_seen_and_certified_with_the_commit_only() {
    let (_, mut map) = new(8);
    let mut model = Model::new();
    let before = map.root_hash();
    insert(&mut map, &mut model, &id(1), b"one");
    insert(&mut map, &mut model, &id(2), b"two");
    assert_eq!(map.get(&id(1)), Some(Entry::of(b"one")));
    assert_eq!(map.len(), 2);
    assert_eq!(map.root_hash(), before);
    assert!(!map.is_committed());
    let refused = map.witness(&[], &mut |_, _| None, &mut Encoder::new());
    assert_eq!(refused, Err(MapError::Uncommitted));
    assert_eq!(map.commit(), tree(&model).digest());
    assert!(map.is_committed());
}

#[test]
fn putting_the_same_value_again_is_no_change() {
    let (_, mut map) = new(8);
    let mut model = Model::new();
    insert(&mut map, &mut model, &id(1), b"one");
    map.commit();
    insert(&mut map, &mut model, &id(1), b"one");
    assert!(map.is_committed());
}

#[test]
fn all_is_proved_of_every_place_between_a_thousand_keys() {
    let (_, mut map) = new(8);
    let mut model = Model::new();
    for n in 1..=1_000 {
        insert(&mut map, &mut model, &id(3 * n), &id(n));
    }
    map.commit();
    for n in (0..3_010).step_by(7) {
        check_key(&map, &model, &id(n));
        check_range(&map, &model, Some(&id(n)), Some(&id(n + 20)), 100);
        check_range(&map, &model, Some(&id(n)), None, 5);
        check_range(&map, &model, None, Some(&id(n)), 5);
    }
}

#[test]
fn keys_of_another_length_are_absent_and_refused() {
    let (_, mut map) = new(8);
    let mut model = Model::new();
    for n in 0..20 {
        insert(&mut map, &mut model, &id(n << 56 | n), b"");
    }
    map.commit();
    let long = [id(5 << 56 | 5), id(0)].concat();
    for key in [&[][..], &[5], &[5, 0, 0, 0, 0, 0, 0], &long, &[255; 64]] {
        let tree = witness(&map, &model, &[Request::Key(key)]);
        assert_eq!(tree.lookup_path([key]), LookupResult::Absent, "{key:?}");
        let refused = MapError::KeyLength {
            found: key.len(),
            expected: 8,
        };
        assert_eq!(map.get(key), None);
        assert_eq!(map.insert(key, &Entry::of(&[0])), Err(refused));
        assert_eq!(map.remove(key), Err(refused));
        assert_eq!(map.range(Some(key), None, 1), Err(refused));
    }
}

#[test]
fn a_key_shown_without_its_value_hides_nothing_else() {
    let (_, mut map) = new(8);
    let mut model = Model::new();
    for n in 0..9 {
        insert(&mut map, &mut model, &id(n), b"secret");
    }
    map.commit();
    let mut encoder = Encoder::new();
    let request = Request::Range {
        after: None,
        until: None,
        limit: 100,
    };
    map.witness(&[request], &mut |_, _| None, &mut encoder)
        .expect("a witness");
    let bytes = encoder.finish();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    let tree: ic_certification::HashTree = serde_cbor::from_slice(&bytes).expect("a hash tree");
    assert_eq!(tree.digest(), map.root_hash());
    let keys: Vec<_> = model.keys().cloned().map(InRow::Key).collect();
    assert_eq!(row(&tree), keys);
}

/// A key that has all bits in common with the all-zero one up to `bit`.
fn zeros_up_to(bit: usize) -> [u8; 32] {
    let mut key = [0; 32];
    key[bit / 8] = 0x80 >> (bit % 8);
    key
}

#[test]
fn crafted_keys_are_refused_where_the_tree_would_become_too_deep() {
    let highest = usize::from(MAX_HEIGHT);
    for order in [true, false] {
        let (memory, mut map) = new(32);
        let mut model = Model::new();
        insert(&mut map, &mut model, &[0; 32], b"0");
        for n in 0..highest {
            // Each new key makes the chain longer at its end, or at its beginning.
            let bit = if order { n } else { 200 - n };
            insert(&mut map, &mut model, &zeros_up_to(bit), b"1");
            if n % 10 == 0 {
                map.commit();
            }
        }
        map.commit();
        let before = (memory.borrow().clone(), map.root_hash());
        for bit in [100, 110, 201, 255] {
            if model.contains_key(&zeros_up_to(bit)[..]) {
                continue;
            }
            let refused = map.insert(&zeros_up_to(bit), &Entry::of(&[1]));
            assert_eq!(refused, Err(MapError::TooDeep), "bit {bit}");
        }
        assert!(map.is_committed());
        assert!(
            (memory.borrow().clone(), map.commit()) == before,
            "a refused key has changed something"
        );
        assert_eq!(map.root_hash(), tree(&model).digest());
        // A way out: one key less, one other more.
        map.remove(&zeros_up_to(if order { 5 } else { 195 }))
            .expect("removed");
        map.insert(&zeros_up_to(220), &Entry::of(&[1]))
            .expect("there is room again");
    }
}

#[test]
fn a_deepest_witness_is_one_that_clients_decode() {
    let (_, mut map) = new(32);
    let mut model = Model::new();
    insert(&mut map, &mut model, &[0; 32], b"0");
    for bit in 0..usize::from(MAX_HEIGHT) {
        insert(&mut map, &mut model, &zeros_up_to(bit), b"1");
    }
    map.commit();
    check_key(&map, &model, &[0; 32]);
    check_key(&map, &model, &[255; 32]);
}
