//! Decisions of the registry that other canisters carry out on themselves.
//!
//! Governors approve a proposal that names a canister and a configuration for it. The canister's `apply_decision` *pulls*
//! it from the registry (`get_decision`), checks that it is meant, and takes it in. Decisions of one canister are taken in
//! the order of their ids: an older one than the last is refused.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Longest configuration, in bytes.
pub const MAX_CONFIGURATION_BYTES: usize = 8_192;

/// What the governors decided about a canister's configuration; answered for executed proposals only.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Id of the proposal. Ids grow with time.
    pub proposal: u64,
    /// Which canister it is for.
    pub canister: Principal,
    /// Candid of that canister's `Configuration`, at most [`MAX_CONFIGURATION_BYTES`].
    pub configuration: ByteBuf,
    /// When the proposal was executed.
    pub executed_at_ns: u64,
}
