//! What the canister does, natively.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod consent;
mod decisions;
mod interventions;
mod keepers;
mod layouts;
mod model;
mod setting;
mod uploads;
