//! A whole log at once: the blocks of a file, hashed on all threads, against what the canister certified.
//!
//! ```text
//!             ┌ thread: hashes, subtrees of the log, changes of leaves ┐
//! file ─► parts                                                        ├─► in order: chain, log, collections ─► check
//!             └ thread: the same of the next blocks                    ┘
//! ```
//!
//! It says what [`Audit`](crate::Audit) says, which goes block by block and can answer in between. Each stored block names the
//! hash of the one before it, so any part of the file can be hashed by itself; that the names are the hashes is compared
//! behind. Roots are computed once, at the certified head, however often a record changed before.
//!
//! Invariants
//! - What is accepted, [`Audit`](crate::Audit) accepts too, with the same head and roots.
//! - A refused log is refused naming the block that is wrong: of a block that was changed and the next one, whose name for it
//!   is another, it is the first.
//!
//! Cost: for a block the SHA-256 that its formats ask for, about 17 compressions if it changes one record, and not as much
//! again for the rest. Memory for what is read at a time, and for the leaves.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread;

use indus_api::audit::{AuditEvent, LAST_BLOCK_HASH, LAST_BLOCK_INDEX};

use crate::audit::{AuditError, check_collections};
use crate::chain::{BlockFault, SKIPPING_QUOTA};
use crate::collections::{ChangeFault, ImpossibleChange};
use crate::decode;
use crate::event::{self, Change};
use crate::leaves::Leaves;
use crate::leb128;
use crate::log::{self, LogHead, LogRoot};
use crate::node;
use crate::path;
use crate::sha256::{self, BLOCK, digest, short};
use crate::stored::{self, StoredBlock};
use crate::time::Time;
use crate::tree::Hash;
use crate::witness::VerifiedWitness;

/// What a log has of one type of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTypeSummary {
    /// How many.
    pub blocks: u64,
    /// Time of the first one.
    pub first: Time,
    /// Time of the last one.
    pub last: Time,
}

/// What a log says, after its check.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The certified head.
    pub head: LogHead,
    /// Each collection that was ever named, as it is at the head.
    pub collections: BTreeMap<String, Leaves>,
    /// By the names of the types.
    pub block_types: BTreeMap<String, BlockTypeSummary>,
    /// Hash of the block that was watched, if there is such a block.
    pub watched: Option<Hash>,
}

/// A log as far as it was read.
#[derive(Debug)]
pub struct Replay {
    threads: usize,
    log: LogRoot,
    last: Option<(Hash, Time)>,
    said: Said,
    watch: Option<u64>,
    watched: Option<Hash>,
}

/// What blocks say.
#[derive(Debug, Default)]
struct Said {
    collections: BTreeMap<String, Leaves>,
    block_types: BTreeMap<String, (Hash, BlockTypeSummary)>,
}

/// Some blocks in a row, hashed.
struct Part {
    first: u64,
    /// Of all of them.
    bytes: usize,
    /// What the first one names as the hash before it, and its time.
    parent: Hash,
    begins: Time,
    last: Hash,
    ends: Time,
    /// Roots of the largest complete subtrees that the blocks make, from left to right, with the levels.
    subtrees: Vec<(u32, Hash)>,
    said: Said,
    watched: Option<Hash>,
}

impl Replay {
    /// A log of no blocks, that uses so many threads.
    pub fn new(threads: NonZero<usize>) -> Self {
        Self {
            threads: threads.get(),
            log: LogRoot::default(),
            last: None,
            said: Said::default(),
            watch: None,
            watched: None,
        }
    }

    /// Keeps the hash of block `index`, when it comes.
    pub fn watch(&mut self, index: u64) {
        self.watch = Some(index);
    }

    /// How many blocks there are so far.
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// Reads the blocks of `stored` ([`StoredBlock`]) that are whole; returns how many bytes those are.
    ///
    /// Errors: [`AuditError::Block`]. What was read is worth nothing then.
    pub fn read(&mut self, stored: &[u8]) -> Result<usize, AuditError> {
        let (pieces, fault) = pieces(stored, self.size(), self.threads);
        let watch = self.watch;
        let parts: Vec<Result<Part, AuditError>> = match &pieces[..] {
            [(first, piece)] => vec![Part::read(*first, piece, watch)],
            pieces => thread::scope(|scope| {
                let parts: Vec<_> = pieces
                    .iter()
                    .map(|(first, piece)| scope.spawn(|| Part::read(*first, piece, watch)))
                    .collect();
                let ended = |part: thread::ScopedJoinHandle<'_, _>| part.join().ok();
                // None panics; a part that is missing would be found by what follows it.
                parts.into_iter().filter_map(ended).collect()
            }),
        };
        let mut done = 0;
        for part in parts {
            let part = part?;
            done += part.bytes;
            if part.bytes > 0 {
                self.append(part)?;
            }
        }
        // What can't be read at the end may be so because of a block before it, which is to blame then.
        if let Some(fault) = fault {
            return Err(fault);
        }
        for (name, leaves) in &mut self.said.collections {
            if leaves.is_full() {
                settle(name, leaves, self.threads)?;
            }
        }
        Ok(done)
    }

