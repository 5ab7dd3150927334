//! The 1,500 seats, from the applications to the recount: identity and license_manager beside the registry.
//!
//! Flow: deploy both canisters → officers and reviewers register, are given their roles by administrators of two founding
//! organisations, and accept → a round is opened → applicants register and apply → each application is reviewed → the
//! round is closed, which fixes the order → seats are granted in that order, one queue beside the other, and claimed → both
//! canisters are audited, and seats and waiting lists recounted from certified records.
//!
//! Applicants are synthetic: their ids are opaque, their scores follow from a seed. Each call is signed by its own person.

mod people;
mod recount;
mod round;

use std::time::{Duration, Instant};

use candid::{Encode, Principal};
use indus_api::{identity, licences};
use indus_client::{ClientError, Connection, Deployment, Key, SuiteCanister};
use indus_verify::VerifyError;
use thiserror::Error;

use crate::console::Console;

pub(crate) use recount::Recount;

/// Calls that are under way at a time.
const IN_FLIGHT: usize = 24;

/// Where and by whom it is done.
pub(crate) struct Setting<'a> {
    /// Of nobody, with the registry in its trust file.
    pub(crate) connection: Connection,
    pub(crate) deployer: Deployment,
    /// Where calls that create canisters are addressed.
    pub(crate) effective_canister: Principal,
    pub(crate) registry: Principal,
    /// The administrators of the first founding organisations, one of each.
    pub(crate) administrators: &'a [Key],
    pub(crate) applicants: usize,
}

/// Modules to deploy.
pub(crate) struct Modules {
    pub(crate) identity: Vec<u8>,
    pub(crate) license_manager: Vec<u8>,
}

/// The two canisters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canisters {
    pub(crate) identity: Principal,
    pub(crate) license_manager: Principal,
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

/// Creates and installs the canisters, which know each other and the registry.
pub(crate) async fn deploy(
    setting: &Setting<'_>,
    modules: Modules,
) -> Result<Canisters, LicensingError> {
    let fault = at("deploying identity and license_manager");
    let deployer = &setting.deployer;
    let create = || deployer.create(setting.effective_canister);
    let canisters = Canisters {
        identity: create().await.map_err(&fault)?,
        license_manager: create().await.map_err(&fault)?,
    };
    let identity = identity::InitArgs {
        registry: setting.registry,
        configuration: identity::Configuration {
            suite_canisters: vec![canisters.license_manager],
            recovery_delay_ns: None,
        },
    };
    let configuration = licences::Configuration::default();
    let limits = licences::Limits {
        applications_a_day: 10_000,
        ..configuration.limits
    };
    let license_manager = licences::InitArgs {
        identity: canisters.identity,
        registry: setting.registry,
        configuration: Some(licences::Configuration {
            limits,
            ..configuration
        }),
    };
    for (canister, module, arguments) in [
        (canisters.identity, modules.identity, Encode!(&identity)?),
        (
            canisters.license_manager,
            modules.license_manager,
            Encode!(&license_manager)?,
        ),
    ] {
        deployer
            .install(canister, module, arguments)
            .await
            .map_err(&fault)?;
    }
    Ok(canisters)
}

/// Does all of it, on canisters that the connection's trust file knows.
pub(crate) async fn run(
    setting: &Setting<'_>,
    console: &mut Console,
) -> Result<Licensing, LicensingError> {
    let start = Instant::now();
    let desk = people::Desk::new(setting.connection.clone());
    let staff = people::staff(&desk, setting.administrators).await?;
    let applicants = people::applicants(&desk, setting.applicants, console).await?;
    let registered = start.elapsed();

    let start = Instant::now();
    let outcome = round::run(&desk, &staff, applicants, console).await?;
    let took = start.elapsed();
    let calls = outcome.calls;
    let reader = |name| SuiteCanister::new(setting.connection.clone(), name);
    let identity = reader("identity").map_err(at("auditing identity"))?;
    let seats = reader("license_manager").map_err(at("auditing license_manager"))?;
    let recount = recount::recount(&identity, &seats, &outcome).await?;
    Ok(Licensing {
        registered,
        took,
        calls,
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
            "recounted:     {} seats held by {} persons, {} waiting, none overtaken; logs of {} and {} blocks replayed to the \
             certified roots of identity and license_manager",
            recount.active,
            recount.holders,
            recount.waiting,
            recount.identity_blocks,
            recount.blocks
        ),
    ]
}
