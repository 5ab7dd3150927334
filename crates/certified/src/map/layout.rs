//! Header and slots as they lie in memory; see the module above for the bytes.

use ic_stable_structures::Memory;

use super::{Entry, OpenError};
use crate::{Hash, WASM_PAGE};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 64;

pub(super) const HEADER_BYTES: u64 = 96;
pub(super) const FORK_BYTES: u64 = 80;
const HEADER_SIZE: usize = 96;
const FORK_SIZE: usize = 80;
/// Bytes of a leaf behind its key.
const ENTRY_SIZE: usize = 40;
const MAX_LEAF_SIZE: usize = MAX_KEY + ENTRY_SIZE;

const MAGIC: &[u8; 3] = b"ICM";
const VERSION: u8 = 1;

/// Bytes of a leaf's slot.
pub(super) fn leaf_bytes(key_bytes: usize) -> u64 {
    (key_bytes as u64 + 40).next_multiple_of(8)
}

/// Where a node is, and which kind it is: the address of its slot or, while it is staged, its index. Addresses are
/// multiples of 8, so that the lowest bits tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(u64);

impl Link {
    const LEAF: u64 = 1;
    /// Never stored: staged nodes get an address before anything that links to them is written.
    const STAGED: u64 = 2;
    const KIND_BITS: u32 = 3;

    pub(super) fn fork(address: u64) -> Self {
        Self(address)
    }

    pub(super) fn leaf(address: u64) -> Self {
        Self(address | Self::LEAF)
    }

    pub(super) fn staged_fork(index: usize) -> Self {
        Self((index as u64) << Self::KIND_BITS | Self::STAGED)
    }

    pub(super) fn staged_leaf(index: usize) -> Self {
        Self((index as u64) << Self::KIND_BITS | Self::STAGED | Self::LEAF)
    }

    pub(super) fn is_leaf(self) -> bool {
        self.0 & Self::LEAF != 0
    }

    /// The index, if the node is staged.
    pub(super) fn staged(self) -> Option<usize> {
        if self.0 & Self::STAGED == 0 {
            return None;
        }
        usize::try_from(self.0 >> Self::KIND_BITS).ok()
    }

    /// The address, if the node is not staged.
    pub(super) fn address(self) -> u64 {
        self.0 & !Self::LEAF
    }

    fn from_stored(link: u64) -> Option<Self> {
        (link != 0).then_some(Self(link))
    }
}

/// The header, its links read.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) key_bytes: usize,
    pub(super) len: u64,
    pub(super) root: Option<Link>,
    pub(super) free_forks: u64,
    pub(super) free_leaves: u64,
    pub(super) end: u64,
    pub(super) leaf_slots: u64,
    pub(super) mark: u64,
    pub(super) root_hash: Hash,
}

impl Header {
    /// Of an empty map; none for a length of keys that can't be.
    pub(super) fn empty(key_bytes: usize, root_hash: Hash) -> Option<Self> {
        (1..=MAX_KEY).contains(&key_bytes).then_some(Self {
            key_bytes,
            len: 0,
            root: None,
            free_forks: 0,
            free_leaves: 0,
            end: HEADER_BYTES,
            leaf_slots: 0,
            mark: 0,
            root_hash,
        })
    }

