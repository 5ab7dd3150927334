//! What every Indus canister needs once.

pub mod arguments;
pub mod audit;
pub mod calls;
pub mod certified;
pub mod codes;
pub mod context;
pub mod decisions;
pub mod encoding;
pub mod endpoints;
pub mod fingerprints;
pub mod guard;
pub mod http;
pub mod icrc21;
pub mod idempotency;
pub mod installation;
pub mod kit;
pub mod memories;
pub mod open;
pub mod paging;
pub mod randomness;
pub mod rate_limit;
pub mod refusals;
pub mod shell;
pub mod signatures;
pub mod subjects;
pub mod table;
pub mod text;
pub mod timers;

pub use audit::{Change, CollectionId, Event};
pub use certified::{Certified, CollectionSpec};
pub use context::Context;
pub use kit::{Definition, Kit};
pub use memories::Memories;
pub use open::OpenError;
pub use signatures::Signatures;
pub use table::Table;
