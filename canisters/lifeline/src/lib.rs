//! The `lifeline` canister: the way into `registry` and `app_hosting` when they don't work, and who upgrades `app_hosting`.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. What an endpoint asks of others is in
//! `suite`; everything else runs natively over a [`State`]: [`keepers`], [`interventions`], [`uploads`].
//!
//! It asks nobody who its callers are: keepers are keys that it knows itself.

pub mod consent;
pub mod interventions;
pub mod keepers;
pub mod state;
mod suite;
pub mod uploads;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::candid_method;
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    lifeline::{
        ApproveArgs, CarryOutArgs, InitArgs, Intervention, InterventionRecord, Keepers,
        KeepersRecord, MAX_CHUNK_BYTES, ModuleArgs, ModuleOf, ProposeArgs, UploadArgs, Uploaded,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context, Definition, Kit, arguments, encoding,
    http::status::Metric,
    icrc21::Consent,
    refusals::unauthorized,
    shell::{self, Shell},
    standard_endpoints,
    timers::{self, Job, Progress},
};

pub use state::State;

pub(crate) type Lifeline = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Lifeline>> = const { RefCell::new(None) };
}

static JOBS: [Job; 4] = [
    shell::page_job::<Lifeline>(),
    Job {
        name: "interventions",
        interval: Duration::from_secs(10),
        slice: suite::AT_ONCE,
        run: timers::retry_pending::<Lifeline>,
    },
    Job {
        name: "expiry",
        interval: Duration::from_secs(60),
        slice: 10,
        run: |_, slice| {
            // What can't be ended now is ended next time, and can't be approved in between.
            let _later = shell::tick(|state: &mut Lifeline, context| {
                interventions::expire(state, context, slice)
            });
            Progress::Done
        },
    },
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 500,
        run: |_, slice| shell::tick(|state: &mut Lifeline, context| state.prune(context, slice)),
    },
];

impl Shell for Lifeline {
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

    /// Everybody reads everything, so nobody has to be known.
    fn subject(&self, _context: &Context) -> Result<Subject, Error> {
        Err(unauthorized("nobody: everything is public"))
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<InterventionRecord>();
        encoding::prepare::<KeepersRecord>();
        encoding::prepare::<Result<Intervention, Error>>();
        encoding::prepare::<Result<Keepers, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "indus_interventions_active",
                "Interventions that are open or running: somebody should know why",
                self.active.len(),
            ),
            Metric::gauge(
                "indus_interventions_running",
                "Interventions that are being carried out",
                self.pending.len(),
            ),
            Metric::gauge("indus_modules", "Modules that are kept", self.modules.len()),
        ]
    }
}

standard_endpoints!(Lifeline);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    let own = api::canister_self();
    shell::start(State::create(memory, &shell::context(), own, args));
    timers::start::<Lifeline>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    let own = api::canister_self();
    shell::upgrade(State::open(DefaultMemoryImpl::default(), own));
    timers::start::<Lifeline>(&JOBS);
}

/// Keepers, for what they are going to propose; for an upgrade of app_hosting, a governor who decided it: keeps a chunk of a module.
/// Repeatable.
#[update(decode_with = "chunk", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn upload_chunk(args: UploadArgs) -> Result<Uploaded, Error> {
    match args.of {
        ModuleOf::Keeper(_) => {
            shell::update(|state: &mut Lifeline, context| uploads::upload(state, context, args))
        }
        ModuleOf::Decision { proposal } => {
            let _under_way = suite::enter()?;
            let upgrade = suite::upgrade(proposal).await?;
            shell::update(|state: &mut Lifeline, context| {
                uploads::upload_for_upgrade(state, context, &upgrade, args)
            })
        }
    }
}

/// Keepers: proposes an intervention, and approves it. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn propose(args: ProposeArgs) -> Result<Intervention, Error> {
    shell::update(|state: &mut Lifeline, context| interventions::propose(state, context, args))
}

/// Keepers: approves an intervention as it was read; with the threshold it begins at once. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn approve(args: ApproveArgs) -> Result<Intervention, Error> {
    let approved = shell::update(|state: &mut Lifeline, context| {
        interventions::approve(state, context, &args)
    })?;
    suite::carry_out_soon();
    Ok(approved)
}

/// The keeper who proposed it: takes an intervention back that is open. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn withdraw(intervention: u64) -> Result<Intervention, Error> {
    shell::update(|state: &mut Lifeline, context| {
        interventions::withdraw(state, context, intervention)
    })
}

/// A governor of the registry who proposed or approved it: has an upgrade of app_hosting carried out, exactly as the registry's decision
/// says. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn carry_out(args: CarryOutArgs) -> Result<Intervention, Error> {
    let _under_way = suite::enter()?;
    let upgrade = suite::upgrade(args.proposal).await?;
    let intervention = shell::update(|state: &mut Lifeline, context| {
        interventions::carry_out(state, context, &upgrade, args)
    })?;
    suite::carry_out_soon();
    Ok(intervention)
}

/// Everybody: an intervention. Not certified: that is the collection `interventions`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_intervention(intervention: u64) -> Result<Intervention, Error> {
    shell::query(|state: &Lifeline, _| interventions::get(state, intervention))
}

/// Everybody: a page of interventions, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_interventions(args: PageArgs<u64>) -> Result<Page<u64, Intervention>, Error> {
    shell::query(|state: &Lifeline, _| interventions::list(state, args))
}

/// Keepers: what a canister, or the subnet, said of an intervention that was not carried out. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn intervention_message(intervention: u64) -> Result<Option<String>, Error> {
    shell::query(|state: &Lifeline, context| interventions::message(state, context, intervention))
}

/// Everybody: the keepers, and the canisters that they decide about. Not certified: that is the collection `keepers`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_keepers() -> Result<Keepers, Error> {
    shell::query(|state: &Lifeline, _| keepers::get(state))
}

/// Everybody: how much of a module is kept. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_module(args: ModuleArgs) -> Result<Uploaded, Error> {
    shell::query(|state: &Lifeline, _| uploads::get(state, &args))
}

/// Decodes a chunk, which is longer than any other argument, or rejects the call.
fn chunk(bytes: Vec<u8>) -> UploadArgs {
    arguments::decode_long(MAX_CHUNK_BYTES, &bytes)
        .unwrap_or_else(|refused| api::trap(refused.to_string()))
}

/// The Candid interface, as `candid/lifeline.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
