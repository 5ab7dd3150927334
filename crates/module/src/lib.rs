//! What a subnet asks of a canister module, and what the engine makes of it.
//!
//! - [`CanisterModule::parse`] unpacks a module as it was uploaded, checks it against the limits of a real
//!   subnet and reads what the outside may know of it: its methods and its metadata.
//! - [`instrument`] rewrites it so that the host can save and restore all of its state.
//!
//! The command `canister-module check FILE…` runs the same checks on built modules, so that a module that
//! no subnet would take fails at build time.

mod check;
mod exports;
mod instrument;
pub mod limits;
mod metadata;
pub mod system_api;

pub use check::{CanisterModule, ModuleError};
pub use exports::{EntryPoints, MethodKind};
pub use instrument::{GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, START_EXPORT, TABLE_EXPORT, instrument};
pub use metadata::{Metadata, Visibility};
