//! The `license_manager` canister: the 1,500 seats of the app builder, from application to proof.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. What an endpoint asks of others
//! is in `suite`; everything else runs natively over a [`State`]: [`rounds`], [`applications`], [`reviews`], [`order`],
//! [`grants`], [`seats`], [`configuration`].
//!
//! Events name persons, not the principals that called: what is public of a seat is an opaque id.

pub mod applications;
pub mod configuration;
mod consent;
mod desk;
pub mod grants;
mod metrics;
pub mod order;
mod refusals;
pub mod reviews;
pub mod rounds;
pub mod seats;
pub mod state;
pub mod step;
mod suite;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::candid_method;
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    licences::{
        Application, ApplicationRecord, ApplyArgs, DeclineArgs, Entitlement, EntitlementArgs,
        InitArgs, Ledger, OpenRoundArgs, Place, QueueArgs, RenewArgs, ReorderArgs, ReviewArgs,
        Round, Seat, SeatArgs, Settings,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context, Definition, Kit, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::{CachedSubjects, Subjects as _},
    timers::{self, Job, Progress},
};

pub use state::State;

type Manager = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Manager>> = const { RefCell::new(None) };
    static SUBJECTS: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new(suite::IDENTITY));
}

static JOBS: [Job; 4] = [
    shell::page_job::<Manager>(),
    Job {
        name: "seed",
        interval: Duration::from_secs(60),
        slice: 1,
        run: |_, _| {
            // A message of its own: a job can't await. What fails is tried again.
            ic_cdk_timers::set_timer(Duration::ZERO, async {
                let _later = suite::draw_seed().await;
            });
            Progress::Done
        },
    },
    // Some 2 million instructions a seat. What is free first is filled next.
    Job {
        name: "seats",
        interval: Duration::from_secs(10),
        slice: 100,
        run: |_, slice| {
            shell::tick(|state: &mut Manager, context| {
                match seats::look_at(state, context, slice) {
                    Progress::More => Progress::More,
                    Progress::Done => grants::fill(state, context, slice),
                }
            })
        },
    },
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 500,
        run: |_, slice| shell::tick(|state: &mut Manager, context| state.prune(context, slice)),
    },
];

impl Shell for Manager {
    type Memory = DefaultMemoryImpl;

    const DEFINITION: &'static Definition = &state::DEFINITION;

    fn state() -> &'static LocalKey<RefCell<Option<Self>>> {
        &STATE
    }

    fn kit(&self) -> &Kit<DefaultMemoryImpl> {
        &self.kit
    }

    fn kit_mut(&mut self) -> &mut Kit<DefaultMemoryImpl> {
        &mut self.kit
    }

    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        SUBJECTS.with_borrow(|subjects| subjects.subject(context))
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<ApplicationRecord>();
        encoding::prepare::<u64>();
        encoding::prepare::<Result<Application, Error>>();
        encoding::prepare::<PageArgs<u64>>();
        encoding::prepare::<Result<Page<u64, Application>, Error>>();
        encoding::prepare::<Result<Page<u64, u64>, Error>>();
        encoding::prepare::<QueueArgs>();
        encoding::prepare::<Result<Page<Place, Place>, Error>>();
        encoding::prepare::<Result<Page<u64, Round>, Error>>();
        encoding::prepare::<Result<Seat, Error>>();
        encoding::prepare::<Result<Page<u64, Seat>, Error>>();
        encoding::prepare::<EntitlementArgs>();
        encoding::prepare::<Result<Option<Entitlement>, Error>>();
        encoding::prepare::<Result<Vec<Ledger>, Error>>();
        encoding::prepare::<Result<Settings, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::metrics(self)
    }
}

standard_endpoints!(Manager);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    shell::start(State::create(memory, &shell::context(), args));
    timers::start::<Manager>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    shell::upgrade(State::open(DefaultMemoryImpl::default()));
    timers::start::<Manager>(&JOBS);
}

/// Officers: opens a round. Repeatable while it is open.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn open_round(args: OpenRoundArgs) -> Result<Round, Error> {
    suite::sensitive(|state, context, subject| rounds::open(state, context, subject, args)).await
}

/// Officers: closes a round, whose order is fixed from then on. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn close_round(id: u64) -> Result<Round, Error> {
    suite::sensitive(|state, context, subject| rounds::close(state, context, subject, id)).await
}

/// Registered persons: applies for a seat in the open round. Repeatable with the same idempotency key.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn apply(args: ApplyArgs) -> Result<Application, Error> {
    let bytes = api::msg_arg_data();
    suite::ordinary(|state, context, subject| {
        applications::apply(state, context, subject, args, &bytes)
    })
    .await
}

/// The applicant: takes an application back. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn withdraw(application: u64) -> Result<Application, Error> {
    suite::ordinary(|state, context, subject| {
        applications::withdraw(state, context, subject, application)
    })
    .await
}

/// Reviewers of another person and organisation than the applicant's: reviews an application of the open round, as it was
/// read. Repeatable; replaces the reviewer's earlier review.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn review(args: ReviewArgs) -> Result<Application, Error> {
    suite::ordinary(|state, context, subject| reviews::review(state, context, subject, args)).await
}

