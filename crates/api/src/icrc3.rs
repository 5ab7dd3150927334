//! ICRC-3, "Block log": types of its four methods, and ICRC-10's.

use candid::{CandidType, Int, Nat, Principal, define_function};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A generic value of a block.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Blob(ByteBuf),
    Text(String),
    Nat(Nat),
    Int(Int),
    Array(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Blocks `start`, `start + 1`, … of which there are `length`.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct GetBlocksArgs {
    pub start: Nat,
    pub length: Nat,
}

/// A block and its index.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BlockWithId {
    pub id: Nat,
    pub block: Value,
}

define_function!(pub GetBlocksCallback : (Vec<GetBlocksArgs>) -> (GetBlocksResult) query);

/// Blocks that another canister has.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ArchivedBlocks {
    pub args: Vec<GetBlocksArgs>,
    pub callback: GetBlocksCallback,
}

/// The blocks that were asked for and that there are.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct GetBlocksResult {
    /// Blocks in the whole log.
    pub log_length: Nat,
    pub blocks: Vec<BlockWithId>,
    /// Always empty: no block leaves its canister.
    pub archived_blocks: Vec<ArchivedBlocks>,
}

/// Where the list of archives goes on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct GetArchivesArgs {
    pub from: Option<Principal>,
}

/// A canister that holds blocks `start` to `end`.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    pub canister_id: Principal,
    pub start: Nat,
    pub end: Nat,
}

/// Certifies the last block.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct TipCertificate {
    /// CBOR of the certificate.
    pub certificate: ByteBuf,
    /// CBOR of a hash tree with the leaves `last_block_hash` and `last_block_index`.
    pub hash_tree: ByteBuf,
}

/// A block type, and where it is described.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BlockType {
    pub block_type: String,
    pub url: String,
}

/// A standard, and where it is described (ICRC-10).
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Standard {
    pub name: String,
    pub url: String,
}
