//! One collection: certified records, and who may read them.

use ic_stable_structures::{Memory, memory_manager::VirtualMemory};
use indus_api::{Error, Subject};
use indus_certified::{CertifiedRecords, Encoder, Hash, MapError, Request, records::Staged};

use crate::{
    codes,
    memories::Memories,
    open::OpenError,
    subjects::{Owner, ReadRule},
};

/// What a collection is, as the canister lists it.
#[derive(Clone, Copy, Debug)]
pub struct CollectionSpec {
    /// Its label below `data`: a plural noun.
    pub name: &'static str,
    /// Bytes of each key: 8 for ids that the canister assigned, 32 for SHA-256 of anything that a caller chose.
    pub key_bytes: usize,
    /// Memory of the records' bytes.
    pub records: u8,
    /// Memory of the trie that certifies and finds them.
    pub trie: u8,
    /// Who may read its bytes. Keys and leaf hashes are anybody's: an audit replays them.
    pub rule: ReadRule,
    /// Whose a record is, from its bytes; nobody's, if they can't be read. Not asked for where everybody may read.
    pub owner: fn(&[u8]) -> Option<Owner>,
}

/// A collection of records.
pub struct Collection<M: Memory> {
    spec: &'static CollectionSpec,
    records: CertifiedRecords<VirtualMemory<M>>,
}

impl<M: Memory> Collection<M> {
    pub(super) fn create(
        memories: &Memories<M>,
        spec: &'static CollectionSpec,
    ) -> Result<Self, Error> {
        let (trie, records) = (memories.get(spec.trie), memories.get(spec.records));
        let records = CertifiedRecords::create(trie, records, spec.key_bytes)
            .map_err(|_| codes::internal(codes::MEMORY_FULL))?;
        Ok(Self { spec, records })
    }

    pub(super) fn open(
        memories: &Memories<M>,
        spec: &'static CollectionSpec,
    ) -> Result<Self, OpenError> {
        let (trie, records) = (memories.get(spec.trie), memories.get(spec.records));
        if trie.size() == 0 && records.size() == 0 {
            return Self::create(memories, spec)
                .map_err(|_| OpenError::Damaged("a new collection"));
        }
        let records = CertifiedRecords::open(trie, records, spec.key_bytes)
            .map_err(|_| OpenError::Damaged("a collection"))?;
        Ok(Self { spec, records })
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'static CollectionSpec {
        self.spec
    }

    /// Records in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.records.map().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The exact bytes of a record.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.records.get(key)
    }

    /// Whether there is a record.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.records.map().get(key).is_some()
    }

    /// The records behind `after`, or all of them, in the order of their keys.
    pub fn after<'a>(
        &'a self,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<'a, M> {
        self.records.after(after)
    }

    /// The root hash of its tree, as of the last commit.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.records.map().root_hash()
    }

    /// Stages a record with this leaf hash, or that there is none.
    pub(super) fn stage(
        &mut self,
        key: &[u8],
        record: Option<(Hash, usize)>,
    ) -> Result<Staged, Error> {
        if record.is_none() && !self.contains(key) {
            return Err(codes::internal(codes::RECORD_MISSING));
        }
        self.records
            .stage(key, record)
            .map_err(|error| match error {
                MapError::Full => codes::internal(codes::MEMORY_FULL),
                _ => codes::internal(codes::KEY_REFUSED),
            })
    }

    /// Takes a staged record back.
    pub(super) fn restore(&mut self, key: &[u8], staged: &Staged) {
        self.records.restore(key, staged);
    }

    /// Takes back all that is staged, where nothing is finished.
    pub(super) fn discard(&mut self) {
        self.records.discard();
    }

    /// Writes a record whose leaf is staged.
    ///
    /// # Panics
    /// If the store is damaged: the message ends, and nothing of it is kept.
    pub(super) fn finish(&mut self, key: &[u8], record: Option<&[u8]>, staged: &Staged) {
        let finished = self.records.finish(key, record, staged);
        assert!(
            finished.is_ok(),
            "the records of {} are damaged",
            self.spec.name
        );
    }

    pub(super) fn commit(&mut self) -> Hash {
        self.records.commit()
    }

    /// Whether `reader` may see the bytes of this record.
    #[must_use]
    pub fn may_read(&self, record: &[u8], reader: Option<&Subject>) -> bool {
        let rule = self.spec.rule;
        rule == ReadRule::Public
            || (self.spec.owner)(record).is_some_and(|owner| rule.allows(&owner, reader))
    }

    /// Writes its tree, pruned to what answers `requests`, with the bytes of those records that `reader` may see.
    pub(super) fn witness(
        &self,
        requests: &[Request<'_>],
        reader: Option<&Subject>,
        encoder: &mut Encoder,
    ) -> Result<(), Error> {
        let visible = |record: &[u8]| self.may_read(record, reader);
        self.records
            .witness(requests, &visible, encoder)
            .map_err(|error| match error {
                MapError::Uncommitted => codes::internal(codes::UNCOMMITTED),
                _ => codes::internal(codes::KEY_REFUSED),
            })
    }
}
