//! What every Indus canister needs once.

pub mod arguments;
pub mod context;
pub mod guard;
pub mod idempotency;
pub mod paging;
pub mod rate_limit;
pub mod text;

pub use context::Context;
