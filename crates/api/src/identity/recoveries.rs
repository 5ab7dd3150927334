//! Recoveries: how a person who has lost their devices comes back.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::NewMethod;

/// That a second official has agreed.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The official's person.
    pub by: Principal,
    pub at_ns: u64,
    /// From when on the recovery may be finished.
    pub ready_at_ns: u64,
}

/// How a recovery ended. One that reached its `ends_at_ns` has ended as well.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryEnd {
    /// One of the person's methods refused it.
    Vetoed { at_ns: u64 },
    /// The new method speaks for the person.
    Finished { at_ns: u64 },
}

/// A recovery, from its opening on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    pub id: u64,
    /// Who is recovered.
    pub person: Principal,
    /// The organisation whose officials recover them.
    pub organisation: u64,
    pub new_method: NewMethod,
    /// Whether the person's other methods are removed.
    pub remove_others: bool,
    /// The official's person.
    pub opened_by: Principal,
    pub opened_at_ns: u64,
    /// When it is over, whatever state it is in.
    pub ends_at_ns: u64,
    pub approval: Option<Approval>,
    pub end: Option<RecoveryEnd>,
    pub salt: ByteBuf,
}

impl Recovery {
    /// Whether something can still become of it.
    #[must_use]
    pub fn is_open(&self, time_ns: u64) -> bool {
        self.end.is_none() && time_ns < self.ends_at_ns
    }
}

/// The certified leaf of a recovery.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum RecoveryRecord {
    V1(Recovery),
}

/// Opens a recovery.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OpenRecoveryArgs {
    pub person: Principal,
    pub new_method: NewMethod,
    /// Whether the person's other methods are to be removed.
    pub remove_others: bool,
}

/// Agrees to a recovery, exactly as it was read.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApproveRecoveryArgs {
    pub id: u64,
    /// SHA-256 of the certified bytes of the recovery: binds the person and the new method.
    pub recovery_hash: ByteBuf,
}