    fn append(&mut self, part: Part) -> Result<(), AuditError> {
        let first = part.first;
        let failed = |index, fault| AuditError::Block { index, fault };
        if first != self.size() {
            let expected = self.size();
            return Err(failed(first, BlockFault::Index { expected }));
        }
        match self.last {
            Some((last, _)) if last != part.parent => {
                return Err(failed(first - 1, BlockFault::NotFollowed));
            }
            Some((_, before)) if part.begins < before => {
                let time = part.begins;
                return Err(failed(first, BlockFault::Time { time, before }));
            }
            None if part.parent != [0; 32] => return Err(failed(first, BlockFault::Stored)),
            _ => {}
        }
        for (level, root) in part.subtrees {
            self.log.append_subtree(level, root);
        }
        self.last = Some((part.last, part.ends));
        self.watched = self.watched.or(part.watched);
        for (name, leaves) in part.said.collections {
            let Some(known) = self.said.collections.get_mut(&name) else {
                self.said.collections.insert(name, leaves);
                continue;
            };
            let (expected, length) = (known.key_length(), leaves.key_length());
            if expected != length {
                let key = leaves.iter().next().map(|(key, _)| key.to_vec());
                let fault = ChangeFault::KeyLength { length, expected };
                return Err(impossible(
                    leaves.first_block(),
                    &name,
                    &key.unwrap_or_default(),
                    fault,
                ));
            }
            known.append(leaves);
        }
        for (name, (hash, summary)) in part.said.block_types {
            let known = self.said.block_types.entry(name);
            let (_, known) = known.or_insert((
                hash,
                BlockTypeSummary {
                    blocks: 0,
                    ..summary
                },
            ));
            known.blocks += summary.blocks;
            known.last = summary.last;
        }
        Ok(())
    }

    /// The tree over the blocks.
    pub fn log(&self) -> &LogRoot {
        &self.log
    }

    /// The hash of the last block.
    pub fn last_hash(&self) -> Option<Hash> {
        self.last.map(|(hash, _)| hash)
    }

    /// The roots of the collections that have entries, after the last block.
    ///
    /// Errors: [`AuditError::Block`] if a block removes what isn't there.
    pub fn roots(&mut self) -> Result<BTreeMap<String, Hash>, AuditError> {
        let mut roots = BTreeMap::new();
        for (name, leaves) in &mut self.said.collections {
            settle(name, leaves, self.threads)?;
            if !leaves.is_empty() {
                roots.insert(name.clone(), leaves.root(self.threads));
            }
        }
        Ok(roots)
    }

    /// Verifies that the canister certified exactly this log and exactly the collections that it makes.
    ///
    /// `witness` is as for [`Audit::check`](crate::Audit::check).
    ///
    /// Errors: [`AuditError::Size`], [`AuditError::Block`], [`AuditError::Log`], [`AuditError::LastBlock`],
    /// [`AuditError::Collection`], and [`AuditError::Witness`] if the witness doesn't show what it must.
    pub fn check(mut self, witness: &VerifiedWitness) -> Result<Replayed, AuditError> {
        let head = witness.log_head()?;
        if head.size != self.size() {
            return Err(AuditError::Size {
                certified: head.size,
                size: self.size(),
            });
        }
        match self.last {
            None => {
                witness.absent(&[LAST_BLOCK_HASH])?;
                witness.absent(&[LAST_BLOCK_INDEX])?;
            }
            Some((last, _)) => {
                let index = head.size - 1;
                if leb128::decode(witness.leaf(&[LAST_BLOCK_INDEX])?) != Ok(index) {
                    return Err(AuditError::LastBlock);
                }
                if witness.leaf(&[LAST_BLOCK_HASH])? != last {
                    let fault = BlockFault::NotCertified;
                    return Err(AuditError::Block { index, fault });
                }
            }
        }
        if head.root != self.log.root() {
            return Err(AuditError::Log);
        }
        let roots = self.roots()?;
        let root = |name: &str| roots.get(name).copied().unwrap_or_else(node::empty);
        check_collections(witness, root, roots.keys().map(String::as_str))?;
        let block_types = self.said.block_types.into_iter();
        Ok(Replayed {
            head,
            collections: self.said.collections,
            block_types: block_types
                .map(|(name, (_, summary))| (name, summary))
                .collect(),
            watched: self.watched,
        })
    }
}

