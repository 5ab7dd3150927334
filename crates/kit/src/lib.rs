//! What every Indus canister needs once.

pub mod arguments;
pub mod calls;
pub mod context;
pub mod guard;
pub mod icrc21;
pub mod idempotency;
pub mod paging;
pub mod rate_limit;
pub mod subjects;
pub mod text;
pub mod timers;

pub use context::Context;