    pub(super) fn read<M: Memory>(memory: &M) -> Result<Self, OpenError> {
        if memory.size() == 0 {
            return Err(OpenError::NotAMap);
        }
        let mut bytes = [0; HEADER_SIZE];
        memory.read(0, &mut bytes);
        if &bytes[..3] != MAGIC {
            return Err(OpenError::NotAMap);
        }
        if bytes[3] != VERSION {
            return Err(OpenError::UnknownVersion(bytes[3]));
        }
        let number = |at: usize| u64::from_le_bytes(array(&bytes[at..]));
        let header = Self {
            key_bytes: usize::from(u16::from_le_bytes(array(&bytes[4..]))),
            len: number(8),
            root: Link::from_stored(number(16)),
            free_forks: number(24),
            free_leaves: number(32),
            end: number(40),
            leaf_slots: number(48),
            mark: number(56),
            root_hash: array(&bytes[64..]),
        };
        let size = memory.size().saturating_mul(WASM_PAGE);
        let inside = |address: u64| {
            address == 0
                || (address.is_multiple_of(8) && (HEADER_BYTES..header.end).contains(&address))
        };
        let root = header.root.map_or(0, Link::address);
        let sound = (1..=MAX_KEY).contains(&header.key_bytes)
            && bytes[6..8] == [0, 0]
            && (HEADER_BYTES..=size).contains(&header.end)
            && header.leaf_slots >= header.len
            && header.fork_slots() >= header.len.saturating_sub(1)
            && header.end == header.end_of(header.fork_slots(), header.leaf_slots)
            && (header.len == 0) == header.root.is_none()
            && [root, header.free_forks, header.free_leaves]
                .into_iter()
                .all(inside);
        if sound {
            Ok(header)
        } else {
            Err(OpenError::Damaged)
        }
    }

    /// Slots of forks, free ones too.
    pub(super) fn fork_slots(&self) -> u64 {
        let leaves = self.leaf_slots.saturating_mul(leaf_bytes(self.key_bytes));
        self.end.saturating_sub(HEADER_BYTES).saturating_sub(leaves) / FORK_BYTES
    }

    /// The end of so many slots.
    pub(super) fn end_of(&self, forks: u64, leaves: u64) -> u64 {
        let leaves = leaves.saturating_mul(leaf_bytes(self.key_bytes));
        (HEADER_BYTES + forks.saturating_mul(FORK_BYTES)).saturating_add(leaves)
    }

    pub(super) fn write<M: Memory>(&self, memory: &M) {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..3].copy_from_slice(MAGIC);
        bytes[3] = VERSION;
        let key_bytes = u16::try_from(self.key_bytes).unwrap_or_default();
        bytes[4..6].copy_from_slice(&key_bytes.to_le_bytes());
        let root = self.root.map_or(0, |link| link.0);
        let numbers = [
            self.len,
            root,
            self.free_forks,
            self.free_leaves,
            self.end,
            self.leaf_slots,
            self.mark,
        ];
        for (place, number) in bytes[8..64].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[64..].copy_from_slice(&self.root_hash);
        memory.write(0, &bytes);
    }
}

/// A fork, as the bytes of its slot. Where a side is staged and changed, its hash is known at the commit only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fork([u8; FORK_SIZE]);

impl Fork {
    /// Room to read a fork into.
    pub(super) const ROOM: Self = Self([0; FORK_SIZE]);

    const LINK: usize = 6;
    const BIT: usize = 12;
    const HEIGHTS: usize = 14;
    const HASHES: usize = 16;

    #[inline]
    pub(super) fn read<M: Memory>(&mut self, memory: &M, address: u64) {
        memory.read(address, &mut self.0);
    }

    #[inline]
    pub(super) fn write<M: Memory>(&self, memory: &M, address: u64) {
        memory.write(address, &self.0);
    }

    #[inline]
    pub(super) fn bit(&self) -> u16 {
        u16::from_le_bytes(array(&self.0[Self::BIT..]))
    }

    #[inline]
    pub(super) fn set_bit(&mut self, bit: u16) {
        self.0[Self::BIT..Self::HEIGHTS].copy_from_slice(&bit.to_le_bytes());
    }

    #[inline]
    pub(super) fn link(&self, side: usize) -> Link {
        const MASK: u64 = (1 << 48) - 1;
        Link(u64::from_le_bytes(array(&self.0[Self::LINK * side..])) & MASK)
    }