fn settle(name: &str, leaves: &mut Leaves, threads: usize) -> Result<(), AuditError> {
    leaves
        .settle(threads)
        .map_err(|(index, key, fault)| impossible(index, name, &key, fault))
}

fn impossible(index: u64, collection: &str, key: &[u8], fault: ChangeFault) -> AuditError {
    let path = path::text(&[collection.as_bytes(), key]);
    let fault = BlockFault::Change(ImpossibleChange { path, fault });
    AuditError::Block { index, fault }
}

/// The whole blocks of `stored`, from block `first` on, in as many pieces as there are threads, each with its first index; and
/// what is wrong behind them. For one thread it is all of `stored`.
fn pieces(stored: &[u8], first: u64, threads: usize) -> (Vec<(u64, &[u8])>, Option<AuditError>) {
    if threads == 1 {
        // It finds the end itself.
        return (vec![(first, stored)], None);
    }
    let length = stored.len().div_ceil(threads).max(1);
    let mut pieces = Vec::new();
    let (mut index, mut at) = (first, 0);
    let (mut start, mut begins) = (first, 0);
    let fault = loop {
        match stored::skip(&stored[at..]) {
            Err(fault) => break Some(AuditError::Block { index, fault }),
            Ok(None) => break None,
            Ok(Some(rest)) => {
                index += 1;
                at = stored.len() - rest.len();
                if at - begins >= length {
                    pieces.push((start, &stored[begins..at]));
                    (start, begins) = (index, at);
                }
            }
        }
    };
    if at > begins {
        pieces.push((start, &stored[begins..at]));
    }
    (pieces, fault)
}

impl Part {
    /// Hashes the whole blocks that `stored` begins with.
    fn read(first: u64, stored: &[u8], watch: Option<u64>) -> Result<Self, AuditError> {
        let mut part = Self {
            first,
            bytes: 0,
            parent: Hash::default(),
            begins: Time::default(),
            last: Hash::default(),
            ends: Time::default(),
            subtrees: Vec::new(),
            said: Said::default(),
            watched: None,
        };
        let mut map = BlockMap::new();
        let (mut index, mut rest) = (first, stored);
        loop {
            let failed = |fault| AuditError::Block { index, fault };
            let Some((block, after)) = StoredBlock::read(rest).map_err(failed)? else {
                return Ok(part);
            };
            if index == first {
                (part.parent, part.begins) = (*block.parent, block.time);
            } else if *block.parent != part.last {
                return Err(part.broken(index, &block, &mut map, after));
            } else if block.time < part.ends {
                let (time, before) = (block.time, part.ends);
                return Err(failed(BlockFault::Time { time, before }));
            }
            let block_type = part.said.block_type(&block);
            part.last = map.hash(&block_type, &block, index > 0);
            part.ends = block.time;
            part.said.read(index, block.event)?;
            if watch == Some(index) {
                part.watched = Some(part.last);
            }
            index += 1;
            rest = after;
            part.bytes = stored.len() - rest.len();
            part.add_to_log(index);
        }
    }

    /// Block `index` names another hash than that of the block before. If the next block doesn't follow it either, it is the
    /// one that was changed.
    fn broken(
        &self,
        index: u64,
        block: &StoredBlock<'_>,
        map: &mut BlockMap,
        after: &[u8],
    ) -> AuditError {
        let hash = map.hash(&digest(block.block_type.as_bytes()), block, true);
        match StoredBlock::read(after) {
            Ok(Some((next, _))) if *next.parent != hash => AuditError::Block {
                index,
                fault: BlockFault::Parent,
            },
            _ => AuditError::Block {
                index: index - 1,
                fault: BlockFault::NotFollowed,
            },
        }
    }

    /// Appends the last hash to the log, which has `size` blocks then.
    fn add_to_log(&mut self, size: u64) {
        let (mut level, mut root) = (0, log::leaf(&self.last));
        while level < size.trailing_zeros()
            && let Some((_, left)) = self.subtrees.pop_if(|(other, _)| *other == level)
        {
            root = log::inner(&left, &root);
            level += 1;
        }
        self.subtrees.push((level, root));
    }
}

