//! The audit log as a chain of ICRC-3 blocks (`indus_api::audit`).
//!
//! Each block names the hash of the block before it, so the last hash stands for all of them. The same hashes are the
//! entries of the log's tree, which is built here beside the chain.
//!
//! Invariants
//! - A block that is refused changes nothing.
//! - No block is believed before its fields were checked: hashing takes time in proportion to what is left then.
//!
//! Cost: about 12 SHA-256 for a small block, and one Candid decoding of its event.

use indus_api::audit::{AuditEvent, LAST_BLOCK_HASH, LAST_BLOCK_INDEX};
use indus_api::icrc3::Value;
use thiserror::Error;

use crate::audit::AuditError;
use crate::collections::ImpossibleChange;
use crate::decode;
use crate::icrc3;
use crate::leb128;
use crate::log::{LogHead, LogRoot};
use crate::time::Time;
use crate::tree::Hash;
use crate::witness::VerifiedWitness;

/// Most work for what an event has and its type doesn't, in Candid's units: new fields come with a new version.
pub(crate) const SKIPPING_QUOTA: usize = 1_000;

/// A block of the audit log that fits behind the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its ICRC-3 hash, which is its entry in the log's tree.
    pub hash: Hash,
    /// What happened.
    pub block_type: String,
    /// When, by the subnet's time.
    pub time: Time,
    /// Who did it, and which leaves changed.
    pub event: AuditEvent,
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockFault {
    /// Another block comes next.
    #[error("block {expected} comes next")]
    Index { expected: u64 },
    /// It is not a map of `btype` (Text), `ts` (Nat of 64 bits), `tx` (Blob) and, but for block 0, `phash` (Blob), each
    /// once and nothing else.
    #[error("its fields are not those of a block of an audit log")]
    Fields,
    /// Its bytes in a file are not those of a block.
    #[error("what is stored is not a block")]
    Stored,
    /// The next block names another one as the one before it.
    #[error("the block after it follows another one")]
    NotFollowed,
    /// It is the last block, and another one is certified as the last.
    #[error("it is not the certified last block")]
    NotCertified,
    /// Its `phash` is not the hash of the block before.
    #[error("it does not follow the block before it: its phash is another")]
    Parent,
    /// It is of an earlier time than the block before.
    #[error("its time is {time}, the block before it is of {before}")]
    Time { time: Time, before: Time },
    /// Its `tx` is not Candid of an event; `reason` is Candid's.
    #[error("its event can't be read: {reason}")]
    Event { reason: String },
    /// A change that it lists is impossible after the blocks before.
    #[error("{0}")]
    Change(#[from] ImpossibleChange),
}

/// The fields of a block.
pub(crate) struct Fields<'a> {
    pub(crate) block_type: &'a str,
    pub(crate) time: Time,
    /// `phash`, of whatever length.
    pub(crate) parent: Option<&'a [u8]>,
    /// `tx`.
    pub(crate) event: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Those of `block`, which has a `phash` if it is not the first one.
    pub(crate) fn of(block: &'a Value, has_parent: bool) -> Result<Self, BlockFault> {
        let Value::Map(fields) = block else {
            return Err(BlockFault::Fields);
        };
        // As many fields as there must be, and each of them there: each once.
        if fields.len() != 3 + usize::from(has_parent) {
            return Err(BlockFault::Fields);
        }
        let field = |wanted| {
            let field = fields.iter().find(|(name, _)| name == wanted);
            field.map(|(_, value)| value)
        };
        let parent = match (has_parent, field("phash")) {
            (true, Some(Value::Blob(hash))) => Some(&hash[..]),
            (false, None) => None,
            _ => return Err(BlockFault::Fields),
        };
        let (Some(Value::Text(block_type)), Some(Value::Nat(time)), Some(Value::Blob(event))) =
            (field("btype"), field("ts"), field("tx"))
        else {
            return Err(BlockFault::Fields);
        };
        let time = u64::try_from(&time.0).map_err(|_| BlockFault::Fields)?;
        Ok(Self {
            block_type,
            time: Time::from_nanos(time),
            parent,
            event,
        })
    }
}

