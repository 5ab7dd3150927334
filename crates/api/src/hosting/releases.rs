//! Releases: another module for a canister, exactly as it was agreed to, or everything as it was before.
//!
//! ```text
//! upload ─► propose ─► (another person approves) ─► Running ─► Live
//!              │            for agencies               └─────► Refused, Restored, Broken
//!              └─► Withdrawn
//! ```
//!
//! The governors' upgrades of the suite's own canisters are carried out as releases too ([`ReleaseOf::Upgrade`]).

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Collection of the releases; keys are [`release_key`]s, leaves [`ReleaseRecord`]s.
pub const RELEASES: &str = "releases";

/// Longest chunk of a module, in bytes (IC interface specification, `upload_chunk`).
pub const MAX_CHUNK_BYTES: usize = 1_048_576;
/// Most chunks of a module.
pub const MAX_CHUNKS: u32 = 100;
/// Longest argument of a module, in bytes.
pub const MAX_RELEASE_ARGUMENT_BYTES: usize = 10_000;
/// Longest name of a method that probes an app, in bytes.
pub const MAX_METHOD_BYTES: usize = 100;

/// Key of a release: its id, big-endian.
#[must_use]
pub fn release_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// How it is known that a new module is well.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// It could be installed.
    Installs,
    /// It replies, whatever it is, to a method of this name without arguments. What others write between its start and that reply is
    /// lost if it does not.
    Method(String),
    /// It keeps to the maintenance protocol of this suite: after an upgrade it answers its controllers only, until one of them calls its
    /// `confirm_upgrade`. Nothing that it acknowledged can be lost.
    Maintenance,
}

/// Why a release did not go live.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such canister, or app_hosting does not control it.
    NotControlled,
    /// Others control the canister, who could pass over what was agreed.
    ForeignControllers,
    /// It runs another module than the one that is to be replaced.
    OtherModule,
    /// The canister took no chunks of the module.
    NotUploaded,
    /// It could not be stopped in time.
    NotStopped,
    /// No snapshot could be taken.
    NotKept,
    /// The module, or its argument, was refused.
    NotInstalled,
    /// It did not come up.
    Unhealthy,
    /// It did not come up, and what was there before could not be put back.
    NotRestored,
}

/// How a release ended.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The new module runs.
    Live,
    /// Nothing was installed: the canister goes on as it was.
    Refused(Failure),
    /// It was installed, did not come up, and the canister is again what it was, module and memory.
    Restored(Failure),
    /// Somebody has to look at the canister. The snapshot of what it was is left there.
    Broken(Failure),
}

/// What a release is of.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOf {
    /// A canister of an app.
    App(u64),
    /// A canister of the suite, as the governors decided by a proposal of the registry.
    Upgrade { proposal: u64 },
}

/// Where a release stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseState {
    /// It waits for another person's approval.
    Proposed,
    Withdrawn {
        at_ns: u64,
    },
    /// It is being carried out.
    Running {
        since_ns: u64,
    },
    Ended {
        at_ns: u64,
        how: Ended,
    },
}

/// A release.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    /// Releases of this canister so far, this one included.
    pub number: u64,
    pub of: ReleaseOf,
    pub canister: Principal,
    /// SHA-256 of the module as it is installed.
    pub module_hash: ByteBuf,
    pub module_bytes: u64,
    /// SHA-256 of the module's argument.
    pub argument_hash: ByteBuf,
    pub health: HealthCheck,
    /// Whether main memory stays over the upgrade (Motoko's enhanced orthogonal persistence).
    pub keep_memory: bool,
    /// The release whose module it brings back.
    pub rolls_back_to: Option<u64>,
    /// SHA-256 of the module that it replaced; none until it is known, and where there was none.
    pub replaced: Option<ByteBuf>,
    /// A person, or the governor who had the upgrade carried out.
    pub proposed_by: Principal,
    pub proposed_at_ns: u64,
    /// Another person.
    pub approved_by: Option<Principal>,
    pub state: ReleaseState,
}

/// The certified leaf of a release.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ReleaseRecord {
    V1(Release),
}

/// Adds a chunk to a module, or replaces it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct UploadArgs {
    pub of: ReleaseOf,
    /// SHA-256 of the whole module.
    pub module_hash: ByteBuf,
    /// 0 for the first; one that is there, or the next one. The first one again begins anew.
    pub index: u32,
    /// 1 to [`MAX_CHUNK_BYTES`].
    pub chunk: ByteBuf,
}

/// What there is of a module.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    pub chunks: u32,
    pub bytes: u64,
    /// Whether it was found to have its hash.
    pub complete: bool,
}

/// Asks what there is of a module.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ModuleArgs {
    pub of: ReleaseOf,
    pub module_hash: ByteBuf,
}

/// Proposes a release of an app's canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ProposeReleaseArgs {
    pub canister: Principal,
    /// Of a module that was uploaded for its app.
    pub module_hash: ByteBuf,
    /// Candid of the module's argument, at most [`MAX_RELEASE_ARGUMENT_BYTES`].
    pub argument: ByteBuf,
    pub health: HealthCheck,
    pub keep_memory: bool,
}

/// Approves a release, as it is shown.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApproveReleaseArgs {
    pub release: u64,
    pub module_hash: ByteBuf,
    pub argument_hash: ByteBuf,
}

/// Brings an earlier release's module back, over the memory of today.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RollBackArgs {
    pub canister: Principal,
    /// A release that was live; none for the one that was before the one that is.
    pub to: Option<u64>,
}

/// Has an upgrade carried out that the governors decided.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CarryOutArgs {
    pub proposal: u64,
    /// Candid of the module's argument, whose hash was approved.
    pub argument: ByteBuf,
}

/// Asks for a page of a canister's releases, in the order of their ids.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListReleasesArgs {
    pub canister: Principal,
    /// The last one of the page before.
    pub after: Option<u64>,
    /// 1 to 100.
    pub limit: u32,
}
