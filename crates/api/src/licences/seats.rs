//! Seats, and the ledger of what is used of each quota.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Audience, Sector};

/// Why a seat will be reclaimed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum NoticeCause {
    /// Nothing was heard of the holder. A check-in takes the notice back.
    Idle,
    /// An officer decided so; `reason` is a commitment. An officer can take it back.
    Decided { reason: ByteBuf },
}

/// Says that a seat will be reclaimed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub cause: NoticeCause,
    pub given_at_ns: u64,
    pub reclaim_at_ns: u64,
}

/// What a holder has from the claim on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    pub claimed_at_ns: u64,
    pub expires_at_ns: u64,
    /// The claim, the last check-in, or the end of the last suspension.
    pub last_active_ns: u64,
    /// When a notice is given, if nothing is heard of the holder.
    pub idle_at_ns: u64,
    pub notice: Option<Notice>,
}

/// Where a seat in use stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// To be claimed before this time.
    Granted {
        claim_by_ns: u64,
    },
    Active(Licence),
    /// Not valid until it is reinstated; it can expire and be reclaimed meanwhile.
    Suspended {
        licence: Licence,
        /// Commitment.
        reason: ByteBuf,
        at_ns: u64,
    },
}

/// A seat in use.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// 1 to [`SEATS`](super::SEATS).
    pub seat: u64,
    /// The person who holds it, or may claim it. Nobody holds two.
    pub holder: Principal,
    pub audience: Audience,
    pub sector: Sector,
    /// The application that it was granted for: tells this grant from every other one of the same seat.
    pub application: u64,
    pub granted_at_ns: u64,
    pub state: SeatState,
}

impl Seat {
    /// What the holder has, if they have claimed it.
    #[must_use]
    pub fn licence(&self) -> Option<&Licence> {
        match &self.state {
            SeatState::Granted { .. } => None,
            SeatState::Active(licence) | SeatState::Suspended { licence, .. } => Some(licence),
        }
    }

    /// When this grant ends if nothing else happens: unclaimed, reclaimed or expired.
    #[must_use]
    pub fn ends_at_ns(&self) -> u64 {
        match &self.state {
            SeatState::Granted { claim_by_ns } => *claim_by_ns,
            SeatState::Active(licence) | SeatState::Suspended { licence, .. } => {
                let reclaimed = licence.notice.as_ref().map(|notice| notice.reclaim_at_ns);
                reclaimed.unwrap_or(u64::MAX).min(licence.expires_at_ns)
            }
        }
    }

    /// Whether its holder may use the product at this time, by this leaf: it is active and not at its end. For an offline
    /// licence, the time of the certificate at the least.
    #[must_use]
    pub fn is_valid_at(&self, time_ns: u64) -> bool {
        matches!(self.state, SeatState::Active(_)) && time_ns < self.ends_at_ns()
    }
}

/// The certified leaf of a seat in use.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum SeatRecord {
    V1(Seat),
}

/// A quota and what is used of it. The ledgers of all audiences and sectors add up to the seats that have a leaf.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub audience: Audience,
    pub sector: Sector,
    /// Most seats. It may be less than what is held, after a change.
    pub quota: u32,
    /// Seats in each state.
    pub granted: u32,
    pub active: u32,
    pub suspended: u32,
    /// Seats that became free and go to the next in order by themselves.
    pub vacancies: u32,
}

impl Ledger {
    /// Seats in use.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.granted + self.active + self.suspended
    }
}

/// The certified leaf of a quota.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerRecord {
    V1(Ledger),
}
