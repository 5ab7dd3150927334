//! The kit, end to end: a canister that uses all of it ([`sample`]) on a subnet, through the PocketIC server.
//!
//! After every step the whole certified state is audited ([`desks::Desks::audited`]): whatever happens, the log explains it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod calls;
mod desks;
mod endpoints;
mod life;
mod pages;
mod reading;
mod repeating;
mod trials;
