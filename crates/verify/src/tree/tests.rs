//! What a hash tree may look like, and what it proves.

use super::*;

/// `[1, …` n times: forks with an empty left side, and what ends them.
fn forks(count: usize, end: &[u8]) -> Vec<u8> {
    let mut bytes = TAG.to_vec();
    for _ in 0..count {
        bytes.extend([0x83, 1, 0x81, 0]);
    }
    bytes.extend(end);
    bytes
}

const TAG: [u8; 3] = [0xd9, 0xd9, 0xf7];
const EMPTY_NODE: [u8; 2] = [0x81, 0];

fn tree(body: &[u8]) -> Result<HashTree, Fault> {
    HashTree::from_cbor(&[TAG.as_slice(), body].concat()).map_err(|malformed| malformed.fault)
}

fn labeled(label: u8, below: &[u8]) -> Vec<u8> {
    [&[0x83, 2, 0x41, label], below].concat()
}

fn leaf(content: u8) -> Vec<u8> {
    vec![0x82, 3, 0x41, content]
}

fn pruned() -> Vec<u8> {
    [&[0x82, 4, 0x58, 32][..], &[7; 32]].concat()
}

fn fork(left: &[u8], right: &[u8]) -> Vec<u8> {
    [&[0x83, 1], left, right].concat()
}

