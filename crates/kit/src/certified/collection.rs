//! One collection: the record store and the trie that certifies it.

use std::borrow::Cow;

use ic_stable_structures::{
    Memory, StableBTreeMap, Storable, memory_manager::VirtualMemory, storable::Bound,
};
use indus_api::{Error, Subject};
use indus_certified::{CertifiedMap, Encoder, Hash, MapError, Request, map::MAX_KEY, sha256};

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
    /// Memory of the record store.
    pub records: u8,
    /// Memory of the trie.
    pub trie: u8,
    /// Who may read its bytes. Keys and leaf hashes are anybody's: an audit replays them.
    pub rule: ReadRule,
    /// Whose a record is, from its bytes; nobody's, if they can't be read. Not asked for where everybody may read.
    pub owner: fn(&[u8]) -> Option<Owner>,
}

/// The key of a record, up to [`MAX_KEY`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<u8>);

impl Storable for Key {
    const BOUND: Bound = Bound::Bounded {
        max_size: 64,
        is_fixed_size: false,
    };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(bytes.into_owned())
    }
}

const _: () = assert!(MAX_KEY == 64);

/// A collection of records.
pub struct Collection<M: Memory> {
    spec: &'static CollectionSpec,
    records: StableBTreeMap<Key, Vec<u8>, VirtualMemory<M>>,
    trie: CertifiedMap<VirtualMemory<M>>,
}

impl<M: Memory> Collection<M> {
    pub(super) fn create(
        memories: &Memories<M>,
        spec: &'static CollectionSpec,
    ) -> Result<Self, Error> {
        Ok(Self {
            spec,
            records: StableBTreeMap::new(memories.get(spec.records)),
            trie: CertifiedMap::create(memories.get(spec.trie), spec.key_bytes)
                .map_err(|_| codes::internal(codes::MEMORY_FULL))?,
        })
    }

    pub(super) fn open(
        memories: &Memories<M>,
        spec: &'static CollectionSpec,
    ) -> Result<Self, OpenError> {
        let trie = memories.get(spec.trie);
        if trie.size() == 0 {
            return Self::create(memories, spec)
                .map_err(|_| OpenError::Damaged("a new collection"));
        }
        let trie = CertifiedMap::open(trie, spec.key_bytes)
            .map_err(|_| OpenError::Damaged("the tree of a collection"))?;
        let records = memories.get(spec.records);
        if records.size() == 0 {
            return Err(OpenError::Damaged("the records of a collection"));
        }
        Ok(Self {
            spec,
            records: StableBTreeMap::load(records),
            trie,
        })
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'static CollectionSpec {
        self.spec
    }

    /// Records in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The exact bytes of a record.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if key.len() != self.spec.key_bytes {
            return None;
        }
        self.records.get(&Key(key.to_vec()))
    }

    /// The records behind `after`, or all of them, in the order of their keys.
    pub fn after(&self, after: Option<&[u8]>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, |after| Excluded(Key(after.to_vec())));
        self.records
            .range((start, Unbounded))
            .map(|entry| (entry.key().0.clone(), entry.value()))
    }

    /// The root hash of its tree, as of the last commit.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.trie.root_hash()
    }

    /// Stages a leaf, or that there is none.
    pub(super) fn stage(&mut self, key: &[u8], leaf: Option<&Hash>) -> Result<(), Error> {
        let staged = match leaf {
            Some(leaf) => self.trie.insert(key, leaf).map(|_| true),
            None => self.trie.remove(key).map(|before| before.is_some()),
        };
        match staged {
            Ok(true) => Ok(()),
            Ok(false) => Err(codes::internal(codes::RECORD_MISSING)),
            Err(MapError::Full) => Err(codes::internal(codes::MEMORY_FULL)),
            Err(_) => Err(codes::internal(codes::KEY_REFUSED)),
        }
    }

    /// Takes back all that is staged.
    pub(super) fn discard(&mut self) {
        self.trie.discard();
    }

    /// Stages the leaf that the stored record has.
    pub(super) fn unstage(&mut self, key: &[u8]) {
        // Either puts back what was in the trie before, which has room for it.
        let _ = match self.get(key) {
            Some(record) => self.trie.insert(key, &sha256::leaf(&record)),
            None => self.trie.remove(key),
        };
    }

    /// Writes a record whose leaf is staged.
    pub(super) fn store(&mut self, key: Vec<u8>, record: Option<Vec<u8>>) {
        match record {
            Some(record) => drop(self.records.insert(Key(key), record)),
            None => drop(self.records.remove(&Key(key))),
        }
    }

    pub(super) fn commit(&mut self) -> Hash {
        self.trie.commit()
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
        let mut contents = |key: &[u8]| {
            let record = self.get(key)?;
            self.may_read(&record, reader).then_some(record)
        };
        self.trie
            .witness(requests, &mut contents, encoder)
            .map_err(|error| match error {
                MapError::Uncommitted => codes::internal(codes::UNCOMMITTED),
                _ => codes::internal(codes::KEY_REFUSED),
            })
    }
}
