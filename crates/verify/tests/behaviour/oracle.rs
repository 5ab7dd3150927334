//! Agreement with the libraries that canisters and agents use: `ic-certified-map` makes the witnesses,
//! `ic-certification` and `serde_cbor` read, hash, look up and encode them once more.

use std::collections::BTreeMap;

use crate::network::{self, Network, cbor};
use ic_certification::hash_tree::LookupResult;
use ic_certification::{Certificate, HashTree as Oracle, fork, labeled, leaf, pruned};
use ic_certified_map::{AsHashTree, RbTree};
use indus_verify::{HashTree, Lookup};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// Few different labels, so that random paths meet random trees.
fn label() -> impl Strategy<Value = Vec<u8>> {
    vec(0_u8..4, 0..4)
}

fn keys() -> impl Strategy<Value = Keys> {
    btree_map(label(), vec(any::<u8>(), 0..300), 0..40)
}

/// What both say of `path` in the tree that `bytes` encode.
fn agree(bytes: &[u8], path: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let ours =
        HashTree::from_cbor(bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let oracle: Oracle = serde_cbor::from_slice(bytes).unwrap();
    prop_assert_eq!(ours.root_hash(), oracle.digest());
    match (ours.lookup(path), oracle.lookup_path(path)) {
        (Lookup::Found(ours), LookupResult::Found(oracle)) => prop_assert_eq!(ours, oracle),
        (Lookup::Absent, LookupResult::Absent) | (Lookup::Unknown, LookupResult::Unknown) => {}
        // The oracle calls what is below a leaf absent, the specification an error.
        (Lookup::NotALeaf, LookupResult::Error | LookupResult::Absent) => {}
        (ours, oracle) => return Err(TestCaseError::fail(format!("{ours:?}, but {oracle:?}"))),
    }
    Ok(())
}

/// Trees as a prover may build them: rows of labels in order, parts pruned, forks of any shape.
fn any_tree() -> impl Strategy<Value = Oracle> {
    let end = prop_oneof![
        3 => vec(any::<u8>(), 0..40).prop_map(leaf),
        1 => any::<[u8; 32]>().prop_map(pruned),
    ];
    end.prop_recursive(4, 60, 5, |below| {
        (
            btree_map(label(), below, 1..5),
            vec((any::<bool>(), any::<[u8; 32]>()), 8),
            any::<u64>(),
        )
            .prop_map(|(row, gaps, shape)| {
                let mut nodes = Vec::new();
                for ((label, below), (gap, hash)) in row.into_iter().zip(gaps) {
                    if gap {
                        nodes.push(pruned(hash));
                    }
                    nodes.push(labeled(label, below));
                }
                joined(nodes, shape)
            })
    })
}

/// Forks over `nodes`, split where the digits of `shape` say.
fn joined(mut nodes: Vec<Oracle>, shape: u64) -> Oracle {
    if nodes.len() == 1 {
        return nodes.remove(0);
    }
    let splits = u64::try_from(nodes.len()).unwrap() - 1;
    let right = nodes.split_off(usize::try_from(shape % splits).unwrap() + 1);
    fork(
        joined(nodes, shape / splits),
        joined(right, shape.rotate_left(17)),
    )
}

/// A change of an encoding.
#[derive(Clone, Debug)]
enum Edit {
    Set(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Copy(usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<(usize, Edit)>> {
    let interesting = prop_oneof![
        any::<u8>(),
        Just(0x81),
        Just(0x82),
        Just(0x83),
        Just(0x40),
        Just(0x58),
        0_u8..5
    ];
    let edit = prop_oneof![
        interesting.clone().prop_map(Edit::Set),
        vec(interesting, 1..6).prop_map(Edit::Insert),
        (1_usize..40).prop_map(Edit::Remove),
        (any::<usize>(), 1_usize..80).prop_map(|(from, length)| Edit::Copy(from, length)),
    ];
    vec((any::<usize>(), edit), 1..4)
}

fn edited(mut bytes: Vec<u8>, edits: &[(usize, Edit)]) -> Vec<u8> {
    for (at, edit) in edits {
        let at = at % bytes.len().max(1);
        let end = |length: usize| (at + length).min(bytes.len());
        match edit {
            _ if bytes.is_empty() => break,
            Edit::Set(byte) => bytes[at] = *byte,
            Edit::Insert(inserted) => drop(bytes.splice(at..at, inserted.iter().copied())),
            Edit::Remove(length) => drop(bytes.drain(at..end(*length))),
            Edit::Copy(from, length) => {
                let from = from % bytes.len();
                let copied = bytes[from..(from + length).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, copied));
            }
        }
    }
    bytes
}

/// If `bytes` are accepted, they are what the oracle encodes, and mean the same to it.
fn canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(ours) = HashTree::from_cbor(bytes) {
        let oracle: Oracle = serde_cbor::from_slice(bytes).unwrap();
        prop_assert_eq!(cbor(&oracle), bytes);
        prop_assert_eq!(ours.root_hash(), oracle.digest());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_witness_of_a_certified_map_proves_what_the_map_holds(keys in keys(), asked in label(), other in label()) {
        let mut map = RbTree::new();
        for (key, value) in &keys {
            map.insert(key.clone(), value.clone());
        }
        let bytes = cbor(&ic_certified_map::labeled(b"data", map.witness(&asked)));
        let tree = HashTree::from_cbor(&bytes).unwrap();
        prop_assert_eq!(tree.root_hash(), ic_certified_map::labeled_hash(b"data", &map.root_hash()));
        let proved = keys.get(&asked).map_or(Lookup::Absent, |value| Lookup::Found(value));
        prop_assert_eq!(tree.lookup(&[b"data".as_slice(), &asked]), proved);
        agree(&bytes, &[b"data".to_vec(), asked.clone()])?;
        agree(&bytes, &[b"data".to_vec(), other.clone()])?;
        // About other keys it may be silent, but it never says what isn't so.
        match tree.lookup(&[b"data".as_slice(), &other]) {
            Lookup::Found(value) => prop_assert_eq!(keys.get(&other).map(Vec::as_slice), Some(value)),
            Lookup::Absent => prop_assert!(!keys.contains_key(&other)),
            Lookup::Unknown | Lookup::NotALeaf => {}
        }
    }

    #[test]
    fn a_witness_of_a_range_of_keys_proves_each_of_them(keys in keys(), first in label(), last in label()) {
        prop_assume!(first <= last);
        let mut map = RbTree::new();
        for (key, value) in &keys {
            map.insert(key.clone(), value.clone());
        }
        let bytes = cbor(&map.value_range(&first, &last));
        let tree = HashTree::from_cbor(&bytes).unwrap();
        prop_assert_eq!(tree.root_hash(), map.root_hash());
        for (key, value) in keys.range(first..=last) {
            prop_assert_eq!(tree.lookup(&[key]), Lookup::Found(value));
        }
    }

    #[test]
    fn lookups_agree_in_any_tree(tree in any_tree(), paths in vec(vec(label(), 0..4), 20)) {
        let bytes = cbor(&tree);
        canonical(&bytes)?;
        for path in tree.list_paths() {
            let path: Vec<Vec<u8>> = path.iter().map(|label| label.as_bytes().to_vec()).collect();
            prop_assert!(matches!(HashTree::from_cbor(&bytes).unwrap().lookup(&path), Lookup::Found(_)));
            agree(&bytes, &path)?;
        }
        for path in paths {
            agree(&bytes, &path)?;
        }
    }

    #[test]
    fn a_changed_tree_is_refused_or_is_another_canonical_one(tree in any_tree(), edits in edits()) {
        canonical(&edited(cbor(&tree), &edits))?;
    }

    #[test]
    fn any_bytes_are_refused_or_are_a_canonical_tree(bytes in vec(prop_oneof![any::<u8>(), 0x80_u8..0x84, 0_u8..5, 0x40_u8..0x44], 0..200)) {
        canonical(&bytes)?;
        canonical(&[&[0xd9, 0xd9, 0xf7], bytes.as_slice()].concat())?;
    }

    #[test]
    fn any_bytes_are_no_certificate(bytes in vec(any::<u8>(), 0..400)) {
        let network = Network::new();
        prop_assert!(network.verify_bytes(&bytes).is_err());
        let delegated = Certificate {
            tree: network::tree(&network.state),
            signature: vec![0; 48],
            delegation: Some(ic_certification::Delegation { subnet_id: bytes[..bytes.len().min(29)].to_vec(), certificate: bytes }),
        };
        prop_assert!(network.verify_bytes(&cbor(&delegated)).is_err());
    }
}

proptest! {
    // Each case that parses costs a signature check.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_certificate_is_refused(edits in edits()) {
        let network = Network::new();
        let certificate = network.certificate();
        let changed = edited(certificate.clone(), &edits);
        prop_assume!(changed != certificate);
        prop_assert!(network.verify_bytes(&changed).is_err());
    }

    #[test]
    fn what_is_accepted_is_encoded_to_the_same_bytes_again(certified in keys()) {
        let mut network = Network::new();
        for (key, value) in certified {
            network.state.insert(network::path(&[b"request_status", &key, b"reply"]), value);
        }
        let bytes = network.certificate();
        prop_assert!(network.verify_bytes(&bytes).is_ok());
        let decoded: Certificate = serde_cbor::from_slice(&bytes).unwrap();
        prop_assert_eq!(&cbor(&decoded), &bytes);
        let inner = decoded.delegation.unwrap().certificate;
        prop_assert_eq!(cbor(&serde_cbor::from_slice::<Certificate>(&inner).unwrap()), inner);
    }
}
