//! Commands for agencies, one file a noun.
//!
//! Flow: options → [`network`] (trust file, key) → what is to be signed, shown and confirmed ([`signing`]) → a typed call of the
//! client → [`sheet`] (people or programs).

pub(crate) mod access;
pub(crate) mod app;
pub(crate) mod canister;
pub(crate) mod commitment;
mod committed;
pub(crate) mod credential;
pub(crate) mod deploy;
pub(crate) mod key;
pub(crate) mod licence;
pub(crate) mod lifeline;
pub(crate) mod msg;
mod network;
pub(crate) mod organisation;
pub(crate) mod person;
mod present;
pub(crate) mod proposal;
pub(crate) mod role;
pub(crate) mod service;
pub(crate) mod sheet;
mod signing;
pub(crate) mod site;
