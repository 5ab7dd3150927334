//! Memory of canisters.
//!
//! ```text
//!   heap     linear ──── what wasmtime runs on        stable ──── pages over the committed ones
//!              │  faults    which chunks are touched      │
//!              │  pagemap   which pages were written      │
//!            committed ─ file (memfd) of the heap      pages ──── committed pages, a persistent tree
//!                    └───────────── image ────────────────┘
//!                                   budget: what all of it may take
//! ```
//!
//! A heap is a private mapping of a file that holds the bytes as of the last message that succeeded:
//!
//! - **commit**: the pages written since the last commit are written to the file, and their private copies
//!   dropped; before, every query under way gets private copies of the pages that change;
//! - **rollback**, after a trap or a query: the private copies are dropped, and the file shows again.
//!
//! Cost: proportional to the chunks that a message touched and the pages that it wrote, and never to the size
//! of the memory.
//!
//! This is the one module of the project with `unsafe` code: it owns raw mappings. Its invariants:
//! 1. A [`mapping::Window`] owns its address range until it is dropped; nobody else unmaps it.
//! 2. Only the thread that runs the canister reads or writes a heap, and what is done to a heap otherwise is
//!    done while the canister does not run; except that a commit opens chunks of the heaps of queries under
//!    way and makes private copies of their pages, which changes no byte that they can see.
//! 3. The file is written by [`Heap::commit`] alone, so what lies outside of its [`spans`] is always
//!    zero.

mod budget;
mod committed;
mod faults;
mod image;
mod linear;
mod mapping;
mod pagemap;
mod pages;
mod spans;
mod stable;

pub use budget::{limit_memory, memory_held};
pub(crate) use committed::HeapFile;
pub(crate) use image::{GlobalValue, Image};
pub(crate) use linear::{Heap, HeapCheckpoint, HeapCreator};
pub(crate) use stable::{Published, StableCheckpoint, StableError, StableMemory};

/// Size of a Wasm page, in bytes.
pub(crate) const WASM_PAGE: usize = 64 * 1024;
