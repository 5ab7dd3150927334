//! Rounds, applications and their reviews.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use super::{Audience, Sector};

/// A round of the programme: applications are made, reviewed and ranked in it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// From 1 on, without a gap. One round is open at a time, so earlier rounds stand before later ones in every order.
    pub id: u64,
    pub title: String,
    /// The person who opened it.
    pub opened_by: Principal,
    pub opened_at_ns: u64,
    /// Applications are accepted before this time.
    pub apply_until_ns: u64,
    /// Reviews that each of its applications needs.
    pub reviews_needed: u32,
    /// When its order was fixed; none while it is open.
    pub closed_at_ns: Option<u64>,
}

/// The certified leaf of a round.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum RoundRecord {
    V1(Round),
}

/// What an applicant asked for. It never changes.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApplicationContent {
    /// From 1 on, without a gap.
    pub id: u64,
    pub round: u64,
    pub applicant: Principal,
    /// The organisation that the applicant acted for.
    pub organisation: Option<u64>,
    pub audience: Audience,
    pub sector: Sector,
    /// Commitment to the written statement, which is kept elsewhere.
    pub statement: ByteBuf,
    pub applied_at_ns: u64,
}

impl ApplicationContent {
    /// What a review is bound to: SHA-256 of this content's Candid.
    ///
    /// # Errors
    /// Candid's, if it can't be encoded.
    pub fn hash(&self) -> candid::Result<[u8; 32]> {
        candid::encode_one(self).map(|bytes| Sha256::digest(bytes).into())
    }
}

/// What a reviewer thinks of an application.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The person who reviewed.
    pub reviewer: Principal,
    /// 0 to [`MAX_SCORE`](super::MAX_SCORE).
    pub score: u8,
    /// Commitment to the written comment.
    pub comment: ByteBuf,
    pub at_ns: u64,
}

/// A decision that an application counts as with another score than its reviews give.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Regrading {
    pub score: u8,
    pub by: Principal,
    pub reason: String,
    pub at_ns: u64,
}

/// Where an application stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ApplicationState {
    /// Under review while its round is open; in its order, waiting for a seat, afterwards.
    Open,
    /// Taken back by the applicant.
    Withdrawn { at_ns: u64 },
    /// Turned down.
    Declined {
        by: Principal,
        reason: String,
        at_ns: u64,
    },
    /// A seat was granted.
    Granted { seat: u64, at_ns: u64 },
    /// Closed because its applicant got a seat by another application.
    Superseded { application: u64, at_ns: u64 },
}

/// An application, with all that happened to it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub content: ApplicationContent,
    /// At most [`MAX_REVIEWS`](super::MAX_REVIEWS), one a reviewer, in the order in which they were first given.
    pub reviews: Vec<Review>,
    /// Persons who don't review it, at most [`MAX_RECUSALS`](super::MAX_RECUSALS).
    pub recusals: Vec<Principal>,
    pub regrading: Option<Regrading>,
    pub state: ApplicationState,
    /// 16 random bytes, so that nobody finds out the content from the hash of the leaf; empty for who may not read the leaf.
    pub salt: ByteBuf,
}

impl Application {
    /// What it is ranked by, in sixtieths: the score that was decided on, or the mean of its reviews, 0 without any. Higher
    /// is better; among equals the earlier application stands first, then the lower id.
    #[must_use]
    pub fn rank(&self) -> u16 {
        const SIXTIETHS: u16 = 60;
        if let Some(regrading) = &self.regrading {
            return u16::from(regrading.score) * SIXTIETHS;
        }
        let sum: u16 = self
            .reviews
            .iter()
            .map(|review| u16::from(review.score))
            .sum();
        let count = u16::try_from(self.reviews.len()).unwrap_or(u16::MAX);
        (sum * SIXTIETHS).checked_div(count).unwrap_or(0)
    }
}

/// The certified leaf of an application.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ApplicationRecord {
    V1(Application),
}
