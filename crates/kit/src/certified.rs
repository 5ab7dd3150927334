//! The certified state: collections of records, the audit log, and one tree over both.
//!
//! ```text
//! root ─┬─ data ─┬─ <collection> ── <key> ── leaf: the exact bytes of the record
//!       │        └─ …
//!       ├─ http_expr ── pages (ic-http-certification)
//!       ├─ last_block_hash ── leaf        ICRC-3
//!       ├─ last_block_index ── leaf       ICRC-3, LEB128
//!       ├─ log ── leaf: number of blocks (LEB128), peaks of the RFC 9162 tree over their hashes
//!       └─ sig ── <SHA-256 of the seed> ── the tree of the collection `signatures`, where there is one
//! ```
//!
//! A change is an [`Event`]: [`Certified::record`] writes the records, stages their leaves and appends the block, or
//! refuses and changes nothing. [`Certified::commit`] hashes what is staged, once a message, before it ends or awaits.
//!
//! # Invariants
//! - A record changes with an event that names it, or not at all. So replaying the log gives every root of `data`.
//! - The bytes of a record live once, in the record store; the trie keeps their hash.
//! - Nothing is read with proof while something is uncommitted.
//! - Keys of a collection have one length, so that no caller's choice makes the tree deeper than clients decode.
//!
//! # Cost
//! Opening reads a header for each structure, and the last block. An event of one record among n takes about
//! 2·log2 n SHA-256 blocks for the trie, and 40 for the block, the log and the top of the tree.

mod collection;
mod read;

use ic_stable_structures::{Memory, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    audit::{
        LAST_BLOCK_HASH, LAST_BLOCK_INDEX, LOG, MAX_BLOCK_TYPE_BYTES, MAX_DETAILS_BYTES,
        MAX_LEAF_CHANGES,
    },
    signatures::{SIG, SIGNATURES, seed_hash},
};
use indus_certified::{CertifiedLog, Hash, Row, records::Staged, sha256};

pub use collection::{Collection, CollectionSpec};

use crate::{
    audit::{self, Block, Change, CollectionId, Event, encode},
    codes,
    memories::{KitMemory, Memories},
    open::OpenError,
};

/// Label of all records.
pub use indus_api::certified::DATA;

/// Label of the certified pages.
pub use crate::http::LABEL as HTTP_EXPR;

/// Longest record, in bytes: a page of 100 of them fits into a reply.
pub const MAX_RECORD_BYTES: usize = 16_384;

/// The last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    pub index: u64,
    pub hash: Hash,
    pub time_ns: u64,
}

/// The certified state of a canister; see the [module](self).
pub struct Certified<M: Memory> {
    collections: Vec<Collection<M>>,
    log: CertifiedLog<VirtualMemory<M>>,
    tip: Option<Tip>,
    data: Row,
    root: Row,
    root_hash: Hash,
    committed: bool,
    /// Hashes of the types of blocks that were made since the canister was started.
    kinds: Vec<(&'static str, Hash)>,
}

impl<M: Memory> Certified<M> {
    /// Lays out empty collections and an empty log.
    ///
    /// # Errors
    /// [`Error::Internal`] if stable memory can't grow.
    pub fn create(memories: &Memories<M>, specs: &'static [CollectionSpec]) -> Result<Self, Error> {
        let full = |_| codes::internal(codes::MEMORY_FULL);
        let collections = specs.iter().map(|spec| Collection::create(memories, spec));
        let log = CertifiedLog::create(
            memories.kit(KitMemory::LogNodes),
            memories.kit(KitMemory::LogPayloads),
        )
        .map_err(full)?;
        Ok(Self::new(collections.collect::<Result<_, _>>()?, log, None))
    }

