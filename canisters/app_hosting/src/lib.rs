//! The `app_hosting` canister: canisters for startups and agencies, from a seat to a live application.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. What an endpoint asks of others is in
//! `suite`; everything else runs natively over a [`State`]: [`apps`], [`creations`], [`uploads`], [`releases`], [`care`].

pub mod apps;
pub mod care;
pub mod configuration;
pub mod consent;
pub mod creations;
pub mod engine;
pub mod releases;
pub mod state;
mod suite;
pub mod uploads;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::{Principal, candid_method};
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    hosting::{
        App, AppName, AppRecord, ApproveReleaseArgs, CarryOutArgs, Cost, CreateAppArgs,
        HostedCanister, HostedCanisterRecord, InForce, InitArgs, ListAppsArgs, ListCanistersArgs,
        ListCostsArgs, ListReleasesArgs, MAX_CHUNK_BYTES, ModuleArgs, ProposeReleaseArgs, Release,
        ReleaseOf, ReleaseRecord, RollBackArgs, UploadArgs, Uploaded,
        engine::{
            CreateCanisterArgs, CreateCanisterError, CreatedCanister, Operator, OperatorArgs,
        },
    },
    paging::Page,
};
use indus_kit::{
    Context, Definition, Kit, arguments, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::CachedSubjects,
    timers::{self, Job, Progress},
};

pub use state::State;
use suite::Outcome;

pub(crate) type Hosting = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Hosting>> = const { RefCell::new(None) };
    pub(crate) static SUBJECTS: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new(suite::IDENTITY));
}

static JOBS: [Job; 5] = [
    shell::page_job::<Hosting>(),
    Job {
        name: "releases",
        interval: Duration::from_secs(10),
        slice: suite::RELEASES_AT_ONCE,
        run: timers::retry_pending::<Hosting>,
    },
    Job {
        name: "care",
        interval: Duration::from_secs(60),
        slice: 20,
        run: suite::care_slice,
    },
    Job {
        name: "creations",
        interval: Duration::from_secs(3_600),
        slice: 10,
        run: |_, slice| {
            // What can't be given back now is given back next time.
            let _later = shell::tick(|state: &mut Hosting, context| {
                creations::give_up(state, context, slice)
            });
            Progress::Done
        },
    },
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
        encoding::prepare::<ReleaseRecord>();
        encoding::prepare::<Result<App, Error>>();
        encoding::prepare::<Result<Release, Error>>();
        encoding::prepare::<Result<HostedCanister, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "indus_creations",
                "Canisters that are being created, or whose creation has no known end",
                self.creations.len(),
            ),
            Metric::gauge(
                "indus_releases_running",
                "Releases that are being carried out",
                self.works.len(),
            ),
            Metric::gauge("indus_modules", "Modules that are kept", self.modules.len()),
            Metric::gauge(
                "indus_treasury_cycles",
                "Cycles that canisters are topped up from, and what is kept in reserve",
                u64::try_from(api::canister_liquid_cycle_balance()).unwrap_or(u64::MAX),
            ),
        ]
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
        let treasury = api::canister_liquid_cycle_balance();
        creations::begin(state, context, &subject, entitled, controllers, treasury)
    })?;
    settings.controllers = Some(creation.controllers.clone());
    match suite::create(&creation, &settings).await {
        Outcome::Created(canister_id) => {
            let kept = shell::tick(|state: &mut Hosting, context| {
                creations::made(state, context, &creation, canister_id)
            });
            let block = match kept {
                Ok(operation) => suite::record(operation).await?,
                // There is no room to keep it, so it is recorded at once.
                Err(_) => shell::tick(|state: &mut Hosting, context| {
                    creations::created(state, context, &creation, canister_id)
                })?,
            };
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

/// Who may change the app: has a canister forgotten that was deleted, whose place in the quota is free then. Once more, there is none.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn forget_canister(canister: Principal) -> Result<App, Error> {
    let _under_way = suite::enter()?;
    let subject = suite::refresh_subject().await?;
    shell::query(|state: &Hosting, _| creations::may_forget(state, &subject, canister))?;
    let exists = suite::exists(canister).await?;
    shell::update(|state: &mut Hosting, context| {
        creations::forget(state, context, &subject, canister, exists)
    })
}

/// Who may change the app; for an upgrade of the suite, a governor who decided it: keeps a chunk of a module. Repeatable.
#[update(decode_with = "chunk", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn upload_chunk(args: UploadArgs) -> Result<Uploaded, Error> {
    let _under_way = suite::enter()?;
    match args.of {
        ReleaseOf::App(_) => {
            let subject = suite::subject().await?;
            shell::update(|state: &mut Hosting, context| {
                uploads::upload(state, context, &subject, args)
            })
        }
        ReleaseOf::Upgrade { proposal } => {
            let upgrade = suite::upgrade(proposal).await?;
            shell::update(|state: &mut Hosting, context| {
                uploads::upload_for_upgrade(state, context, &upgrade, args)
            })
        }
    }
}

