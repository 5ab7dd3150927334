//! The desk: the few numbers that every call needs, in one stable cell.
//!
//! # Layout, version 1 (integers little-endian)
//! ```text
//!   0  version: 1
//!   1  the open round (u64), 0 if none is
//!   9  reviews that its applications need (u32)
//!  13  the day (u64, days since 1970) of the last application
//!  21  the first application (u64) of that day
//!  29  1 if there is a seed, 0 otherwise
//!  30  the seed (32 bytes)
//!  62  applications (u32 each) that are open, withdrawn, declined, granted, superseded
//!  82  lengths of the 15 queues (u32 each), in the order of their keys
//! 142  the seats in use: bit 0 of the first byte is seat 1 (188 bytes)
//! ```
//!
//! Invariant: but for the seed and the day, all of it follows from the certified records; [`crate::step`] alone writes it.

use std::borrow::Cow;

use ic_stable_structures::{Storable, storable::Bound};
use indus_api::licences::{ApplicationState, Audience, QueueKey, SEATS, Sector};

/// Queues: one an audience and sector.
pub(crate) const QUEUES: usize = Audience::ALL.len() * Sector::ALL.len();
/// States of applications.
pub(crate) const STATES: usize = 5;
/// Names of the states, in the order of the counts.
pub(crate) const STATE_NAMES: [&str; STATES] =
    ["open", "withdrawn", "declined", "granted", "superseded"];

const VERSION: u8 = 1;
const SEAT_BYTES: usize = 188;
const BYTES: usize = 142 + SEAT_BYTES;
const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Where a queue stands among all of them.
#[must_use]
pub(crate) fn place(queue: QueueKey) -> usize {
    usize::from(queue.audience.code()) * Sector::ALL.len() + usize::from(queue.sector.code())
}

/// All queues, in the order of their keys.
pub(crate) fn queues() -> impl Iterator<Item = QueueKey> {
    Audience::ALL
        .into_iter()
        .flat_map(|audience| Sector::ALL.map(|sector| QueueKey { audience, sector }))
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Desk {
    pub(crate) open_round: Option<u64>,
    pub(crate) reviews_needed: u32,
    day: u64,
    first_of_day: u64,
    pub(crate) seed: Option<[u8; 32]>,
    applications: [u32; STATES],
    queues: [u32; QUEUES],
    seats: [u8; SEAT_BYTES],
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            open_round: None,
            reviews_needed: 0,
            day: 0,
            first_of_day: 1,
            seed: None,
            applications: [0; STATES],
            queues: [0; QUEUES],
            seats: [0; SEAT_BYTES],
        }
    }
}

impl Desk {
    /// Applications of this day, if the next one gets the id `next`.
    pub(crate) fn applied_on_day_of(&self, time_ns: u64, next: u64) -> u64 {
        if self.day == time_ns / DAY_NS {
            next - self.first_of_day
        } else {
            0
        }
    }

    /// Notes an application.
    pub(crate) fn applied(&mut self, time_ns: u64, id: u64) {
        if self.day != time_ns / DAY_NS {
            self.day = time_ns / DAY_NS;
            self.first_of_day = id;
        }
    }

    /// The lowest seat that is not in use.
    pub(crate) fn lowest_free_seat(&self) -> Option<u64> {
        let byte = self.seats.iter().position(|byte| *byte != u8::MAX)?;
        let seat = byte as u64 * 8 + u64::from((!self.seats[byte]).trailing_zeros()) + 1;
        (seat <= SEATS).then_some(seat)
    }

    /// Whether a seat is in use from now on.
    pub(crate) fn set_seat(&mut self, seat: u64, in_use: bool) {
        let (byte, bit) = ((seat - 1) / 8, (seat - 1) % 8);
        let Some(byte) = usize::try_from(byte)
            .ok()
            .and_then(|byte| self.seats.get_mut(byte))
        else {
            return;
        };
        if in_use {
            *byte |= 1 << bit;
        } else {
            *byte &= !(1 << bit);
        }
    }

    /// Counts an application in its state, or takes it out.
    pub(crate) fn count(&mut self, state: &ApplicationState, enters: bool) {
        let place = match state {
            ApplicationState::Open => 0,
            ApplicationState::Withdrawn { .. } => 1,
            ApplicationState::Declined { .. } => 2,
            ApplicationState::Granted { .. } => 3,
            ApplicationState::Superseded { .. } => 4,
        };
        step(&mut self.applications[place], enters);
    }

