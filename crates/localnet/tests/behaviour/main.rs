//! The server and the command: what users do, what may be read, and what nobody should send.

#![allow(clippy::unwrap_used)]

mod agent;
mod client;
mod command;
mod hostile;
mod hostile_requests;
mod identities;
mod network_canisters;
mod reading;
mod signer;
