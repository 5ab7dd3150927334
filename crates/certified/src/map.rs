//! `CertifiedMap`: keys of one length and the hashes of their values, as an IC hash tree in stable memory.
//!
//! Beside the hash stands a note of eight bytes, which is not certified: where the value is ([`crate::CertifiedRecords`]).
//!
//! A leaf-oriented Merkle Patricia (crit-bit) trie: a fork for each bit at which keys that are equal before it differ,
//! zeros to the left, a labeled leaf for each key.
//!
//! ```text
//! keys 00… 010… 011…                       fork, bit 0 ─┬─ labeled 00… ── leaf
//! the hash tree, labels in key order:                   └─ fork, bit 1.. ─┬─ labeled 010… ── leaf
//!                                                                         └─ labeled 011… ── leaf
//! ```
//!
//! Forks are transparent to paths, so the tree reads as one row of labels in the order of the keys: a key is proved
//! absent by its neighbours, a range complete by showing it from neighbour to neighbour.
//!
//! # Layout, version 1
//! All numbers are little-endian. Slots follow the header, in any order; all addresses are multiples of 8.
//!
//! ```text
//! header, 96 bytes                           fork, 80 bytes
//!  0  "ICM"                                   0  link to the left
//!  3  version: 1                              6  link to the right
//!  4  bytes of a key (u16)                   12  bit (u16): 0 is the highest of the key's first byte
//!  6  zeros                                  14  height of the left side (u8): forks above one another
//!  8  number of keys (u64)                   15  height of the right side (u8)
//! 16  link to the root (u64), 0 if empty     16  hash of the left side
//! 24  first free fork (u64), 0 if none       48  hash of the right side
//! 32  first free leaf (u64), 0 if none
//! 40  end of the slots (u64)                 leaf, key + 40 bytes, up to a multiple of 8
//! 48  slots of leaves, free ones too (u64)    0  key
//! 56  mark of the owner's (u64)              key length: hash of the leaf node of its value
//! 64  root hash                              32 bytes further: note of the owner's (u64)
//!
//! link, 6 bytes: the address; plus 1, if it is a leaf's         free slot: address of the next one (u64), 0 if none
//! ```
//!
//! # Invariants
//! - Bits increase on every way down, and each fork has keys on both sides: there is one such trie for one set of
//!   keys, so the root depends on the contents alone.
//! - A fork holds the hashes of both its sides. So a change reads no sibling, and a witness none.
//! - At most [`MAX_HEIGHT`] forks are above one another. Keys that would need more are refused: clients decode hash
//!   trees to a limited depth only.
//! - Changes are staged on the heap until [`CertifiedMap::commit`], which hashes and writes every fork above them once.
//!   It can't fail: memory is made to grow when a change is staged.
//! - Nobody else writes the memory, and it is open once.
//!
//! # Cost
//! With n keys of 32 bytes that are hashes, a way down has about log2 n + 0.3 forks. A change reads and writes each of
//! them once and takes two SHA-256 blocks for each, and two for its label; a witness reads each once. Changes that are
//! committed together share the forks that they have in common: 10, 100 and 1,000 among a million keys save about 17, 32
//! and 49 % of the hashes. A key takes a fork and a leaf: 152 bytes, if it has 32. Opening reads the header.

mod layout;
mod staged;
mod walk;
mod witness;

use ic_stable_structures::Memory;
use thiserror::Error;

pub use layout::MAX_KEY;
pub use witness::{Contents, Request};

use crate::{Encoder, Hash, WASM_PAGE, sha256};
use layout::{HEADER_BYTES, Header};
use staged::Staged;

/// Most forks above one another: with the root of a canister's tree, the labels and the leaf it stays below 100 nodes.
pub const MAX_HEIGHT: u8 = 80;

/// Why a map did not do what it was asked for. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MapError {
    /// The length of a key is not the map's.
    #[error("the key has {found} bytes, and keys of this map have {expected}")]
    KeyLength { found: usize, expected: usize },
    /// The keys that are near this one are too much like it.
    #[error("the key would be deeper in the tree than {MAX_HEIGHT} forks")]
    TooDeep,
    /// Stable memory can't grow.
    #[error("stable memory is full")]
    Full,
    /// A stored value can't be where the map says.
    #[error("the stored values are damaged")]
    Damaged,
    /// Changes are staged, and the root does not show them yet.
    #[error("changes are not committed")]
    Uncommitted,
}

/// Why a memory can't be opened. Nothing was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The memory does not begin with a header of this structure.
    #[error("the memory holds no certified map")]
    NotAMap,
    /// The layout is of another version, most likely a newer one.
    #[error("the certified map has layout {0}, and this is layout 1")]
    UnknownVersion(u8),
    /// The map has keys of another length.
    #[error("the certified map has keys of {found} bytes instead of {expected}")]
    KeyLength { found: usize, expected: usize },
    /// The header contradicts itself or the size of the memory.
    #[error("the header of the certified map is damaged")]
    Damaged,
}

/// What is at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The hash of the leaf node of the value (see [`sha256::leaf`]).
    pub hash: Hash,
    /// A number of the owner's, not certified: where the value is.
    pub note: u64,
}

impl Entry {
    /// Of a value, with the note 0.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        Self {
            hash: sha256::leaf(value),
            note: 0,
        }
    }
}

/// The certified map; see the [module](self).
pub struct CertifiedMap<M: Memory> {
    memory: M,
    header: Header,
    staged: Staged,
}

