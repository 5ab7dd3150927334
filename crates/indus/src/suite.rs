//! The canisters of the suite besides the registry, deployed so that they know each other.

use std::fs;
use std::path::Path;

use candid::{Encode, Principal};
use indus_api::{hosting, identity, licences, messaging};
use indus_client::Deployment;

use crate::up::UpError;

/// Modules to deploy.
pub(crate) struct Modules {
    pub(crate) registry: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) license_manager: Vec<u8>,
    pub(crate) messaging: Vec<u8>,
    pub(crate) app_hosting: Vec<u8>,
}

/// The canisters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canisters {
    pub(crate) registry: Principal,
    pub(crate) identity: Principal,
    pub(crate) license_manager: Principal,
    pub(crate) messaging: Principal,
    pub(crate) app_hosting: Principal,
}

impl Modules {
    /// Those that scripts/build made.
    pub(crate) fn load(folder: &Path) -> Result<Self, UpError> {
        let module = |name: &str| {
            let path = folder.join(format!("{name}.wasm.gz"));
            fs::read(&path).map_err(|reason| UpError::Module { path, reason })
        };
        Ok(Self {
            registry: module("registry")?,
            identity: module("identity")?,
            license_manager: module("license_manager")?,
            messaging: module("messaging")?,
            app_hosting: module("app_hosting")?,
        })
    }
}

impl Canisters {
    /// Those that ask identity who calls.
    pub(crate) fn that_ask_identity(&self) -> Vec<Principal> {
        vec![self.license_manager, self.messaging, self.app_hosting]
    }

    /// The names that they have in a trust file.
    pub(crate) fn named(&self) -> [(&'static str, Principal); 5] {
        [
            ("registry", self.registry),
            ("identity", self.identity),
            ("license_manager", self.license_manager),
            ("messaging", self.messaging),
            ("app_hosting", self.app_hosting),
        ]
    }
}

/// Creates and installs the canisters beside a registry that is there.
pub(crate) async fn deploy(
    deployer: &Deployment,
    effective_canister: Principal,
    registry: Principal,
    modules: &Modules,
    seats: licences::Configuration,
) -> Result<Canisters, UpError> {
    let create = || deployer.create(effective_canister);
    let canisters = Canisters {
        registry,
        identity: create().await?,
        license_manager: create().await?,
        messaging: create().await?,
        app_hosting: create().await?,
    };
    let identity = identity::InitArgs {
        registry,
        configuration: identity::Configuration {
            suite_canisters: canisters.that_ask_identity(),
            recovery_delay_ns: None,
        },
    };
    let license_manager = licences::InitArgs {
        identity: canisters.identity,
        registry,
        configuration: Some(seats),
    };
    let messaging = messaging::InitArgs {
        identity: canisters.identity,
        registry,
        configuration: messaging::Configuration::default(),
    };
    let app_hosting = hosting::InitArgs {
        identity: canisters.identity,
        registry,
        license_manager: canisters.license_manager,
        configuration: None,
    };
    for (canister, module, arguments) in [
        (canisters.identity, &modules.identity, Encode!(&identity)),
        (
            canisters.license_manager,
            &modules.license_manager,
            Encode!(&license_manager),
        ),
        (canisters.messaging, &modules.messaging, Encode!(&messaging)),
        (
            canisters.app_hosting,
            &modules.app_hosting,
            Encode!(&app_hosting),
        ),
    ] {
        let arguments = arguments.map_err(UpError::Arguments)?;
        deployer
            .install(canister, module.clone(), arguments)
            .await?;
    }
    hand_over(deployer, &canisters).await?;
    Ok(canisters)
}

/// From now on app_hosting upgrades the others, as the governors decide. The deployer keeps a way into the two that everything hangs on: who
/// decides, and who carries out.
async fn hand_over(deployer: &Deployment, canisters: &Canisters) -> Result<(), UpError> {
    let Canisters {
        registry,
        identity,
        license_manager,
        messaging,
        app_hosting,
    } = *canisters;
    for canister in [identity, license_manager, messaging] {
        deployer
            .set_controllers(canister, vec![app_hosting])
            .await?;
    }
    let both = vec![app_hosting, deployer.connection().caller()];
    deployer.set_controllers(registry, both).await?;
    Ok(())
}
