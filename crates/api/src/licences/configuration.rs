//! What the governors set: who may have how many seats, and for how long.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Whom a seat is meant for.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Audience {
    Government,
    Education,
    Startups,
}

impl Audience {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Government, Self::Education, Self::Startups];

    /// Its byte in keys.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// What a seat is used in.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Sector {
    Health,
    Fintech,
    Education,
    ArtificialIntelligence,
    Other,
}

impl Sector {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 5] = [
        Self::Health,
        Self::Fintech,
        Self::Education,
        Self::ArtificialIntelligence,
        Self::Other,
    ];

    /// Its byte in keys.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// How many seats a sector of an audience may have. An audience's quota is the sum of its sectors'.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub audience: Audience,
    pub sector: Sector,
    pub seats: u32,
}

/// How much applicants may ask for.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most open applications of one person, 1 to 10.
    pub open_per_person: u32,
    /// Most applications in one day (UTC), 1 to 100,000.
    pub applications_a_day: u32,
    /// Reviews that an application needs, 1 to 3. Holds for the rounds that are opened from then on.
    pub reviews_needed: u32,
}

/// How long things last, in nanoseconds; each is a second to ten years. What has begun keeps the dates that it has.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// From the grant of a seat until it must be claimed.
    pub claim_ns: u64,
    /// From the claim until the licence expires.
    pub term_ns: u64,
    /// From the last activity until a notice is given.
    pub idle_ns: u64,
    /// From a notice until the seat is reclaimed.
    pub notice_ns: u64,
}

/// All that a decision of the registry can change: the configuration of this canister in
/// [`Decision::configuration`](crate::decision::Decision::configuration).
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Each audience and sector at most once, together at most [`SEATS`](super::SEATS); who isn't named gets none. A quota below what is
    /// held takes no seat away.
    pub quotas: Vec<Quota>,
    pub limits: Limits,
    pub periods: Periods,
}

impl Default for Configuration {
    /// 400, 500 and 600 seats for government, education and startups, the same for each sector; 3 open applications a person,
    /// 1,000 applications a day, one review; 14 days to claim, a year's term, 45 days idle, 14 days' notice.
    fn default() -> Self {
        let quotas = Audience::ALL.into_iter().flat_map(|audience| {
            let seats = match audience {
                Audience::Government => 80,
                Audience::Education => 100,
                Audience::Startups => 120,
            };
            Sector::ALL.map(|sector| Quota {
                audience,
                sector,
                seats,
            })
        });
        Self {
            quotas: quotas.collect(),
            limits: Limits {
                open_per_person: 3,
                applications_a_day: 1_000,
                reviews_needed: 1,
            },
            periods: Periods {
                claim_ns: 14 * DAY_NS,
                term_ns: 365 * DAY_NS,
                idle_ns: 45 * DAY_NS,
                notice_ns: 14 * DAY_NS,
            },
        }
    }
}

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// The canister that says who callers are.
    pub identity: Principal,
    /// The canister whose decisions are applied.
    pub registry: Principal,
    /// [`Configuration::default`] if there is none.
    pub configuration: Option<Configuration>,
}

/// What holds now.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub identity: Principal,
    pub registry: Principal,
    /// The last decision that was applied; 0 before the first.
    pub decision: u64,
    pub configuration: Configuration,
}

/// The certified leaf of the settings.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum SettingsRecord {
    V1(Settings),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::licences::SEATS;

    #[test]
    fn by_default_every_seat_is_somebodys_quota() {
        let of = |audience| {
            let quotas = Configuration::default().quotas.into_iter();
            let mine = quotas.filter(|quota| quota.audience == audience);
            mine.map(|quota| u64::from(quota.seats)).sum::<u64>()
        };
        assert_eq!(Audience::ALL.map(of), [400, 500, 600]);
        assert_eq!(Audience::ALL.map(of).iter().sum::<u64>(), SEATS);
    }

    #[test]
    fn codes_are_the_places_in_the_lists() {
        for (place, audience) in Audience::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(audience.code()), place);
        }
        for (place, sector) in Sector::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(sector.code()), place);
        }
    }
}