impl Said {
    /// Counts a block; the hash of its type's name.
    fn block_type(&mut self, block: &StoredBlock<'_>) -> Hash {
        if let Some((hash, summary)) = self.block_types.get_mut(block.block_type) {
            summary.blocks += 1;
            summary.last = block.time;
            return *hash;
        }
        let hash = digest(block.block_type.as_bytes());
        let summary = BlockTypeSummary {
            blocks: 1,
            first: block.time,
            last: block.time,
        };
        self.block_types
            .insert(block.block_type.into(), (hash, summary));
        hash
    }

    /// Takes the changes of the event of block `index`.
    fn read(&mut self, index: u64, event: &[u8]) -> Result<(), AuditError> {
        if let Some(changes) = event::changes(event) {
            return self.take(index, changes);
        }
        let failed = |reason| AuditError::Block {
            index,
            fault: BlockFault::Event { reason },
        };
        let AuditEvent::V1(event) = decode::one(event, SKIPPING_QUOTA).map_err(failed)?;
        self.take(index, event.changes.iter().map(Change::from))
    }

    fn take<'a>(
        &mut self,
        index: u64,
        changes: impl Iterator<Item = Change<'a>>,
    ) -> Result<(), AuditError> {
        let mut before: Option<Change<'_>> = None;
        for change in changes {
            let failed = |fault| impossible(index, change.collection, change.key, fault);
            if before.is_some_and(|before| {
                (before.collection, before.key) >= (change.collection, change.key)
            }) {
                return Err(failed(ChangeFault::Order));
            }
            before = Some(change);
            let leaf = match change.leaf.map(|leaf| (leaf.len(), leaf.try_into())) {
                None => None,
                Some((_, Ok(leaf))) => Some(leaf),
                Some((length, Err(_))) => return Err(failed(ChangeFault::LeafLength { length })),
            };
            let length = change.key.len();
            if let Some(leaves) = self.collections.get_mut(change.collection) {
                let expected = leaves.key_length();
                if expected != length {
                    return Err(failed(ChangeFault::KeyLength { length, expected }));
                }
                leaves.push(change.key, index, leaf);
            } else {
                let mut leaves = Leaves::new(length);
                leaves.push(change.key, index, leaf);
                self.collections.insert(change.collection.into(), leaves);
            }
        }
        Ok(())
    }
}

impl StoredBlock<'_> {
    /// The hash of the block, if it is block `index`.
    pub fn hash(&self, index: u64) -> Hash {
        BlockMap::new().hash(&digest(self.block_type.as_bytes()), self, index > 0)
    }
}

/// The map that a block is hashed as (ICRC-3, "Value"): for each field the hashes of its name and its value, in the order of
/// the names' hashes. A field fills a block of SHA-256, and the last one is the padding.
struct BlockMap([[u8; BLOCK]; 5]);

// Places of the fields.
const BTYPE: usize = 0;
const TX: usize = 1;
const TS: usize = 2;
const PHASH: usize = 3;

impl BlockMap {
    fn new() -> Self {
        let mut map = [[0; BLOCK]; 5];
        for (field, name) in map.iter_mut().zip(["btype", "tx", "ts", "phash"]) {
            field[..32].copy_from_slice(&digest(name.as_bytes()));
        }
        let [fields @ .., padding] = &mut map;
        sha256::pad(padding, 0, fields.as_flattened().len());
        Self(map)
    }

    /// The hash of a block whose type has this hash.
    fn hash(&mut self, block_type: &Hash, block: &StoredBlock<'_>, has_parent: bool) -> Hash {
        let Self(map) = self;
        let mut set = |field: usize, value: &Hash| map[field][32..].copy_from_slice(value);
        set(BTYPE, block_type);
        set(TX, &digest(block.event));
        set(TS, &leb128_hash(block.time.as_nanos()));
        if !has_parent {
            return digest(map[..PHASH].as_flattened());
        }
        set(PHASH, &short::<1>(&[block.parent]));
        sha256::padded(map)
    }
}

/// The hash of a number's shortest LEB128.
fn leb128_hash(mut number: u64) -> Hash {
    let mut bytes = [0; 10];
    let mut length = 0;
    loop {
        let group = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        bytes[length] = if number == 0 { group } else { group | 0x80 };
        length += 1;
        if number == 0 {
            return short::<1>(&[&bytes[..length]]);
        }
    }
}
