//! The hashes of IC hash trees.
//!
//! A fork is the hash of 81 bytes, always: two blocks, of which nothing can be computed ahead but the rounds that the
//! domain is in. Such shapes are laid out as words at compile time; what has any length goes through a buffer of one
//! block.
//!
//! Source: Internet Computer interface specification, "Certification", `reconstruct`; FIPS 180-4 for padding.

mod compression;
mod four;

pub(crate) use compression::{INITIAL, compress_words, hash};
pub(crate) use four::Four;

use crate::Hash;
use compression::{BLOCK, State, compress};

// Domain separators: the length of a name, and the name.
const EMPTY_DOMAIN: &[u8] = b"\x11ic-hashtree-empty";
const LABELED_DOMAIN: &[u8; 20] = b"\x13ic-hashtree-labeled";
const LEAF_DOMAIN: &[u8; 17] = b"\x10ic-hashtree-leaf";

/// Longest label, in bytes: what two blocks hold beside the domain and the hash.
pub const MAX_LABEL: usize = 2 * BLOCK - LABELED_DOMAIN.len() - 32 - 9;

/// The hash of an empty tree.
#[must_use]
pub fn empty() -> Hash {
    digest(EMPTY_DOMAIN)
}

/// The hash of a fork.
#[must_use]
pub fn fork(left: &Hash, right: &Hash) -> Hash {
    fork_of(&both(left, right))
}

/// The hash of a fork whose two sides lie one behind the other.
pub(crate) fn fork_of(sides: &[u8; 64]) -> Hash {
    // Domain and sides begin one byte behind a word.
    let first = [
        Four::from_bytes(b"\x10ic-hashtree-for"),
        Four::from_bytes(&behind(b'k', sides)),
        part(sides, 15),
        part(sides, 31),
    ];
    let second = [
        part(sides, 47),
        Four::new([last_word(sides), 0, 0, 0]),
        Four::new([0; 4]),
        Four::new([0, 0, 0, 8 * 81]),
    ];
    hash(compress_words(compress_words(INITIAL, first), second))
}

/// Two hashes, one behind the other.
pub(crate) fn both(left: &Hash, right: &Hash) -> [u8; 64] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    both
}

/// A byte and the first 15 of two hashes.
#[inline(always)]
pub(crate) fn behind(byte: u8, sides: &[u8; 64]) -> [u8; 16] {
    let mut bytes = [byte; 16];
    bytes[1..].copy_from_slice(&sides[..15]);
    bytes
}

/// The 16 bytes of two hashes at `at`.
#[inline(always)]
pub(crate) fn part(sides: &[u8; 64], at: usize) -> Four {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sides[at..at + 16]);
    Four::from_bytes(&bytes)
}

/// The last byte of two hashes, and the bit that ends a message.
#[inline(always)]
pub(crate) fn last_word(sides: &[u8; 64]) -> u32 {
    u32::from_be_bytes([sides[63], 0x80, 0, 0])
}

/// The hash of a labeled node. A label is at most [`MAX_LABEL`] bytes long; longer ones are cut, so nobody calls it with
/// them.
#[must_use]
pub fn labeled(label: &[u8], subtree: &Hash) -> Hash {
    let label = &label[..label.len().min(MAX_LABEL)];
    let message = Message::new().add(LABELED_DOMAIN).add(label);
    message.add(subtree).hash()
}

/// The hash of a leaf.
#[must_use]
pub fn leaf(contents: &[u8]) -> Hash {
    Message::new().add(LEAF_DOMAIN).add(contents).hash()
}

/// The plain SHA-256 of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> Hash {
    Message::new().add(bytes).hash()
}

/// A message of any length, compressed as it comes.
struct Message {
    state: State,
    /// The block that isn't full yet; zeros behind what is used of it.
    block: [u8; BLOCK],
    used: usize,
    length: u64,
}

impl Message {
    #[inline(always)]
    fn new() -> Self {
        Self {
            state: INITIAL,
            block: [0; BLOCK],
            used: 0,
            length: 0,
        }
    }

    #[inline(always)]
    fn add(mut self, bytes: &[u8]) -> Self {
        self.length += bytes.len() as u64;
        let mut rest = bytes;
        if self.used > 0 {
            let (taken, behind) = rest.split_at(rest.len().min(BLOCK - self.used));
            self.block[self.used..self.used + taken.len()].copy_from_slice(taken);
            self.used += taken.len();
            if self.used < BLOCK {
                return self;
            }
            self.compress_block();
            rest = behind;
        }
        let (whole, tail) = rest.as_chunks();
        compress(&mut self.state, whole);
        self.block[..tail.len()].copy_from_slice(tail);
        self.used = tail.len();
        self
    }

    fn compress_block(&mut self) {
        compress(&mut self.state, &[self.block]);
        self.block = [0; BLOCK];
        self.used = 0;
    }

    #[inline(always)]
    fn hash(mut self) -> Hash {
        self.block[self.used] = 0x80;
        if self.used >= BLOCK - 8 {
            self.compress_block();
        }
        self.block[BLOCK - 8..].copy_from_slice(&(8 * self.length).to_be_bytes());
        compress(&mut self.state, &[self.block]);
        hash(self.state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
    fn the_empty_tree_is_the_hash_of_its_domain() {
        assert_eq!(empty(), oracle(&[b"\x11ic-hashtree-empty"]));
    }

    proptest! {
        #[test]
        fn a_fork_is_the_hash_of_its_domain_and_both_hashes(left: Hash, right: Hash) {
            let expected = oracle(&[b"\x10ic-hashtree-fork", &left, &right]);
            prop_assert_eq!(fork(&left, &right), expected);
        }

        #[test]
        fn a_message_may_come_in_any_parts(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..150), 0..5)) {
            let parts: Vec<_> = parts.iter().map(|part| &part[..]).collect();
            let message = parts.iter().fold(Message::new(), |message, part| message.add(part));
            prop_assert_eq!(message.hash(), oracle(&parts));
        }
    }
}
