//! Registry, identity, license manager, messaging, app_hosting and lifeline together, on one subnet or two, through the PocketIC server.
//!
//! Whatever a test does, its end is the same: the log of each canister is replayed to its certified roots
//! ([`suite::Suite`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod decisions;
mod drift;
mod each_other;
mod faults;
mod hosting;
mod interrupted;
mod licences;
mod lifeline;
mod messaging;
mod plain_tools;
mod releases;
mod repeated;
mod standings;
mod steps;
mod suite;
mod traps;
mod upgrades;
