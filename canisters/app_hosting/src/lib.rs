//! The `app_hosting` canister: canisters for startups and agencies, from a seat to a live application.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. What an endpoint asks of others is in
//! `suite`; everything else runs natively over a [`State`]: [`apps`], [`creations`].

pub mod apps;
pub mod configuration;
mod consent;
pub mod creations;
mod engine;
pub mod state;
mod suite;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::{Principal, candid_method};
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    hosting::{
        App, AppName, AppRecord, CreateAppArgs, HostedCanister, HostedCanisterRecord, InForce,
        InitArgs, ListAppsArgs, ListCanistersArgs,
        engine::{
            CreateCanisterArgs, CreateCanisterError, CreatedCanister, Operator, OperatorArgs,
        },
    },
    paging::Page,
};
use indus_kit::{
    Context, Definition, Kit, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::CachedSubjects,
    timers::{self, Job},
};

pub use state::State;
use suite::Outcome;

pub(crate) type Hosting = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Hosting>> = const { RefCell::new(None) };
    pub(crate) static SUBJECTS: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new(suite::IDENTITY));
}

static JOBS: [Job; 2] = [
    shell::page_job::<Hosting>(),
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 500,
        run: |_, slice| shell::tick(|state: &mut Hosting, context| state.prune(context, slice)),
    },
];

impl Shell for Hosting {
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
        SUBJECTS.with_borrow(|subjects| indus_kit::subjects::Subjects::subject(subjects, context))
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<AppRecord>();
        encoding::prepare::<HostedCanisterRecord>();
        encoding::prepare::<Result<App, Error>>();
        encoding::prepare::<Result<HostedCanister, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::gauge(
            "indus_creations",
            "Canisters that are being created, or whose creation has no known end",
            self.creations.len(),
        )]
    }
}

standard_endpoints!(Hosting);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    let own = api::canister_self();
    shell::start(State::create(memory, &shell::context(), own, args));
    timers::start::<Hosting>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    let own = api::canister_self();
    shell::upgrade(State::open(DefaultMemoryImpl::default(), own));
    timers::start::<Hosting>(&JOBS);
}

/// Persons with a valid licence, for themselves; developers of an organisation, in its name: makes an app. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn create_app(args: CreateAppArgs) -> Result<App, Error> {
    let _under_way = suite::enter()?;
    let subject = suite::refresh_subject().await?;
    let owner = apps::acting(&subject, args.organisation)?;
    let entitled = suite::entitled(owner).await?;
    shell::update(|state: &mut Hosting, context| {
        apps::create(state, context, &subject, entitled, args)
    })
}

/// Who may change an app: chooses it as the one that `create_canister` is about. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn choose_app(app: u64) -> Result<App, Error> {
    let _under_way = suite::enter()?;
    let subject = suite::refresh_subject().await?;
    shell::update(|state: &mut Hosting, _| apps::choose(state, &subject, app))
}

/// Who may change the app that they chose, or that is their only one: creates a canister for it, which they and this canister control.
/// What the cycles ledger has a method of this name for; nothing is charged. Not repeatable: each call creates one.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn create_canister(args: CreateCanisterArgs) -> Result<CreatedCanister, CreateCanisterError> {
    created(args).await.map_err(|error| engine::refusal(&error))
}

async fn created(args: CreateCanisterArgs) -> Result<CreatedCanister, Error> {
    let _under_way = suite::enter()?;
    let mut settings = engine::settings(args, api::subnet_self())?;
    let subject = suite::refresh_subject().await?;
    let owner = shell::query(|state: &Hosting, _| {
        apps::chosen(state, subject.person).map(|app| app.owner)
    })?;
    let entitled = suite::entitled(owner).await?;
    let creation = shell::update(|state: &mut Hosting, context| {
        let controllers = settings.controllers.take();
        creations::begin(state, context, &subject, entitled, controllers)
    })?;
    settings.controllers = Some(creation.controllers.clone());
    match suite::create(&creation, &settings).await {
        Outcome::Created(canister_id) => {
            let block = shell::tick(|state: &mut Hosting, context| {
                creations::created(state, context, &creation, canister_id)
            })?;
            Ok(CreatedCanister {
                block_id: block.into(),
                canister_id,
            })
        }
        Outcome::Refused(error) => {
            shell::tick(|state: &mut Hosting, context| {
                creations::refused(state, context, &creation)
            })?;
            Err(error)
        }
        Outcome::Lost(error) => Err(error),
    }
}

/// Everybody: this canister, for its own subnet; none for another one.
#[query(
    name = "getEngineOperatorBySubnet",
    decode_with = "argument",
    encode_with = "reply",
    hidden
)]
#[candid_method(query, rename = "getEngineOperatorBySubnet")]
fn get_engine_operator_by_subnet(args: OperatorArgs) -> Operator {
    engine::operator(&args, api::subnet_self(), api::canister_self())
}

/// Any authenticated caller: asks identity who they are, so that queries know it for a minute.
#[update(encode_with = "reply", hidden)]
#[candid_method(update)]
async fn refresh_subject() -> Result<Subject, Error> {
    suite::refresh_subject().await
}

/// Any authenticated caller: applies what the registry's governors decided about this canister's configuration. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn apply_decision(proposal: u64) -> Result<(), Error> {
    suite::apply_decision(proposal).await
}

/// Everybody: an app. Not certified: that is the collection `apps`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_app(app: u64) -> Result<App, Error> {
    shell::query(|state: &Hosting, _| state.app(app))
}

/// Everybody: the app of an owner with a name. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn find_app(args: AppName) -> Result<App, Error> {
    shell::query(|state: &Hosting, _| apps::named(state, args))
}

/// Everybody: a page of an owner's apps, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_apps(args: ListAppsArgs) -> Result<Page<u64, App>, Error> {
    shell::query(|state: &Hosting, _| apps::list(state, args))
}

/// Everybody: a canister that was created here. Not certified: that is the collection `canisters`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_canister(canister: Principal) -> Result<HostedCanister, Error> {
    shell::query(|state: &Hosting, _| creations::get(state, canister))
}

/// Everybody: a page of an app's canisters, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_canisters(args: ListCanistersArgs) -> Result<Page<Principal, HostedCanister>, Error> {
    shell::query(|state: &Hosting, _| creations::list(state, args))
}

/// Everybody: the configuration in force. Not certified: that is the collection `hosting_configuration`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_configuration() -> Result<InForce, Error> {
    shell::query(|state: &Hosting, _| state.in_force())
}

/// The Candid interface, as `candid/app_hosting.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