impl<M: Memory> CertifiedMap<M> {
    /// Lays out an empty map with keys of `key_bytes`, 1 to [`MAX_KEY`]; whatever was in the memory is lost.
    ///
    /// # Errors
    /// [`MapError::KeyLength`], [`MapError::Full`]; nothing is written then.
    pub fn create(memory: M, key_bytes: usize) -> Result<Self, MapError> {
        let header = Header::empty(key_bytes, sha256::empty()).ok_or(MapError::KeyLength {
            found: key_bytes,
            expected: MAX_KEY,
        })?;
        if !reserve(&memory, HEADER_BYTES) {
            return Err(MapError::Full);
        }
        header.write(&memory);
        Ok(Self {
            memory,
            header,
            staged: Staged::default(),
        })
    }

    /// Opens the map with keys of `key_bytes` that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this version understands.
    pub fn open(memory: M, key_bytes: usize) -> Result<Self, OpenError> {
        let header = Header::read(&memory)?;
        if header.key_bytes != key_bytes {
            return Err(OpenError::KeyLength {
                found: header.key_bytes,
                expected: key_bytes,
            });
        }
        Ok(Self {
            memory,
            header,
            staged: Staged::default(),
        })
    }

    /// How many keys there are, staged changes included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the map takes in memory, free slots included.
    #[must_use]
    pub fn stable_bytes(&self) -> u64 {
        self.header.end
    }

    /// Bytes of each key.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.header.key_bytes
    }

    /// The root hash as of the last commit.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.header.root_hash
    }

    /// Whether no change is staged.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        !self.staged.is_changed()
    }

    /// What is at `key`, staged changes included; none if the key is absent, or of another length.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Entry> {
        self.find(key).map(|leaf| leaf.entry())
    }

    /// Stages what is at `key`; what was there before.
    ///
    /// # Errors
    /// [`MapError::KeyLength`], [`MapError::TooDeep`], [`MapError::Full`].
    pub fn insert(&mut self, key: &[u8], entry: &Entry) -> Result<Option<Entry>, MapError> {
        self.check_key(key)?;
        self.stage_insert(key, entry)
    }

    /// Stages that `key` is absent; what it had before.
    ///
    /// # Errors
    /// [`MapError::KeyLength`].
    pub fn remove(&mut self, key: &[u8]) -> Result<Option<Entry>, MapError> {
        self.check_key(key)?;
        Ok(self.stage_remove(key))
    }

    /// Changes the note of a key that the staged changes have inserted or replaced, without a way down; whether there is
    /// such a key.
    pub(crate) fn set_note(&mut self, key: &[u8], note: u64) -> bool {
        self.stage_note(key, note)
    }

    /// A number of the owner's that is kept with the map, 0 at first.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.header.mark
    }

    /// Sets that number, to be written with the next commit of a change.
    pub fn set_mark(&mut self, mark: u64) {
        self.header.mark = mark;
    }

    /// Writes what is staged, and returns the new root hash.
    pub fn commit(&mut self) -> Hash {
        if self.staged.is_changed() {
            self.write_staged();
        } else {
            self.forget_staged();
        }
        self.header.root_hash
    }

    /// Takes back what is staged.
    pub fn discard(&mut self) {
        self.forget_staged();
        // The header says how many keys there were. It was read, or written, before.
        if let Ok(header) = Header::read(&self.memory) {
            self.header = header;
        }
    }

    /// Keys behind `after` (from the first, without it) up to `until` (to the last, without it), in their order with what is
    /// at them, at most `limit`; staged changes included.
    ///
    /// # Errors
    /// [`MapError::KeyLength`].
    pub fn range(
        &self,
        after: Option<&[u8]>,
        until: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Entry)>, MapError> {
        for bound in [after, until].into_iter().flatten() {
            self.check_key(bound)?;
        }
        Ok(self
            .after(after)
            .take_while(|leaf| until.is_none_or(|until| leaf.key() <= until))
            .take(limit)
            .map(|leaf| (leaf.key().to_vec(), leaf.entry()))
            .collect())
    }

    /// Keys behind `after`, or all, in their order, with what is at them; staged changes included.
    pub fn entries<'a>(
        &'a self,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (Vec<u8>, Entry)> + use<'a, M> {
        self.after(after)
            .map(|leaf| (leaf.key().to_vec(), leaf.entry()))
    }

    /// Writes the hash tree of the map, pruned to what answers `requests`. Of a key that is present, `contents` gives the
    /// value to be shown as a leaf, or nothing if only its hash is; of an absent one, its neighbours are shown, with
    /// hashes.
    ///
    /// # Errors
    /// [`MapError::Uncommitted`]; [`MapError::KeyLength`] for a bound of a range. A key of another length is absent.
    pub fn witness(
        &self,
        requests: &[Request<'_>],
        contents: Contents<'_>,
        encoder: &mut Encoder,
    ) -> Result<(), MapError> {
        if !self.is_committed() {
            return Err(MapError::Uncommitted);
        }
        self.write_witness(requests, contents, encoder)
    }

    fn check_key(&self, key: &[u8]) -> Result<(), MapError> {
        if key.len() == self.header.key_bytes {
            return Ok(());
        }
        Err(MapError::KeyLength {
            found: key.len(),
            expected: self.header.key_bytes,
        })
    }

    /// Makes room for one key more than there are, staged changes included.
    fn make_room(&self) -> Result<(), MapError> {
        let leaves = self.header.leaf_slots.max(self.len() + 1);
        let forks = self.header.fork_slots().max(self.len());
        if reserve(&self.memory, self.header.end_of(forks, leaves)) {
            Ok(())
        } else {
            Err(MapError::Full)
        }
    }
}

/// Makes `memory` at least `bytes` large, if it can be.
fn reserve<M: Memory>(memory: &M, bytes: u64) -> bool {
    let missing = bytes.div_ceil(WASM_PAGE).saturating_sub(memory.size());
    missing == 0 || memory.grow(missing) >= 0
}
