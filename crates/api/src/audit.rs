//! The audit log: what a block of it says, and how its head and its proofs are given.
//!
//! Each state change of a canister appends one ICRC-3 block with four fields:
//!
//! | field | ICRC-3 value | content |
//! | --- | --- | --- |
//! | `phash` | Blob | hash of the block before; missing in block 0 |
//! | `btype` | Text | what happened, such as `organisation.applied` |
//! | `ts` | Nat | the subnet's time, nanoseconds since 1970 |
//! | `tx` | Blob | Candid of an [`AuditEvent`] |
//!
//! The events name every certified leaf that changed, so that replaying them from block 0 gives every certified root
//! that ever was. The hashes of the blocks are the leaves of an RFC 9162 Merkle tree, which is certified at the
//! path [`LOG`].

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Label of the certified head of the log. Its leaf is the number of blocks (LEB128), then the roots of the complete
/// subtrees of the log's RFC 9162 tree, 32 bytes each, from the largest to the smallest: one for each bit that is set in
/// that number. Hashed together from the right they are the root of RFC 9162, section 2.1.1; and who has them can read the
/// log on from there.
pub const LOG: &str = "log";
/// Label of the certified hash of the last block (ICRC-3).
pub const LAST_BLOCK_HASH: &str = "last_block_hash";
/// Label of the certified index of the last block, LEB128 (ICRC-3).
pub const LAST_BLOCK_INDEX: &str = "last_block_index";

/// Longest name of a block type, in bytes.
pub const MAX_BLOCK_TYPE_BYTES: usize = 64;
/// Most leaves that one event may change.
pub const MAX_LEAF_CHANGES: usize = 1_000;
/// Longest details of one event, in bytes.
pub const MAX_DETAILS_BYTES: usize = 8_192;
/// Most blocks in one answer.
pub const MAX_BLOCKS: u64 = 100;

/// What a block's `tx` holds.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    V1(AuditEventV1),
}

/// Who did what: the what is the block's type.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct AuditEventV1 {
    /// Who did it: the caller, or the canister itself for what a timer did.
    pub actor: Principal,
    /// The certified leaves that it changed, in the order of collection and key, each once.
    pub changes: Vec<LeafChange>,
    /// Candid of what the leaves do not tell; empty where they tell everything.
    pub details: ByteBuf,
}

/// One certified leaf `data`/collection/key that changed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct LeafChange {
    pub collection: String,
    pub key: ByteBuf,
    /// The hash of the new leaf (IC interface specification, "Certification": the hash of a leaf node), 32 bytes; none if it
    /// was removed.
    pub leaf: Option<ByteBuf>,
}

/// Asks for a proof that block `index` is in the log of `size` blocks.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct InclusionArgs {
    /// Below `size`.
    pub index: u64,
    /// 1 to the blocks that there are.
    pub size: u64,
}

/// Asks for a proof that the log of `to` blocks begins with that of `from`.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistencyArgs {
    /// 1 to `to`.
    pub from: u64,
    /// 1 to the blocks that there are.
    pub to: u64,
}

/// A proof of RFC 9162: inclusion (section 2.1.3) or consistency (section 2.1.4).
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Hashes of 32 bytes, in the order of the RFC.
    pub hashes: Vec<ByteBuf>,
}
