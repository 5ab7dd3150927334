//! The 1,500 seats, from the applications to the recount.
//!
//! Flow: officers and reviewers register, are given their roles by administrators of two founding
//! organisations, and accept → a round is opened → applicants register and apply → each application is reviewed → the
//! round is closed, which fixes the order → seats are granted in that order, one queue beside the other, and claimed; the last
//! ones of a queue for some seconds only, by a decision of the governors → those expire, and pass on to who is next → both
//! canisters are audited, and seats and waiting lists recounted from certified records.
//!
//! Applicants are synthetic: their ids are opaque, their scores follow from a seed. Each call is signed by its own person.

mod people;
mod recount;
mod round;
mod succession;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use candid::Principal;
use indus_api::licences::{self, Seat, SeatState};
use indus_client::{ClientError, Connection, Key, SuiteCanister};
use indus_verify::VerifyError;
use thiserror::Error;

use crate::console::Console;
use crate::council::{Council, CouncilError};
use crate::suite::Canisters;

pub(crate) use recount::Recount;

/// Calls that are under way at a time.
const IN_FLIGHT: usize = 24;
/// Applicants for all 1,500 seats.
const FULL_HOUSE: u32 = 2_000;
/// Term of the licences that are to expire.
const SHORT_TERM_NS: u64 = 3_000_000_000;

/// A seat that lasts, lasts longer: an hour.
const A_WHILE_NS: u64 = 3_600_000_000_000;

/// Where and by whom it is done.
pub(crate) struct Setting<'a> {
    /// Of nobody, with all canisters in its trust file.
    pub(crate) connection: Connection,
    /// The administrators of the first founding organisations, one of each.
    pub(crate) administrators: &'a [Key],
    pub(crate) applicants: usize,
}

/// What was done, and how long it took.
#[derive(Debug)]
pub(crate) struct Licensing {
    pub(crate) registered: Duration,
    /// From the first application to the last claim.
    pub(crate) took: Duration,
    pub(crate) calls: usize,
    pub(crate) recount: Recount,
}

