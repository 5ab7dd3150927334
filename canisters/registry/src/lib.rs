//! The `registry` canister: who and what is on the subnet, and who decided it.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. It decodes, calls one function of
//! the logic and replies; [`indus_kit::shell`] certifies what has changed. Everything else runs natively over a [`State`].

mod actions;
pub mod consent;
mod governance;
pub mod inventory;
mod observe;
pub mod organisations;
pub mod proposals;
pub mod residency;
pub mod services;
pub mod state;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::{Principal, candid_method};
use ic_cdk::{init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    CertifiedRead, Error, Subject,
    decision::Decision,
    paging::{Page, PageArgs},
    registry::{
        Access, ApproveArgs, ApprovedUpgrade, CancelArgs, CanisterEntry, CheckAccessArgs, Governor,
        InitArgs, Organisation, OrganisationKey, OrganisationProfile, Proposal, ProposeArgs,
        Quorums, RejectArgs, ResidencyStatement, Service, Standing,
    },
};
use indus_kit::{
    Context, Definition, Kit, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::Subjects as _,
    timers::{self, Job},
};
use serde_bytes::ByteBuf;

pub use proposals::tick;
pub use state::State;

type Registry = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Registry>> = const { RefCell::new(None) };
}

static JOBS: [Job; 3] = [
    shell::page_job::<Registry>(),
    Job {
        name: "proposals",
        interval: Duration::from_secs(60),
        slice: 50,
        run: |_, slice| {
            shell::tick(|state: &mut Registry, context| proposals::tick(state, context, slice))
        },
    },
    Job {
        name: "observe",
        interval: Duration::from_secs(600),
        slice: 20,
        run: observe::slice,
    },
];

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
        governance::Governors(self).subject(context)
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<u64>();
        encoding::prepare::<OrganisationKey>();
        encoding::prepare::<Result<Organisation, Error>>();
        encoding::prepare::<Option<Standing>>();
        encoding::prepare::<Result<Proposal, Error>>();
        encoding::prepare::<Result<Decision, Error>>();
        encoding::prepare::<CheckAccessArgs>();
        encoding::prepare::<Result<Access, Error>>();
        encoding::prepare::<PageArgs<u64>>();
        encoding::prepare::<Result<Page<u64, Organisation>, Error>>();
        encoding::prepare::<Result<Page<u64, Proposal>, Error>>();
        encoding::prepare::<Result<Page<u64, Service>, Error>>();
        encoding::prepare::<Result<Vec<Governor>, Error>>();
        encoding::prepare::<Result<Quorums, Error>>();
        encoding::prepare::<Result<ResidencyStatement, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        let pending = self.pending_count();
        let open = self.open_count();
        vec![
            Metric::gauge(
                "indus_pending_applications",
                "Pending applications",
                pending,
            ),
            Metric::gauge(
                "indus_open_proposals",
                "Proposals that are not decided",
                open,
            ),
        ]
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

/// Any authenticated caller: applies for an organisation in the caller's name, which opens the proposal to admit it. The
/// identical application, while pending, is answered again.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn apply_for_organisation(profile: OrganisationProfile) -> Result<Organisation, Error> {
    shell::update(|state: &mut Registry, context| organisations::apply(state, context, profile))
}

/// Governors; administrators, for services and rights of their organisation: opens a proposal. The identical one, while
/// open, is answered again.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn propose(args: ProposeArgs) -> Result<Proposal, Error> {
    shell::update(|state: &mut Registry, context| proposals::propose(state, context, args))
}

/// Governors, but the proposer: agrees to a proposal, exactly as it was read. The approval that meets the quorum carries it
/// out. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn approve(args: ApproveArgs) -> Result<Proposal, Error> {
    shell::update(|state: &mut Registry, context| proposals::approve(state, context, args))
}

/// Governors, but the proposer: refuses a proposal, exactly as it was read. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn reject(args: RejectArgs) -> Result<Proposal, Error> {
    shell::update(|state: &mut Registry, context| proposals::reject(state, context, args))
}

/// Its proposer, of an application the applicant: takes a proposal back that was not carried out. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn cancel(args: CancelArgs) -> Result<Proposal, Error> {
    shell::update(|state: &mut Registry, context| proposals::cancel(state, context, args))
}

