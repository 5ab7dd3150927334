//! The two hashes of RFC 9162, section 2.1.1. Both inputs have a fixed length, so they are padded here and go straight to
//! the compression function: one block for a leaf, two for a parent.

use sha2::block_api::compress256;

use crate::Hash;

/// The root of the empty tree: SHA-256 of nothing.
pub(super) const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Initial state of SHA-256 (FIPS 180-4, section 5.3.3).
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

/// `SHA-256(0x00 ‖ data)`.
pub(super) fn leaf(data: &Hash) -> Hash {
    let mut block = [0; 64];
    block[1..33].copy_from_slice(data);
    block[33] = 0x80;
    block[62..].copy_from_slice(&(33 * 8u16).to_be_bytes());
    digest(&[block])
}

/// `SHA-256(0x01 ‖ left ‖ right)`.
pub(super) fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0; 64]; 2];
    blocks[0][0] = 0x01;
    blocks[0][1..33].copy_from_slice(left);
    blocks[0][33..].copy_from_slice(&right[..31]);
    blocks[1][0] = right[31];
    blocks[1][1] = 0x80;
    blocks[1][62..].copy_from_slice(&(65 * 8u16).to_be_bytes());
    digest(&blocks)
}

fn digest(padded: &[[u8; 64]]) -> Hash {
    let mut state = INITIAL;
    compress256(&mut state, padded);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, Hash::from(Sha256::digest([])));
    }

    proptest! {
        #[test]
        fn hashes_are_sha256_of_prefix_and_parts(left: Hash, right: Hash) {
            prop_assert_eq!(leaf(&left), Hash::from(Sha256::new().chain_update([0]).chain_update(left).finalize()));
            let expected = Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize();
            prop_assert_eq!(parent(&left, &right), Hash::from(expected));
        }
    }
}
