//! Care: what canisters have and use of cycles, by readings on a schedule; top-ups from a treasury, within limits; what an app costs a
//! month.
//!
//! What an app used between two readings of a canister is what the canister had, and was given by the treasury, less what it has. Cycles
//! that its owner gives it are not known here and count against what it used.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

/// Collection of the last readings; keys are canister ids, leaves [`ReadingRecord`]s.
pub const READINGS: &str = "readings";
/// Collection of what apps cost; keys are [`cost_key`]s, leaves [`CostRecord`]s.
pub const COSTS: &str = "costs";
/// Bytes of the keys of costs.
pub const COST_KEY_BYTES: usize = 12;

const MINUTE_NS: u64 = 60_000_000_000;
/// Least and most time between two readings of a canister: a minute, 30 days.
pub const READING_INTERVAL_NS: std::ops::RangeInclusive<u64> = MINUTE_NS..=30 * 24 * 60 * MINUTE_NS;

/// How canisters are cared for; part of the configuration.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// Time between two readings of a canister, in nanoseconds, within [`READING_INTERVAL_NS`].
    pub reading_interval_ns: u64,
    /// A canister that has less is topped up.
    pub least_cycles: u64,
    /// With so many.
    pub top_up_cycles: u64,
    /// Most that the canisters of one app are given in a month.
    pub cycles_a_month_of_app: u64,
    /// What app_hosting keeps for itself.
    pub reserve_cycles: u64,
    /// What 10^12 cycles are worth, in paisa (a hundredth of a rupee), for reports.
    pub paisa_per_trillion: u64,
}

impl Default for Care {
    /// A reading a day; a trillion for who has less than a quarter of one (to create a canister costs half of one), three a month; a price of 13-node subnets, 10^12 cycles for 1 SDR, at
    /// 380 rupees.
    fn default() -> Self {
        Self {
            reading_interval_ns: 24 * 60 * MINUTE_NS,
            least_cycles: 250_000_000_000,
            top_up_cycles: 1_000_000_000_000,
            cycles_a_month_of_app: 3_000_000_000_000,
            reserve_cycles: 5_000_000_000_000,
            paisa_per_trillion: 38_000,
        }
    }
}

/// What the subnet said of a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub canister: Principal,
    pub app: u64,
    pub at_ns: u64,
    pub cycles: u128,
    pub memory_bytes: u64,
    pub idle_cycles_burned_per_day: u128,
    /// What the treasury gave it since this reading, or is about to.
    pub topped_up_since: u128,
}

/// The certified leaf of a reading.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ReadingRecord {
    V1(Reading),
}

/// A month: years since 0 times twelve, and months since January; in UTC.
pub type Month = u32;

/// What an app cost in a month.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub app: u64,
    pub month: Month,
    /// Between readings that were taken in this month and those before them.
    pub cycles_used: u128,
    /// What the treasury gave.
    pub cycles_topped_up: u128,
    /// Readings that this is the sum of.
    pub readings: u64,
    /// What was used, each reading at the price that was in force, in thousandths of a paisa.
    pub millipaisa: u128,
}

/// The certified leaf of a cost.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CostRecord {
    V1(Cost),
}

/// Key of an app's cost in a month: both big-endian.
#[must_use]
pub fn cost_key(app: u64, month: Month) -> [u8; COST_KEY_BYTES] {
    let mut key = [0; COST_KEY_BYTES];
    key[..8].copy_from_slice(&app.to_be_bytes());
    key[8..].copy_from_slice(&month.to_be_bytes());
    key
}

/// The month that a time is in, of a proleptic Gregorian calendar in UTC.
#[must_use]
pub fn month_of(time_ns: u64) -> Month {
    const DAY_NS: u64 = 86_400_000_000_000;
    // Years begin in March here, so that a leap day ends one; 400 of them have 146,097 days.
    let days = time_ns / DAY_NS + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let months = (era * 400 + year) * 12 + month + 2;
    u32::try_from(months).unwrap_or(Month::MAX)
}

/// Asks for a page of an app's costs, in the order of months.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListCostsArgs {
    pub app: u64,
    /// The last one of the page before.
    pub after: Option<Month>,
    /// 1 to 100.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        const DAY_NS: u64 = 86_400_000_000_000;
        // Days since 1970 of 1 January 1970, 31 January, 1 February; 29 February 2000, 1 March; 31 December 2026, 1 January 2027.
        for (day, year, month) in [
            (0, 1970, 1),
            (30, 1970, 1),
            (31, 1970, 2),
            (11_016, 2000, 2),
            (11_017, 2000, 3),
            (20_818, 2026, 12),
            (20_819, 2027, 1),
        ] {
            for ns in [0, DAY_NS - 1] {
                assert_eq!(month_of(day * DAY_NS + ns), year * 12 + month - 1, "{day}");
            }
        }
        assert!(month_of(u64::MAX) > 2500 * 12);
    }
}
