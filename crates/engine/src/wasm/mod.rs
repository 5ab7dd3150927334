//! Execution of canister modules on wasmtime.
//!
//! ```text
//!   CanisterModule ──instrument──► wasmtime Module ──instantiate──► Instance ──enter──► Outcome
//!                                  (compiled once)                 (kept between messages)
//! ```
//!
//! Execution is deterministic: NaNs are canonical, threads and relaxed SIMD off, and fuel counts what the
//! Internet Computer counts ([`costs`]).

mod compiled;
pub(crate) mod costs;
mod instance;
mod tracked;
mod trap;
mod twins;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use canister_module::CanisterModule;
use wasmtime::{Cache, CacheConfig, Config, Linker, OptLevel};

use crate::{ic0, ic0::Host, memory::HeapCreator};

use compiled::Compiled;
pub(crate) use instance::{Callable, Instance, Run};
pub(crate) use trap::{Advice, Trap};
pub(crate) use twins::{Twin, Twins};

/// Deepest stack of Wasm frames, in bytes, as on a replica.
const STACK_BYTES: usize = 5 * 1024 * 1024;
/// Stack that is left for system calls below the deepest Wasm frame, in bytes.
const HOST_STACK_BYTES: usize = 512 * 1024;
/// Address space behind a heap that is never accessible, in bytes: what a 32-bit address and a 32-bit offset
/// can reach beyond 4 GiB, or a 64-bit heap is checked against in front of.
const GUARD_BYTES: u64 = 2 << 30;

/// wasmtime, configured, with the system API linked. Cheap to clone, and shared by all networks that keep
/// compiled modules in the same place: a module that one of them runs is there for the others.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<Shared>);

struct Shared {
    /// For modules whose addresses have 32 bits, and 64.
    widths: [Width; 2],
    compiled: Mutex<Compiled>,
}

/// The runtimes that some network uses, by the folder of their cache.
static RUNTIMES: Mutex<Vec<(Option<PathBuf>, Weak<Shared>)>> = Mutex::new(Vec::new());

/// What depends on the width of addresses: weights of operators, types of system calls.
struct Width {
    engine: wasmtime::Engine,
    linker: Linker<Host>,
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

impl RuntimeError {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the form that map_err asks for"
    )]
    fn from_io(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Runtime {
    /// Sets wasmtime up. Compiled modules are kept in the folder `cache`, if there is one, for other runs.
    pub(crate) fn new(cache: Option<&Path>) -> Result<Self, RuntimeError> {
        let mut runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
        runtimes.retain(|(_, runtime)| runtime.strong_count() > 0);
        let same = |(folder, _): &&(Option<PathBuf>, _)| folder.as_deref() == cache;
        if let Some(shared) = runtimes.iter().find(same).and_then(|(_, r)| r.upgrade()) {
            return Ok(Self(shared));
        }
        let on_disk = cache.map(disk_cache).transpose()?;
        let width = |memory64| Width::new(memory64, on_disk.clone());
        let shared = Arc::new(Shared {
            widths: [width(false)?, width(true)?],
            compiled: Mutex::default(),
        });
        runtimes.push((cache.map(Path::to_owned), Arc::downgrade(&shared)));
        Ok(Self(shared))
    }

    fn width(&self, memory64: bool) -> &Width {
        &self.0.widths[usize::from(memory64)]
    }

    /// Checks and compiles a module, plain or gzipped; one that was loaded before is taken from memory.
    pub(crate) fn load(&self, uploaded: &[u8]) -> Result<Program, RuntimeError> {
        let hash = CanisterModule::hash(uploaded);
        if let Some(program) = self.compiled().get(&hash) {
            return Ok(program);
        }
        let module =
            CanisterModule::parse(uploaded).map_err(|error| RuntimeError(error.to_string()))?;
        let rewritten = module
            .instrument()
            .map_err(|error| RuntimeError(error.to_string()))?;
        let compiled = wasmtime::Module::new(&self.width(module.memory64).engine, rewritten)
            .map_err(|error| RuntimeError(format!("{error:#}")))?;
        let program = Program {
            module: Arc::new(module),
            compiled,
        };
        self.compiled().insert(program.clone());
        Ok(program)
    }

    fn compiled(&self) -> std::sync::MutexGuard<'_, Compiled> {
        let compiled = &self.0.compiled;
        compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// wasmtime's own cache of compiled modules, in this folder.
fn disk_cache(folder: &Path) -> Result<Cache, RuntimeError> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config)
        .map_err(|error| RuntimeError(format!("the cache of compiled modules: {error:#}")))
}

impl Width {
    fn new(memory64: bool, cache: Option<Cache>) -> Result<Self, RuntimeError> {
        let reservation = if memory64 {
            canister_module::limits::MEMORY64_BYTES
        } else {
            canister_module::limits::MEMORY32_BYTES
        };
        let mut config = Config::new();
        config
            .with_host_memory(Arc::new(HeapCreator))
            // wasmtime's own images don't go with memory that the host maps.
            .memory_init_cow(false)
            .memory_reservation(reservation)
            .memory_guard_size(GUARD_BYTES)
            .memory_may_move(false)
            .guard_before_linear_memory(false)
            .consume_fuel(true)
            .operator_cost(costs::operators(memory64))
            .cranelift_nan_canonicalization(true)
            .cranelift_opt_level(OptLevel::Speed)
            // Traps are told apart without knowing where they happened.
            .generate_address_map(false)
            .wasm_backtrace_max_frames(None)
            .wasm_simd(true)
            .wasm_relaxed_simd(false)
            .wasm_tail_call(true)
            .wasm_memory64(memory64)
            .wasm_multi_memory(false)
            .max_wasm_stack(STACK_BYTES)
            .async_stack_size(STACK_BYTES + HOST_STACK_BYTES)
            .cache(cache);
        let failed = |error: wasmtime::Error| RuntimeError(format!("wasmtime: {error:#}"));
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        HeapCreator::prepare().map_err(RuntimeError::from_io)?;
        let linker = ic0::linker(&engine, memory64).map_err(failed)?;
        Ok(Self { engine, linker })
    }
}