    #[inline]
    pub(super) fn set_link(&mut self, side: usize, link: Link) {
        let at = Self::LINK * side;
        self.0[at..at + Self::LINK].copy_from_slice(&link.0.to_le_bytes()[..Self::LINK]);
    }

    /// Forks above one another on one side.
    #[inline]
    pub(super) fn side_height(&self, side: usize) -> u8 {
        self.0[Self::HEIGHTS + side]
    }

    #[inline]
    pub(super) fn set_side_height(&mut self, side: usize, height: u8) {
        self.0[Self::HEIGHTS + side] = height;
    }

    /// Forks above one another, this one included.
    #[inline]
    pub(super) fn height(&self) -> u8 {
        self.side_height(0)
            .max(self.side_height(1))
            .saturating_add(1)
    }

    /// The hash of one side.
    #[inline]
    pub(super) fn side_hash(&self, side: usize) -> &Hash {
        &self.hashes().as_chunks().0[side]
    }

    #[inline]
    pub(super) fn set_side_hash(&mut self, side: usize, hash: &Hash) {
        self.0[Self::HASHES..].as_chunks_mut().0[side] = *hash;
    }

    /// The hashes of both sides: what its own hash is made of.
    #[inline]
    pub(super) fn hashes(&self) -> &[u8; 64] {
        const { assert!(FORK_SIZE == Fork::HASHES + 64) };
        self.0.last_chunk().unwrap_or(&[0; 64])
    }
}

/// A leaf, as the bytes of its slot: a key, the hash of the leaf node of its value, and a note.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    bytes: [u8; MAX_LEAF_SIZE],
    key_bytes: usize,
}

impl Leaf {
    #[inline]
    pub(super) fn new(key: &[u8], entry: &Entry) -> Self {
        let mut leaf = Self {
            bytes: [0; MAX_LEAF_SIZE],
            key_bytes: key.len(),
        };
        leaf.bytes[..key.len()].copy_from_slice(key);
        leaf.set_entry(entry);
        leaf
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    #[inline]
    pub(super) fn hash(&self) -> Hash {
        array(&self.bytes[self.key_bytes..])
    }

    #[inline]
    pub(super) fn note(&self) -> u64 {
        u64::from_le_bytes(array(&self.bytes[self.key_bytes + 32..]))
    }

    #[inline]
    pub(super) fn entry(&self) -> Entry {
        Entry {
            hash: self.hash(),
            note: self.note(),
        }
    }

    #[inline]
    pub(super) fn set_entry(&mut self, entry: &Entry) {
        let (hash, note) = self.bytes[self.key_bytes..].split_at_mut(32);
        hash.copy_from_slice(&entry.hash);
        note[..8].copy_from_slice(&entry.note.to_le_bytes());
    }

    #[inline]
    pub(super) fn read<M: Memory>(memory: &M, address: u64, key_bytes: usize) -> Self {
        let mut leaf = Self {
            bytes: [0; MAX_LEAF_SIZE],
            key_bytes,
        };
        memory.read(address, &mut leaf.bytes[..key_bytes + ENTRY_SIZE]);
        leaf
    }

    #[inline]
    pub(super) fn write<M: Memory>(&self, memory: &M, address: u64) {
        memory.write(address, &self.bytes[..self.key_bytes + ENTRY_SIZE]);
    }
}

/// The bit of a key: 0 or 1, the side of a fork.
#[inline]
pub(super) fn side(key: &[u8], bit: u16) -> usize {
    usize::from(key[usize::from(bit / 8)] >> (7 - bit % 8) & 1)
}

/// The first bit at which two keys of the same length differ.
pub(super) fn difference(one: &[u8], other: &[u8]) -> Option<u16> {
    let at = one.iter().zip(other).position(|(a, b)| a != b)?;
    let bit = 8 * u32::try_from(at).ok()? + (one[at] ^ other[at]).leading_zeros();
    u16::try_from(bit).ok()
}

/// The first `N` bytes of something that has at least as many.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
