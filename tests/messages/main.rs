//! Messengers on a real subnet: what they show, what they notice when a node, the canister's controllers or a member cheats, and that
//! nothing is lost or shown twice when they are killed.

#![allow(clippy::unwrap_used, clippy::panic)]

mod conversing;
mod forks;
mod kills;
mod lies;
mod lying;
mod members;
mod modified;
mod net;
