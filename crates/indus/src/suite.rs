//! The canisters of the suite: deployed so that they know each other, controlled as they should be, and shown to be.
//!
//! ```text
//!            ┌──── upgrades, as the governors decide ────► identity, license_manager, messaging
//! app_hosting┼───────────────────────────────────────────► registry ◄──┐
//!            └───────────────────────────────────────────► lifeline ───┤ when nothing else works: several keepers
//!                                         app_hosting ◄────────────────┘
//! ```
//!
//! Invariants
//! - When it is deployed, no key controls anything of it, and its canisters obey and ask each other alone.
//! - It can be deployed again from wherever it stopped: what runs the module is left as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use candid::{Encode, Principal};
use indus_api::{hosting, identity, licences, lifeline, messaging, registry};
use indus_client::{ClientError, Deployment, ModuleHash, SuiteCanister, TrustFile};
use thiserror::Error;

/// Modules to deploy.
pub(crate) struct Modules {
    pub(crate) registry: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) license_manager: Vec<u8>,
    pub(crate) messaging: Vec<u8>,
    pub(crate) app_hosting: Vec<u8>,
    pub(crate) lifeline: Vec<u8>,
}

/// The canisters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canisters {
    pub(crate) registry: Principal,
    pub(crate) identity: Principal,
    pub(crate) license_manager: Principal,
    pub(crate) messaging: Principal,
    pub(crate) app_hosting: Principal,
    pub(crate) lifeline: Principal,
}

/// What they begin with.
pub(crate) struct Beginning {
    pub(crate) founding: registry::InitArgs,
    /// None for the default.
    pub(crate) seats: Option<licences::Configuration>,
    /// Who keeps the lifeline, and how many of them have to agree.
    pub(crate) keepers: Vec<Principal>,
    pub(crate) threshold: u32,
}

/// Why it is not deployed.
#[derive(Debug, Error)]
pub(crate) enum SuiteError {
    #[error("no module: {}: {reason}; scripts/build makes it", path.display())]
    Module { path: PathBuf, reason: io::Error },
    #[error("arguments can't be encoded: {0}")]
    Arguments(#[from] candid::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{canister} runs another module ({module}): upgrades are the governors' to decide")]
    Runs { canister: Principal, module: String },
}

impl Modules {
    /// Those that scripts/build made.
    pub(crate) fn load(folder: &Path) -> Result<Self, SuiteError> {
        let module = |name: &str| {
            let path = folder.join(format!("{name}.wasm.gz"));
            fs::read(&path).map_err(|reason| SuiteError::Module { path, reason })
        };
        Ok(Self {
            registry: module("registry")?,
            identity: module("identity")?,
            license_manager: module("license_manager")?,
            messaging: module("messaging")?,
            app_hosting: module("app_hosting")?,
            lifeline: module("lifeline")?,
        })
    }
}

impl Canisters {
    /// Those that a trust file names.
    pub(crate) fn of(trust: &TrustFile) -> Result<Self, ClientError> {
        let canister = |name| trust.canister(name).map_err(ClientError::from);
        Ok(Self {
            registry: canister("registry")?,
            identity: canister("identity")?,
            license_manager: canister("license_manager")?,
            messaging: canister("messaging")?,
            app_hosting: canister("app_hosting")?,
            lifeline: canister("lifeline")?,
        })
    }

