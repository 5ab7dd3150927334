//! Commands for agencies, one file a noun.
//!
//! Flow: options → [`network`] (trust file, key) → a typed call of the client → [`sheet`] (people or programs).

pub(crate) mod access;
pub(crate) mod canister;
pub(crate) mod key;
mod network;
pub(crate) mod organisation;
pub(crate) mod proposal;
pub(crate) mod service;
mod sheet;
pub(crate) mod site;