#[test]
fn the_greatest_depth_is_accepted_and_one_more_is_not() {
    assert!(HashTree::from_cbor(&forks(MAX_DEPTH - 1, &EMPTY_NODE)).is_ok());
    let fault = HashTree::from_cbor(&forks(MAX_DEPTH, &EMPTY_NODE))
        .unwrap_err()
        .fault;
    assert_eq!(fault, Fault::TooDeep);
    let nested = |count| (0..count).fold(leaf(1), |below, _| labeled(1, &below));
    assert!(tree(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(tree(&nested(MAX_DEPTH)).unwrap_err(), Fault::TooDeep);
}

#[test]
fn a_million_open_forks_or_labels_are_refused_early() {
    let fault = HashTree::from_cbor(&forks(1 << 20, &[])[..MAX_TREE_BYTES]).unwrap_err();
    assert_eq!(fault.fault, Fault::TooDeep);
    let left = [TAG.to_vec(), [0x83, 1].repeat(1 << 20)].concat();
    assert_eq!(
        HashTree::from_cbor(&left).unwrap_err().fault,
        Fault::TooDeep
    );
    let labels = [TAG.to_vec(), [0x83, 2, 0x40].repeat(1 << 20)].concat();
    assert_eq!(
        HashTree::from_cbor(&labels).unwrap_err().fault,
        Fault::TooDeep
    );
}

#[test]
fn labels_must_increase_from_left_to_right_across_forks() {
    let (a, b, c) = (
        labeled(1, &leaf(0)),
        labeled(2, &leaf(0)),
        labeled(3, &leaf(0)),
    );
    assert!(tree(&fork(&fork(&a, &b), &c)).is_ok());
    assert!(tree(&fork(&a, &fork(&b, &c))).is_ok());
    assert!(tree(&fork(&a, &fork(&pruned(), &c))).is_ok());
    for unordered in [
        fork(&b, &a),
        fork(&a, &a),
        fork(&fork(&a, &c), &b),
        fork(&b, &fork(&pruned(), &a)),
        fork(&a, &fork(&EMPTY_NODE, &a)),
        labeled(9, &fork(&b, &a)),
    ] {
        assert_eq!(tree(&unordered).unwrap_err(), Fault::UnorderedLabels);
    }
    // A row below a label starts afresh, and the row above goes on where it was.
    assert!(tree(&fork(&labeled(2, &a), &c)).is_ok());
    assert_eq!(
        tree(&fork(&labeled(2, &c), &b)).unwrap_err(),
        Fault::UnorderedLabels
    );
}

#[test]
fn a_leaf_with_siblings_is_refused() {
    for siblings in [
        fork(&leaf(1), &EMPTY_NODE),
        fork(&labeled(1, &leaf(0)), &leaf(1)),
    ] {
        assert_eq!(tree(&siblings).unwrap_err(), Fault::LeafInFork);
    }
}

#[test]
fn a_label_next_to_something_pruned_is_neither_found_nor_absent() {
    let (one, five) = (labeled(1, &leaf(11)), labeled(5, &leaf(55)));
    let shown = tree(&fork(&one, &five)).unwrap();
    assert_eq!(shown.lookup(&[[1]]), Lookup::Found(&[11]));
    assert_eq!(shown.lookup(&[[5]]), Lookup::Found(&[55]));
    for absent in [0, 3, 9] {
        assert_eq!(shown.lookup(&[[absent]]), Lookup::Absent, "{absent}");
    }
    let hidden = tree(&fork(&one, &fork(&pruned(), &five))).unwrap();
    for (label, proved) in [
        (0, Lookup::Absent),
        (1, Lookup::Found(&[11])),
        (3, Lookup::Unknown),
        (9, Lookup::Absent),
    ] {
        assert_eq!(hidden.lookup(&[[label]]), proved, "{label}");
    }
    let ends = tree(&fork(&pruned(), &fork(&one, &pruned()))).unwrap();
    for unknown in [0, 2] {
        assert_eq!(ends.lookup(&[[unknown]]), Lookup::Unknown, "{unknown}");
    }
}

#[test]
fn a_path_that_ends_elsewhere_than_in_a_leaf_finds_nothing() {
    let nested = tree(&labeled(1, &labeled(2, &leaf(3)))).unwrap();
    assert_eq!(nested.lookup(&[[1], [2]]), Lookup::Found(&[3]));
    assert_eq!(nested.lookup(&[[1]]), Lookup::NotALeaf);
    assert_eq!(nested.lookup(&[[1], [2], [3]]), Lookup::NotALeaf);
    assert_eq!(nested.lookup::<&[u8]>(&[]), Lookup::NotALeaf);
    assert_eq!(
        tree(&leaf(1)).unwrap().lookup::<&[u8]>(&[]),
        Lookup::Found(&[1])
    );
    assert_eq!(
        tree(&EMPTY_NODE).unwrap().lookup::<&[u8]>(&[]),
        Lookup::Absent
    );
    assert_eq!(tree(&pruned()).unwrap().lookup(&[[1]]), Lookup::Unknown);
}

#[test]
fn nodes_of_another_kind_length_or_form_are_refused() {
    for (body, fault) in [
        (&[0x82, 0, 0x40][..], Fault::Unexpected),
        (&[0x81, 5], Fault::Unexpected),
        (&[0x82, 1, 0x81, 0], Fault::Unexpected),
        (&[0x83, 3, 0x40, 0x40], Fault::Unexpected),
        (&[0x82, 4, 0x41, 1], Fault::Unexpected),
        (&[0x80], Fault::Truncated),
        (&[0x9f, 0, 0xff], Fault::IndefiniteLength),
        (&[0x98, 1, 0], Fault::NotShortest),
        (&[0x81, 0x18, 0], Fault::NotShortest),
        (&[0x82, 3, 0x58, 1, 9], Fault::NotShortest),
        (&[0x82, 3, 0x5f, 0x41, 9, 0xff], Fault::IndefiniteLength),
        (&[0x82, 3, 0x61, b'a'], Fault::Unexpected),
        (&[0x81, 0, 0], Fault::TrailingBytes),
    ] {
        assert_eq!(tree(body).unwrap_err(), fault, "{body:x?}");
    }
    assert_eq!(
        HashTree::from_cbor(&EMPTY_NODE).unwrap_err().fault,
        Fault::MissingTag
    );
}

#[test]
fn a_tree_larger_than_the_limit_is_refused_unread() {
    let fault = HashTree::from_cbor(&vec![0; MAX_TREE_BYTES + 1]).unwrap_err();
    assert_eq!(
        fault,
        Malformed {
            at: MAX_TREE_BYTES,
            fault: Fault::TooLarge
        }
    );
}
