//! What the canister does, natively.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod apps;
mod configuration;
mod creations;
mod model;
mod setting;
