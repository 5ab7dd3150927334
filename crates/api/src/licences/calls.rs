//! What the methods take, and what is answered that is not stored.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Audience, SeatState, Sector};
use crate::paging::PageArgs;

/// Opens a round.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OpenRoundArgs {
    /// A name of at most [`MAX_TITLE_BYTES`](super::MAX_TITLE_BYTES).
    pub title: String,
    /// In the future.
    pub apply_until_ns: u64,
}

/// Applies for a seat.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApplyArgs {
    pub audience: Audience,
    pub sector: Sector,
    /// Commitment to the written statement, 32 bytes.
    pub statement: ByteBuf,
    /// 1 to 64 bytes.
    pub idempotency_key: ByteBuf,
}

/// Reviews an application. A reviewer's later review replaces the earlier one.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ReviewArgs {
    pub application: u64,
    /// [`ApplicationContent::hash`](super::ApplicationContent::hash) of what was read.
    pub hash: ByteBuf,
    /// 0 to [`MAX_SCORE`](super::MAX_SCORE).
    pub score: u8,
    /// Commitment to the written comment, 32 bytes.
    pub comment: ByteBuf,
}

/// Turns an application down.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct DeclineArgs {
    pub application: u64,
    /// Written like a name, at most [`MAX_REASON_BYTES`](super::MAX_REASON_BYTES).
    pub reason: String,
}

/// Decides that an application counts as with this score, from now on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ReorderArgs {
    pub application: u64,
    /// 0 to [`MAX_SCORE`](super::MAX_SCORE).
    pub score: u8,
    /// Written like a name, at most [`MAX_REASON_BYTES`](super::MAX_REASON_BYTES).
    pub reason: String,
}

/// Names one grant of a seat, and why something is done to it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SeatArgs {
    pub seat: u64,
    /// The application that the seat was granted for, so that nobody decides on its next holder by mistake.
    pub application: u64,
    /// Commitment to the written reason, 32 bytes.
    pub reason: ByteBuf,
}

/// Lets a licence last longer.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RenewArgs {
    pub seat: u64,
    /// As in [`SeatArgs`].
    pub application: u64,
    /// Later than it expires now, and at most a term from now.
    pub expires_at_ns: u64,
}

/// The queue of one audience and sector.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub struct QueueKey {
    pub audience: Audience,
    pub sector: Sector,
}

/// Asks for a page of an order.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct QueueArgs {
    pub queue: QueueKey,
    /// `after` is the whole [`Place`] of the last one.
    pub page: PageArgs<Place>,
}

/// A place in an order: those that wait come by round, then by rank, highest first, then by time, then by id.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub round: u64,
    /// [`Application::rank`](super::Application::rank).
    pub rank: u16,
    pub applied_at_ns: u64,
    pub application: u64,
}

/// Asks whether somebody may use a product.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct EntitlementArgs {
    /// [`Subject::person`](crate::Subject::person).
    pub person: Principal,
    /// [`PRODUCT`](super::PRODUCT).
    pub product: String,
}

/// Whether somebody may use a product. Not certified: that is the leaf of the seat.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    pub seat: u64,
    pub state: SeatState,
    /// Whether it is valid at `time_ns`, by [`Seat::is_valid_at`](super::Seat::is_valid_at).
    pub valid: bool,
    /// The subnet's time at this answer.
    pub time_ns: u64,
}
