//! What one witness proves: many keys, absence, hashes of subtrees, and stretches of a collection without a gap.

use crate::patricia;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::network::{Network, cbor};
use ic_certification::{HashTree, empty, fork, labeled, leaf, pruned};
use ic_certified_map::RbTree;
use indus_verify::{Page, VerifiedWitness, VerifyError, leaf_hash};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

const ROW: [&[u8]; 2] = [b"data", b"seats"];

/// What stands below `data`/`seats`, and a collection beside it.
fn around(row: HashTree) -> HashTree {
    let beside = labeled("grants", labeled([1], leaf("beside")));
    labeled("data", fork(beside, labeled("seats", row)))
}

fn verified(row: HashTree) -> VerifiedWitness {
    let tree = around(row);
    Network::certifying(tree.digest())
        .witness(&cbor(&tree))
        .unwrap()
}

/// Keys 0, 10, 20, … of two bytes.
fn tens(count: u8) -> Contents {
    (0..count).map(|n| (vec![0, 10 * n], vec![n; 5])).collect()
}

fn labels(page: &Page<'_>) -> Vec<u8> {
    page.entries.iter().map(|entry| entry.label[1]).collect()
}

fn hidden(after: Option<&str>) -> VerifyError {
    VerifyError::Hidden {
        path: String::from("/data/seats"),
        after: after.map(String::from),
    }
}

#[test]
fn one_witness_proves_many_keys_present_and_absent() {
    let contents = tens(12);
    let entries = patricia::leaves(&contents);
    let shown = |key: &[u8]| [20, 70, 80, 110].contains(&key[1]);
    let witness = verified(patricia::showing(&entries, shown));
    for number in [20_u8, 70, 80, 110] {
        let path = [ROW[0], ROW[1], &[0, number]];
        assert_eq!(witness.leaf(&path).unwrap(), contents[path[2]]);
        assert!(matches!(
            witness.absent(&path),
            Err(VerifyError::Present { .. })
        ));
    }
    for (number, known) in [
        (75, true),
        (115, true),
        (25, false),
        (0, false),
        (90, false),
    ] {
        let path = [ROW[0], ROW[1], &[0, number]];
        match witness.absent(&path) {
            Ok(()) => assert!(known, "{number}"),
            Err(error) => {
                assert!(matches!(error, VerifyError::Unknown { .. }), "{error}");
                assert!(!known, "{number}");
            }
        }
    }
}

#[test]
fn absence_is_refused_where_there_is_something_or_may_be() {
    let witness = verified(patricia::whole(&patricia::leaves(&tens(2))));
    let path = |labels: &[&[u8]]| witness.absent(labels);
    assert_eq!(path(&[b"log"]), Ok(()));
    assert_eq!(path(&[b"data", b"unknown", b"key"]), Ok(()));
    for present in [
        &[] as &[&[u8]],
        &[b"data"],
        &ROW,
        &[ROW[0], ROW[1], &[0, 10]],
    ] {
        assert!(matches!(path(present), Err(VerifyError::Present { .. })));
    }
    let below = path(&[ROW[0], ROW[1], &[0, 10], b"below"]);
    assert!(matches!(below, Err(VerifyError::NotALeaf { .. })));
    let nothing = verified(empty());
    assert_eq!(nothing.absent(&ROW), Ok(()));
    let unknown = verified(pruned([1; 32]));
    assert!(matches!(
        unknown.absent(&ROW),
        Err(VerifyError::Unknown { .. })
    ));
}

