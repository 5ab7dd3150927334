//! `lifeline`: the way into `registry` and `app_hosting` when they don't work, and who upgrades `app_hosting`.
//!
//! ```text
//! keepers:   upload ─► propose ─► others approve ─► at the threshold: Running ─► Ended
//!                         └─► Withdrawn, Expired                         ▲
//! governors: decide in the registry ─► upload ─► carry_out ──────────────┘  of app_hosting only
//! ```
//!
//! | collection | key | leaf | who reads it |
//! | --- | --- | --- | --- |
//! | [`INTERVENTIONS`] | id | [`InterventionRecord`] | everybody |
//! | [`KEEPERS`] | 0 | [`KeepersRecord`] | everybody |

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

pub use crate::hosting::{
    CarryOutArgs, Ended, Failure, HealthCheck, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_METHOD_BYTES,
    MAX_RELEASE_ARGUMENT_BYTES, Uploaded,
};

/// Collection of the interventions; keys are [`intervention_key`]s, leaves [`InterventionRecord`]s.
pub const INTERVENTIONS: &str = "interventions";
/// Collection of who the keepers are, with the key [`KEEPERS_KEY`].
pub const KEEPERS: &str = "keepers";
/// Key of the keepers.
pub const KEEPERS_KEY: [u8; 8] = [0; 8];

/// Fewest keepers: one may be lost, and one alone decides nothing.
pub const MIN_KEEPERS: usize = 3;
/// Most keepers.
pub const MAX_KEEPERS: usize = 20;
/// Most interventions that are open at once.
pub const MAX_OPEN: u64 = 10;
/// And of one keeper: those who are too few to decide can't take all places.
pub const MAX_OPEN_OF_KEEPER: usize = 1;
/// How long an intervention can be approved: 7 days, in nanoseconds.
pub const LIFETIME_NS: u64 = 7 * 86_400_000_000_000;
/// Most controllers that a canister is given (IC interface specification, `update_settings`).
pub const MAX_CONTROLLERS: usize = 10;
/// Most bytes of modules that are kept for one keeper, or one decision.
pub const MODULE_BYTES: u64 = 20_971_520;

/// Key of an intervention: its id, big-endian.
#[must_use]
pub fn intervention_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    pub registry: Principal,
    /// Another canister.
    pub app_hosting: Principal,
    /// [`MIN_KEEPERS`] to [`MAX_KEEPERS`], each once, none anonymous.
    pub keepers: Vec<Principal>,
    /// More than half of them, at most all.
    pub threshold: u32,
}

/// Who decides, and about what.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Keepers {
    pub registry: Principal,
    pub app_hosting: Principal,
    pub keepers: Vec<Principal>,
    /// So many of them have to approve.
    pub threshold: u32,
}

/// The certified leaf of the keepers.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum KeepersRecord {
    V1(Keepers),
}

/// What an intervention does.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Another module for the registry or app_hosting, or everything as it was before.
    Install {
        canister: Principal,
        /// SHA-256 of the module as it is installed.
        module_hash: ByteBuf,
        /// SHA-256 of the module's argument.
        argument_hash: ByteBuf,
        health: HealthCheck,
    },
    /// All keepers from now on, within the bounds of [`InitArgs`].
    SetKeepers {
        keepers: Vec<Principal>,
        threshold: u32,
    },
    /// All controllers of the registry or app_hosting from now on: 1 to [`MAX_CONTROLLERS`], each once, the lifeline among them.
    SetControllers {
        canister: Principal,
        controllers: Vec<Principal>,
    },
}

/// Hash of an action, which approvals bind: SHA-256 of its Candid. None for what has no Candid.
#[must_use]
pub fn action_hash(action: &Action) -> Option<[u8; 32]> {
    let bytes = candid::encode_one(action).ok()?;
    Some(Sha256::digest(bytes).into())
}

/// A keeper who agreed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub keeper: Principal,
    pub at_ns: u64,
}

/// Why something is done.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Keepers agree to it. Who proposes approves.
    Votes {
        proposed_by: Principal,
        approvals: Vec<Approval>,
    },
    /// The registry's governors decided it, and one of those who did has it carried out.
    Decision { proposal: u64, by: Principal },
}

/// Where an intervention stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterventionState {
    /// It can be approved, for [`LIFETIME_NS`].
    Open,
    /// Its proposer took it back, or is no keeper any more.
    Withdrawn { at_ns: u64 },
    /// Too few approved in time.
    Expired { at_ns: u64 },
    /// It is being carried out.
    Running { since_ns: u64 },
    /// [`Ended::Live`] says that it was done.
    Ended { at_ns: u64, how: Ended },
}

/// An intervention.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// From 1 on, never used twice.
    pub id: u64,
    pub why: Why,
    pub action: Action,
    /// [`action_hash`] of the action.
    pub action_hash: ByteBuf,
    pub proposed_at_ns: u64,
    /// SHA-256 of the module that an installation replaced; none until it is known, and where there was none.
    pub replaced: Option<ByteBuf>,
    pub state: InterventionState,
}

/// The certified leaf of an intervention.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum InterventionRecord {
    V1(Intervention),
}

/// Whom a module was uploaded for.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleOf {
    /// What this keeper proposes.
    Keeper(Principal),
    /// The upgrade that this proposal of the registry decided.
    Decision { proposal: u64 },
}

/// Adds a chunk to a module, or replaces it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct UploadArgs {
    /// The keeper who calls, or a decision.
    pub of: ModuleOf,
    /// SHA-256 of the whole module.
    pub module_hash: ByteBuf,
    /// 0 for the first; one that is there, or the next one. The first one again begins anew.
    pub index: u32,
    /// 1 to [`MAX_CHUNK_BYTES`].
    pub chunk: ByteBuf,
}

/// Asks what there is of a module.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ModuleArgs {
    pub of: ModuleOf,
    pub module_hash: ByteBuf,
}

/// Proposes an action, and approves it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ProposeArgs {
    /// A module that is to be installed was uploaded by the proposer before.
    pub action: Action,
    /// Candid of the module's argument, at most [`MAX_RELEASE_ARGUMENT_BYTES`]; empty for all that is no installation.
    pub argument: ByteBuf,
}

/// Agrees to an intervention, exactly as it was read.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApproveArgs {
    pub id: u64,
    /// [`action_hash`] of its action.
    pub action_hash: ByteBuf,
}
