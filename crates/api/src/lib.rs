//! Candid types of the Indus canisters: what an agency's own canister or client depends on.
//!
//! Types, limits, and the rules for texts. The logic behind them is in `canisters/`, the verification of certified answers in
//! `indus-verify`. Times are nanoseconds since 1970-01-01 UTC, as the Internet Computer counts them.

pub mod audit;
pub mod certified;
pub mod commitment;
pub mod decision;
pub mod error;
pub mod hosting;
pub mod icrc21;
pub mod icrc3;
pub mod identity;
pub mod licences;
pub mod lifeline;
pub mod messaging;
pub mod paging;
pub mod registry;
pub mod service;
pub mod signatures;
pub mod subject;
pub mod text;
pub mod time;

pub use certified::CertifiedRead;
pub use error::Error;
pub use subject::Subject;
