//! A round: applications, reviews, the order, grants, claims.
//!
//! In the first queue, if anybody is going to wait in it, the last [`SHORT`] seats are granted and claimed last of all, between
//! two decisions of the governors: for a short term.

use std::collections::BTreeMap;

use candid::Principal;
use indus_api::{
    licences::{
        Application, ApplyArgs, Audience, Configuration, OpenRoundArgs, Place, QueueArgs, QueueKey,
        ReviewArgs, Round, Seat, Sector,
    },
    paging::{MAX_PAGE, Page, PageArgs},
};
use indus_client::SuiteCanister;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use super::{
    IN_FLIGHT, LicensingError, Terms, at,
    people::{Registered, Staff, now_ns},
    quota,
};
use crate::{bounded::Bounded, console::Console};

/// How long applications are taken: an hour, of which this demonstration takes a minute.
const OPEN_FOR_NS: u64 = 3_600_000_000_000;
/// Licences that are short.
const SHORT: usize = 5;
/// Scores are 0 to this.
const BEST: u16 = 100;

/// What came of it, as those who took part know it.
pub(super) struct Outcome {
    pub(super) applications: BTreeMap<u64, Applied>,
    pub(super) claims: usize,
    pub(super) calls: usize,
    /// The seats whose licences are short.
    pub(super) passing: Vec<Seat>,
}

/// An application, and what a reviewer gave it.
#[derive(Clone, Copy)]
pub(super) struct Applied {
    pub(super) queue: QueueKey,
    pub(super) applicant: Principal,
    pub(super) applied_at_ns: u64,
    pub(super) score: u8,
}

/// Holds a round with these people.
pub(super) async fn run(
    staff: &Staff,
    applicants: &[Registered],
    configuration: &Configuration,
    terms: &Terms,
    console: &mut Console,
) -> Result<Outcome, LicensingError> {
    let officer = &staff.officers[0].licences;
    let round: Round = officer
        .update(
            "open_round",
            &OpenRoundArgs {
                title: "First round".into(),
                apply_until_ns: now_ns().saturating_add(OPEN_FOR_NS),
            },
        )
        .await
        .map_err(at("opening a round"))?;
    let reviewed = reviewed(staff, applicants, console).await?;
    let _closed: Round = officer
        .update("close_round", &round.id)
        .await
        .map_err(at("closing a round"))?;
    let held_back = held_back(configuration, applicants.len());
    let granted = granted(staff, configuration, held_back, console).await?;
    let grants = granted.len();
    let holders: BTreeMap<Principal, &Registered> =
        applicants.iter().map(|one| (one.id, one)).collect();

    console.begin("claiming seats", grants);
    let mut calls = Bounded::new(IN_FLIGHT);
    for seat in granted {
        let licences = holder(&holders, &seat)?.licences.clone();
        calls.push(seat.seat, async move {
            licences.update::<Seat>("claim", &seat.seat).await
        });
    }
    let mut claims = 0;
    while let Some((_, outcome)) = calls.next().await {
        let outcome = outcome.map_err(|_| LicensingError::Aborted("a claim"))?;
        outcome.map_err(at("claiming a seat"))?;
        claims += 1;
        console.step();
    }
    let mut passing = Vec::new();
    if held_back > 0 {
        apply(officer, terms.short).await?;
        for seat in granted_of(officer, queues()[0], held_back).await? {
            let licences = &holder(&holders, &seat)?.licences;
            let claimed = licences.update("claim", &seat.seat).await;
            passing.push(claimed.map_err(at("claiming a seat"))?);
        }
        apply(officer, terms.usual).await?;
    }
    let (grants, claims) = (grants + passing.len(), claims + passing.len());
    // Two for the round, two for the terms; an application, a review; a grant, a claim.
    let others = if held_back > 0 { 4 } else { 2 };
    let calls = others + 2 * reviewed.len() + grants + claims;
    Ok(Outcome {
        applications: reviewed,
        claims,
        calls,
        passing,
    })
}

/// How many seats of the first queue are granted last, for a short term: as many as there will be people to wait for them.
fn held_back(configuration: &Configuration, applicants: usize) -> usize {
    let first = queues()[0];
    let quota = quota(configuration, first);
    let applied = (0..applicants).filter(|number| queue_of(*number) == first);
    applied.count().saturating_sub(quota).min(quota).min(SHORT)
}

fn holder<'a>(
    holders: &BTreeMap<Principal, &'a Registered>,
    seat: &Seat,
) -> Result<&'a Registered, LicensingError> {
    holders.get(&seat.holder).copied().ok_or_else(|| {
        let reason = format!("seat {} was granted to nobody who applied", seat.seat);
        LicensingError::Recount(reason)
    })
}

async fn apply(anybody: &SuiteCanister, decision: u64) -> Result<(), LicensingError> {
    anybody
        .update("apply_decision", &decision)
        .await
        .map_err(at("applying a decision"))
}

/// Has everybody apply, and each application reviewed as soon as it is there.
async fn reviewed(
    staff: &Staff,
    applicants: &[Registered],
    console: &mut Console,
) -> Result<BTreeMap<u64, Applied>, LicensingError> {
    console.begin("applying and reviewing", applicants.len());
    let mut calls = Bounded::new(IN_FLIGHT);
    for (number, applicant) in applicants.iter().enumerate() {
        let reviewer = staff.reviewers[number % staff.reviewers.len()]
            .licences
            .clone();
        let licences = applicant.licences.clone();
        let queue = queue_of(number);
        calls.push(number, async move {
            apply_and_review(queue, number, &licences, &reviewer).await
        });
    }
    let mut all = BTreeMap::new();
    while let Some((_, outcome)) = calls.next().await {
        let outcome = outcome.map_err(|_| LicensingError::Aborted("an application"))?;
        all.extend([outcome?]);
        console.step();
    }
    Ok(all)
}

