//! What the canister does, natively.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod apps;
mod care;
mod configuration;
mod consent;
mod creations;
mod engine;
mod layouts;
mod model;
mod release_model;
mod releases;
mod setting;
