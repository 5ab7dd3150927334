//! The audit log: every state change, in order, in a form that anybody can replay.
//!
//! ```text
//! event ──► tx (Candid) ──► ICRC-3 block ──► block hash ──► leaf of an RFC 9162 tree ──► certified at `log`
//! ```
//!
//! What a block holds is documented in [`indus_api::audit`]. It is never pruned.
//!
//! # Layout
//! The payload of entry n of the log is block n, numbers little-endian:
//!
//! ```text
//!  0  version: 1, or 2 for a tx that begins as every event does: with its types, which are left out then
//!  1  ts (u64)
//!  9  bytes of btype (u8)
//! 10  btype
//!  …  phash, 32 bytes; missing in block 0
//!  …  tx, up to the end
//! ```
//!
//! # Cost
//! The hash of a block takes about 11 SHA-256 blocks, and one more for each 64 bytes of `tx`; `tx` is encoded by hand,
//! because what a general encoder of Candid does before the first value would cost more than all of that.

pub(crate) use block::{leb128, push_leb128};

mod block;
mod event;

pub use block::Block;
pub(crate) use event::encode;
pub use event::{Change, CollectionId, Event};
