//! The CBOR of an IC hash tree, written node by node.
//!
//! ```text
//! empty [0]   fork [1, left, right]   labeled [2, label, subtree]   leaf [3, contents]   pruned [4, hash]
//! ```
//!
//! Source: Internet Computer interface specification, "Certification encoding". Lengths are in their shortest form
//! (RFC 8949, section 4.2.1), so that one tree has one encoding.
//!
//! Who writes a fork writes its left and its right subtree next; who writes a label, its subtree.

use crate::Hash;

/// The self-describing tag 55799, in front of every tree.
const TAG: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// Writes one tree.
#[derive(Clone, Debug)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// A tree that begins with the tag 55799.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(2_048);
        bytes.extend_from_slice(&TAG);
        Self(bytes)
    }

    /// The encoded tree.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Nothing.
    pub fn empty(&mut self) {
        self.0.extend_from_slice(&[0x81, 0]);
    }

    /// A fork; its two sides follow.
    pub fn fork(&mut self) {
        self.0.extend_from_slice(&[0x83, 1]);
    }

    /// A label; what is below it follows.
    pub fn labeled(&mut self, label: &[u8]) {
        self.0.extend_from_slice(&[0x83, 2]);
        self.bytes(label);
    }

    /// A leaf.
    pub fn leaf(&mut self, contents: &[u8]) {
        self.0.extend_from_slice(&[0x82, 3]);
        self.bytes(contents);
    }

    /// A subtree of which only the hash is shown.
    pub fn pruned(&mut self, hash: &Hash) {
        self.0.extend_from_slice(&[0x82, 4, 0x58, 0x20]);
        self.0.extend_from_slice(hash);
    }

    /// A subtree that was encoded elsewhere, without a tag.
    pub fn encoded(&mut self, subtree: &[u8]) {
        self.0.extend_from_slice(subtree);
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back what was written behind the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        const BYTE_STRING: u8 = 0x40;
        let length = bytes.len();
        if let Ok(byte) = u8::try_from(length) {
            if byte < 24 {
                self.0.push(BYTE_STRING | byte);
            } else {
                self.0.extend_from_slice(&[BYTE_STRING | 24, byte]);
            }
        } else if let Ok(two) = u16::try_from(length) {
            self.0.push(BYTE_STRING | 25);
            self.0.extend_from_slice(&two.to_be_bytes());
        } else if let Ok(four) = u32::try_from(length) {
            self.0.push(BYTE_STRING | 26);
            self.0.extend_from_slice(&four.to_be_bytes());
        } else {
            self.0.push(BYTE_STRING | 27);
            self.0.extend_from_slice(&(length as u64).to_be_bytes());
        }
        self.0.extend_from_slice(bytes);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
