//! The two hashes of RFC 9162, section 2.1.1. Both inputs have a fixed length, so they are laid out and padded here: one
//! block for a leaf, two for a parent.

use crate::Hash;
use crate::sha256::{self, Four, INITIAL, both, compress_words, last_word, part};

/// The root of the empty tree: SHA-256 of nothing.
pub(super) const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// `SHA-256(0x00 ‖ data)`.
pub(super) fn leaf(data: &Hash) -> Hash {
    let data = both(data, &[0; 32]);
    let words = [
        Four::from_bytes(&sha256::behind(0x00, &data)),
        part(&data, 15),
        Four::new([u32::from_be_bytes([data[31], 0x80, 0, 0]), 0, 0, 0]),
        Four::new([0, 0, 0, 8 * 33]),
    ];
    sha256::hash(compress_words(INITIAL, words))
}

/// `SHA-256(0x01 ‖ left ‖ right)`.
pub(super) fn parent(left: &Hash, right: &Hash) -> Hash {
    let sides = both(left, right);
    let first = [
        Four::from_bytes(&sha256::behind(0x01, &sides)),
        part(&sides, 15),
        part(&sides, 31),
        part(&sides, 47),
    ];
    let second = [
        Four::new([last_word(&sides), 0, 0, 0]),
        Four::new([0; 4]),
        Four::new([0; 4]),
        Four::new([0, 0, 0, 8 * 65]),
    ];
    sha256::hash(compress_words(compress_words(INITIAL, first), second))
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
