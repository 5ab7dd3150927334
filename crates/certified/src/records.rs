//! `CertifiedRecords`: a certified map with its values.
//!
//! The map is the index: the note of a key says in which slot of a second memory its value lies, and how long it is. A
//! B-tree beside it would cost as much again as all other work of an insertion but the hashes.
//!
//! # Layout, version 1
//! The first memory is a [`CertifiedMap`], whose notes are references: the offset of the slot / 16 in the upper 42 bits, the
//! length of the value in the lower 22; 0 for an empty value. Its mark is the end of the slots, 0 before the first one. The
//! second memory is laid out as the payloads of a [log](crate::CertifiedLog), with the magic `INDREC-P`.
//!
//! # Flow
//! [`stage`](CertifiedRecords::stage) makes room and stages the leaf, [`finish`](CertifiedRecords::finish) writes the value,
//! [`commit`](CertifiedRecords::commit) hashes. So several changes are staged first, all or none
//! ([`restore`](CertifiedRecords::restore) takes one back), and what is finished needs nothing that could fail.
//!
//! # Invariants
//! - A value that is replaced or removed is overwritten with zeros, or by its successor.
//! - What is finished has to be committed, or rolled back by a trap: it is not in the root yet.
//!
//! # Cost
//! Beside the map's: a write of the value, and one of 8 bytes where a slot is used again; to read, one way down and one
//! read. Slots waste a quarter at most.

use ic_stable_structures::Memory;

use crate::{
    Encoder, Hash,
    log::{
        LogError,
        payloads::{Payloads, Reference, SLOTS, slot_of},
        region::Kind,
    },
    map::{CertifiedMap, Entry, MapError, OpenError, Request},
    sha256,
};

const VALUES: Kind = Kind {
    name: "values",
    magic: *b"INDREC-P",
};

/// A change whose leaf is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a staged change has to be finished or restored"]
pub struct Staged {
    before: Option<Entry>,
    after: Option<Hash>,
}

impl Staged {
    /// Whether there was a value before.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.before.is_some()
    }
}

/// A certified map with its values; see the [module](self).
pub struct CertifiedRecords<M: Memory> {
    map: CertifiedMap<M>,
    values: Payloads<M>,
    /// Bytes of slots that staged values may need.
    waiting: u64,
}

impl<M: Memory> CertifiedRecords<M> {
    /// Lays out an empty map with keys of `key_bytes`; whatever was in the memories is lost.
    ///
    /// # Errors
    /// [`MapError::KeyLength`], [`MapError::Full`].
    pub fn create(map: M, values: M, key_bytes: usize) -> Result<Self, MapError> {
        Ok(Self {
            map: CertifiedMap::create(map, key_bytes)?,
            values: Payloads::create(values, VALUES).map_err(refused)?,
            waiting: 0,
        })
    }

    /// Opens what is in the memories.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this version understands; nothing is written then.
    pub fn open(map: M, values: M, key_bytes: usize) -> Result<Self, OpenError> {
        let map = CertifiedMap::open(map, key_bytes)?;
        let end = match map.mark() {
            0 => SLOTS,
            end => end,
        };
        let values = Payloads::open(values, VALUES, end).map_err(|_| OpenError::Damaged)?;
        Ok(Self {
            map,
            values,
            waiting: 0,
        })
    }

    /// The map: sizes, root, hashes.
    #[must_use]
    pub fn map(&self) -> &CertifiedMap<M> {
        &self.map
    }

    /// The value at `key`, staged and finished changes included.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.map.get(key).and_then(|entry| self.value(entry.note))
    }

    /// Keys and values behind `after`, or all, in the order of the keys.
    pub fn after<'a>(
        &'a self,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<'a, M> {
        self.map.entries(after).filter_map(|(key, entry)| {
            let value = self.value(entry.note)?;
            Some((key, value))
        })
    }

    /// Stages that `key` has a value with this leaf hash and length, or none, and makes room for it.
    ///
    /// # Errors
    /// [`MapError::KeyLength`], [`MapError::TooDeep`], [`MapError::Full`]; nothing has changed then.
    pub fn stage(&mut self, key: &[u8], value: Option<(Hash, usize)>) -> Result<Staged, MapError> {
        let Some((hash, length)) = value else {
            let before = self.map.remove(key)?;
            return Ok(Staged {
                before,
                after: None,
            });
        };
        let waiting = self.waiting.saturating_add(slot_of(length));
        self.values.make_room(waiting).map_err(refused)?;
        let note = Reference::EMPTY.to_number();
        let before = self.map.insert(key, &Entry { hash, note })?;
        self.waiting = waiting;
        Ok(Staged {
            before,
            after: Some(hash),
        })
    }

    /// Takes a staged change back.
    pub fn restore(&mut self, key: &[u8], staged: &Staged) {
        // There was room for what was there.
        let _ = match &staged.before {
            Some(entry) => self.map.insert(key, entry),
            None => self.map.remove(key),
        };
    }

    /// Takes back all that is staged, where nothing is finished.
    pub fn discard(&mut self) {
        self.map.discard();
        self.waiting = 0;
    }

    /// Writes the value of a staged change.
    ///
    /// # Errors
    /// [`MapError::Damaged`] if the free slots are not what they should be. The message has to trap then.
    pub fn finish(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        staged: &Staged,
    ) -> Result<(), MapError> {
        let old = staged
            .before
            .map_or(Reference::EMPTY, |entry| Reference::from_number(entry.note));
        match (value, staged.after) {
            (Some(value), Some(hash)) => {
                let note = self
                    .values
                    .replace(old, value)
                    .map_err(refused)?
                    .to_number();
                if !self.map.set_note(key, note) {
                    // What was there before, with the same note and hash: nothing is staged.
                    self.map.insert(key, &Entry { hash, note })?;
                }
            }
            _ => self.values.release(old).map_err(refused)?,
        }
        Ok(())
    }

    /// Stages and writes a value, or that there is none.
    ///
    /// # Errors
    /// Those of [`stage`](Self::stage) and [`finish`](Self::finish).
    pub fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), MapError> {
        let leaf = value.map(|value| (sha256::leaf(value), value.len()));
        let staged = self.stage(key, leaf)?;
        self.finish(key, value, &staged)
    }

    /// Hashes what is staged, and returns the new root hash.
    pub fn commit(&mut self) -> Hash {
        self.map.set_mark(self.values.end());
        self.waiting = 0;
        self.map.commit()
    }

    /// Writes the hash tree, pruned to what answers `requests`, with those values that are `visible`.
    ///
    /// # Errors
    /// Those of [`CertifiedMap::witness`].
    pub fn witness(
        &self,
        requests: &[Request<'_>],
        visible: &dyn Fn(&[u8]) -> bool,
        encoder: &mut Encoder,
    ) -> Result<(), MapError> {
        let mut contents = |_: &[u8], note| self.value(note).filter(|value| visible(value));
        self.map.witness(requests, &mut contents, encoder)
    }

    fn value(&self, note: u64) -> Option<Vec<u8>> {
        self.values
            .load(Reference::from_number(note))
            .ok()
            .flatten()
    }
}

fn refused(error: LogError) -> MapError {
    match error {
        LogError::OutOfMemory { .. } | LogError::AboveBound { .. } => MapError::Full,
        LogError::Damaged { .. } | LogError::NoSuchEntry { .. } => MapError::Damaged,
    }
}