#[test]
fn the_hash_of_a_subtree_is_the_same_shown_or_pruned() {
    let entries = patricia::leaves(&tens(7));
    let row = patricia::whole(&entries);
    for witness in [
        verified(row.clone()),
        verified(pruned(row.digest())),
        verified(patricia::showing(&entries, |key| key[1] == 30)),
    ] {
        assert_eq!(witness.subtree_hash(&ROW).unwrap(), row.digest());
        assert_eq!(
            witness.subtree_hash::<&[u8]>(&[]).unwrap(),
            around(row.clone()).digest()
        );
        assert_eq!(
            witness.subtree_hash(&[b"data".as_slice(), b"grants", &[1]]),
            Ok(leaf_hash(b"beside"))
        );
        let absent = witness.subtree_hash(&[ROW[0], b"other"]);
        assert!(matches!(absent, Err(VerifyError::Absent { .. })));
    }
    let hidden = verified(pruned([1; 32])).subtree_hash(&[ROW[0], ROW[1], &[0, 0]]);
    assert!(matches!(hidden, Err(VerifyError::Unknown { .. })));
}

#[test]
fn pages_that_follow_one_another_are_the_whole_collection() {
    let contents = tens(20);
    let entries = patricia::leaves(&contents);
    let keys: Vec<&Vec<u8>> = contents.keys().collect();
    let certificate = Network::certifying(around(patricia::whole(&entries)).digest());
    let mut read: Contents = BTreeMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        // What a canister shows for a page of seven: the last key of the page before, and seven more.
        let from = after
            .as_ref()
            .map_or(0, |after| keys.binary_search(&after).unwrap());
        let shown = &keys[from..(from + 8).min(keys.len())];
        let tree = around(patricia::showing(&entries, |key| {
            shown.contains(&&key.to_vec())
        }));
        let witness = certificate.witness(&cbor(&tree)).unwrap();
        let page = witness
            .entries(&ROW, after.as_deref(), Bound::Unbounded)
            .unwrap();
        for entry in &page.entries {
            let leaf = entry.leaf.unwrap();
            assert_eq!(entry.hash, leaf_hash(leaf));
            read.insert(entry.label.to_vec(), leaf.to_vec());
        }
        if page.end {
            break;
        }
        after = Some(page.entries.last().unwrap().label.to_vec());
    }
    assert_eq!(read, contents);
}

#[test]
fn a_page_says_whether_the_collection_ends_with_it() {
    let contents = tens(10);
    let entries = patricia::leaves(&contents);
    let witness = verified(patricia::showing(&entries, |key| {
        (30..=60).contains(&key[1])
    }));
    let page = |after: u8, until| witness.entries(&ROW, Some(&[0, after]), until);
    let open = page(30, Bound::Unbounded).unwrap();
    assert_eq!((labels(&open), open.end), (vec![40, 50, 60], false));
    // Between 30 and 40 nothing is hidden, so 35 will do; between what is before 30 and 30 there may be something.
    assert_eq!(labels(&page(35, Bound::Unbounded).unwrap()), [40, 50, 60]);
    assert_eq!(page(25, Bound::Unbounded), Err(hidden(Some("0x0019"))));
    assert_eq!(
        witness.entries(&ROW, None, Bound::Unbounded),
        Err(hidden(None))
    );
    assert_eq!(page(60, Bound::Unbounded), Err(hidden(Some("0x003c"))));

    let last = verified(patricia::showing(&entries, |key| key[1] >= 70));
    let page = last
        .entries(&ROW, Some(&[0, 70]), Bound::Unbounded)
        .unwrap();
    assert_eq!((labels(&page), page.end), (vec![80, 90], true));
    let page = last
        .entries(&ROW, Some(&[0, 90]), Bound::Unbounded)
        .unwrap();
    assert_eq!((labels(&page), page.end), (vec![], true));
}

