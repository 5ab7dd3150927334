//! A Merkle log (RFC 9162, section 2.1) in stable memory, with the bytes that each entry stands for.
//!
//! An entry is a 32-byte hash of the caller's, whose leaf hash is `SHA-256(0x00 ‖ hash)`, and a payload of up to 2 MiB.
//! Entries are never changed. A payload can be pruned; the entry, every root and every proof stay as they were.
//!
//! # Layout
//!
//! Two memories; numbers are little-endian. The first holds the tree:
//!
//! ```text
//!  0               8         12        16          24            32
//! ┌───────────────┬─────────┬─────────┬───────────┬─────────────┬──────────────────────────────────┐
//! │ "INDLOG-N"    │ version │ 0       │ entries   │ payloads    │ nodes in post-order, to the end  │
//! │               │ u32 = 1 │ u32     │ u64       │ end u64     │                                  │
//! └───────────────┴─────────┴─────────┴───────────┴─────────────┴──────────────────────────────────┘
//!
//!         6            post-order: children before parents, left to right; 7 nodes for 4 entries
//!       ┌─┴─┐
//!       2   5          leaf slot  (40 B) = leaf hash 32 │ payload reference 8
//!      ┌┴┐ ┌┴┐         parent slot (32 B) = SHA-256(0x01 ‖ left ‖ right)
//!      0 1 3 4
//! ```
//!
//! Subtree `index` of `level` covers the entries from `index << level` to `last = ((index + 1) << level) − 1`. Its position
//! in post-order is `2·last − popcount(last) + level`, and its offset `32 + 32·position + 8·(leaves before it)`. A tree
//! only grows at its end: appending an entry writes its leaf, its reference, and the parents that it completes, in one
//! piece. A payload reference is 0 for an empty payload, 2⁶⁴ − 1 for one that was pruned, and otherwise
//!
//! ```text
//!  63                                    22 21                   0
//! ┌────────────────────────────────────────┬──────────────────────┐
//! │ offset in the second memory ÷ 16       │ length in bytes      │
//! └────────────────────────────────────────┴──────────────────────┘
//! ```
//!
//! The second memory holds the payloads:
//!
//! ```text
//!  0               8         12        16                   504  512
//! ┌───────────────┬─────────┬─────────┬────────────────────┬────┬────────┬────────┬────────
//! │ "INDLOG-P"    │ version │ 0       │ first free slot of │ 0  │ slot   │ slot   │ …  end
//! │               │ u32 = 1 │ u32     │ 61 classes, u64    │    │        │        │
//! └───────────────┴─────────┴─────────┴────────────────────┴────┴────────┴────────┴────────
//!  slot in use = payload │ rest            slot freed = offset of the next free one, u64; 0 = none │ zeros
//! ```
//!
//! A slot has the size of its class: 64, 80, 96, 112, 128, 160, … 2 MiB, four classes to a doubling. A payload takes the
//! first free slot of its class, or else a new one at the end; so the memory holds the most of each class that there ever
//! was at once. The end stands in the header of the first memory, which each append writes anyway.
//!
//! # Invariants
//!
//! - What an error is returned for has changed nothing: both memories grow before the first write. (Pages that one memory
//!   got before the other was refused stay, unused.)
//! - A slot belongs to one entry, or to the free list of its class. Pruning erases the payload's bytes.
//! - The peaks on the heap are the roots of the complete subtrees that the set bits of the number of entries stand for.
//! - Opening writes nothing, and refuses what it does not know. It can't see that two memories come from different logs,
//!   or that hashes were overwritten: stable memory has one owner, and auditors check its proofs.
//!
//! # Cost
//!
//! For `n` entries; a compression is one block of SHA-256, a parent takes two of them.
//!
//! | | compressions | reads | writes |
//! | --- | --- | --- | --- |
//! | [`append`](CertifiedLog::append) | 3 on average, at most 1 + 2·log₂ n | 0; 1 if it takes a free slot | 3: nodes, payload, header; 1 more for a free slot, 1 less for an empty payload |
//! | [`root`](CertifiedLog::root) | 2·(popcount(n) − 1) | 0 | 0 |
//! | [`root_at`](CertifiedLog::root_at)`(m)` | 2·(popcount(m) − 1) | popcount(m) | 0 |
//! | [`inclusion`](CertifiedLog::inclusion), [`consistency`](CertifiedLog::consistency) | at most 2·log₂ n | at most 2·log₂ n | 0 |
//! | [`tile`](CertifiedLog::tile) | 0 | 1 at the leaves, else at most 256 | 0 |
//! | [`payload`](CertifiedLog::payload) | 0 | 2 | 0 |
//! | [`prune`](CertifiedLog::prune) | 0 | 1 | 3: reference, slot, free list |
//! | [`open`](CertifiedLog::open) | 0 | 6 + popcount(n) | 0 |
//!
//! An entry takes 72 bytes and its slot, which is at most 64 bytes or 1.25 times the payload.

mod error;
mod hash;
pub(crate) mod payloads;
mod position;
mod proofs;
pub(crate) mod region;
pub(crate) mod shared;

