//! The system API as canisters and their clients see it: every function in every context, its exact charge, and the
//! words that its failures are told in.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod calls;
mod charges;
mod contexts;
#[path = "../harness/mod.rs"]
mod harness;
mod probe;
mod texts;
