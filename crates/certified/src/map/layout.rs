//! Header and slots as they lie in memory; see the module above for the bytes.

use ic_stable_structures::Memory;

use super::OpenError;
use crate::Hash;

/// Longest key, in bytes.
pub const MAX_KEY: usize = 64;

pub(super) const HEADER_BYTES: u64 = 88;
pub(super) const FORK_BYTES: u64 = 80;
const HEADER_SIZE: usize = 88;
const FORK_SIZE: usize = 80;
const MAX_LEAF_SIZE: usize = MAX_KEY + 32;

const MAGIC: &[u8; 3] = b"ICM";
const VERSION: u8 = 1;

/// Bytes of a leaf's slot.
pub(super) fn leaf_bytes(key_bytes: usize) -> u64 {
    (key_bytes as u64 + 32).next_multiple_of(8)
}

/// Where a node is, and which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A fork at this address.
    Fork(u64),
    /// A leaf at this address.
    Leaf(u64),
    /// A staged fork, by its index.
    StagedFork(usize),
    /// A staged leaf, by its index.
    StagedLeaf(usize),
}

impl Link {
    /// As it is stored. Staged nodes have none: they get an address before anything links to them.
    pub(super) fn stored(self) -> u64 {
        match self {
            Self::Fork(address) => address,
            Self::Leaf(address) => address | 1,
            Self::StagedFork(_) | Self::StagedLeaf(_) => 0,
        }
    }

    pub(super) fn from_stored(link: u64) -> Option<Self> {
        match link {
            0 => None,
            leaf if leaf & 1 == 1 => Some(Self::Leaf(leaf & !1)),
            fork => Some(Self::Fork(fork)),
        }
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
            root_hash,
        })
    }

    pub(super) fn read<M: Memory>(memory: &M) -> Result<Self, OpenError> {
        const PAGE: u64 = 65_536;
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
            root_hash: array(&bytes[56..]),
        };
        let size = memory.size().saturating_mul(PAGE);
        let inside = |address: u64| {
            address == 0
                || (address.is_multiple_of(8) && (HEADER_BYTES..header.end).contains(&address))
        };
        let root = header.root.map_or(0, Link::stored) & !1;
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
        let root = self.root.map_or(0, Link::stored);
        let numbers = [
            self.len,
            root,
            self.free_forks,
            self.free_leaves,
            self.end,
            self.leaf_slots,
        ];
        for (place, number) in bytes[8..56].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[56..].copy_from_slice(&self.root_hash);
        memory.write(0, &bytes);
    }
}

/// A fork. Where a side is staged and changed, its hash is known at the commit only.
#[derive(Clone, Debug)]
pub(super) struct Fork {
    pub(super) bit: u16,
    pub(super) sides: [Link; 2],
    pub(super) heights: [u8; 2],
    pub(super) hashes: [Hash; 2],
}

impl Fork {
    pub(super) fn read<M: Memory>(memory: &M, address: u64) -> Self {
        let mut bytes = [0; FORK_SIZE];
        memory.read(address, &mut bytes);
        let link = |at: usize| {
            let mut link = [0; 8];
            link[..6].copy_from_slice(&bytes[at..at + 6]);
            // No fork links to nothing; a leaf at 0 would be the header, where no key can be equal to anything.
            Link::from_stored(u64::from_le_bytes(link)).unwrap_or(Link::Leaf(0))
        };
        Self {
            bit: u16::from_le_bytes(array(&bytes[12..])),
            sides: [link(0), link(6)],
            heights: [bytes[14], bytes[15]],
            hashes: [array(&bytes[16..]), array(&bytes[48..])],
        }
    }

    pub(super) fn write<M: Memory>(&self, memory: &M, address: u64) {
        let mut bytes = [0; FORK_SIZE];
        for (at, side) in [(0, self.sides[0]), (6, self.sides[1])] {
            bytes[at..at + 6].copy_from_slice(&side.stored().to_le_bytes()[..6]);
        }
        bytes[12..14].copy_from_slice(&self.bit.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.heights);
        bytes[16..48].copy_from_slice(&self.hashes[0]);
        bytes[48..].copy_from_slice(&self.hashes[1]);
        memory.write(address, &bytes);
    }

    /// Forks above one another, this one included.
    pub(super) fn height(&self) -> u8 {
        self.heights[0].max(self.heights[1]).saturating_add(1)
    }
}

/// A leaf: a key, and the hash of the leaf node of its value.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    key: [u8; MAX_KEY],
    key_bytes: usize,
    pub(super) value: Hash,
}

impl Leaf {
    pub(super) fn new(key: &[u8], value: Hash) -> Self {
        let mut leaf = Self {
            key: [0; MAX_KEY],
            key_bytes: key.len(),
            value,
        };
        leaf.key[..key.len()].copy_from_slice(key);
        leaf
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key[..self.key_bytes]
    }

    pub(super) fn read<M: Memory>(memory: &M, address: u64, key_bytes: usize) -> Self {
        let mut bytes = [0; MAX_LEAF_SIZE];
        memory.read(address, &mut bytes[..key_bytes + 32]);
        Self::new(&bytes[..key_bytes], array(&bytes[key_bytes..]))
    }

    pub(super) fn write<M: Memory>(&self, memory: &M, address: u64) {
        let mut bytes = [0; MAX_LEAF_SIZE];
        bytes[..self.key_bytes].copy_from_slice(self.key());
        bytes[self.key_bytes..self.key_bytes + 32].copy_from_slice(&self.value);
        memory.write(address, &bytes[..self.key_bytes + 32]);
    }
}

/// The bit of a key: 0 or 1, the side of a fork.
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