/// Reviewers who could review it: is recused from an application of the open round. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn recuse(application: u64) -> Result<Application, Error> {
    suite::ordinary(|state, context, subject| reviews::recuse(state, context, subject, application))
        .await
}

/// Officers whom it does not concern: turns an open application down. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn decline(args: DeclineArgs) -> Result<Application, Error> {
    suite::sensitive(|state, context, subject| applications::decline(state, context, subject, args))
        .await
}

/// Officers whom it does not concern: decides that an application of a closed round counts as with another score.
/// Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn reorder(args: ReorderArgs) -> Result<Application, Error> {
    suite::sensitive(|state, context, subject| order::reorder(state, context, subject, args)).await
}

/// Officers whom it does not concern: grants a seat to the application that is first in its order. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn grant(application: u64) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| grants::grant(state, context, subject, application))
        .await
}

/// The person whom a seat was granted to: claims it. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn claim(seat: u64) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| seats::claim(state, context, subject, seat)).await
}

/// The holder: shows that a seat is in use. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn check_in(seat: u64) -> Result<Seat, Error> {
    suite::ordinary(|state, context, subject| seats::check_in(state, context, subject, seat)).await
}

/// Officers whom it does not concern: suspends a licence. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn suspend(args: SeatArgs) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| seats::suspend(state, context, subject, args)).await
}

/// Officers whom it does not concern: takes a suspension or a notice back. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn reinstate(args: SeatArgs) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| seats::reinstate(state, context, subject, args))
        .await
}

/// Officers whom it does not concern: gives notice that a seat will be reclaimed. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn reclaim(args: SeatArgs) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| seats::reclaim(state, context, subject, args)).await
}

/// Officers whom it does not concern: lets a licence last longer. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn renew(args: RenewArgs) -> Result<Seat, Error> {
    suite::sensitive(|state, context, subject| seats::renew(state, context, subject, args)).await
}

/// Any authenticated caller: fetches a decision about this canister from the registry, and applies it. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn apply_decision(id: u64) -> Result<(), Error> {
    suite::apply_decision(api::canister_self(), id).await
}

/// Any authenticated caller: asks identity who they are, so that queries know it for a minute.
#[update(encode_with = "reply", hidden)]
#[candid_method(update)]
async fn refresh_subject() -> Result<Subject, Error> {
    suite::refresh_subject().await
}

/// The applicant, officers, and reviewers who may review it (without what others think of it): an application. Not
/// certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_application(id: u64) -> Result<Application, Error> {
    shell::query(|state: &Manager, context| {
        SUBJECTS.with_borrow(|subjects| applications::get(state, subjects, context, id))
    })
}

/// Registered persons: a page of their own open applications, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_my_applications(args: PageArgs<u64>) -> Result<Page<u64, Application>, Error> {
    shell::query(|state: &Manager, context| {
        SUBJECTS.with_borrow(|subjects| applications::list_mine(state, subjects, context, args))
    })
}

/// Everybody: a page of the ids of the applications that lack reviews. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_to_review(args: PageArgs<u64>) -> Result<Page<u64, u64>, Error> {
    shell::query(|state: &Manager, _| order::list_to_review(state, args))
}

/// Everybody: a page of those that wait in a queue, in their order. Not certified: it follows from the applications.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_order(args: QueueArgs) -> Result<Page<Place, Place>, Error> {
    shell::query(|state: &Manager, _| order::list(state, args))
}

/// Everybody: a page of rounds, in the order of their ids. Not certified: that is the collection `rounds`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_rounds(args: PageArgs<u64>) -> Result<Page<u64, Round>, Error> {
    shell::query(|state: &Manager, _| rounds::list(state, args))
}

/// Everybody: a seat in use. Not certified: that is the collection `seats`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_seat(seat: u64) -> Result<Seat, Error> {
    shell::query(|state: &Manager, _| seats::get(state, seat))
}

/// Everybody: a page of the seats in use, in their order. Not certified: that is the collection `seats`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_seats(args: PageArgs<u64>) -> Result<Page<u64, Seat>, Error> {
    shell::query(|state: &Manager, _| seats::list(state, args))
}

/// Everybody: whether a person may use a product now. Not certified: that is the leaf of the seat.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn check_entitlement(args: EntitlementArgs) -> Result<Option<Entitlement>, Error> {
    shell::query(|state: &Manager, context| seats::check_entitlement(state, context, args))
}

/// Everybody: the 15 quotas and what is used of each. Not certified: that is the collection `quotas`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_quotas() -> Result<Vec<Ledger>, Error> {
    shell::query(|state: &Manager, _| Ok(state.ledgers().to_vec()))
}

/// Everybody: the settings that hold now. Not certified: that is the collection `settings`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_settings() -> Result<Settings, Error> {
    shell::query(|state: &Manager, _| Ok(state.settings().clone()))
}

/// The Candid interface, as `candid/license_manager.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
