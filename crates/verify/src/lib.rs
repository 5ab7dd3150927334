//! Offline verification of what a canister certified, against the root key of its network.
//!
//! ```text
//! root key ─► delegation ─► certificate ─► certified data ─► witness ─► leaf ─► typed value
//!             (subnet key,   (time bound)   (32 bytes)        (hash tree)        (Candid)
//!              canister range)
//! ```
//!
//! Sources: the Internet Computer interface specification, "Certification" (hash trees, certificates,
//! delegations, canister ranges) and RFC 8949 (CBOR).
//!
//! Invariants
//! - No network, no clock, no randomness: the caller brings the bytes, the root key and the time.
//! - One encoding of everything: what is accepted would be encoded to the same bytes again (self-described
//!   CBOR, definite lengths, shortest integers, fixed order of fields, no trailing bytes, shortest LEB128).
//! - No bytes make it panic, recurse or take more than a small multiple of their size.
//! - It knows no canister: paths and types are the caller's.
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

mod cbor;
mod certificate;
mod error;
mod key;
mod leb128;
mod path;
mod ranges;
mod signatures;
mod time;
mod tree;
mod verified;
mod verifier;
mod witness;

pub use error::{Fault, Malformed, Part, VerifyError};
pub use key::RootKey;
pub use time::{Time, TimeBound};
pub use tree::{Hash, HashTree, Lookup, MAX_DEPTH, MAX_TREE_BYTES};
pub use verified::VerifiedCertificate;
pub use verifier::{MAX_CERTIFICATE_BYTES, Verifier};
pub use witness::VerifiedWitness;
