//! The `registry` canister: who and what is on the subnet.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. It decodes, calls one function of
//! the logic and replies; [`indus_kit::shell`] certifies what has changed. Everything else runs natively
//! ([`organisations`] over a [`State`]).

mod consent;
mod governors;
pub mod organisations;
pub mod state;

use std::{cell::RefCell, thread::LocalKey};

use candid::{Principal, candid_method};
use ic_cdk::{init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    paging::{Page, PageArgs},
    registry::{
        ApproveArgs, CloseArgs, InitArgs, Organisation, OrganisationKey, OrganisationProfile,
    },
};
use indus_kit::{
    Context, Definition, Kit,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::Subjects as _,
    timers::{self, Job},
};

pub use state::State;

type Registry = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Registry>> = const { RefCell::new(None) };
}

static JOBS: [Job; 1] = [shell::page_job::<Registry>()];

impl Shell for Registry {
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
        governors::Governors(self).subject(context)
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn metrics(&self) -> Vec<Metric> {
        let pending = self.pending_count();
        vec![Metric::gauge(
            "indus_pending_applications",
            "Pending applications",
            pending,
        )]
    }
}

standard_endpoints!(Registry);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    shell::start(State::create(memory, &shell::context(), args));
    timers::start::<Registry>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    shell::upgrade(State::open(DefaultMemoryImpl::default()));
    timers::start::<Registry>(&JOBS);
}

/// Any authenticated caller: applies for an organisation in the caller's name. The identical application, while pending, is
/// answered again.
#[update(decode_with = "argument", hidden)]
#[candid_method(update)]
fn apply_for_organisation(profile: OrganisationProfile) -> Result<Organisation, Error> {
    shell::update(|state: &mut Registry, context| organisations::apply(state, context, profile))
}

/// Governors: makes the organisation of a pending application active, exactly as it was read. Repeatable.
#[update(decode_with = "argument", hidden)]
#[candid_method(update)]
fn approve_organisation(args: ApproveArgs) -> Result<Organisation, Error> {
    shell::update(|state: &mut Registry, context| organisations::approve(state, context, args))
}

/// The applicant or a governor: ends a pending application, withdrawn by its applicant, or rejected by a governor.
/// Repeatable.
#[update(decode_with = "argument", hidden)]
#[candid_method(update)]
fn close_application(args: CloseArgs) -> Result<Organisation, Error> {
    shell::update(|state: &mut Registry, context| organisations::close(state, context, args))
}

/// Everybody: one organisation, in any state by its id, active by its slug. Not certified.
#[query(decode_with = "argument", hidden)]
#[candid_method(query)]
fn get_organisation(key: OrganisationKey) -> Result<Organisation, Error> {
    shell::query(|state: &Registry, _| organisations::get(state, key))
}

/// Everybody: the governors, at most 25. Not certified: that is the collection `governors`.
#[query]
fn list_governors() -> Result<Vec<Principal>, Error> {
    shell::query(|state: &Registry, _| state.governors())
}

/// Everybody: a page of organisations, in any state, in the order of their ids. Not certified.
#[query(decode_with = "argument", hidden)]
#[candid_method(query)]
fn list_organisations(args: PageArgs<u64>) -> Result<Page<u64, Organisation>, Error> {
    shell::query(|state: &Registry, _| organisations::list(state, args))
}

/// The Candid interface, as `candid/registry.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
