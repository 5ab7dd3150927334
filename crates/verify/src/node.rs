//! Hashes of the nodes of a hash tree (interface specification, "Certification", `reconstruct`): SHA-256 behind a domain
//! separator, which is the length of a name and the name.

use sha2::{Digest, Sha256};

use crate::tree::Hash;

const EMPTY_DOMAIN: &[u8] = b"\x11ic-hashtree-empty";
const FORK_DOMAIN: &[u8] = b"\x10ic-hashtree-fork";
const LABELED_DOMAIN: &[u8] = b"\x13ic-hashtree-labeled";
const LEAF_DOMAIN: &[u8] = b"\x10ic-hashtree-leaf";

/// Hash of a leaf node with `contents`: what a [`LeafChange`](indus_api::audit::LeafChange) tells of a leaf.
pub fn leaf_hash(contents: &[u8]) -> Hash {
    hash(LEAF_DOMAIN, contents, &[])
}

pub(crate) fn empty() -> Hash {
    hash(EMPTY_DOMAIN, &[], &[])
}

pub(crate) fn fork(left: &Hash, right: &Hash) -> Hash {
    hash(FORK_DOMAIN, left, right)
}

pub(crate) fn labeled(label: &[u8], below: &Hash) -> Hash {
    hash(LABELED_DOMAIN, label, below)
}

fn hash(domain: &[u8], first: &[u8], second: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(domain)
        .chain_update(first)
        .chain_update(second)
        .finalize()
        .into()
}