#[test]
fn a_range_is_proved_up_to_its_bound_whatever_is_behind_it() {
    let contents = tens(10);
    let entries = patricia::leaves(&contents);
    let witness = verified(patricia::showing(&entries, |key| {
        (30..=60).contains(&key[1])
    }));
    let range = |until: Bound<u8>| {
        let key = until.map(|number| [0, number]);
        let page = witness.entries(&ROW, Some(&[0, 30]), key.as_ref().map(|key| &key[..]))?;
        assert!(!page.end);
        Ok(labels(&page))
    };
    assert_eq!(range(Bound::Included(60)), Ok(vec![40, 50, 60]));
    assert_eq!(range(Bound::Excluded(60)), Ok(vec![40, 50]));
    assert_eq!(range(Bound::Included(55)), Ok(vec![40, 50]));
    assert_eq!(range(Bound::Included(31)), Ok(vec![]));
    assert_eq!(range(Bound::Included(30)), Ok(vec![]));
    assert_eq!(range(Bound::Included(61)), Err(hidden(Some("0x003c"))));
    assert_eq!(range(Bound::Excluded(61)), Err(hidden(Some("0x003c"))));
}

#[test]
fn an_entry_may_show_its_key_alone() {
    let contents = tens(3);
    let keys: Vec<(Vec<u8>, HashTree)> = contents
        .iter()
        .map(|(key, contents)| (key.clone(), pruned(leaf_hash(contents))))
        .collect();
    let witness = verified(patricia::whole(&keys));
    let page = witness.entries(&ROW, None, Bound::Unbounded).unwrap();
    assert!(page.end);
    for (entry, (key, contents)) in page.entries.iter().zip(&contents) {
        assert_eq!(entry.label, key);
        assert_eq!(entry.leaf, None);
        assert_eq!(entry.hash, leaf_hash(contents));
    }
    assert_eq!(page.entries.len(), contents.len());
}

#[test]
fn an_empty_collection_is_a_page_and_an_absent_or_pruned_one_is_not() {
    let page = |row| {
        let witness = verified(row);
        let page = witness.entries(&ROW, None, Bound::Unbounded);
        page.map(|page| (page.entries.len(), page.end))
    };
    assert_eq!(page(empty()), Ok((0, true)));
    assert_eq!(page(pruned([1; 32])), Err(hidden(None)));
    assert!(matches!(
        page(leaf("leaf")),
        Err(VerifyError::NotALeaf { .. })
    ));
    let witness = verified(empty());
    let absent = witness.entries(&[ROW[0], b"none"], None, Bound::Unbounded);
    assert!(matches!(absent, Err(VerifyError::Absent { .. })));
}

/// Ways to give the bounds of a page.
fn until() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

/// Few different keys, so that random bounds meet random entries.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![0_u8..3, 126..130_u8], 2)
}

fn contents() -> impl Strategy<Value = Contents> {
    btree_map(key(), vec(any::<u8>(), 0..3), 0..20)
}