    /// Opens what is there. A collection that the canister has had no memory for is new, and empty.
    ///
    /// # Errors
    /// [`OpenError`] for a structure that is none, or none that this version understands.
    pub fn open(
        memories: &Memories<M>,
        specs: &'static [CollectionSpec],
    ) -> Result<Self, OpenError> {
        let collections = specs.iter().map(|spec| Collection::open(memories, spec));
        let collections = collections.collect::<Result<_, _>>()?;
        let log = CertifiedLog::open(
            memories.kit(KitMemory::LogNodes),
            memories.kit(KitMemory::LogPayloads),
        )
        .map_err(|_| OpenError::Damaged("the audit log"))?;
        let tip = match log.len().checked_sub(1) {
            None => None,
            Some(index) => {
                let block =
                    stored_block(&log, index).ok_or(OpenError::Damaged("the last block"))?;
                Some(Tip {
                    index,
                    hash: block.hash(),
                    time_ns: block.time_ns,
                })
            }
        };
        Ok(Self::new(collections, log, tip))
    }

    fn new(
        collections: Vec<Collection<M>>,
        log: CertifiedLog<VirtualMemory<M>>,
        tip: Option<Tip>,
    ) -> Self {
        let mut certified = Self {
            collections,
            log,
            tip,
            data: Row::default(),
            root: Row::default(),
            root_hash: [0; 32],
            committed: false,
            kinds: Vec::new(),
        };
        certified.commit();
        certified
    }

    /// Whether everything that was recorded is in the root.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// What the subnet has to certify, as of the last commit.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// The last block.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.tip
    }

    /// Blocks in the log.
    #[must_use]
    pub fn log_len(&self) -> u64 {
        self.log.len()
    }

    /// A collection. Its id is the canister's own.
    #[must_use]
    pub fn collection(&self, id: CollectionId) -> &Collection<M> {
        &self.collections[id.0]
    }

    /// All collections, in the order of the canister's list.
    #[must_use]
    pub fn collections(&self) -> &[Collection<M>] {
        &self.collections
    }

    /// The stored bytes of a record.
    #[must_use]
    pub fn get(&self, collection: CollectionId, key: &[u8]) -> Option<Vec<u8>> {
        self.collection(collection).get(key)
    }

    /// Writes the records of an event and appends its block, whose index it returns.
    ///
    /// # Errors
    /// [`Error::Internal`] for an event that the canister should not have made (see [`codes`]), or if stable memory is
    /// full. Nothing has changed then.
    pub fn record(&mut self, event: Event) -> Result<u64, Error> {
        let Event {
            kind,
            actor,
            time_ns,
            mut changes,
            details,
        } = event;
        let sizes = (1..=MAX_BLOCK_TYPE_BYTES).contains(&kind.len())
            && changes.len() <= MAX_LEAF_CHANGES
            && details.len() <= MAX_DETAILS_BYTES
            && changes.iter().all(|change| {
                change
                    .record
                    .as_ref()
                    .is_none_or(|record| record.len() <= MAX_RECORD_BYTES)
            });
        if !sizes {
            return Err(codes::internal(codes::EVENT_TOO_LARGE));
        }
        if changes.len() > 1 {
            let place = |change: &Change| (self.name(change.collection), change.key.clone());
            changes.sort_by_cached_key(place);
        }
        let twice = |pair: &[Change]| {
            (pair[0].collection, &pair[0].key) == (pair[1].collection, &pair[1].key)
        };
        if changes.windows(2).any(twice) {
            return Err(codes::internal(codes::RECORD_CHANGED_TWICE));
        }
        let leaves: Vec<Option<Hash>> = changes
            .iter()
            .map(|change| change.record.as_deref().map(sha256::leaf))
            .collect();
        let named: Vec<_> = changes
            .iter()
            .zip(&leaves)
            .map(|(change, leaf)| (self.name(change.collection), &change.key[..], *leaf))
            .collect();
        let block = Block {
            kind: kind.to_owned(),
            time_ns,
            previous: self.tip.map(|tip| tip.hash),
            tx: encode(actor, &named, &details),
        };
        let staged = self.stage(&changes, &leaves)?;
        let hash = block.hash_with(&self.kind_hash(kind));
        let index = match self.log.append(&hash, &block.to_bytes()) {
            Ok(index) => index,
            Err(_) => {
                self.restore(&changes, &staged);
                return Err(codes::internal(codes::MEMORY_FULL));
            }
        };
        for (change, staged) in changes.iter().zip(&staged) {
            let collection = &mut self.collections[change.collection.0];
            collection.finish(&change.key, change.record.as_deref(), staged);
        }
        self.tip = Some(Tip {
            index,
            hash,
            time_ns,
        });
        self.committed = false;
        Ok(index)
    }

