//! Canisters on the subnet: what is declared of them, and what the subnet says.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Collection of the canisters; keys are [`principal_key`](super::principal_key)s, leaves [`CanisterRecord`]s.
pub const CANISTERS: &str = "canisters";

/// Most controllers that a canister can have, by the Internet Computer's specification.
pub const MAX_CONTROLLERS: usize = 10;
/// Least time between two observations of one canister that are recorded though nothing has changed: 1 hour, in
/// nanoseconds.
pub const OBSERVATION_INTERVAL_NS: u64 = 3_600_000_000_000;

/// How sensitive data may be, at most.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum DataClass {
    Public,
    Official,
    Confidential,
    Secret,
}

/// What is declared of a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CanisterProfile {
    pub canister: Principal,
    /// The organisation that answers for it.
    pub organisation: u64,
    /// Written like a slug.
    pub name: String,
    /// SHA-256 of the module that it should run; none for any.
    pub module_hash: Option<ByteBuf>,
    pub data_class: DataClass,
}

/// What the subnet said of a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// None for a canister without a module.
    pub module_hash: Option<ByteBuf>,
    pub controllers: Vec<Principal>,
    /// Since when it is like this, as far as the registry knows.
    pub since_ns: u64,
    /// When it was looked at last.
    pub at_ns: u64,
}

/// Whether a canister runs what it should.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It was not looked at, or nothing is declared.
    Unknown,
    Match,
    /// It runs another module, or none.
    Drift,
}

/// A canister of the inventory.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CanisterEntry {
    pub profile: CanisterProfile,
    pub observation: Option<Observation>,
    pub drift: Drift,
}

/// The certified leaf of a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CanisterRecord {
    V1(CanisterEntry),
}

/// An upgrade, exactly as it is to be carried out.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct UpgradeOrder {
    pub canister: Principal,
    /// SHA-256 of the module as it is installed.
    pub module_hash: ByteBuf,
    /// SHA-256 of the argument.
    pub argument_hash: ByteBuf,
    /// SHA-256 of the module that is replaced.
    pub previous_hash: ByteBuf,
    /// Commit of the source, 40 or 64 hexadecimal digits.
    pub source_commit: String,
    /// Version of the source, 1 to 64 bytes, written like a name.
    pub version: String,
}

/// An upgrade that the governors decided; answered for executed proposals only.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApprovedUpgrade {
    /// Id of the proposal.
    pub proposal: u64,
    pub order: UpgradeOrder,
    /// When the proposal was executed.
    pub executed_at_ns: u64,
    /// Who proposed and who approved it: they may have it carried out.
    pub decided_by: Vec<Principal>,
}