/// A chain of blocks up to the last one that was appended.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    log: LogRoot,
    /// Of the last block, if there is one.
    hash: Hash,
    time: Time,
}

impl Chain {
    /// Goes on behind the block with `hash` and `time`, which is the last one of `log`. All three were verified before:
    /// they are what [`Chain::log`], [`Chain::last_hash`] and [`Chain::last_time`] gave, or what a certificate proved.
    ///
    /// If the log is empty, the hash and the time don't matter.
    pub fn resume(log: LogRoot, hash: Hash, time: Time) -> Self {
        Self { log, hash, time }
    }

    /// The tree over the blocks; its size is the index of the next block.
    pub fn log(&self) -> &LogRoot {
        &self.log
    }

    /// The hash of the last block.
    pub fn last_hash(&self) -> Option<Hash> {
        (self.log.size() > 0).then_some(self.hash)
    }

    /// The time of the last block.
    pub fn last_time(&self) -> Option<Time> {
        (self.log.size() > 0).then_some(self.time)
    }

    /// Appends block `index`. That its changes are possible is for [`Audit`](crate::Audit) to say.
    ///
    /// Errors: [`AuditError::Block`].
    pub fn append(&mut self, index: u64, block: &Value) -> Result<Block, AuditError> {
        let block = self
            .next(index, block)
            .map_err(|fault| AuditError::Block { index, fault })?;
        self.push(&block);
        Ok(block)
    }

    /// What `block` says, if it can be the next one.
    pub(crate) fn next(&self, index: u64, block: &Value) -> Result<Block, BlockFault> {
        let expected = self.log.size();
        if index != expected {
            return Err(BlockFault::Index { expected });
        }
        let parent = self.last_hash();
        let fields = Fields::of(block, parent.is_some())?;
        if fields.parent != parent.as_ref().map(|parent| &parent[..]) {
            return Err(BlockFault::Parent);
        }
        let time = fields.time;
        if let Some(before) = self.last_time()
            && time < before
        {
            return Err(BlockFault::Time { time, before });
        }
        Ok(Block {
            index,
            hash: icrc3::hash(block),
            block_type: fields.block_type.into(),
            time,
            event: decode::one(fields.event, SKIPPING_QUOTA)
                .map_err(|reason| BlockFault::Event { reason })?,
        })
    }

    /// Appends what [`Chain::next`] gave.
    pub(crate) fn push(&mut self, block: &Block) {
        self.log.append(&block.hash);
        self.hash = block.hash;
        self.time = block.time;
    }

    /// Verifies that this is the whole log that the canister certified: `log`, `last_block_hash` and `last_block_index`.
    /// The last two are absent exactly if the log is empty.
    ///
    /// Errors: [`AuditError::Size`], [`AuditError::Log`], [`AuditError::LastBlock`], and [`AuditError::Witness`] if the
    /// witness doesn't show all of them.
    pub fn check(&self, witness: &VerifiedWitness) -> Result<LogHead, AuditError> {
        let head = witness.log_head()?;
        if head.size != self.log.size() {
            return Err(AuditError::Size {
                certified: head.size,
                size: self.log.size(),
            });
        }
        if head.root != self.log.root() {
            return Err(AuditError::Log);
        }
        let Some(hash) = self.last_hash() else {
            witness.absent(&[LAST_BLOCK_HASH])?;
            witness.absent(&[LAST_BLOCK_INDEX])?;
            return Ok(head);
        };
        let index = leb128::decode(witness.leaf(&[LAST_BLOCK_INDEX])?);
        if witness.leaf(&[LAST_BLOCK_HASH])? != hash || index != Ok(head.size - 1) {
            return Err(AuditError::LastBlock);
        }
        Ok(head)
    }
}