async fn apply_and_review(
    queue: QueueKey,
    number: usize,
    licences: &SuiteCanister,
    reviewer: &SuiteCanister,
) -> Result<(u64, Applied), LicensingError> {
    let args = ApplyArgs {
        audience: queue.audience,
        sector: queue.sector,
        statement: seeded(b"statement", number),
        idempotency_key: seeded(b"application", number),
    };
    let application: Application = licences
        .update("apply", &args)
        .await
        .map_err(at("applying"))?;
    let content = application.content;
    let score = score_of(number);
    let args = ReviewArgs {
        application: content.id,
        hash: ByteBuf::from(content.hash()?.to_vec()),
        score,
        comment: seeded(b"comment", number),
    };
    let _reviewed: Application = reviewer
        .update("review", &args)
        .await
        .map_err(at("reviewing"))?;
    let applied = Applied {
        queue,
        applicant: content.applicant,
        applied_at_ns: content.applied_at_ns,
        score,
    };
    Ok((content.id, applied))
}

/// Grants as many seats as there are, but for some of the first queue, in the order of each queue: queues side by side, each
/// by one officer.
async fn granted(
    staff: &Staff,
    configuration: &Configuration,
    held_back: usize,
    console: &mut Console,
) -> Result<Vec<Seat>, LicensingError> {
    let queues = queues();
    let first = queues[0];
    console.begin("granting seats in order, by queue", queues.len());
    let mut calls = Bounded::new(staff.officers.len());
    let each = queues.len().div_ceil(staff.officers.len());
    for (officer, queues) in staff.officers.iter().zip(queues.chunks(each)) {
        let (licences, queues) = (officer.licences.clone(), queues.to_vec());
        let quota = queues.iter().map(|queue| quota(configuration, *queue));
        let quotas: Vec<usize> = quota.collect();
        calls.push(queues.len(), async move {
            let mut seats = Vec::new();
            for (queue, quota) in queues.into_iter().zip(quotas) {
                let kept = if queue == first { held_back } else { 0 };
                seats.extend(granted_of(&licences, queue, quota - kept).await?);
            }
            Ok::<_, LicensingError>(seats)
        });
    }
    let mut seats = Vec::new();
    while let Some((queues, outcome)) = calls.next().await {
        seats.extend(outcome.map_err(|_| LicensingError::Aborted("granting"))??);
        (0..queues).for_each(|_| console.step());
    }
    Ok(seats)
}

/// Grants at most so many seats of a queue.
async fn granted_of(
    licences: &SuiteCanister,
    queue: QueueKey,
    at_most: usize,
) -> Result<Vec<Seat>, LicensingError> {
    let mut seats = Vec::new();
    loop {
        // The first ones of the order; those that were granted are not in it any more.
        let page: Page<Place, Place> = licences
            .query_unverified(
                "list_order",
                &QueueArgs {
                    queue,
                    page: PageArgs {
                        after: None,
                        limit: MAX_PAGE,
                    },
                },
            )
            .await
            .map_err(at("reading an order"))?;
        if page.items.is_empty() {
            return Ok(seats);
        }
        for place in page.items {
            if seats.len() == at_most {
                return Ok(seats);
            }
            match licences.update("grant", &place.application).await {
                Ok(seat) => seats.push(seat),
                // The quota is used up: the others wait.
                Err(error) if is_full(&error) => return Ok(seats),
                Err(error) => return Err(at("granting a seat")(error)),
            }
        }
    }
}

fn is_full(error: &indus_client::ClientError) -> bool {
    matches!(error.refusal(), Some(indus_api::Error::LimitReached { .. }))
}

fn queues() -> Vec<QueueKey> {
    Audience::ALL
        .into_iter()
        .flat_map(|audience| Sector::ALL.map(|sector| QueueKey { audience, sector }))
        .collect()
}

/// Spreads applicants over audiences as the quotas are (4 : 5 : 6), and over sectors alike.
fn queue_of(number: usize) -> QueueKey {
    const PARTS: [Audience; 15] = {
        use Audience::{Education as E, Government as G, Startups as S};
        [G, E, S, G, E, S, G, E, S, G, E, S, E, S, S]
    };
    QueueKey {
        audience: PARTS[number % PARTS.len()],
        sector: Sector::ALL[number / PARTS.len() % Sector::ALL.len()],
    }
}

fn score_of(number: usize) -> u8 {
    let hash = Sha256::digest([&b"score"[..], &number.to_be_bytes()].concat());
    let score = u16::from_be_bytes([hash[0], hash[1]]) % (BEST + 1);
    u8::try_from(score).unwrap_or_default()
}

/// 32 bytes that follow from the number: commitments of synthetic texts.
fn seeded(what: &[u8], number: usize) -> ByteBuf {
    let hash = Sha256::digest([what, &number.to_be_bytes()].concat());
    ByteBuf::from(hash.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applicants_are_spread_as_the_quotas_are() {
        let mut counts: BTreeMap<QueueKey, usize> = BTreeMap::new();
        for number in 0..1_500 {
            *counts.entry(queue_of(number)).or_default() += 1;
        }
        assert_eq!(counts.len(), queues().len());
        for (queue, count) in counts {
            let quota = match queue.audience {
                Audience::Government => 80,
                Audience::Education => 100,
                Audience::Startups => 120,
            };
            assert_eq!(count, quota, "{queue:?}");
        }
    }
}
