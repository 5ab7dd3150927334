//! What the methods take and answer, and what is stored. Candid, both.

use candid::{CandidType, Principal};
use indus_api::{Error, Subject};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Collection of notes, which everybody may read; keys are ids.
pub const NOTES: &str = "notes";
/// Collection of letters, for their writers, their writers' organisations, and [`CLERK`]s; keys are ids.
pub const LETTERS: &str = "letters";
/// Collection of stamps, which everybody may read; keys are those of [`stamp_key`](crate::stamps::stamp_key).
pub const STAMPS: &str = "stamps";
/// The role that may read every letter.
pub const CLERK: &str = "clerk";

/// Who gives stamps to this desk, and knows who its callers are; the management canister for nobody.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitArgs {
    pub peer: Principal,
}

/// Asks for a note.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct NoteArgs {
    /// 1 to 64 bytes.
    pub idempotency_key: ByteBuf,
    /// A name of at most 100 bytes; no two notes have the same.
    pub title: String,
    /// How the peer is called: as a canister of the suite, or as one outside of it.
    pub call: Wait,
}

/// How an answer is waited for.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it comes.
    Suite,
    /// A minute at most.
    Outside,
}

/// What a note's stamp has become.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// It is asked for until there is an answer.
    Pending,
    /// Its number at the peer.
    Given(u64),
    /// The peer gives none.
    Refused(Error),
}

/// A note.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub id: u64,
    pub author: Principal,
    pub title: String,
    pub stamp: Stamp,
}

/// A note as it is certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum NoteRecord {
    V1(Note),
}

/// Asks for a letter to be kept.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct LetterArgs {
    /// 1 to 64 bytes.
    pub idempotency_key: ByteBuf,
    /// A name of at most 1,000 bytes.
    pub text: String,
}

/// A letter.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub id: u64,
    /// [`Subject::person`] of its writer.
    pub person: Principal,
    pub organisation: Option<u64>,
    pub text: String,
    /// 16 random bytes, so that nobody finds out the text from the hash of the leaf.
    pub salt: ByteBuf,
}

/// A letter as it is certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum LetterRecord {
    V1(Letter),
}

/// A stamp that was given, as it is certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum StampRecord {
    V1 {
        number: u64,
        /// To which canister.
        to: Principal,
    },
}

/// Says who a caller is, to canisters that have this one as their peer.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PersonArgs {
    pub caller: Principal,
    /// None: nobody.
    pub subject: Option<Subject>,
}

/// How `stamp` ends.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With a stamp.
    #[default]
    Reply,
    /// With a typed error, and no stamp.
    Refuse,
    /// With a stamp that was given, and a rejection nevertheless.
    Reject,
    /// With a trap, and no stamp.
    Trap,
    /// With a stamp, but not before it ends another way.
    Late,
}

/// Where this canister can be made to trap.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before a call is made.
    BeforeCall,
    /// In the callback of a reply, before it is recorded.
    Reply,
    /// In the callback of a reply, after it was recorded and certified.
    ReplyRecorded,
    /// In the callback of a rejection, or of a reply that nothing can be made of.
    Rejection,
    /// In a slice of a timer's work, at its end.
    Slice,
}

/// What is not done yet.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Stamps that are still to be asked for.
    pub pending: u64,
    /// Idempotency keys that are kept.
    pub keys: u64,
    /// Buckets of rate limits that are kept.
    pub buckets: u64,
    /// Calls that await something.
    pub under_way: u64,
    /// Timer jobs and when they last did a slice, in nanoseconds.
    pub last_runs: Vec<(String, u64)>,
}
