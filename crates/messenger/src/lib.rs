//! Messenger: official communication over the `messaging` canister, end to end encrypted and end to end verified.
//!
//! ```text
//! text ─► MLS ─► store (key used, ciphertext kept) ─► post_message ─► receipt ─► store
//! node ─► page of entries ─► certificate, sequence, consistency ─► MLS, senders, devices' keys ─► store ─► shown
//! ```
//!
//! A [`Messenger`] is one device of one person. It shows nothing that it has not verified: that the subnet certifies the log, that the
//! log goes on from what was verified before without a gap, that others are shown the same one (by the heads that senders put into
//! their messages), that each member's key is certified by `identity`, that the group is the one that the commits lead to. What is
//! wrong is an [`Alarm`], kept with its [`Evidence`].
//!
//! Invariants
//! - What a step does to keys, log and messages is on disk as a whole before anything that follows from it leaves the device ([`Store`]).
//!   So a device that is killed neither uses a key twice, nor loses a message, nor shows one twice.
//! - A message has one id for ever, under which it is in the log once; a commit that waits is the same one when it is sent again.
//! - Keys come from `identity`, the root key from the trust file, nothing from the node that answers.
//!
//! Cost: following is one query a hundred entries and one transaction a page; sending two transactions and one call.

mod alarm;
mod alarms;
mod audit;
mod commits;
mod device;
mod error;
mod following;
mod group;
mod joining;
mod kept;
mod log;
mod messenger;
mod node;
mod people;
mod sending;
mod store;

pub use alarm::{Alarm, Evidence, Violation};
pub use audit::{AuditedConversation, audit};
pub use commits::Invited;
pub use device::KEY_PACKAGES_IN_STORE;
pub use error::MessengerError;
pub use group::MAX_TEXT_BYTES;
pub use kept::{Message, What};
pub use messenger::{MemberOf, Messenger, Standing};
pub use node::{Node, Subnet};
pub use sending::Sent;
pub use store::{Store, StoreError};
