//! Offline verification of what a canister certified, against the root key of its network.
//!
//! ```text
//! root key ─► delegation ─► certificate ─► certified data ─► witness ─► leaf ─► typed value
//!             (subnet key,   (time bound)   (32 bytes)        (hash tree)        (Candid)
//!              canister range)
//! ```
//!
//! A witness proves leaves, absence, and stretches of a collection without a gap ([`VerifiedWitness`]). Behind it stands
//! the audit log of the canister: proofs about it ([`log`]), its blocks ([`Chain`]), and the replay of what they changed
//! ([`Audit`]), which shows that the log explains the whole certified state.
//!
//! What somebody shows of themselves, a licence or a credential, is verified by [`presentation`]; a credential that the canister
//! signed, by [`signed_credential`] and [`Verifier::canister_signature`].
//!
//! What is kept in files can be verified all at once: [`Replay`] takes a log, [`RecordCheck`] the records of a collection.
//!
//! Sources: the Internet Computer interface specification, "Certification" (hash trees, certificates,
//! delegations, canister ranges), RFC 8949 (CBOR), RFC 9162 (Merkle trees of logs), RFC 8032 and 8410 (Ed25519 and its keys),
//! ICRC-3 (blocks and their hashes) and `indus_api::audit` (what blocks of the suite's canisters hold).
//!
//! Invariants
//! - No network, no clock, no randomness: the caller brings the bytes, the root key and the time. It runs wherever Rust
//!   does, in a browser too.
//! - One encoding of everything that is certified: what is accepted would be encoded to the same bytes again
//!   (self-described CBOR, definite lengths, shortest integers, fixed order of fields, no trailing bytes, shortest
//!   LEB128). Blocks may come in any Candid; their hash is the same.
//! - No bytes make it panic, recurse or take more than a small multiple of their size.
//! - It knows no canister: names of collections and types of leaves are the caller's. [`presentation`] and
//!   [`signed_credential`] are the exceptions.
//! - It shares no code with the canisters whose answers it checks.
//!
//! Cost: a BLS check takes milliseconds, all the rest microseconds. [`Verifier`] remembers which
//! signatures it found good, so that any number of witnesses under one certificate costs one or two checks.
//!
//! ```no_run
//! use std::time::Duration;
//! use candid::Principal;
//! use indus_verify::{RootKey, Time, TimeBound, Verifier, VerifyError};
//!
//! fn name_of(
//!     root_key: &[u8], certificate: &[u8], witness: &[u8], canister: Principal, now: Time, id: u64,
//! ) -> Result<String, VerifyError> {
//!     let verifier = Verifier::new(RootKey::from_der(root_key)?);
//!     verifier
//!         .certificate(certificate, canister, now, TimeBound::within(Duration::from_secs(300)))?
//!         .witness(witness)?
//!         .value(&[b"names".as_slice(), &id.to_be_bytes()])
//! }
//! ```

mod audit;
pub mod canister_signature;
mod cbor;
mod certificate;
mod chain;
mod collections;
mod decode;
mod error;
mod event;
pub mod icrc3;
mod key;
mod leaves;
mod leb128;
pub mod log;
mod node;
mod page;
mod path;
pub mod presentation;
mod ranges;
mod records;
mod replay;
mod sha256;
mod signatures;
pub mod signed_credential;
mod stored;
mod time;
mod tree;
mod trie;
mod verified;
mod verifier;
mod witness;

pub use audit::{Audit, AuditError};
pub use chain::{Block, BlockFault, Chain};
pub use collections::{ChangeFault, Collections, ImpossibleChange};
pub use error::{Fault, Malformed, Part, VerifyError};
pub use key::RootKey;
pub use leaves::Leaves;
pub use log::{LogHead, LogRoot};
pub use node::leaf_hash;
pub use page::{Entry, Page};
pub use records::{MAX_RECORD_BYTES, RecordCheck, RecordCounts, RecordFault, StoredRecord};
pub use replay::{BlockTypeSummary, Replay, Replayed};
pub use sha256::compressions;
pub use stored::{MAX_BLOCK_BYTES, StoredBlock, store_page};
pub use time::{Time, TimeBound};
pub use tree::{Hash, HashTree, Lookup, MAX_DEPTH, MAX_TREE_BYTES};
pub use verified::VerifiedCertificate;
pub use verifier::{MAX_CERTIFICATE_BYTES, Verifier};
pub use witness::VerifiedWitness;
