//! What the verifier accepts, and which error each bad thing gives.

#![allow(clippy::unwrap_used)]

mod audited;
mod audits;
mod block_hashes;
mod canister_signatures;
mod canonical;
mod certificates;
mod evidence;
mod exports;
mod log_proofs;
mod mutations;
mod network;
mod oracle;
mod pages;
mod patricia;
mod presentations;
mod replays;
