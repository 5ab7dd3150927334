//! `messaging`: official communication, end to end encrypted, whose log can be verified.
//!
//! A conversation is an MLS group (RFC 9420). The canister is its Delivery Service: it orders, keeps and hands out what members send,
//! reads the handshake and never the content. With `identity` it is the Authentication Service: a member's leaf is one of the
//! certified messaging keys of a person.
//!
//! | collection | key | leaf | who reads it |
//! | --- | --- | --- | --- |
//! | [`CONVERSATIONS`] | id | [`ConversationRecord`] | everybody |
//! | [`KEY_PACKAGES`] | KeyPackageRef (RFC 9420, section 5.2) | [`KeyPackageRecord`] | the person whose device it is of |
//! | [`INBOXES`] | salted hash, see [`Device::inbox`] | [`InboxRecord`] | the person whose device it is |
//! | [`CONFIGURATION`] | 0 | [`ConfigurationRecord`] | everybody |
//!
//! ```text
//! certified leaf of a conversation ── head: size, peaks of an RFC 9162 tree over its entries ── entry: who, when, epoch, SHA-256(bytes)
//! ```
//!
//! What everybody sees of a conversation is its number, its epochs and its length. Who is in it, its label and its entries are for its
//! members. The audit log names this canister as the actor of all that happens here.

mod conversations;
mod entries;
mod packages;

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

pub use conversations::{
    CommitArgs, CommitOutcome, Conversation, ConversationRecord, ConversationView, CreateArgs,
    Label, Member, PostArgs, Receipt,
};
pub use entries::{
    AUTHENTICATED_BYTES, Authenticated, EntriesArgs, EntriesPage, Entry, EntryKind,
    MESSAGE_ID_BYTES, ProofArgs, WelcomeEntry, WelcomesArgs, WelcomesPage, entry_hash,
    entry_to_hash, welcome_hash,
};
pub use packages::{
    ClaimArgs, Claimed, Claims, Device, Inbox, InboxRecord, KeyPackage, KeyPackageRecord,
    KeyPackageState, UploadArgs,
};

/// Collection of the conversations.
pub const CONVERSATIONS: &str = "conversations";
/// Collection of the key packages.
pub const KEY_PACKAGES: &str = "key_packages";
/// Collection of the inboxes of devices, where welcomes arrive.
pub const INBOXES: &str = "inboxes";
/// Collection of the one configuration, with the key [`CONFIGURATION_KEY`].
pub const CONFIGURATION: &str = "messaging_configuration";
/// Key of the configuration.
pub const CONFIGURATION_KEY: [u8; 8] = [0; 8];

/// May take part in conversations with the label [`Label::Restricted`].
pub const CLEARED_RESTRICTED: &str = "cleared-restricted";
/// May take part in conversations with the label [`Label::Confidential`], and in those below.
pub const CLEARED_CONFIDENTIAL: &str = "cleared-confidential";

/// Longest message, in bytes, MLS framing included.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Longest commit with all that goes with it, in bytes.
pub const MAX_COMMIT_BYTES: usize = 1_900_000;
/// Longest group id, in bytes. The shortest is [`MIN_GROUP_ID_BYTES`].
pub const MAX_GROUP_ID_BYTES: usize = 64;
/// Shortest group id, in bytes: nobody guesses it.
pub const MIN_GROUP_ID_BYTES: usize = 16;
/// Most leaves of a conversation.
pub const MAX_LEAVES: u32 = 1_000;
/// Most key packages in one upload.
pub const MAX_UPLOAD: usize = 10;
/// Most key packages that a device has in store, the last-resort one aside.
pub const MAX_PACKAGES: usize = 100;
/// Longest key package, in bytes.
pub const MAX_PACKAGE_BYTES: usize = 2_048;
/// Most persons in one claim of key packages.
pub const MAX_CLAIMED_PERSONS: usize = 20;
/// Most devices of one person. Identity lets nobody have more than half as many at a time; those that have ended make room.
pub const MAX_DEVICES: usize = 20;
/// Most devices that one commit adds, and that the persons of one claim have in all: with who asks, as many as identity tells of at
/// a time.
pub const MAX_ADDED: usize = 99;
/// Most claims of one caller upon one person in 24 hours, if not configured otherwise.
pub const DEFAULT_DAILY_CLAIMS: u32 = 20;
/// Epochs before the current one whose messages are still taken: they were under way when the commit won.
pub const PAST_EPOCHS: u64 = 2;
/// Most entries in one page.
pub const MAX_ENTRIES: u32 = 100;
/// Most bytes of payloads in one page, but for one entry alone.
pub const MAX_PAGE_BYTES: usize = 1_500_000;

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// Says who callers are, and whose keys are whose.
    pub identity: Principal,
    /// Decides about the configuration.
    pub registry: Principal,
    pub configuration: Configuration,
}

/// What governors may change, by a decision of the registry.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Most claims of one caller upon one person in 24 hours, 1 to 1,000; none for [`DEFAULT_DAILY_CLAIMS`].
    pub daily_claims: Option<u32>,
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
    pub configuration: Configuration,
    /// The last decision that was applied.
    pub decision: Option<u64>,
}
