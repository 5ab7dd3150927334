//! What everybody may know of all seats, certified: the settings, the quotas and their use, the order, an entitlement.

use candid::Principal;
use clap::Subcommand;
use indus_api::licences::{
    Entitlement, EntitlementArgs, Ledger, PRODUCT, Place, QueueArgs, QueueKey, SETTINGS_KEY,
    Settings,
};
use indus_api::paging::{MAX_PAGE, Page, PageArgs};
use serde_json::Value;

use super::queue::Queue;
use super::seat;
use super::{Desk, LICENSE_MANAGER};
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// What is ranked by is in sixtieths of a point.
const SIXTIETHS: f64 = 60.0;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Shows the settings that hold, certified: limits, periods, and which decision set them.
    Settings,
    /// Lists the quotas and how many seats of each are in use, certified.
    Quotas,
    /// Lists those that wait for a seat of an audience and sector, in their order, as one node says.
    Order(Queue),
    /// Whether a person may use the product now, as one node says: exit code 0 if they may, 1 if not.
    Check {
        /// The person's id.
        #[arg(value_name = "PERSON")]
        person: Principal,
        #[arg(long, default_value = PRODUCT)]
        product: String,
    },
}

/// Does it.
pub(super) async fn figures(verb: Verb, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let json = desk.network.json;
    let licences = desk.network.canister(LICENSE_MANAGER)?;
    match verb {
        Verb::Settings => {
            let found = licences.record::<Settings>(&SETTINGS_KEY).await;
            let found = found.map_err(Failure::failed)?;
            let Some(settings) = found.value else {
                return Err(Failure::Failed("there are no settings".into()));
            };
            let mut shown = settings_fields(&settings);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            sheet::show(shown, json, console);
        }
        Verb::Quotas => {
            let found = licences.records::<Ledger>().await;
            let found = found.map_err(Failure::failed)?;
            let things = found.value.iter().map(ledger_fields).collect();
            let columns = [
                "audience",
                "sector",
                "quota",
                "held",
                "granted",
                "active",
                "suspended",
                "vacancies",
            ];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, json, console);
        }
        Verb::Order(queue) => {
            let mut things = Vec::new();
            let mut after = None;
            loop {
                let args = QueueArgs {
                    queue: QueueKey::from(&queue),
                    page: PageArgs {
                        after,
                        limit: MAX_PAGE,
                    },
                };
                let page: Page<Place, Place> = licences
                    .query_unverified("list_order", &args)
                    .await
                    .map_err(Failure::failed)?;
                for place in &page.items {
                    things.push(place_fields(things.len() + 1, place));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let columns = ["place", "application", "score", "round", "applied_at"];
            sheet::list(&columns, things, None, json, console);
        }
        Verb::Check { person, product } => {
            let args = EntitlementArgs { person, product };
            let answer: Option<Entitlement> = licences
                .query_unverified("check_entitlement", &args)
                .await
                .map_err(Failure::failed)?;
            let Some(found) = answer else {
                return Err(Failure::Failed(format!(
                    "not entitled: {person} has no seat"
                )));
            };
            let mut shown: Fields =
                vec![("valid", found.valid.into()), ("seat", found.seat.into())];
            shown.extend(seat::state_fields(&found.state));
            shown.push(("at", sheet::time(found.time_ns)));
            sheet::show(shown, json, console);
            if !found.valid {
                let seat = found.seat;
                return Err(Failure::Failed(format!(
                    "not entitled: seat {seat} is not valid"
                )));
            }
        }
    }
    Ok(())
}

fn settings_fields(settings: &Settings) -> Fields {
    let configuration = &settings.configuration;
    let (limits, periods) = (&configuration.limits, &configuration.periods);
    let days = |ns: u64| -> Value {
        let duration = std::time::Duration::from_nanos(ns);
        when::shown_age(duration).into()
    };
    let seats: u32 = configuration.quotas.iter().map(|quota| quota.seats).sum();
    vec![
        ("seats_in_quotas", seats.into()),
        (
            "open_applications_per_person",
            limits.open_per_person.into(),
        ),
        ("applications_a_day", limits.applications_a_day.into()),
        ("reviews_needed", limits.reviews_needed.into()),
        ("to_claim", days(periods.claim_ns)),
        ("term", days(periods.term_ns)),
        ("idle_before_notice", days(periods.idle_ns)),
        ("notice", days(periods.notice_ns)),
        ("decision", settings.decision.into()),
        ("identity", settings.identity.to_text().into()),
        ("registry", settings.registry.to_text().into()),
    ]
}

fn ledger_fields(ledger: &Ledger) -> Fields {
    vec![
        ("audience", format!("{:?}", ledger.audience).into()),
        ("sector", format!("{:?}", ledger.sector).into()),
        ("quota", ledger.quota.into()),
        ("held", ledger.held().into()),
        ("granted", ledger.granted.into()),
        ("active", ledger.active.into()),
        ("suspended", ledger.suspended.into()),
        ("vacancies", ledger.vacancies.into()),
    ]
}

fn place_fields(place: usize, waits: &Place) -> Fields {
    vec![
        ("place", place.into()),
        ("application", waits.application.into()),
        ("score", score(waits.rank)),
        ("round", waits.round.into()),
        ("applied_at", sheet::time(waits.applied_at_ns)),
    ]
}

/// What an application is ranked by, as a score, to two decimals.
pub(super) fn score(rank: u16) -> Value {
    format!("{:.2}", f64::from(rank) / SIXTIETHS).into()
}
