//! Conversations: what messages and commits take in instructions, and what messages take in stable memory.
//!
//! Flow: people with a device each (openmls) → identity and messaging laid out natively by the canisters' own code, loaded as stable
//! memory → upgrades, which open them → calls as devices make them, each of them checked for its answer.
//!
//! What is counted is what the engine meters in messaging, callbacks included, and in identity where messaging asks it. Of each kind
//! of call, one was made before: what a canister prepares at the first use of a type since its start is not counted.

mod commits;
mod device;
mod log;
mod setting;

pub(crate) use commits::commits;
pub(crate) use log::{long, small};
