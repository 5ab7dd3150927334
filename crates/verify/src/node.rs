//! Hashes of the nodes of a hash tree (interface specification, "Certification", `reconstruct`): SHA-256 behind a domain
//! separator, which is the length of a name and the name.

use sha2::{Digest, Sha256};

use crate::sha256;
use crate::tree::Hash;

const EMPTY_DOMAIN: &[u8] = b"\x11ic-hashtree-empty";
const FORK_DOMAIN: &[u8] = b"\x10ic-hashtree-fork";
const LABELED_DOMAIN: &[u8] = b"\x13ic-hashtree-labeled";
/// Longest label of a node that two blocks hold: keys of canisters are not longer, chosen labels may be.
const SHORT_LABEL: usize = 2 * 64 - 9 - 32 - LABELED_DOMAIN.len();
const LEAF_DOMAIN: &[u8] = b"\x10ic-hashtree-leaf";

/// Hash of a leaf node with `contents`: what a [`LeafChange`](indus_api::audit::LeafChange) tells of a leaf.
pub fn leaf_hash(contents: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(LEAF_DOMAIN)
        .chain_update(contents)
        .finalize()
        .into()
}

pub(crate) fn empty() -> Hash {
    sha256::digest(EMPTY_DOMAIN)
}

pub(crate) fn fork(left: &Hash, right: &Hash) -> Hash {
    sha256::short::<2>(&[FORK_DOMAIN, left, right])
}

pub(crate) fn labeled(label: &[u8], below: &Hash) -> Hash {
    if label.len() <= SHORT_LABEL {
        return sha256::short::<2>(&[LABELED_DOMAIN, label, below]);
    }
    Sha256::new()
        .chain_update(LABELED_DOMAIN)
        .chain_update(label)
        .chain_update(below)
        .finalize()
        .into()
}