/// Why it could not be done.
#[derive(Debug, Error)]
pub(crate) enum LicensingError {
    #[error("{step}: {reason}")]
    Client {
        step: &'static str,
        reason: ClientError,
    },
    #[error(transparent)]
    Council(#[from] CouncilError),
    #[error("arguments can't be encoded: {0}")]
    Arguments(#[from] candid::Error),
    #[error("{0} ended abnormally")]
    Aborted(&'static str),
    #[error("a certified record of {0} is none")]
    Record(&'static str),
    #[error("the recount differs: {0}")]
    Recount(String),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Says at which step a call failed.
fn at(step: &'static str) -> impl Fn(ClientError) -> LicensingError {
    move |reason| LicensingError::Client { step, reason }
}

/// The default, with room for all applicants of one day; with fewer of them than [`FULL_HOUSE`], with fewer seats in
/// proportion, so that some wait.
pub(crate) fn configuration(applicants: usize) -> licences::Configuration {
    let mut configuration = licences::Configuration::default();
    configuration.limits.applications_a_day = 10_000;
    let parts = u32::try_from(applicants).map_or(FULL_HOUSE, |parts| parts.min(FULL_HOUSE));
    for quota in &mut configuration.quotas {
        quota.seats = (quota.seats * parts).div_ceil(FULL_HOUSE);
    }
    configuration
}

/// How many seats a queue may have by this configuration.
fn quota(configuration: &licences::Configuration, queue: licences::QueueKey) -> usize {
    let mut quotas = configuration.quotas.iter();
    let found = quotas.find(|one| (one.audience, one.sector) == (queue.audience, queue.sector));
    found.map_or(0, |quota| quota.seats as usize)
}

/// Decisions about how long licences last: for seconds, and as before. Each holds from when it is applied.
struct Terms {
    short: u64,
    usual: u64,
}

async fn terms(
    council: &Council,
    license_manager: Principal,
    usual: &licences::Configuration,
) -> Result<Terms, LicensingError> {
    let mut short = usual.clone();
    short.periods.term_ns = SHORT_TERM_NS;
    Ok(Terms {
        short: council.configured(license_manager, &short).await?.id,
        usual: council.configured(license_manager, usual).await?.id,
    })
}

/// A round that was held: its seats are claimed.
pub(crate) struct Held {
    registered: Duration,
    took: Duration,
    outcome: round::Outcome,
    applicants: BTreeMap<Principal, people::Registered>,
}

impl Held {
    /// Somebody who has claimed a seat that lasts: their person, and identity in their name.
    pub(crate) async fn founder(
        &self,
        setting: &Setting<'_>,
    ) -> Result<Option<(Principal, SuiteCanister)>, LicensingError> {
        const STEP: &str = "looking for a seat";
        let seats = SuiteCanister::new(setting.connection.clone(), "license_manager");
        let seats = seats.map_err(at(STEP))?.records::<Seat>().await;
        let later_ns = people::now_ns().saturating_add(A_WHILE_NS);
        let lasts = |seat: &&Seat| {
            matches!(seat.state, SeatState::Active(_)) && seat.ends_at_ns() > later_ns
        };
        let seats = seats.map_err(at(STEP))?.value;
        let holder = seats.iter().find(lasts).map(|seat| seat.holder);
        Ok(holder
            .and_then(|holder| self.applicants.get(&holder))
            .map(|founder| (founder.id, founder.identity.clone())))
    }
}

/// Holds a round, on canisters that the registry's inventory has.
pub(crate) async fn hold(
    setting: &Setting<'_>,
    canisters: Canisters,
    council: &Council,
    console: &mut Console,
) -> Result<Held, LicensingError> {
    let start = Instant::now();
    let desk = people::Desk::new(setting.connection.clone());
    let staff = people::staff(&desk, setting.administrators).await?;
    let applicants = people::applicants(&desk, setting.applicants, console).await?;
    let configuration = configuration(setting.applicants);
    let terms = terms(council, canisters.license_manager, &configuration).await?;
    let registered = start.elapsed();

    let start = Instant::now();
    let outcome = round::run(&staff, &applicants, &configuration, &terms, console).await?;
    Ok(Held {
        registered,
        took: start.elapsed(),
        outcome,
        applicants: applicants.into_iter().map(|one| (one.id, one)).collect(),
    })
}

/// Waits until the short licences have expired, has those who are next claim, and recounts all.
pub(crate) async fn conclude(
    setting: &Setting<'_>,
    held: Held,
    console: &mut Console,
) -> Result<Licensing, LicensingError> {
    let Held {
        registered,
        took,
        outcome,
        applicants,
    } = held;
    let reader = |name| SuiteCanister::new(setting.connection.clone(), name);
    let identity = reader("identity").map_err(at("auditing identity"))?;
    let seats = reader("license_manager").map_err(at("auditing license_manager"))?;
    succession::passed_on(&seats, &outcome.passing, &applicants, console).await?;
    let recount = recount::recount(&identity, &seats, &outcome).await?;
    Ok(Licensing {
        registered,
        took,
        calls: outcome.calls,
        recount,
    })
}

/// What is shown of it.
pub(crate) fn summary(licensing: &Licensing) -> Vec<String> {
    let Licensing {
        registered,
        took,
        calls,
        recount,
    } = licensing;
    vec![
        format!(
            "licences:      {} applications to {} claims in {:.1} s ({calls} signed calls; persons and roles before it {:.1} s)",
            recount.applications,
            recount.active,
            took.as_secs_f64(),
            registered.as_secs_f64()
        ),
        format!(
            "recounted:     {} seats held by {} persons, {} expired and passed on, {} waiting, none overtaken; logs of {} and {} blocks replayed to the \
             certified roots of identity and license_manager",
            recount.active,
            recount.holders,
            recount.ended,
            recount.waiting,
            recount.identity_blocks,
            recount.blocks
        ),
    ]
}
