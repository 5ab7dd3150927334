//! The certified state against a plain model, and against the verifier that auditors run: under the certificates of a
//! network with a BLS key of its own, the log explains every root.

#![allow(clippy::unwrap_used)]

mod canister;
mod life;
mod operations;
mod reads;
