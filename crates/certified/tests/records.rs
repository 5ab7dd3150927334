//! Records against a plain map: what was put is found, what was replaced leaves nothing behind, and a change can be taken
//! back until it is finished.

mod limited;

use std::collections::BTreeMap;

use ic_certification::{HashTree, LookupResult};
use ic_stable_structures::{Memory, VectorMemory};
use indus_certified::{CertifiedRecords, Encoder, MapError, Request, map::OpenError, sha256};
use proptest::{collection::vec, prelude::*};

use limited::Limited;

type Records = CertifiedRecords<VectorMemory>;

fn new() -> (VectorMemory, VectorMemory, Records) {
    let (map, values) = (VectorMemory::default(), VectorMemory::default());
    let records = Records::create(map.clone(), values.clone(), 8).expect("records");
    (map, values, records)
}

fn key(n: u8) -> [u8; 8] {
    u64::from(n).to_be_bytes()
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<u8>),
    Remove(u8),
    TakeBack(u8, Option<usize>),
    Commit,
    Reopen,
}

fn steps() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        4 => vec(any::<u8>(), 0..200),
        1 => vec(any::<u8>(), 0..5_000),
    ];
    prop_oneof![
        8 => (0_u8..20, value).prop_map(|(n, value)| Step::Put(n, value)),
        3 => (0_u8..20).prop_map(Step::Remove),
        2 => (0_u8..20, any::<Option<u8>>()).prop_map(|(n, length)| Step::TakeBack(n, length.map(usize::from))),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

fn witness(records: &Records, key: &[u8]) -> HashTree {
    let mut encoder = Encoder::new();
    records
        .witness(&[Request::Key(key)], &|_| true, &mut encoder)
        .expect("a witness");
    let tree: HashTree = serde_cbor::from_slice(&encoder.finish()).expect("a hash tree");
    assert_eq!(tree.digest(), records.map().root_hash());
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn records_are_those_of_a_plain_map(steps in vec(steps(), 1..80)) {
        let (map, values, mut records) = new();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(n, value) => {
                    records.put(&key(n), Some(&value)).expect("put");
                    model.insert(key(n), value);
                }
                Step::Remove(n) => {
                    records.put(&key(n), None).expect("removed");
                    model.remove(&key(n));
                }
                Step::TakeBack(n, length) => {
                    let leaf = length.map(|length| ([7; 32], length));
                    let staged = records.stage(&key(n), leaf).expect("staged");
                    prop_assert_eq!(staged.replaces(), model.contains_key(&key(n)));
                    records.restore(&key(n), &staged);
                }
                Step::Commit => drop(records.commit()),
                Step::Reopen => {
                    let root = records.commit();
                    records = Records::open(map.clone(), values.clone(), 8).expect("it opens");
                    prop_assert_eq!(records.map().root_hash(), root);
                }
            }
            for n in 0..20 {
                prop_assert_eq!(records.get(&key(n)), model.get(&key(n)).cloned());
            }
        }
        records.commit();
        for n in 0..20 {
            let tree = witness(&records, &key(n));
            match (model.get(&key(n)), tree.lookup_path([&key(n)[..]])) {
                (Some(value), LookupResult::Found(found)) => prop_assert_eq!(found, &value[..]),
                (None, LookupResult::Absent) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
        let all: Vec<_> = records.after(None).collect();
        let expected: Vec<_> = model.into_iter().map(|(key, value)| (key.to_vec(), value)).collect();
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn what_was_replaced_or_removed_is_in_no_byte_of_the_memory() {
    let (_, values, mut records) = new();
    let secret = b"a secret that nobody may find in a snapshot of the memory";
    let holds = |part: &[u8]| {
        values
            .borrow()
            .windows(part.len())
            .any(|window| window == part)
    };
    for successor in [Some(&b"shorter"[..]), Some(&[1; 300]), None] {
        records.put(&key(1), Some(secret)).expect("put");
        records.commit();
        assert!(holds(secret));
        records.put(&key(1), successor).expect("replaced");
        records.commit();
        // Its slot is used again, or was erased.
        assert!(!holds(&secret[8..]), "{successor:?}");
    }
}

#[test]
fn changing_records_again_and_again_takes_no_more_memory() {
    let (map, values, mut records) = new();
    let fill = |records: &mut Records, round: u8| {
        for n in 0_u8..200 {
            let length = 40 + usize::from(n.wrapping_mul(37) ^ round) % 400;
            records
                .put(&key(n), Some(&vec![round; length]))
                .expect("put");
        }
        records.commit();
    };
    (0..4).for_each(|round| fill(&mut records, round));
    let sizes = (map.size(), values.size());
    (4..40).for_each(|round| fill(&mut records, round));
    // Size classes settle; a few slots more are no leak.
    assert!(values.size() <= sizes.1 + 2 && map.size() == sizes.0);
}

#[test]
fn a_full_memory_refuses_a_value_when_it_is_staged() {
    let mut records =
        CertifiedRecords::create(Limited::to(10), Limited::to(1), 8).expect("records");
    let large = (sha256::leaf(&[1; 40_000]), 40_000);
    let first = records
        .stage(&key(1), Some(large))
        .expect("there is room for one");
    assert_eq!(records.stage(&key(2), Some(large)), Err(MapError::Full));
    records
        .finish(&key(1), Some(&[1; 40_000]), &first)
        .expect("finished");
    records.commit();
    assert_eq!(records.get(&key(1)), Some(vec![1; 40_000]));
    assert_eq!(records.get(&key(2)), None);
}

#[test]
fn memories_of_something_else_are_refused_and_left_alone() {
    let (map, values, mut records) = new();
    records.put(&key(1), Some(b"one")).expect("put");
    records.commit();
    let refused = |map: &VectorMemory, values: &VectorMemory| {
        let before = (map.borrow().clone(), values.borrow().clone());
        let error = Records::open(map.clone(), values.clone(), 8)
            .err()
            .expect("refused");
        assert!((map.borrow().clone(), values.borrow().clone()) == before);
        error
    };
    assert_eq!(
        refused(&VectorMemory::default(), &values),
        OpenError::NotAMap
    );
    assert_eq!(refused(&map, &VectorMemory::default()), OpenError::Damaged);
    assert_eq!(refused(&map, &map), OpenError::Damaged);
    values.write(0, b"INDLOG-P");
    assert_eq!(refused(&map, &values), OpenError::Damaged);
}
