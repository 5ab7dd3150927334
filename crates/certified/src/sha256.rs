//! The hashes of IC hash trees, block by block.
//!
//! A fork is the hash of 81 bytes, always: two blocks, of which nothing can be computed ahead. Laying out the blocks by
//! hand saves what a general hasher spends on buffering, a quarter of the instructions of a fork in Wasm.
//!
//! Source: Internet Computer interface specification, "Certification", `reconstruct`; FIPS 180-4 for padding and initial
//! values.

use sha2::block_api::compress256;

use crate::Hash;

/// Bytes of a block.
const BLOCK: usize = 64;

/// FIPS 180-4, section 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

// Domain separators: the length of a name, and the name.
const EMPTY_DOMAIN: &[u8] = b"\x11ic-hashtree-empty";
const FORK_DOMAIN: &[u8; 17] = b"\x10ic-hashtree-fork";
const LABELED_DOMAIN: &[u8; 20] = b"\x13ic-hashtree-labeled";
const LEAF_DOMAIN: &[u8; 17] = b"\x10ic-hashtree-leaf";

/// Longest label, in bytes: what two blocks hold beside the domain and the hash.
pub const MAX_LABEL: usize = 2 * BLOCK - LABELED_DOMAIN.len() - 32 - 9;

/// The blocks of a fork, without its two hashes.
const FORK: [[u8; BLOCK]; 2] = {
    let mut blocks = [[0; BLOCK]; 2];
    let mut at = 0;
    while at < FORK_DOMAIN.len() {
        blocks[0][at] = FORK_DOMAIN[at];
        at += 1;
    }
    // 81 bytes, then the padding and their length in bits.
    blocks[1][81 - BLOCK] = 0x80;
    blocks[1][62] = (81 * 8_u16).to_be_bytes()[0];
    blocks[1][63] = (81 * 8_u16).to_be_bytes()[1];
    blocks
};

/// The hash of an empty tree.
#[must_use]
pub fn empty() -> Hash {
    digest(EMPTY_DOMAIN)
}

/// The hash of a fork.
#[must_use]
pub fn fork(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = FORK;
    let bytes = blocks.as_flattened_mut();
    bytes[17..49].copy_from_slice(left);
    bytes[49..81].copy_from_slice(right);
    finish(INITIAL, &blocks)
}

/// The hash of a labeled node. A label is at most [`MAX_LABEL`] bytes long; longer ones are cut, so nobody calls it with
/// them.
#[must_use]
pub fn labeled(label: &[u8], subtree: &Hash) -> Hash {
    let label = &label[..label.len().min(MAX_LABEL)];
    let mut blocks = [[0; BLOCK]; 2];
    let bytes = blocks.as_flattened_mut();
    bytes[..20].copy_from_slice(LABELED_DOMAIN);
    let length = 20 + label.len();
    bytes[20..length].copy_from_slice(label);
    bytes[length..length + 32].copy_from_slice(subtree);
    pad(&mut blocks, length + 32, length + 32)
}

/// The hash of a leaf.
#[must_use]
pub fn leaf(contents: &[u8]) -> Hash {
    hash(LEAF_DOMAIN, contents)
}

/// The plain SHA-256 of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> Hash {
    hash(&[], bytes)
}

/// SHA-256 of `prefix`, which is shorter than a block, and `contents`.
fn hash(prefix: &[u8], contents: &[u8]) -> Hash {
    let mut state = INITIAL;
    let mut rest = contents;
    let mut first = [[0; BLOCK]; 2];
    let bytes = first.as_flattened_mut();
    bytes[..prefix.len()].copy_from_slice(prefix);
    let mut used = prefix.len();
    if used > 0 {
        let taken = rest.len().min(BLOCK - used);
        bytes[used..used + taken].copy_from_slice(&rest[..taken]);
        used += taken;
        rest = &rest[taken..];
        if used == BLOCK {
            compress256(&mut state, &first[..1]);
            used = 0;
        }
    }
    let length = prefix.len() + contents.len();
    if used == 0 {
        let (whole, tail) = rest.as_chunks::<BLOCK>();
        compress256(&mut state, whole);
        first = [[0; BLOCK]; 2];
        used = tail.len();
        first.as_flattened_mut()[..used].copy_from_slice(tail);
    }
    pad_from(state, &mut first, used, length)
}

/// The hash of one or two blocks of which `used` bytes are used, of a message of `length` bytes.
fn pad(blocks: &mut [[u8; BLOCK]; 2], used: usize, length: usize) -> Hash {
    pad_from(INITIAL, blocks, used, length)
}

fn pad_from(state: [u32; 8], blocks: &mut [[u8; BLOCK]; 2], used: usize, length: usize) -> Hash {
    let count = (used + 9).div_ceil(BLOCK);
    let bytes = blocks.as_flattened_mut();
    bytes[used] = 0x80;
    let bits = 8 * length as u64;
    bytes[count * BLOCK - 8..count * BLOCK].copy_from_slice(&bits.to_be_bytes());
    finish(state, &blocks[..count])
}

fn finish(mut state: [u32; 8], blocks: &[[u8; BLOCK]]) -> Hash {
    compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn oracle(parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().into()
    }

    #[test]
    fn every_length_is_padded_as_the_standard_says() {
        let bytes: Vec<u8> = (0..300_u16).map(|n| n.to_be_bytes()[1]).collect();
        for length in 0..bytes.len() {
            let contents = &bytes[..length];
            assert_eq!(digest(contents), oracle(&[contents]), "{length}");
            assert_eq!(leaf(contents), oracle(&[LEAF_DOMAIN, contents]), "{length}");
        }
    }

    #[test]
    fn every_label_up_to_the_longest_is_hashed() {
        let label = [7; MAX_LABEL];
        let below = [9; 32];
        for length in 0..=MAX_LABEL {
            let label = &label[..length];
            let expected = oracle(&[LABELED_DOMAIN, label, &below]);
            assert_eq!(labeled(label, &below), expected, "{length}");
        }
    }

    #[test]
    fn a_fork_is_the_hash_of_its_domain_and_both_hashes() {
        let (left, right) = ([1; 32], [2; 32]);
        assert_eq!(fork(&left, &right), oracle(&[FORK_DOMAIN, &left, &right]));
        assert_eq!(empty(), oracle(&[b"\x11ic-hashtree-empty"]));
    }
}
