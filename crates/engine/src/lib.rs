//! Subnets, canisters, messages and certification on wasmtime.
//!
//! A library that behaves as the Internet Computer does towards canisters and towards those who call them,
//! on one machine and in one process. It knows no protocol: `localnet` puts the HTTP interface around it.
//!
//! ```text
//!   Network ─┬─ root subnet     signs for the others' keys
//!            └─ other subnets ─┬─ canisters ── Instance (heap, stable memory, globals)
//!                              ├─ calls        contexts, callbacks, the queue
//!                              ├─ ingress      what was submitted, and how it ended
//!                              └─ state tree   what certificates prove
//! ```
//!
//! All state is in memory. Everything is deterministic: the same seed, times and messages give the same
//! state.

mod access;
mod calls;
mod canister;
mod certification;
mod composite;
mod cycles;

mod execution;
mod ic0;
mod ingress;
mod limits;
mod management;
mod memory;
mod metrics;
mod network;
mod queries;
mod reject;
mod stable_access;
mod subnet;
mod topology;
mod types;
mod wasm;

pub use access::{ReadStateRefused, StateReader};
pub use candid::Principal;
pub use cycles::CyclesAudit;
pub use management::{HttpReplication, HttpRequest, HttpResponse};
pub use memory::{limit_memory, memory_held};
pub use network::{Network, NetworkConfig, Reader, SetupError};
pub use reject::{ErrorCode, Reject, RejectCode};
pub use topology::{CostSchedule, SubnetConfig, SubnetInfo, SubnetKind};
pub use types::{
    Effective, Ingress, MethodMetrics, NodeSignature, Path, Query, RequestId, RequestStatus,
    SenderInfo, Time,
};