/// Whether `page` is what `contents` have behind `after` up to where it says that it goes.
fn is_true(
    page: &Page<'_>,
    contents: &Contents,
    after: Option<&Vec<u8>>,
    until: &Bound<Vec<u8>>,
) -> Result<(), TestCaseError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let behind = || {
        contents
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
    };
    let last = page.entries.last().map(|entry| entry.label.to_vec());
    let within: Vec<_> = behind()
        .filter(|(key, _)| match until {
            Bound::Included(last) => *key <= last,
            Bound::Excluded(first) => *key < first,
            Bound::Unbounded => page.end || last.as_ref().is_some_and(|last| *key <= last),
        })
        .collect();
    let read: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.label.to_vec())
        .collect();
    let keys: Vec<_> = within.iter().map(|(key, _)| (*key).clone()).collect();
    prop_assert_eq!(read, keys, "{:?} {:?}", start, until);
    for (entry, (_, contents)) in page.entries.iter().zip(within) {
        prop_assert_eq!(entry.leaf.unwrap_or(contents), contents);
        prop_assert_eq!(entry.hash, leaf_hash(contents));
    }
    if page.end {
        let read = last.or(after.cloned());
        prop_assert!(behind().all(|(key, _)| read.as_ref().is_some_and(|read| key <= read)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_is_pruned_no_page_is_untrue(
        contents in contents(), after in proptest::option::of(key()), until in until(),
        pruned_nodes in vec(any::<u64>(), 8),
    ) {
        let entries = patricia::leaves(&contents);
        let certificate = Network::certifying(around(patricia::whole(&entries)).digest());
        let bounds = (after.as_deref(), until.as_ref().map(Vec::as_slice));
        let whole = certificate.witness(&cbor(&around(patricia::whole(&entries)))).unwrap();
        is_true(&whole.entries(&ROW, bounds.0, bounds.1).unwrap(), &contents, after.as_ref(), &until)?;
        for mut mask in pruned_nodes {
            let row = patricia::tree(&entries, &mut |_| {
                mask = mask.rotate_left(1);
                mask & 3 != 3
            });
            let witness = certificate.witness(&cbor(&around(row))).unwrap();
            match witness.entries(&ROW, bounds.0, bounds.1) {
                Ok(page) => is_true(&page, &contents, after.as_ref(), &until)?,
                Err(error) => prop_assert!(
                    matches!(error, VerifyError::Hidden { .. } | VerifyError::Unknown { .. }), "{}", error
                ),
            }
        }
    }

    #[test]
    fn a_page_with_any_node_of_its_row_pruned_is_refused(contents in contents(), first in any::<usize>(), length in 1_usize..8) {
        prop_assume!(contents.len() > 1);
        let entries = patricia::leaves(&contents);
        let keys: Vec<&Vec<u8>> = contents.keys().collect();
        let first = first % (keys.len() - 1);
        let page = &keys[first..(first + 1 + length).min(keys.len())];
        let (after, last) = (page[0], page[page.len() - 1]);
        let wanted = |key: &[u8]| page.contains(&&key.to_vec());
        let certificate = Network::certifying(around(patricia::whole(&entries)).digest());
        let honest = certificate.witness(&cbor(&around(patricia::showing(&entries, wanted)))).unwrap();
        let bounds = (Some(after.as_slice()), Bound::Included(last.as_slice()));
        let read = honest.entries(&ROW, bounds.0, bounds.1).unwrap();
        prop_assert_eq!(read.entries.len(), page.len() - 1);
        let mut nodes = 0;
        patricia::tree(&entries, &mut |below| {
            nodes += usize::from(below.iter().any(|(key, _)| wanted(key)));
            true
        });
        for node in 0..nodes {
            let (mut seen, mut hides) = (0, false);
            let row = patricia::tree(&entries, &mut |below| {
                if !below.iter().any(|(key, _)| wanted(key)) {
                    return false;
                }
                seen += 1;
                let prune = seen - 1 == node;
                hides |= prune && below.iter().any(|(key, _)| key > after && key <= last);
                !prune
            });
            let witness = certificate.witness(&cbor(&around(row))).unwrap();
            let read = witness.entries(&ROW, bounds.0, bounds.1);
            if hides {
                prop_assert!(matches!(read, Err(VerifyError::Hidden { .. })), "node {}", node);
            } else {
                // Only the key before the page was hidden; what follows it may then be, too.
                prop_assert!(read.is_err() || read.unwrap().entries.len() == page.len() - 1);
            }
        }
    }

    #[test]
    fn a_range_of_a_certified_map_is_a_page(contents in contents(), first in key(), last in key()) {
        prop_assume!(first <= last);
        let mut map = RbTree::new();
        for (key, value) in &contents {
            map.insert(key.clone(), value.clone());
        }
        let row = serde_cbor::from_slice(&cbor(&map.value_range(&first, &last))).unwrap();
        let witness = verified(row);
        // The map shows the keys around the range as well.
        let until = Bound::Included(last.as_slice());
        let page = witness.entries(&ROW, Some(&first), until).unwrap();
        is_true(&page, &contents, Some(&first), &Bound::Included(last.clone()))?;
        prop_assert!(page.entries.iter().all(|entry| entry.leaf.is_some()));
    }
}
