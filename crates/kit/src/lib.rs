//! What every Indus canister needs once.

pub mod arguments;
pub mod context;
pub mod text;

pub use context::Context;
