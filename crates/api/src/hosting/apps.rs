//! Apps, and the canisters that are theirs.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::registry::DataClass;

/// Whose an app is.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppOwner {
    /// [`Subject::person`](crate::Subject::person) of somebody who holds a licence.
    Person(Principal),
    /// Id of an organisation, for which its [`APP_DEVELOPER`](super::APP_DEVELOPER)s act.
    Organisation(u64),
}

/// An app.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub id: u64,
    pub owner: AppOwner,
    /// Written like a slug; no other app of its owner has it.
    pub name: String,
    /// How sensitive its data may be, at most.
    pub data_class: DataClass,
    pub created_at_ns: u64,
    /// Its canisters.
    pub canisters: u32,
    /// Slots of its quota that are taken by canisters which are being created. One whose outcome was lost stays taken until
    /// [`HostedCanister`] or its release settles it.
    pub pending: u32,
}

/// The certified leaf of an app.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum AppRecord {
    V1(App),
}

/// A canister that was created for an app.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct HostedCanister {
    pub canister: Principal,
    pub app: u64,
    /// The person who asked for it.
    pub created_by: Principal,
    pub created_at_ns: u64,
    /// Its controllers as it was created, or as they were at the last reading. What they are now is certified by the subnet.
    pub controllers: Vec<Principal>,
    /// The release that is live; none before the first one, and where its owner has installed another module since, by the last reading.
    pub release: Option<u64>,
    /// The one that was live before.
    pub release_before: Option<u64>,
    /// SHA-256 of the module that ran when a release went live, or at the last reading since. What runs now is certified by the subnet.
    pub module_hash: Option<ByteBuf>,
}

/// The certified leaf of a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum HostedCanisterRecord {
    V1(HostedCanister),
}

/// Asks for an app.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CreateAppArgs {
    /// The organisation in whose name the caller acts; none for an app of the caller's own.
    pub organisation: Option<u64>,
    /// Written like a slug, at most [`MAX_APP_NAME_BYTES`](super::MAX_APP_NAME_BYTES).
    pub name: String,
    pub data_class: DataClass,
}

/// Names an app of an owner.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct AppName {
    pub owner: AppOwner,
    pub name: String,
}

/// Asks for a page of an owner's apps, in the order of their ids.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListAppsArgs {
    pub owner: AppOwner,
    /// The last one of the page before.
    pub after: Option<u64>,
    /// 1 to 100.
    pub limit: u32,
}

/// Asks for a page of an app's canisters, in the order of their ids.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListCanistersArgs {
    pub app: u64,
    /// The last one of the page before.
    pub after: Option<Principal>,
    /// 1 to 100.
    pub limit: u32,
}
