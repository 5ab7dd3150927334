//! Execution of canister modules on wasmtime.
//!
//! ```text
//!   CanisterModule ──instrument──► wasmtime Module ──instantiate──► Instance ──enter──► Outcome
//!                                  (compiled once)                 (kept between messages)
//! ```
//!
//! Execution is deterministic: NaNs are canonical, threads and relaxed SIMD off, and fuel counts what the
//! Internet Computer counts ([`costs`]).

pub(crate) mod costs;
mod instance;
mod trap;

use std::{fmt, sync::Arc};

use canister_module::{CanisterModule, instrument};
use wasmtime::{Config, Linker, OptLevel};

use crate::{ic0, ic0::Host, memory::HeapCreator};

pub(crate) use instance::{Callable, Instance, Run};
pub(crate) use trap::Trap;

/// Deepest stack of Wasm frames, in bytes.
const STACK_BYTES: usize = 1024 * 1024;

/// wasmtime, configured, with the system API linked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runtime {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
}

/// A module ready to run, with what the outside may know of it.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) module: Arc<CanisterModule>,
    compiled: wasmtime::Module,
}

/// wasmtime could not be set up, or does not take what the checks let through.
#[derive(Debug)]
pub(crate) struct RuntimeError(String);

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Runtime {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        let mut config = Config::new();
        config
            .with_host_memory(Arc::new(HeapCreator))
            // wasmtime's own images don't go with memory that the host maps.
            .memory_init_cow(false)
            .memory_reservation(4 << 30)
            .memory_guard_size(2 << 30)
            .memory_may_move(false)
            .guard_before_linear_memory(false)
            .consume_fuel(true)
            .operator_cost(costs::operators())
            .cranelift_nan_canonicalization(true)
            .cranelift_opt_level(OptLevel::Speed)
            .wasm_simd(true)
            .wasm_relaxed_simd(false)
            .wasm_tail_call(true)
            .wasm_multi_memory(false)
            .max_wasm_stack(STACK_BYTES);
        let failed = |error: wasmtime::Error| RuntimeError(format!("wasmtime: {error:#}"));
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let linker = Arc::new(ic0::linker(&engine).map_err(failed)?);
        Ok(Self { engine, linker })
    }

    /// Checks and compiles a module, plain or gzipped.
    pub(crate) fn load(&self, uploaded: &[u8]) -> Result<Program, RuntimeError> {
        let module =
            CanisterModule::parse(uploaded).map_err(|error| RuntimeError(error.to_string()))?;
        let rewritten =
            instrument(&module.wasm).map_err(|error| RuntimeError(error.to_string()))?;
        let compiled = wasmtime::Module::new(&self.engine, rewritten)
            .map_err(|error| RuntimeError(format!("{error:#}")))?;
        Ok(Program {
            module: Arc::new(module),
            compiled,
        })
    }
}