    /// The hash of a type of blocks: a canister has few of them.
    fn kind_hash(&mut self, kind: &'static str) -> Hash {
        if let Some((_, hash)) = self.kinds.iter().find(|(known, _)| *known == kind) {
            return *hash;
        }
        let hash = sha256::digest(kind.as_bytes());
        self.kinds.push((kind, hash));
        hash
    }

    fn name(&self, collection: CollectionId) -> &'static str {
        self.collections[collection.0].spec().name
    }

    /// Stages all leaves, or none.
    fn stage(&mut self, changes: &[Change], leaves: &[Option<Hash>]) -> Result<Vec<Staged>, Error> {
        let mut all = Vec::with_capacity(changes.len());
        for (change, leaf) in changes.iter().zip(leaves) {
            let collection = &mut self.collections[change.collection.0];
            let length = change.record.as_ref().map_or(0, Vec::len);
            match collection.stage(&change.key, leaf.map(|leaf| (leaf, length))) {
                Ok(staged) => all.push(staged),
                Err(error) => {
                    self.restore(changes, &all);
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    /// Takes staged leaves back.
    fn restore(&mut self, changes: &[Change], staged: &[Staged]) {
        for (change, staged) in changes.iter().zip(staged) {
            let collection = &mut self.collections[change.collection.0];
            // Where nothing else waits for the commit, there is nothing left to commit either.
            if self.committed {
                collection.discard();
            } else {
                collection.restore(&change.key, staged);
            }
        }
    }

    /// Certifies the pages whose tree has this root.
    pub fn set_http_expr(&mut self, root_hash: Hash) {
        self.root.set(HTTP_EXPR, root_hash);
        self.committed = false;
    }

    /// Hashes what has changed, and returns what the subnet has to certify.
    pub fn commit(&mut self) -> Hash {
        if !self.committed {
            for collection in &mut self.collections {
                let root = collection.commit();
                self.data.set(collection.spec().name, root);
            }
            self.root.set(DATA, self.data.root_hash());
            if let Some(signatures) = self.named(SIGNATURES.as_bytes()) {
                let below = signatures.root_hash();
                self.root.set(SIG, sha256::labeled(&seed_hash(), &below));
            }
            for (label, leaf) in self.log_leaves() {
                self.root.set(label, sha256::leaf(&leaf));
            }
            self.root_hash = self.root.root_hash();
            self.committed = true;
        }
        self.root_hash
    }

    /// The leaves that certify the log.
    fn log_leaves(&self) -> Vec<(&'static str, Vec<u8>)> {
        let peaks = self.log.peaks().as_flattened();
        let mut head = Vec::with_capacity(10 + peaks.len());
        audit::push_leb128(&mut head, self.log.len());
        head.extend_from_slice(peaks);
        let mut leaves = Vec::with_capacity(3);
        leaves.push((LOG, head));
        if let Some(tip) = self.tip {
            leaves.push((LAST_BLOCK_HASH, tip.hash.to_vec()));
            leaves.push((LAST_BLOCK_INDEX, audit::leb128(tip.index)));
        }
        leaves
    }
}

fn stored_block<M: Memory>(log: &CertifiedLog<VirtualMemory<M>>, index: u64) -> Option<Block> {
    let payload = log.payload(index).ok().flatten()?;
    Block::from_bytes(index, &payload)
}
