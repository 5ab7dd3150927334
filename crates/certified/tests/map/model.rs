//! What a map must be equal to: a sorted map, and the hash tree that the Internet Computer's own library makes of it.

use std::collections::BTreeMap;

use ic_certification::{HashTree, HashTreeNode, LookupResult, empty, fork, label, leaf};
use ic_stable_structures::{Memory, VectorMemory};
use indus_certified::{CertifiedMap, Encoder, Entry, Request};

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The whole hash tree of `entries`, built from their bits alone.
pub(crate) fn tree(entries: &Model) -> HashTree {
    let entries: Vec<_> = entries.iter().map(|(k, v)| (&k[..], &v[..])).collect();
    subtree(&entries, 0)
}

fn subtree(entries: &[(&[u8], &[u8])], bit: usize) -> HashTree {
    match entries {
        [] => empty(),
        [(key, value)] => label(*key, leaf(*value)),
        _ => {
            let ones = |(key, _): &(&[u8], &[u8])| key[bit / 8] >> (7 - bit % 8) & 1 == 0;
            let (left, right) = entries.split_at(entries.partition_point(ones));
            if left.is_empty() || right.is_empty() {
                subtree(entries, bit + 1)
            } else {
                fork(subtree(left, bit + 1), subtree(right, bit + 1))
            }
        }
    }
}

/// One thing in a row of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InRow {
    Hidden,
    Key(Vec<u8>),
}

/// The row of labels that a witness shows.
pub(crate) fn row(tree: &HashTree) -> Vec<InRow> {
    fn flatten(node: &HashTreeNode, row: &mut Vec<InRow>) {
        match node {
            HashTreeNode::Empty() | HashTreeNode::Leaf(_) => {}
            HashTreeNode::Fork(sides) => {
                flatten(&sides.0, row);
                flatten(&sides.1, row);
            }
            HashTreeNode::Labeled(label, _) => row.push(InRow::Key(label.as_bytes().to_vec())),
            HashTreeNode::Pruned(_) => row.push(InRow::Hidden),
        }
    }
    let mut found = Vec::new();
    flatten(tree.as_ref(), &mut found);
    found
}

/// The witness for `requests`, which must have the map's root.
pub(crate) fn witness<M: Memory>(
    map: &CertifiedMap<M>,
    model: &Model,
    requests: &[Request<'_>],
) -> HashTree {
    let mut encoder = Encoder::new();
    map.witness(
        requests,
        &mut |key, _| model.get(key).cloned(),
        &mut encoder,
    )
    .expect("a witness");
    let tree: HashTree = serde_cbor::from_slice(&encoder.finish()).expect("CBOR of a hash tree");
    assert_eq!(tree.digest(), map.root_hash(), "it is of another tree");
    tree
}

/// Whatever can be asked about `key` is answered as the model has it.
pub(crate) fn check_key<M: Memory>(map: &CertifiedMap<M>, model: &Model, key: &[u8]) {
    let expected = model.get(key).map(|value| Entry::of(value));
    assert_eq!(map.get(key), expected);
    let tree = witness(map, model, &[Request::Key(key)]);
    match (model.get(key), tree.lookup_path([key])) {
        (Some(value), LookupResult::Found(found)) => assert_eq!(found, &value[..]),
        (None, LookupResult::Absent) => {}
        (expected, found) => panic!("{key:02x?}: {found:?} instead of {expected:?}"),
    }
}

/// A range is shown from neighbour to neighbour, with its values.
pub(crate) fn check_range<M: Memory>(
    map: &CertifiedMap<M>,
    model: &Model,
    after: Option<&[u8]>,
    until: Option<&[u8]>,
    limit: usize,
) {
    let inside = |key: &&Vec<u8>| {
        after.is_none_or(|after| &key[..] > after) && until.is_none_or(|until| &key[..] <= until)
    };
    let all: Vec<_> = model.keys().filter(inside).cloned().collect();
    let expected = &all[..limit.min(all.len())];
    let range = map.range(after, until, limit).expect("a range");
    let keys: Vec<_> = range.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, expected);
    let tree = witness(
        map,
        model,
        &[Request::Range {
            after,
            until,
            limit,
        }],
    );
    for key in expected {
        match tree.lookup_path([&key[..]]) {
            LookupResult::Found(found) => assert_eq!(found, &model[key][..]),
            other => panic!("{key:02x?} is {other:?}"),
        }
    }
    let row = row(&tree);
    let start = row.iter().position(|one| match one {
        InRow::Key(key) => after.is_none_or(|after| &key[..] > after),
        InRow::Hidden => false,
    });
    let start = start.unwrap_or(row.len());
    let shown: Vec<_> = row[start..].iter().take(expected.len()).cloned().collect();
    let keys: Vec<_> = expected.iter().cloned().map(InRow::Key).collect();
    assert_eq!(shown, keys, "something is hidden in the range");
    // Before it: nothing, or the neighbour that proves that nothing is between.
    if let Some(before) = start.checked_sub(1) {
        assert_ne!(row[before], InRow::Hidden, "the beginning is not proved");
    }
    // Behind it, unless there is more: nothing, or the neighbour.
    if expected.len() == all.len() {
        let behind = row.get(start + expected.len());
        assert_ne!(behind, Some(&InRow::Hidden), "the end is not proved");
    }
}

/// An empty map in an empty memory.
pub(crate) fn new(key_bytes: usize) -> (VectorMemory, CertifiedMap<VectorMemory>) {
    let memory = VectorMemory::default();
    let map = CertifiedMap::create(memory.clone(), key_bytes).expect("a map");
    (memory, map)
}

/// Stages an entry in both.
pub(crate) fn insert<M: Memory>(
    map: &mut CertifiedMap<M>,
    model: &mut Model,
    key: &[u8],
    value: &[u8],
) {
    map.insert(key, &Entry::of(value)).expect("inserted");
    model.insert(key.to_vec(), value.to_vec());
}