    /// The names that they have in a trust file.
    pub(crate) fn named(&self) -> [(&'static str, Principal); 6] {
        [
            ("registry", self.registry),
            ("identity", self.identity),
            ("license_manager", self.license_manager),
            ("messaging", self.messaging),
            ("app_hosting", self.app_hosting),
            ("lifeline", self.lifeline),
        ]
    }

    /// Who controls each of them when it is deployed.
    pub(crate) fn controllers(&self, canister: Principal) -> Vec<Principal> {
        let mut controllers = if canister == self.app_hosting {
            vec![self.lifeline]
        } else if canister == self.registry {
            vec![self.app_hosting, self.lifeline]
        } else {
            vec![self.app_hosting]
        };
        controllers.sort_unstable();
        controllers
    }

    /// Those that ask identity who calls.
    pub(crate) fn that_ask_identity(&self) -> Vec<Principal> {
        vec![self.license_manager, self.messaging, self.app_hosting]
    }
}

/// Installs the canisters, which are there, and hands them over to each other.
pub(crate) async fn deploy(
    deployer: &Deployment,
    canisters: &Canisters,
    modules: &Modules,
    beginning: &Beginning,
) -> Result<(), SuiteError> {
    let Canisters {
        registry, identity, ..
    } = *canisters;
    let identity_args = identity::InitArgs {
        registry,
        configuration: identity::Configuration {
            suite_canisters: canisters.that_ask_identity(),
            recovery_delay_ns: None,
        },
    };
    let license_manager = licences::InitArgs {
        identity,
        registry,
        configuration: beginning.seats.clone(),
    };
    let messaging = messaging::InitArgs {
        identity,
        registry,
        configuration: messaging::Configuration::default(),
    };
    let app_hosting = hosting::InitArgs {
        identity,
        registry,
        license_manager: canisters.license_manager,
        configuration: None,
    };
    let lifeline = lifeline::InitArgs {
        registry,
        app_hosting: canisters.app_hosting,
        keepers: beginning.keepers.clone(),
        threshold: beginning.threshold,
    };
    for (canister, module, arguments) in [
        (registry, &modules.registry, Encode!(&beginning.founding)?),
        (identity, &modules.identity, Encode!(&identity_args)?),
        (
            canisters.license_manager,
            &modules.license_manager,
            Encode!(&license_manager)?,
        ),
        (
            canisters.messaging,
            &modules.messaging,
            Encode!(&messaging)?,
        ),
        (
            canisters.app_hosting,
            &modules.app_hosting,
            Encode!(&app_hosting)?,
        ),
        (canisters.lifeline, &modules.lifeline, Encode!(&lifeline)?),
    ] {
        install(deployer, canister, module, arguments).await?;
    }
    for (_, canister) in canisters.named() {
        let controllers = canisters.controllers(canister);
        if deployer.controllers(canister).await? != controllers {
            deployer.set_controllers(canister, controllers).await?;
        }
    }
    Ok(())
}

/// Installs a module on an empty canister, or leaves the canister that runs it as it is.
pub(crate) async fn install(
    deployer: &Deployment,
    canister: Principal,
    module: &[u8],
    arguments: Vec<u8>,
) -> Result<ModuleHash, SuiteError> {
    let hash = ModuleHash::of(module);
    match deployer.module_hash(canister).await? {
        Some(runs) if runs == hash => Ok(hash),
        Some(runs) => Err(SuiteError::Runs {
            canister,
            module: runs.to_string(),
        }),
        None => Ok(deployer
            .install(canister, module.to_vec(), arguments)
            .await?),
    }
}

/// What the subnet certifies of a canister of the suite.
pub(crate) struct Control {
    pub(crate) name: &'static str,
    pub(crate) canister: Principal,
    pub(crate) module: Option<ModuleHash>,
    pub(crate) controllers: Vec<Principal>,
    /// Whether nobody else controls it than should.
    pub(crate) is_right: bool,
    /// Whether it obeys and asks those of the suite; none where it has no module.
    pub(crate) obeys: Option<bool>,
}

impl Control {
    /// Whether those of the suite control it, and it obeys those of the suite.
    pub(crate) fn is_of_suite(&self) -> bool {
        self.is_right && self.obeys == Some(true)
    }
}

/// Looks who controls what.
pub(crate) async fn controls(
    reader: &Deployment,
    canisters: &Canisters,
) -> Result<Vec<Control>, ClientError> {
    let mut controls = Vec::new();
    for (name, canister) in canisters.named() {
        let controllers = reader.controllers(canister).await?;
        let module = reader.module_hash(canister).await?;
        let obeys = match module {
            Some(_) => {
                let canister = SuiteCanister::at(reader.connection().clone(), canister);
                Some(obeys(&canister, canisters, name).await?)
            }
            None => None,
        };
        controls.push(Control {
            name,
            canister,
            module,
            is_right: controllers == canisters.controllers(canister),
            controllers,
            obeys,
        });
    }
    Ok(controls)
}

/// Whether the canister of this name was told of these others, by its certified configuration: whoever it asks instead would decide in
/// their place. The registry asks nobody.
async fn obeys(
    canister: &SuiteCanister,
    canisters: &Canisters,
    name: &str,
) -> Result<bool, ClientError> {
    let Canisters {
        registry,
        identity,
        license_manager,
        app_hosting,
        ..
    } = *canisters;
    Ok(match name {
        "identity" => {
            let found = canister.record::<identity::InForce>(&identity::CONFIGURATION_KEY);
            found.await?.value.is_some_and(|one| {
                let told = &one.configuration.suite_canisters;
                let asking = canisters.that_ask_identity();
                // Governors may have it tell others, too.
                let nobody_else = one.decision.is_some() || told.len() == asking.len();
                one.registry == registry
                    && nobody_else
                    && asking.iter().all(|asks| told.contains(asks))
            })
        }
        "license_manager" => {
            let found = canister.record::<licences::Settings>(&licences::SETTINGS_KEY);
            let found = found.await?.value;
            found.is_some_and(|one| (one.registry, one.identity) == (registry, identity))
        }
        "messaging" => {
            let found = canister.record::<messaging::InForce>(&messaging::CONFIGURATION_KEY);
            let found = found.await?.value;
            found.is_some_and(|one| (one.registry, one.identity) == (registry, identity))
        }
        "app_hosting" => {
            let found = canister.record::<hosting::InForce>(&hosting::CONFIGURATION_KEY);
            found.await?.value.is_some_and(|one| {
                let told = (one.registry, one.identity, one.license_manager);
                told == (registry, identity, license_manager)
            })
        }
        "lifeline" => {
            let found = canister.record::<lifeline::Keepers>(&lifeline::KEEPERS_KEY);
            let found = found.await?.value;
            found.is_some_and(|one| (one.registry, one.app_hosting) == (registry, app_hosting))
        }
        _ => true,
    })
}
