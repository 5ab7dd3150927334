//! A log as the RFC writes it: lists, and definitions that recurse over them.

use indus_certified::Hash;
use sha2::{Digest, Sha256};

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) leaves: Vec<Hash>,
    /// `None` once pruned.
    pub(crate) payloads: Vec<Option<Vec<u8>>>,
}

/// MTH(D), RFC 9162, section 2.1.1.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [data] => sha256(&[&[0], data]),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            parent(&root(left), &root(right))
        }
    }
}

/// PATH(m, D), section 2.1.3.1.
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if index < k {
        (path(index, left), root(right))
    } else {
        (path(index - k, right), root(left))
    };
    path.push(sibling);
    path
}

/// PROOF(m, D), section 2.1.4.1; empty for `m = 0`, which the RFC leaves open.
pub(crate) fn proof(from: usize, leaves: &[Hash]) -> Vec<Hash> {
    if from == 0 {
        Vec::new()
    } else {
        subproof(from, leaves, true)
    }
}

fn subproof(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if known {
            Vec::new()
        } else {
            vec![root(leaves)]
        };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if from <= k {
        (subproof(from, left, known), root(right))
    } else {
        (subproof(from - k, right, false), root(left))
    };
    proof.push(sibling);
    proof
}

/// The complete subtrees over `width` leaves each.
pub(crate) fn level(width: usize, leaves: &[Hash]) -> Vec<Hash> {
    leaves.chunks_exact(width).map(root).collect()
}

pub(crate) fn parent(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}