/// Any authenticated caller: carries out an approved proposal whose time has come. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn execute(id: u64) -> Result<Proposal, Error> {
    shell::update(|state: &mut Registry, context| proposals::execute(state, context, id))
}

/// Any authenticated caller: asks the subnet about a canister of the inventory, and records the answer if it is news.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn observe_canister(canister: Principal) -> Result<CanisterEntry, Error> {
    observe::observe(canister).await
}

/// Everybody: one organisation, in any state by its id, active or suspended by its slug. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_organisation(key: OrganisationKey) -> Result<Organisation, Error> {
    shell::query(|state: &Registry, _| organisations::get(state, key))
}

/// Everybody: a page of organisations, in any state, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_organisations(args: PageArgs<u64>) -> Result<Page<u64, Organisation>, Error> {
    shell::query(|state: &Registry, _| organisations::list(state, args))
}

/// Everybody, canisters first of all: whether an organisation may act, and who acts for it; none if there is no such
/// organisation. Not certified. Traps during maintenance.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn organisation_standing(id: u64) -> Option<Standing> {
    // Silence is not the answer that there is none.
    shell::query(|state: &Registry, _| Ok(organisations::standing(state, id)))
        .unwrap_or_else(|error| ic_cdk::api::trap(error.to_string()))
}

/// Everybody: the governors, at most 25. Not certified: that is the collection `governors`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_governors() -> Result<Vec<Governor>, Error> {
    shell::query(|state: &Registry, _| state.governors())
}

/// Everybody: the quorums. Not certified: that is the collection `policies`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_quorums() -> Result<Quorums, Error> {
    shell::query(|state: &Registry, _| Ok(state.governance()?.quorums()))
}

/// Everybody: one proposal. Not certified: that is the collection `proposals`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_proposal(id: u64) -> Result<Proposal, Error> {
    shell::query(|state: &Registry, _| state.proposal(id))
}

/// Everybody: a page of proposals, in any state, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_proposals(args: PageArgs<u64>) -> Result<Page<u64, Proposal>, Error> {
    shell::query(|state: &Registry, _| proposals::list(state, args))
}

/// Everybody, canisters first of all: what a proposal decided about a canister's configuration. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_decision(id: u64) -> Result<Decision, Error> {
    shell::query(|state: &Registry, _| proposals::decision(state, id))
}

/// Everybody, app_hosting first of all: an upgrade of a canister that a proposal decided, and who did. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_upgrade(id: u64) -> Result<ApprovedUpgrade, Error> {
    shell::query(|state: &Registry, _| proposals::upgrade(state, id))
}

/// Everybody: one service. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_service(id: u64) -> Result<Service, Error> {
    shell::query(|state: &Registry, _| services::get(state, id))
}

/// Everybody: a page of services, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_services(args: PageArgs<u64>) -> Result<Page<u64, Service>, Error> {
    shell::query(|state: &Registry, _| services::list(state, args))
}

/// Everybody: whether an organisation may use an operation of a service now. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn check_access(args: CheckAccessArgs) -> Result<Access, Error> {
    shell::query(|state: &Registry, context| services::check(state, context, &args))
}

/// Everybody: the same with proof: the grant, the organisation and the service, or their absence, with witness and
/// certificate.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn certified_check_access(args: CheckAccessArgs) -> Result<CertifiedRead, Error> {
    shell::certified_read::<Registry>(&services::paths(&args)?)
}

/// Everybody: a canister of the inventory. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_canister(canister: Principal) -> Result<CanisterEntry, Error> {
    shell::query(|state: &Registry, _| inventory::get(state, canister))
}

/// Everybody: a page of the inventory, in the order of its keys. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_canisters(args: PageArgs<ByteBuf>) -> Result<Page<ByteBuf, CanisterEntry>, Error> {
    shell::query(|state: &Registry, _| inventory::list(state, args))
}

/// Everybody: where the subnet is, as of the last change of its sites and nodes. Not certified: that is in `policies`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_residency_statement() -> Result<ResidencyStatement, Error> {
    shell::query(|state: &Registry, _| residency::statement(state))
}

/// The Candid interface, as `candid/registry.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
