//! What a client finds wrong, and what it keeps of it.
//!
//! An alarm says what can't be so if the canister, its subnet and the members do what they should. It stays in the store with what was
//! answered, certificates included, so that somebody else can look at it.

use candid::{CandidType, Principal};
use indus_api::CertifiedRead;
use indus_api::messaging::Entry;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use thiserror::Error;

/// What was wrong. Indices and sizes are of the conversation's log, or of the device's inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Violation {
    /// The certificate or the witness does not hold, or is too old.
    #[error("what is certified can't be verified: {0}")]
    Unverified(String),
    #[error(
        "the log was rolled back: {verified} entries were verified, {certified} are certified now"
    )]
    RolledBack { verified: u64, certified: u64 },
    #[error(
        "the log is another one: its first {verified} entries are not those that were verified"
    )]
    Rewritten { verified: u64 },
    #[error(
        "entries {from} to {until} are not those of the certified log: changed, left out or in another order"
    )]
    Falsified { from: u64, until: u64 },
    #[error("entry {expected} is missing: entry {found} came in its place")]
    Missing { expected: u64, found: u64 },
    #[error("entries from {from} on are withheld: {certified} are certified")]
    Withheld { from: u64, certified: u64 },
    #[error("entry {index} is a second commit for epoch {epoch}; the group is in epoch {current}")]
    SecondCommit {
        index: u64,
        epoch: u64,
        current: u64,
    },
    #[error(
        "entry {index} is a commit of epoch {epoch}, but the group is in epoch {current}: a commit is missing"
    )]
    EpochSkipped {
        index: u64,
        epoch: u64,
        current: u64,
    },
    #[error("entry {index} of {sender} can't be read: {reason}")]
    Unreadable {
        index: u64,
        sender: Principal,
        reason: String,
    },
    #[error("entry {index} is said to be of {said}, but {signed} signed it")]
    ForgedSender {
        index: u64,
        said: Principal,
        signed: Principal,
    },
    #[error("entry {index} repeats entry {first}")]
    Replayed { index: u64, first: u64 },
    #[error(
        "{sender} was shown another log: the first {size} entries that entry {index} tells of are not those seen here"
    )]
    SplitView {
        index: u64,
        sender: Principal,
        size: u64,
    },
    #[error("entry {index} is not the one that the receipt for it promised")]
    BrokenReceipt { index: u64 },
    #[error("{person} is in the group with a key that identity does not certify as theirs: {key}")]
    ForeignKey { person: Principal, key: String },
    #[error("the group that is certified in epoch {epoch} is not the one that the commits lead to")]
    AnotherGroup { epoch: u64 },
    #[error("welcome {index} of the inbox is not one for this device: {reason}")]
    UselessWelcome { index: u64, reason: String },
}

/// A violation, where and when it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Alarms of a device are numbered from 1.
    pub number: u64,
    /// By this device's clock.
    pub found_at_ns: u64,
    /// None if it is about the inbox.
    pub conversation: Option<u64>,
    pub violation: Violation,
}

/// What an alarm rests on: the answer as it came, and the head up to which all had been verified before.
#[derive(CandidType, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub canister: Principal,
    pub conversation: Option<u64>,
    /// What was wrong, in words.
    pub violation: String,
    /// Size and root of what had been verified.
    pub verified_size: u64,
    pub verified_root: ByteBuf,
    pub answer: CertifiedRead,
    pub entries: Vec<Entry>,
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.conversation {
            Some(id) => write!(
                f,
                "alarm {}: conversation {id}: {}",
                self.number, self.violation
            ),
            None => write!(f, "alarm {}: inbox: {}", self.number, self.violation),
        }
    }
}