use ic_stable_structures::Memory;

use self::payloads::{Payloads, Reference};
use self::region::{Kind, Region};
use crate::Hash;

pub use self::error::{LogError, OpenError};
pub use self::payloads::MAX_PAYLOAD;

const PAYLOADS: Kind = Kind {
    name: "payloads",
    magic: *b"INDLOG-P",
};

const NODES: Kind = Kind {
    name: "nodes",
    magic: *b"INDLOG-N",
};

/// More entries than any stable memory holds; offsets computed from so many can't overflow.
const MAX_ENTRIES: u64 = 1 << 48;

/// A Merkle log with payloads. See the layout, the invariants and the cost at the top of the source.
///
/// ```
/// use ic_stable_structures::VectorMemory;
/// use indus_certified::CertifiedLog;
///
/// let (nodes, payloads) = (VectorMemory::default(), VectorMemory::default());
/// let mut log = CertifiedLog::create(nodes.clone(), payloads.clone())?;
/// assert_eq!(log.append(&[7; 32], b"what was decided")?, 0);
///
/// let log = CertifiedLog::open(nodes, payloads)?;
/// assert_eq!(log.payload(0)?.as_deref(), Some(&b"what was decided"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CertifiedLog<M> {
    nodes: Region<M>,
    payloads: Payloads<M>,
    size: u64,
    /// Roots of the complete subtrees, the largest first; one for each set bit of `size`.
    peaks: Vec<Hash>,
}

impl<M: Memory> CertifiedLog<M> {
    /// Lays out an empty log. What the memories held before is lost.
    ///
    /// # Errors
    /// [`LogError::OutOfMemory`] if one of them has no page and can't get one.
    pub fn create(nodes: M, payloads: M) -> Result<Self, LogError> {
        let nodes = Region::new(nodes, NODES);
        nodes.grow_to(position::end(0))?;
        let payloads = Payloads::create(payloads, PAYLOADS)?;
        nodes.write_header([0, payloads.end()]);
        Ok(Self {
            nodes,
            payloads,
            size: 0,
            peaks: Vec::new(),
        })
    }

    /// Opens a log that [`create`](Self::create) laid out. Writes nothing.
    ///
    /// # Errors
    /// If one of the memories is empty, not a log's, of an unknown version, or shorter than its header says.
    pub fn open(nodes: M, payloads: M) -> Result<Self, OpenError> {
        let nodes = Region::new(nodes, NODES);
        let [size, payloads_end] = nodes.fields()?;
        nodes.check("number of entries", size, MAX_ENTRIES)?;
        nodes.check("end", position::end(size), nodes.bytes())?;
        let payloads = Payloads::open(payloads, PAYLOADS, payloads_end)?;
        let peaks = position::subtrees(0, size)
            .map(|(level, index)| nodes.read(position::node(level, index)))
            .collect();
        Ok(Self {
            nodes,
            payloads,
            size,
            peaks,
        })
    }

    /// How many entries there are, pruned ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Appends an entry, and returns its index.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] for more than [`MAX_PAYLOAD`] bytes, [`LogError::OutOfMemory`], [`LogError::Damaged`].
    pub fn append(&mut self, hash: &Hash, payload: &[u8]) -> Result<u64, LogError> {
        let index = self.size;
        let slot = self.payloads.reserve(payload.len())?;
        self.nodes.grow_to(position::end(index + 1))?;

        let reference = self.payloads.store(slot, payload);
        let mut node = hash::leaf(hash);
        let parents = index.trailing_ones() as usize;
        let mut written = Vec::with_capacity(position::appended(index));
        written.extend_from_slice(&node);
        written.extend_from_slice(&reference.to_bytes());
        for left in self.peaks.drain(self.peaks.len() - parents..).rev() {
            node = hash::parent(&left, &node);
            written.extend_from_slice(&node);
        }
        self.peaks.push(node);
        self.size += 1;
        self.nodes.write(position::node(0, index), &written);
        self.nodes.write_fields(0, [self.size, self.payloads.end()]);
        Ok(index)
    }

    /// The payload of an entry; `None` if it was pruned.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`], [`LogError::Damaged`].
    pub fn payload(&self, index: u64) -> Result<Option<Vec<u8>>, LogError> {
        self.payloads.load(self.reference(index)?)
    }

    /// Erases the payload of an entry and frees its slot; `false` if that was done before. No root and no proof changes.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`], [`LogError::Damaged`].
    pub fn prune(&mut self, index: u64) -> Result<bool, LogError> {
        let reference = self.reference(index)?;
        if reference == Reference::PRUNED {
            return Ok(false);
        }
        self.payloads.release(reference)?;
        self.nodes
            .write(position::reference(index), &Reference::PRUNED.to_bytes());
        Ok(true)
    }

    fn reference(&self, index: u64) -> Result<Reference, LogError> {
        if index >= self.size {
            return Err(LogError::NoSuchEntry {
                index,
                size: self.size,
            });
        }
        let bytes = self.nodes.read(position::reference(index));
        Ok(Reference::from_bytes(bytes))
    }
}
