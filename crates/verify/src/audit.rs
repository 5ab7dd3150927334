//! A whole audit: the blocks of a log, replayed, against what the canister certified.
//!
//! ```text
//! blocks ─► chain of hashes ─► last_block_hash, last_block_index ┐
//!        ├► tree of the log ─► log                               ├─ one verified witness
//!        └► leaf changes ────► data/<collection>, each           ┘
//! ```
//!
//! If [`Audit::check`] agrees, the canister's whole certified state is what the blocks say, each block is the one that the
//! canister certified, and none is missing: for every entry that there is, the log tells who made it and when.
//!
//! ```no_run
//! use indus_verify::{Audit, AuditError, VerifiedWitness};
//!
//! /// `get_blocks(start)` is a canister's Candid answer to `icrc3_get_blocks`.
//! fn audit(
//!     witness: &VerifiedWitness, get_blocks: impl Fn(u64) -> Vec<u8>,
//! ) -> Result<(), AuditError> {
//!     let mut audit = Audit::default();
//!     let size = witness.log_head()?.size;
//!     while audit.size() < size {
//!         audit.page(&get_blocks(audit.size()), size)?;
//!     }
//!     audit.check(witness)?;
//!     Ok(())
//! }
//! ```
//!
//! Cost: that of `chain.rs`, and at each check the hashes of what changed since the one before.

use std::ops::Bound;
use std::str;

use candid::{CandidType, Int, Nat};
use indus_api::audit::AuditEvent;
use indus_api::icrc3::Value;
use indus_api::signatures::{SIG, SIGNATURES, seed_hash};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::chain::{Block, BlockFault, Chain};
use crate::collections::Collections;
use crate::decode;
use crate::error::VerifyError;
use crate::log::LogHead;
use crate::node;
use crate::path;
use crate::tree::Hash;
use crate::witness::VerifiedWitness;

/// Label of the subtree of all collections.
const DATA: &[u8] = b"data";

/// Why a log doesn't explain what a canister certified.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// A block is wrong.
    #[error("block {index}: {fault}")]
    Block { index: u64, fault: BlockFault },
    /// A page is not Candid of the answer to `icrc3_get_blocks` with blocks as an audit log has them; `reason` is Candid's.
    #[error("the page of blocks can't be read: {reason}")]
    Page { reason: String },
    /// A page has no blocks, though some were left to come.
    #[error("block {index} is missing")]
    Missing { index: u64 },
    /// The certified log has another number of blocks.
    #[error("the certified log has {certified} blocks, and {size} were given")]
    Size { certified: u64, size: u64 },
    /// The certified root of the log's tree is another.
    #[error("the blocks are not those of the certified log")]
    Log,
    /// `last_block_hash` or `last_block_index` is not that of the last block.
    #[error("the certified last block is not the last one of the certified log")]
    LastBlock,
    /// A certified collection is not what the changes in the log make it.
    #[error("the log does not explain the collection {name}")]
    Collection { name: String },
    /// The canister signs something else than what its log says.
    #[error("the log does not explain what the canister signs")]
    Signatures,
    /// The witness doesn't show what it must.
    #[error(transparent)]
    Witness(#[from] VerifyError),
}

/// Most work for what an answer with blocks has beside them, in Candid's units.
const SKIPPING_QUOTA: usize = 1_000;

/// What matters of a [`GetBlocksResult`](indus_api::icrc3::GetBlocksResult).
#[derive(CandidType, Deserialize)]
struct Page {
    blocks: Vec<PageBlock>,
}

#[derive(CandidType, Deserialize)]
struct PageBlock {
    id: Nat,
    block: PageValue,
}

/// The values that blocks of an audit log are made of: no value is inside of another's.
#[derive(CandidType, Deserialize)]
enum PageValue {
    Map(Vec<(String, Field)>),
}

#[derive(CandidType, Deserialize)]
enum Field {
    Blob(ByteBuf),
    Text(String),
    Nat(Nat),
    Int(Int),
}

impl From<PageValue> for Value {
    fn from(PageValue::Map(fields): PageValue) -> Self {
        let value = |field| match field {
            Field::Blob(bytes) => Self::Blob(bytes),
            Field::Text(text) => Self::Text(text),
            Field::Nat(number) => Self::Nat(number),
            Field::Int(number) => Self::Int(number),
        };
        let fields = fields.into_iter().map(|(name, field)| (name, value(field)));
        Self::Map(fields.collect())
    }
}

/// The log and the collections of a canister, as far as blocks were given.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    chain: Chain,
    collections: Collections,
}

impl Audit {
    /// Goes on where an earlier audit ended: with its chain, and the collections as they were then.
    pub fn resume(chain: Chain, collections: Collections) -> Self {
        Self { chain, collections }
    }

    /// How many blocks there are so far: the index of the next one.
    pub fn size(&self) -> u64 {
        self.chain.log().size()
    }

    /// The chain so far.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The collections after the last block. Mutable, because roots are computed when they are asked for.
    pub fn collections(&mut self) -> &mut Collections {
        &mut self.collections
    }

