//! What the engine does with canisters, their messages and the management canister.
//!
//! One program for all of it: each that is linked holds wasmtime.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod calls;
mod composite;
mod cycles;
mod harness;
mod hostile_canisters;
mod hostile_modules;
mod lifecycle;
mod management;
mod memory;
mod memory64;
mod messages;
mod metering;
mod module_cache;
mod subnets;
mod system_api;
mod tables;
