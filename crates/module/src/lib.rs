//! What a subnet asks of a canister module, and what the engine makes of it.
//!
//! - [`CanisterModule::parse`] unpacks a module as it was uploaded, checks it against the limits of a real
//!   subnet and reads what the outside may know of it: its methods and its metadata.
//! - [`CanisterModule::instrument`] rewrites it so that the host can save and restore all of its state, and count its
//!   instructions.
//!
//! The command `canister-module check FILE…` runs the same checks on built modules, so that a module that
//! no subnet would take fails at build time.

mod check;
mod code;
mod error;
mod exports;
mod functions;
mod imports;
mod instrument;
pub mod limits;
mod metadata;
mod sections;
pub mod system_api;

pub use check::CanisterModule;
pub use error::ModuleError;
pub use exports::{EntryPoints, MethodKind};
pub use instrument::{
    CHANGED_EXPORT, DROP_EXPORT_PREFIX, DROPPED_EXPORT_PREFIX, FUNCTION_EXPORT_PREFIX,
    GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, RESERVED_EXPORT_PREFIX, START_EXPORT, TABLE_EXPORT,
};
pub use metadata::{Metadata, Visibility};
