//! `app_hosting`: canisters for startups and agencies, from a seat to a live application.
//!
//! ```text
//! person with a valid licence ──┐
//!                               ├─► app: owner, data class ──► canisters, as many as its quota allows
//! developer of an organisation ─┘
//! ```
//!
//! | collection | key | leaf | who reads it |
//! | --- | --- | --- | --- |
//! | [`APPS`] | id | [`AppRecord`] | everybody |
//! | [`CANISTERS`] | the canister's id, [`CANISTER_ID_BYTES`] | [`HostedCanisterRecord`] | everybody |
//! | [`RELEASES`] | id | [`ReleaseRecord`] | everybody |
//! | [`READINGS`] | the canister's id | [`ReadingRecord`] | everybody |
//! | [`COSTS`] | app, month | [`CostRecord`] | everybody |
//! | [`CONFIGURATION`] | 0 | [`ConfigurationRecord`] | everybody |
//!
//! Canisters are created with plain tools: for icp-cli this canister is the subnet's engine operator ([`engine`]).

mod apps;
mod care;
pub mod engine;
mod releases;

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

pub use apps::{
    App, AppName, AppOwner, AppRecord, CreateAppArgs, HostedCanister, HostedCanisterRecord,
    ListAppsArgs, ListCanistersArgs,
};
pub use care::{
    COST_KEY_BYTES, COSTS, Care, Cost, CostRecord, ListCostsArgs, Month, READING_INTERVAL_NS,
    READINGS, Reading, ReadingRecord, cost_key, month_of,
};
pub use releases::{
    ApproveReleaseArgs, CarryOutArgs, Ended, Failure, HealthCheck, ListReleasesArgs,
    MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_METHOD_BYTES, MAX_RELEASE_ARGUMENT_BYTES, ModuleArgs,
    ProposeReleaseArgs, RELEASES, Release, ReleaseOf, ReleaseRecord, ReleaseState, RollBackArgs,
    UploadArgs, Uploaded, release_key,
};

/// Collection of the apps.
pub const APPS: &str = "apps";
/// Collection of the canisters that were created for them.
pub const CANISTERS: &str = "canisters";
/// Collection of the one configuration, with the key [`CONFIGURATION_KEY`].
pub const CONFIGURATION: &str = "hosting_configuration";
/// Key of the configuration.
pub const CONFIGURATION_KEY: [u8; 8] = [0; 8];

/// Makes apps in an organisation's name, canisters for them, and proposes their releases.
pub const APP_DEVELOPER: &str = "app-developer";
/// Approves releases in an organisation's name, of those that somebody else proposed.
pub const APP_APPROVER: &str = "app-approver";

/// Longest name of an app, in bytes.
pub const MAX_APP_NAME_BYTES: usize = 50;
/// Bytes of the ids that a subnet gives to canisters.
pub const CANISTER_ID_BYTES: usize = 10;
/// Most apps that a configuration may allow to one owner.
pub const MAX_APPS: u32 = 100;
/// Most canisters that a configuration may allow to one app.
pub const MAX_CANISTERS: u32 = 100;
/// Least and most bytes of modules that a configuration may have kept for one app.
pub const MODULE_BYTES: std::ops::RangeInclusive<u64> = 1_048_576..=1_073_741_824;
/// Most cycles that a configuration may give to a new canister.
pub const MAX_INITIAL_CYCLES: u64 = 100_000_000_000_000;

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// Says who callers are.
    pub identity: Principal,
    /// Decides about the configuration.
    pub registry: Principal,
    /// Says who holds a valid licence.
    pub license_manager: Principal,
    /// None for [`Configuration::default`].
    pub configuration: Option<Configuration>,
}

/// What governors may change, by a decision of the registry.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Most apps of one person, 1 to [`MAX_APPS`].
    pub apps_of_person: u32,
    /// Most apps of one organisation, 1 to [`MAX_APPS`].
    pub apps_of_organisation: u32,
    /// Most canisters of one app, 1 to [`MAX_CANISTERS`].
    pub canisters_of_app: u32,
    /// Cycles that a new canister gets, at most [`MAX_INITIAL_CYCLES`]. None are needed on a subnet where they cost nothing.
    pub initial_cycles: u64,
    /// Most bytes of modules that are kept for one app, within [`MODULE_BYTES`]: what its canisters run, what they ran before, what is
    /// proposed.
    pub module_bytes_of_app: u64,
    pub care: Care,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            apps_of_person: 3,
            apps_of_organisation: 50,
            canisters_of_app: 10,
            // A module with 64-bit memory needs more than one trillion ahead to be installed.
            initial_cycles: 2_000_000_000_000,
            module_bytes_of_app: 33_554_432,
            care: Care::default(),
        }
    }
}

/// The certified leaf of the configuration.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationRecord {
    V1(InForce),
}

/// The configuration in force.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub identity: Principal,
    pub registry: Principal,
    pub license_manager: Principal,
    pub configuration: Configuration,
    /// The last decision that was applied.
    pub decision: Option<u64>,
}

/// Key of an app: its id, big-endian.
#[must_use]
pub fn app_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Key of a canister; none for an id that no subnet gives.
#[must_use]
pub fn canister_key(canister: Principal) -> Option<[u8; CANISTER_ID_BYTES]> {
    canister.as_slice().try_into().ok()
}
