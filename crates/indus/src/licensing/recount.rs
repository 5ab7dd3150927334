//! The recount: from certified records alone, compared with what those who took part know.

use std::collections::{BTreeMap, BTreeSet};

use indus_api::licences::{SEATS, SeatRecord, SeatState};
use indus_client::SuiteCanister;
use indus_verify::Audit;

use super::{LicensingError, at, round::Outcome};

/// Collection of the seats.
const COLLECTION: &str = "seats";

/// What the subnet certifies of the seats.
#[derive(Debug)]
pub(crate) struct Recount {
    pub(crate) applications: usize,
    pub(crate) active: usize,
    pub(crate) holders: usize,
    /// Applications whose licence has ended.
    pub(crate) ended: usize,
    pub(crate) waiting: usize,
    /// Blocks of the license manager's log.
    pub(crate) blocks: u64,
    pub(crate) identity_blocks: u64,
}

/// Replays both logs, and counts the seats.
pub(super) async fn recount(
    identity: &SuiteCanister,
    licences: &SuiteCanister,
    outcome: &Outcome,
) -> Result<Recount, LicensingError> {
    let report = identity
        .audited()
        .audit(&mut Audit::default())
        .await
        .map_err(at("auditing identity"))?;
    let mut audit = Audit::default();
    let export = licences
        .audited()
        .export(COLLECTION, &mut audit)
        .await
        .map_err(at("auditing license_manager"))?;

    let mut holders = BTreeSet::new();
    let mut granted = BTreeSet::new();
    let mut active = 0;
    for record in &export.records {
        let bytes = record
            .bytes
            .as_deref()
            .ok_or(LicensingError::Record(COLLECTION))?;
        let SeatRecord::V1(seat) =
            candid::decode_one(bytes).map_err(|_| LicensingError::Record(COLLECTION))?;
        let key = seat.seat.to_be_bytes();
        if record.key != key || !(1..=SEATS).contains(&seat.seat) {
            return Err(differs(format!(
                "there is a seat {}",
                hex::encode(&record.key)
            )));
        }
        if !holders.insert(seat.holder) {
            return Err(differs(format!("{} holds two seats", seat.holder)));
        }
        let applied = outcome.applications.get(&seat.application);
        if applied.is_none_or(|one| one.applicant != seat.holder) {
            return Err(differs(format!(
                "the holder of seat {} has not applied",
                seat.seat
            )));
        }
        granted.insert(seat.application);
        active += usize::from(matches!(seat.state, SeatState::Active(_)));
    }
    if active != outcome.claims || active != export.records.len() {
        return Err(differs(format!(
            "{active} seats are active, {} were claimed",
            outcome.claims
        )));
    }
    let ended: BTreeSet<u64> = outcome
        .passing
        .iter()
        .map(|seat| seat.application)
        .collect();
    if let Some(application) = ended.intersection(&granted).next() {
        return Err(differs(format!(
            "the licence of {application} has not ended"
        )));
    }
    // Who had a seat came before who waits, whether they still have it or not.
    let served = granted.union(&ended).copied().collect();
    not_overtaken(outcome, &served)?;
    Ok(Recount {
        applications: outcome.applications.len(),
        active,
        holders: holders.len(),
        ended: ended.len(),
        waiting: outcome.applications.len() - served.len(),
        blocks: export.head.size,
        identity_blocks: report.head.size,
    })
}

/// In each queue those who were served stand before those who wait: by score, then by time, then by id.
fn not_overtaken(outcome: &Outcome, served: &BTreeSet<u64>) -> Result<(), LicensingError> {
    let mut orders: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, applied) in &outcome.applications {
        let place = (u8::MAX - applied.score, applied.applied_at_ns, *id);
        orders.entry(applied.queue).or_default().push(place);
    }
    for (queue, mut order) in orders {
        order.sort_unstable();
        let is_served = |(_, _, id): &(u8, u64, u64)| served.contains(id);
        if !order.is_sorted_by_key(|place| !is_served(place)) {
            return Err(differs(format!("somebody was overtaken in {queue:?}")));
        }
    }
    Ok(())
}

fn differs(what: String) -> LicensingError {
    LicensingError::Recount(what)
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use indus_api::licences::{Audience, QueueKey, Sector};

    use super::*;
    use crate::licensing::round::Applied;

    fn outcome(scores: &[u8]) -> Outcome {
        let applied = |score: &u8| Applied {
            queue: QueueKey {
                audience: Audience::Education,
                sector: Sector::Health,
            },
            applicant: Principal::anonymous(),
            applied_at_ns: 1,
            score: *score,
        };
        Outcome {
            applications: (1..).zip(scores.iter().map(applied)).collect(),
            claims: 0,
            calls: 0,
            passing: Vec::new(),
        }
    }

    #[test]
    fn who_was_overtaken_is_found() {
        let outcome = outcome(&[50, 90, 90, 10]);
        for fair in [&[][..], &[2], &[2, 3], &[1, 2, 3], &[1, 2, 3, 4]] {
            not_overtaken(&outcome, &fair.iter().copied().collect()).unwrap();
        }
        for unfair in [&[1][..], &[3], &[1, 2], &[2, 3, 4]] {
            not_overtaken(&outcome, &unfair.iter().copied().collect()).unwrap_err();
        }
    }
}
