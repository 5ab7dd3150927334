//! What the canister does, natively, with clients of openmls.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod commits;
mod conversations;
mod devices;
mod layouts;
mod model;
mod packages;
mod posts;
mod setting;
