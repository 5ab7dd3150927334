//! A local subnet: the IC HTTP interface around [`engine`], and the REST protocol of PocketIC beside it.
//!
//! ```text
//!   bytes ─ http ─▶ cbor ─▶ envelope ─▶ authentication, effective ─▶ executor ─▶ engine
//!                     hash (request id)   public_key, expiry            │
//!   bytes ◀───────────────────────────── answer, refusal ◀─────────────┘
//! ```
//!
//! It follows the IC interface specification for what clients see: envelopes, authentication, expiry, replay
//! protection, certificates, signed answers to queries. What a canister does is the engine's matter; this crate knows
//! no canister but those of the network that tools ask where to create one (`network_canisters`).
//!
//! Invariants:
//! 1. Bytes from outside are bounded before they are read, and never make it panic.
//! 2. Nothing reaches the engine whose form, sender, expiry and effective canister id have not been checked.
//! 3. One thread owns the network; a client that goes away leaves nothing behind.
//! 4. State is in memory: it ends with the process.

mod answer;
mod authentication;
mod cache;
mod cbor;
mod effective;
mod envelope;
mod executor;
mod expiry;
mod hash;
mod http;
mod listener;
mod network_canisters;
mod pocket;
mod public_key;
mod refusal;
mod server;
mod status_file;

pub use cache::module_cache;
pub use executor::{PATIENCE, TICK};
pub use expiry::{MAX_TTL, PERMITTED_DRIFT};
pub use http::{BODY_TIMEOUT, MAX_BODY, MAX_CALL};
pub use pocket::{PocketConfig, PocketServer};
pub use server::{Config, Identity, Server, StartError};
pub use status_file::StatusFile;
