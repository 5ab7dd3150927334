//! What the management canister answers later than in the round of the call: randomness, which must not be known before
//! it is asked for, and stopping, which waits for open calls, but not for ever.

use rand::Rng as _;

use super::reply;
use crate::{
    ErrorCode, Reject, Time,
    canister::{Status, Waiting},
    subnet::Subnet,
};

/// How long a `stop_canister` call waits, in nanoseconds.
const STOP_NS: u64 = 5 * 60 * 1_000_000_000;

/// What waits for the next round, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// Calls of `raw_rand`.
    randomness: Vec<Waiting>,
    executed: u64,
    /// Last round of each day in which there was one, oldest first: its time, and rounds executed until then.
    days: std::collections::VecDeque<(Time, u64)>,
}

/// Days of which the last round is remembered.
const DAYS: usize = 60;
const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

impl Rounds {
    pub(super) fn ask(&mut self, call: Waiting) {
        self.randomness.push(call);
    }

    /// The last rounds of the days since a time.
    pub(super) fn days_since(&self, time: u64) -> impl Iterator<Item = (Time, u64)> {
        let days = self.days.iter().copied();
        days.filter(move |(at, _)| at.0 >= time)
    }

    fn begin(&mut self, now: Time) {
        self.executed += 1;
        if let Some(last) = self
            .days
            .back_mut()
            .filter(|day| day.0.0 / DAY_NS == now.0 / DAY_NS)
        {
            *last = (now, self.executed);
            return;
        }
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        self.days.push_back((now, self.executed));
    }
}

/// Begins a round: answers what has waited for it, or long enough.
pub(crate) fn begin_round(subnet: &mut Subnet) {
    subnet.rounds.begin(subnet.time);
    for call in std::mem::take(&mut subnet.rounds.randomness) {
        let mut bytes = vec![0_u8; 32];
        subnet.random.fill_bytes(&mut bytes);
        let result = match reply(&serde_bytes::ByteBuf::from(bytes)) {
            Ok(super::Ended::Replied(bytes, _)) => Ok(bytes),
            Ok(super::Ended::Later) => continue,
            Err(reject) => Err(reject),
        };
        subnet.respond(call.origin, result, call.cycles);
    }
    super::outcalls::expire(subnet);
    for call in overdue(subnet) {
        let message = "Stop canister request timed out";
        let reject = Reject::new(ErrorCode::StopCanisterRequestTimeout, message);
        subnet.respond(call.origin, Err(reject), call.cycles);
    }
}

fn is_overdue(call: &Waiting, now: Time) -> bool {
    now >= call.since.plus(STOP_NS)
}

/// The `stop_canister` calls that have waited for too long. Their canisters go on stopping.
fn overdue(subnet: &mut Subnet) -> Vec<Waiting> {
    let now = subnet.time;
    let mut overdue = Vec::new();
    for canister in subnet.canisters.values_mut() {
        if let Status::Stopping(waiting) = &mut canister.status {
            overdue.extend(waiting.extract_if(.., |call| is_overdue(call, now)));
        }
    }
    overdue
}

/// Whether a round would answer something.
pub(crate) fn has_work(subnet: &Subnet) -> bool {
    !subnet.rounds.randomness.is_empty()
        || subnet.outcalls.has_work(subnet.time)
        || subnet.canisters.values().any(|canister| {
            matches!(&canister.status, Status::Stopping(waiting)
                if waiting.iter().any(|call| is_overdue(call, subnet.time)))
        })
}

/// Cycles that came with calls which are answered later.
pub(crate) fn cycles_in_flight(subnet: &Subnet) -> u128 {
    let stopping = subnet.canisters.values().filter_map(|c| match &c.status {
        Status::Stopping(waiting) => Some(waiting),
        _ => None,
    });
    let waiting = stopping.flatten().chain(&subnet.rounds.randomness);
    waiting.map(|call| call.cycles).sum::<u128>() + subnet.outcalls.cycles()
}
