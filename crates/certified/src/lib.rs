//! Certified structures for canisters whose state grows for ever, in stable memory.
//!
//! | structure | what it certifies | form |
//! | --- | --- | --- |
//! | [`CertifiedMap`] | keys and the hashes of their values: present, absent, complete | IC hash tree |
//! | [`CertifiedRecords`] | a map with its values | IC hash tree |
//! | [`CertifiedLog`] | entries in their order: included, nothing changed since | RFC 9162 |
//! | [`SharedLogs`] | the same of many logs, in one memory | RFC 9162 |
//! | [`Row`] | a handful of labels above maps and leaves: the top of a canister's tree | IC hash tree |
//!
//! Invariants
//! - They work in any [`Memory`](ic_stable_structures::Memory), know no canister and run natively.
//! - Opening costs nothing that grows with what is stored; what they don't recognise they refuse, and leave as it is.
//! - A root depends on the contents alone, not on the way to them, so anybody can compute it from an export.
//! - A message that traps rolls stable memory and heap back together. There is no journal.
//!
//! Sources: Internet Computer interface specification, "Certification" (hash trees and their encoding); RFC 9162,
//! section 2.1; RFC 8949 (CBOR).

pub mod encoder;
mod log;
pub mod map;
pub mod records;
mod row;
pub mod sha256;

pub use encoder::Encoder;
pub use log::shared::{Head, SharedLogs};
pub use log::{CertifiedLog, LogError, MAX_PAYLOAD, OpenError};
pub use map::{CertifiedMap, Entry, MapError, Request};
pub use records::CertifiedRecords;
pub use row::Row;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Bytes of a page, by which memories grow.
pub(crate) const WASM_PAGE: u64 = 65_536;
