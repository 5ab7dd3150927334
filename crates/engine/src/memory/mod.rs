//! Memory of canisters: heap and stable memory, each a private mapping of an in-memory file.
//!
//! ```text
//!   file (memfd)    committed bytes, as of the last message that succeeded
//!     ▲   │ MAP_PRIVATE
//!     │   ▼
//!   mapping         what the running message sees: the file's pages, and private copies of those it wrote
//! ```
//!
//! - **commit**: the pages written since the last commit are found by asking the kernel
//!   ([`pagemap`]), written to the file, and their private copies dropped;
//! - **rollback**, after a trap or a query: the private copies are dropped, and the file shows again.
//!
//! Cost: both are proportional to the pages that a message wrote, and need no copy of the whole.
//!
//! This is the one module of the project with `unsafe` code: it owns raw mappings. Its invariants:
//! 1. A [`mapping::PrivateMapping`] owns its address range until it is dropped; nobody else unmaps it.
//! 2. Only the thread that runs the canister reads or writes a mapping, and only while no Wasm code runs.
//! 3. The file is written by `write_back` alone, so bytes behind the committed size are always zero.

mod linear;
mod mapping;
mod pagemap;
mod stable;

pub(crate) use linear::{Heap, HeapCreator};
pub(crate) use stable::StableMemory;

/// Size of a Wasm page, in bytes.
pub(crate) const WASM_PAGE: usize = 64 * 1024;