    /// Appends block `index`, and makes the changes that it lists. If it is refused, nothing changes.
    ///
    /// Errors: [`AuditError::Block`].
    pub fn append(&mut self, index: u64, block: &Value) -> Result<Block, AuditError> {
        self.replay(index, block)
            .map_err(|fault| AuditError::Block { index, fault })
    }

    fn replay(&mut self, index: u64, block: &Value) -> Result<Block, BlockFault> {
        let block = self.chain.next(index, block)?;
        let AuditEvent::V1(event) = &block.event;
        self.collections.apply(&event.changes)?;
        self.chain.push(&block);
        Ok(block)
    }

    /// Appends the blocks of a Candid-encoded answer to `icrc3_get_blocks` (a [`GetBlocksResult`](indus_api::icrc3::GetBlocksResult)), which must be the next
    /// ones in their order. Those from index `until` on are left alone: the size of the head that is to be checked, since
    /// the log may have grown. Of a page with a wrong block the ones before it stay appended.
    ///
    /// Errors: [`AuditError::Page`], [`AuditError::Block`], and [`AuditError::Missing`] if there are none, though fewer
    /// than `until` were given.
    pub fn page(&mut self, reply: &[u8], until: u64) -> Result<Vec<Block>, AuditError> {
        let mut appended = Vec::new();
        for (index, block) in blocks(reply)? {
            if self.size() >= until {
                return Ok(appended);
            }
            appended.push(self.append(index, &block)?);
        }
        if appended.is_empty() && self.size() < until {
            return Err(AuditError::Missing { index: self.size() });
        }
        Ok(appended)
    }

    /// Verifies that the canister certified exactly this log and exactly these collections.
    ///
    /// `witness` shows `log`, `last_block_hash`, `last_block_index`, and the labels directly below `data`; what is below
    /// those may be pruned.
    ///
    /// Errors: as [`Chain::check`], [`AuditError::Collection`], and [`AuditError::Witness`] if the witness doesn't show
    /// the names of all collections.
    pub fn check(&mut self, witness: &VerifiedWitness) -> Result<LogHead, AuditError> {
        let head = self.chain.check(witness)?;
        let names: Vec<String> = self.collections.names().map(String::from).collect();
        check_collections(
            witness,
            |name| self.collections.root(name),
            names.iter().map(String::as_str),
        )?;
        Ok(head)
    }
}

/// The blocks of a Candid-encoded answer to `icrc3_get_blocks`, and their indexes.
pub(crate) fn blocks(reply: &[u8]) -> Result<impl Iterator<Item = (u64, Value)>, AuditError> {
    let page: Page =
        decode::one(reply, SKIPPING_QUOTA).map_err(|reason| AuditError::Page { reason })?;
    Ok(page.blocks.into_iter().map(|block| {
        let index = u64::try_from(&block.id.0).unwrap_or(u64::MAX);
        (index, block.block.into())
    }))
}

/// Verifies that the collections whose root `root` gives are those that are certified, where `names` are the ones with
/// entries. A collection without entries may be certified as empty or be left out.
pub(crate) fn check_collections<'a>(
    witness: &VerifiedWitness,
    mut root: impl FnMut(&str) -> Hash,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), AuditError> {
    let differs = |name: &[u8]| AuditError::Collection {
        name: path::label(name),
    };
    let certified = match witness.entries(&[DATA], None, Bound::Unbounded) {
        Ok(page) if page.end => page.entries,
        Ok(page) => {
            return Err(AuditError::Witness(VerifyError::Hidden {
                path: path::text(&[DATA]),
                after: page.entries.last().map(|entry| path::label(entry.label)),
            }));
        }
        Err(VerifyError::Absent { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for entry in &certified {
        let root = match str::from_utf8(entry.label) {
            Ok(name) => root(name),
            // No collection of the log has such a name.
            Err(_) => node::empty(),
        };
        if root != entry.hash {
            return Err(differs(entry.label));
        }
    }
    // Labels come in their order.
    let left_out = names.find(|name| {
        let shown = certified.binary_search_by(|entry| entry.label.cmp(name.as_bytes()));
        shown.is_err()
    });
    if let Some(name) = left_out {
        return Err(differs(name.as_bytes()));
    }
    check_signatures(witness, &root(SIGNATURES))
}

/// Verifies that the canister signs what its log says, and nothing else: below `sig` stands the tree of the signatures, whose
/// root this is, for one seed. The label may be left out while there are none.
fn check_signatures(witness: &VerifiedWitness, root: &Hash) -> Result<(), AuditError> {
    let page = match witness.entries(&[SIG], None, Bound::Unbounded) {
        Ok(page) => page,
        Err(VerifyError::Absent { .. }) if *root == node::empty() => return Ok(()),
        Err(VerifyError::Absent { .. }) => return Err(AuditError::Signatures),
        Err(error) => return Err(error.into()),
    };
    match &page.entries[..] {
        [entry] if page.end && entry.label == seed_hash() && entry.hash == *root => Ok(()),
        _ => Err(AuditError::Signatures),
    }
}
