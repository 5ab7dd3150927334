//! What every canister says of its installation.

use candid::CandidType;
use serde::{Deserialize, Serialize};

/// Version, sizes and state of an installation. Not certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// The canister's name.
    pub name: String,
    /// Version of its source.
    pub version: String,
    /// Commit of its source, if the build knew it.
    pub commit: String,
    /// The compiler that built it, if the build told it.
    pub compiler: String,
    /// Version of the layout of its stable memory.
    pub schema_version: u32,
    /// Whether it answers its orchestrator only, until an upgrade is confirmed.
    pub maintenance: bool,
    pub collections: Vec<CollectionInfo>,
    /// Blocks in its audit log.
    pub blocks: u64,
    /// Size of its stable memory.
    pub stable_bytes: u64,
    /// The subnet's time at this answer, nanoseconds since 1970.
    pub time_ns: u64,
}

/// A collection of certified records.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CollectionInfo {
    pub name: String,
    pub records: u64,
    /// Bytes of each key.
    pub key_bytes: u64,
}
