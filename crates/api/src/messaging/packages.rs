//! Key packages: with which a device can be added to a conversation while it is offline. Each is used once.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// What became of a key package.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPackageState {
    /// In store.
    Available,
    /// Handed out, once and for all.
    Claimed { at_ns: u64 },
    /// Its device put another one in its place: it was for the last resort.
    Withdrawn { at_ns: u64 },
}

/// A key package.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// KeyPackageRef (RFC 9420, section 5.2).
    pub reference: ByteBuf,
    pub person: Principal,
    /// The messaging key of the device.
    pub signature_key: ByteBuf,
    /// MLSMessage with the KeyPackage.
    pub key_package: ByteBuf,
    /// Handed out again and again, but only when there is no other: to be replaced soon.
    pub last_resort: bool,
    pub uploaded_at_ns: u64,
    /// Not handed out from then on.
    pub expires_at_ns: u64,
    pub state: KeyPackageState,
    pub salt: ByteBuf,
}

/// The certified leaf of a key package.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum KeyPackageRecord {
    V1(KeyPackage),
}

/// Where a device's welcomes arrive.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    pub person: Principal,
    pub signature_key: ByteBuf,
    /// Size (LEB128) and peaks of the RFC 9162 tree over its welcomes.
    pub head: ByteBuf,
    pub salt: ByteBuf,
}

/// The certified leaf of an inbox.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum InboxRecord {
    V1(Inbox),
}

/// A device as its person sees it. Not certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub signature_key: ByteBuf,
    /// Key of its inbox in its collection: a hash with a secret of the canister's, so that nobody else finds it.
    pub inbox: ByteBuf,
    /// Key packages in store, the last-resort one aside.
    pub packages: u32,
    pub has_last_resort: bool,
}

/// Puts key packages of the calling device into store.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct UploadArgs {
    /// MLSMessages with a KeyPackage each, 1 to [`MAX_UPLOAD`](super::MAX_UPLOAD), all of one messaging key. One with the extension
    /// `last_resort` takes the place of the one before.
    pub key_packages: Vec<ByteBuf>,
}

/// Takes key packages of all devices of these persons, to add them to a conversation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ClaimArgs {
    /// 1 to 64 bytes: the same key gives the same packages again.
    pub idempotency_key: ByteBuf,
    /// 1 to [`MAX_CLAIMED_PERSONS`](super::MAX_CLAIMED_PERSONS), each once.
    pub persons: Vec<Principal>,
}

/// A key package that was handed out.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub person: Principal,
    pub signature_key: ByteBuf,
    pub key_package: ByteBuf,
    pub last_resort: bool,
}

/// What was handed out.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// One for each device whose messaging key holds and that has any.
    pub claimed: Vec<Claimed>,
    /// Messaging keys of devices that have none in store.
    pub without: Vec<ByteBuf>,
}