    /// Counts one more in a queue, or one less.
    pub(crate) fn queue(&mut self, queue: QueueKey, enters: bool) {
        step(&mut self.queues[place(queue)], enters);
    }

    /// How many applications are in each state.
    pub(crate) fn applications(&self) -> [u32; STATES] {
        self.applications
    }

    /// How many applications are ranked in a queue, those of the open round included.
    pub(crate) fn queue_length(&self, queue: QueueKey) -> u32 {
        self.queues[place(queue)]
    }
}

fn step(count: &mut u32, up: bool) {
    *count = if up {
        *count + 1
    } else {
        count.saturating_sub(1)
    };
}

impl Storable for Desk {
    const BOUND: Bound = Bound::Bounded {
        max_size: 142 + 188,
        is_fixed_size: true,
    };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend(self.open_round.unwrap_or(0).to_le_bytes());
        bytes.extend(self.reviews_needed.to_le_bytes());
        bytes.extend(self.day.to_le_bytes());
        bytes.extend(self.first_of_day.to_le_bytes());
        bytes.push(u8::from(self.seed.is_some()));
        bytes.extend(self.seed.unwrap_or_default());
        for count in self.applications.iter().chain(&self.queues) {
            bytes.extend(count.to_le_bytes());
        }
        bytes.extend(self.seats);
        Cow::Owned(bytes)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.to_bytes().into_owned()
    }

    /// # Panics
    /// If these are not the bytes of a desk: the canister then does not open.
    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        let bytes: &[u8; BYTES] = match bytes.as_ref().try_into() {
            Ok(bytes) => bytes,
            Err(_) => panic!("the desk is damaged"),
        };
        assert!(bytes[0] == VERSION, "the desk is of a later version");
        let open_round = u64::from_le_bytes(array(bytes, 1));
        let count = |place: usize| u32::from_le_bytes(array(bytes, 62 + 4 * place));
        Self {
            open_round: (open_round > 0).then_some(open_round),
            reviews_needed: u32::from_le_bytes(array(bytes, 9)),
            day: u64::from_le_bytes(array(bytes, 13)),
            first_of_day: u64::from_le_bytes(array(bytes, 21)),
            seed: (bytes[29] == 1).then(|| array(bytes, 30)),
            applications: std::array::from_fn(count),
            queues: std::array::from_fn(|place| count(STATES + place)),
            seats: array(bytes, 142),
        }
    }
}

fn array<const N: usize>(bytes: &[u8; BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|place| bytes[at + place])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lowest_free_seat_is_found_and_there_are_1500() {
        let mut desk = Desk::default();
        for seat in 1..=SEATS {
            assert_eq!(desk.lowest_free_seat(), Some(seat));
            desk.set_seat(seat, true);
        }
        assert_eq!(desk.lowest_free_seat(), None);
        for seat in [1_499, 1_500, 8, 9] {
            desk.set_seat(seat, false);
            assert_eq!(desk.lowest_free_seat(), Some(seat));
            desk.set_seat(seat, true);
        }
    }

    #[test]
    fn a_day_counts_its_own_applications() {
        let mut desk = Desk::default();
        assert_eq!(desk.applied_on_day_of(0, 1), 0);
        desk.applied(5, 1);
        desk.applied(6, 2);
        assert_eq!(desk.applied_on_day_of(DAY_NS - 1, 3), 2);
        assert_eq!(desk.applied_on_day_of(DAY_NS, 3), 0);
        desk.applied(DAY_NS, 3);
        assert_eq!(desk.applied_on_day_of(DAY_NS, 4), 1);
    }

    proptest! {
        #[test]
        fn a_desk_is_read_as_it_was_written(
            open_round in proptest::option::of(1..u64::MAX),
            reviews_needed: u32,
            day: u64,
            first_of_day: u64,
            seed: Option<[u8; 32]>,
            applications: [u32; STATES],
            queues: [u32; QUEUES],
            seats in proptest::collection::vec(any::<u8>(), SEAT_BYTES),
        ) {
            let seats = seats.try_into().unwrap();
            let desk = Desk {
                open_round, reviews_needed, day, first_of_day, seed, applications, queues, seats,
            };
            prop_assert_eq!(Desk::from_bytes(desk.to_bytes()), desk);
        }
    }
}
