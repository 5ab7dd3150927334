//! A local subnet: the IC HTTP interface around [`engine`].
//!
//! ```text
//!   bytes ─ http ─▶ cbor ─▶ envelope ─▶ authentication, effective ─▶ executor ─▶ engine
//!                     hash (request id)   public_key, expiry            │
//!   bytes ◀───────────────────────────── answer, refusal ◀─────────────┘
//! ```
//!
//! It follows the IC interface specification for what clients see: envelopes, authentication, expiry, replay
//! protection, certificates, signed answers to queries. What a canister does is the engine's matter; this crate knows
//! no canister.
//!
//! Invariants:
//! 1. Bytes from outside are bounded before they are read, and never make it panic.
//! 2. Nothing reaches the engine whose form, sender, expiry and effective canister id have not been checked.
//! 3. One thread owns the network; a client that goes away leaves nothing behind.
//! 4. State is in memory: it ends with the process.

mod answer;
mod authentication;
mod cbor;
mod effective;
mod envelope;
mod executor;
mod expiry;
mod hash;
mod http;
mod public_key;
mod refusal;
mod server;
mod status_file;

pub use executor::{PATIENCE, TICK};
pub use expiry::{MAX_TTL, PERMITTED_DRIFT};
pub use http::{BODY_TIMEOUT, MAX_BODY, MAX_CALL};
pub use server::{Config, Identity, Server, StartError};
pub use status_file::StatusFile;