/// Who may change the app, with a licence or the role that it took to make it: proposes a release of one of its canisters. A person's begins
/// at once; an agency's waits for another person. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn propose_release(args: ProposeReleaseArgs) -> Result<Release, Error> {
    let _under_way = suite::enter()?;
    let (subject, entitled) = suite::releasing(args.canister).await?;
    let release = shell::update(|state: &mut Hosting, context| {
        releases::propose(state, context, &subject, entitled, args)
    });
    suite::carry_out_soon();
    release
}

/// Whoever acts for the agency with the role `app-approver`, and did not propose it: approves a release, which begins at once. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn approve_release(args: ApproveReleaseArgs) -> Result<Release, Error> {
    let _under_way = suite::enter()?;
    let subject = suite::refresh_subject().await?;
    let release = shell::update(|state: &mut Hosting, context| {
        releases::approve(state, context, &subject, &args)
    });
    suite::carry_out_soon();
    release
}

/// Who may propose or approve it: takes a release back that waits. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn withdraw_release(release: u64) -> Result<Release, Error> {
    let _under_way = suite::enter()?;
    let subject = suite::refresh_subject().await?;
    shell::update(|state: &mut Hosting, context| {
        releases::withdraw(state, context, &subject, release)
    })
}

/// As `propose_release`: brings the module of an earlier release back, over the memory of today. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn roll_back(args: RollBackArgs) -> Result<Release, Error> {
    let _under_way = suite::enter()?;
    let (subject, entitled) = suite::releasing(args.canister).await?;
    let release = shell::update(|state: &mut Hosting, context| {
        releases::roll_back(state, context, &subject, entitled, args)
    });
    suite::carry_out_soon();
    release
}

/// A governor who proposed or approved it: has an upgrade of a canister of the suite carried out, exactly as the registry's decision says.
/// Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn carry_out(args: CarryOutArgs) -> Result<Release, Error> {
    let _under_way = suite::enter()?;
    let upgrade = suite::upgrade(args.proposal).await?;
    let release = shell::update(|state: &mut Hosting, context| {
        releases::carry_out(state, context, &upgrade, args)
    });
    suite::carry_out_soon();
    release
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

/// Everybody: a release. Not certified: that is the collection `releases`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_release(release: u64) -> Result<Release, Error> {
    shell::query(|state: &Hosting, _| releases::get(state, release))
}

/// Everybody: a page of a canister's releases, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_releases(args: ListReleasesArgs) -> Result<Page<u64, Release>, Error> {
    shell::query(|state: &Hosting, _| releases::list(state, args))
}

/// Who may change the app, or approve its releases; everybody, of an upgrade of the suite: what the canister, or the subnet, said of a release
/// that did not go live. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn release_message(release: u64) -> Result<Option<String>, Error> {
    shell::query(|state: &Hosting, context| {
        releases::message(state, || state.subject(context), release)
    })
}

/// Everybody: a page of what an app cost, in the order of months. Not certified: that is the collection `costs`.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_costs(args: ListCostsArgs) -> Result<Page<u32, Cost>, Error> {
    shell::query(|state: &Hosting, _| care::costs(state, args))
}

/// Everybody: how much of a module is kept. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_module(args: ModuleArgs) -> Result<Uploaded, Error> {
    shell::query(|state: &Hosting, _| uploads::get(state, &args))
}

/// Everybody: the configuration in force. Not certified: that is the collection `hosting_configuration`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_configuration() -> Result<InForce, Error> {
    shell::query(|state: &Hosting, _| state.in_force())
}

/// Decodes a chunk, which is longer than any other argument, or rejects the call.
fn chunk(bytes: Vec<u8>) -> UploadArgs {
    arguments::decode_long(MAX_CHUNK_BYTES, &bytes)
        .unwrap_or_else(|refused| api::trap(refused.to_string()))
}

/// The Candid interface, as `candid/app_hosting.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
