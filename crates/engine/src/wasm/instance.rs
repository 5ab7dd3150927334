//! A running canister: instance, heap, stable memory and globals, committed or rolled back together.
//!
//! An instance is kept between messages. After a message that succeeded its globals are saved and its
//! memories committed; after one that failed, and after every query, they are restored. A failed message
//! that had grown the heap costs the instance: a new one is made on the same file, since a linear memory
//! can't shrink.

use canister_module::{GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, START_EXPORT, TABLE_EXPORT};
use wasmtime::{Global, Memory, Ref, Store, Table, Val};

use super::{Program, Runtime, RuntimeError, Trap};
use crate::{
    ic0::{Effects, Host, Message},
    memory::{Heap, StableMemory},
};

/// What of a canister is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Callable {
    /// An exported function `() -> ()`.
    Export(String),
    /// The former `(start)` function.
    Start,
    /// An element of the table, called with its environment: a callback.
    Table { function: u32, environment: u32 },
}

/// How a run ended.
pub(crate) struct Run {
    /// What the canister did to the outside, where it did not trap.
    pub(crate) result: Result<Effects, Trap>,
    /// Instructions that it executed.
    pub(crate) instructions: u64,
}

/// An instance of a program. See the module's documentation.
pub(crate) struct Instance {
    runtime: Runtime,
    program: Program,
    live: Live,
    saved: Vec<Val>,
    committed_heap: usize,
}

/// What wasmtime made.
struct Live {
    store: Store<Host>,
    instance: wasmtime::Instance,
    heap: Option<Heap>,
    table: Option<Table>,
    globals: Vec<Global>,
}

impl Instance {
    /// Instantiates a program on this stable memory. The heap is what the data segments say, uncommitted.
    pub(crate) fn new(
        runtime: &Runtime,
        program: Program,
        stable: StableMemory,
    ) -> Result<Self, (RuntimeError, StableMemory)> {
        let mut live = Live::new(runtime, &program, None, stable)?;
        let saved = live.read_globals();
        Ok(Self {
            runtime: runtime.clone(),
            program,
            live,
            saved,
            committed_heap: 0,
        })
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Size of the heap and of the stable memory, in bytes.
    pub(crate) fn memory_size(&self) -> (u64, u64) {
        let heap = self.live.heap.as_ref().map_or(0, Heap::size) as u64;
        (
            heap,
            self.live.store.data().stable.pages() * crate::memory::WASM_PAGE as u64,
        )
    }

    /// Runs `callable` on `message` with at most `limit` instructions. Neither commits nor rolls back.
    pub(crate) fn run(&mut self, callable: &Callable, message: Message, limit: u64) -> Run {
        self.live.run(callable, message, limit)
    }

    /// Makes all changes since the last commit permanent.
    ///
    /// # Panics
    /// Where the machine has no memory left for the committed bytes: going on would lose them.
    pub(crate) fn commit(&mut self) {
        let written = self.live.heap.as_ref().map_or(Ok(()), Heap::commit);
        let written = written.and_then(|()| self.live.store.data_mut().stable.commit());
        if let Err(error) = written {
            panic!("can't commit the memory of a canister: {error}");
        }
        self.committed_heap = self.live.heap.as_ref().map_or(0, Heap::size);
        self.saved = self.live.read_globals();
    }

    /// Undoes all changes since the last commit.
    ///
    /// # Panics
    /// Where the kernel can't drop pages, or an instance that was made once can't be made again.
    pub(crate) fn rollback(&mut self) {
        if let Err(error) = self.try_rollback() {
            panic!("can't restore the memory of a canister: {error}");
        }
    }

    fn try_rollback(&mut self) -> Result<(), RuntimeError> {
        let failed = |error: std::io::Error| RuntimeError(error.to_string());
        self.live
            .store
            .data_mut()
            .stable
            .rollback()
            .map_err(failed)?;
        if let Some(heap) = &self.live.heap {
            if heap.size() == self.committed_heap {
                heap.rollback().map_err(failed)?;
            } else {
                self.replace()?;
            }
        }
        self.live.write_globals(&self.saved)
    }

    /// A new instance on the committed bytes.
    fn replace(&mut self) -> Result<(), RuntimeError> {
        let file = self.live.heap.as_ref().map(Heap::file);
        let stable = self.take_stable();
        self.live = match Live::new(&self.runtime, &self.program, file, stable) {
            Ok(live) => live,
            Err((error, _)) => return Err(error),
        };
        self.live.grow_heap(self.committed_heap)?;
        if let Some(heap) = &self.live.heap {
            heap.rollback()
                .map_err(|error| RuntimeError(error.to_string()))?;
        }
        Ok(())
    }

    /// Takes the stable memory, uncommitted changes included, for another instance.
    pub(crate) fn take_stable(&mut self) -> StableMemory {
        std::mem::replace(&mut self.live.store.data_mut().stable, StableMemory::new())
    }

    /// Gives it back.
    pub(crate) fn give_stable(&mut self, stable: StableMemory) {
        self.live.store.data_mut().stable = stable;
    }
}

impl Live {
    fn new(
        runtime: &Runtime,
        program: &Program,
        file: Option<std::sync::Arc<std::fs::File>>,
        stable: StableMemory,
    ) -> Result<Self, (RuntimeError, StableMemory)> {
        let mut store = Store::new(&runtime.engine, Host::new(stable));
        store.limiter(|host| &mut host.limits);
        let instantiated = store.set_fuel(u64::MAX).and_then(|()| {
            let (result, heap) = Heap::create_during(file, || {
                runtime.linker.instantiate(&mut store, &program.compiled)
            });
            result.map(|instance| (instance, heap))
        });
        let (instance, heap) = match instantiated {
            Ok(made) => made,
            Err(error) => {
                let error = RuntimeError(format!("{error:#}"));
                return Err((error, store.into_data().stable));
            }
        };
        let memory: Option<Memory> = instance.get_memory(&mut store, MEMORY_EXPORT);
        store.data_mut().memory = memory;
        let table = instance.get_table(&mut store, TABLE_EXPORT);
        let exports: Vec<_> = instance
            .exports(&mut store)
            .map(|e| (e.name().to_owned(), e.into_global()))
            .collect();
        let globals = exports
            .into_iter()
            .filter(|(name, _)| name.starts_with(GLOBAL_EXPORT_PREFIX))
            .filter_map(|(_, global)| global)
            .collect();
        Ok(Self {
            store,
            instance,
            heap,
            table,
            globals,
        })
    }

    fn run(&mut self, callable: &Callable, message: Message, limit: u64) -> Run {
        self.store.data_mut().begin(message, limit);
        let result = self
            .store
            .set_fuel(limit)
            .and_then(|()| self.enter(callable));
        let left = self.store.get_fuel().unwrap_or(0);
        // A function entry costs 1 that the Internet Computer does not count.
        let instructions = (limit - left.min(limit)).saturating_sub(1);
        let effects = self.store.data_mut().end();
        let result = match result {
            Ok(()) => Ok(effects),
            Err(error) => Err(Trap::from_wasmtime(&error)),
        };
        Run {
            result,
            instructions,
        }
    }

    fn enter(&mut self, callable: &Callable) -> wasmtime::Result<()> {
        let store = &mut self.store;
        match callable {
            Callable::Export(name) => self
                .instance
                .get_typed_func::<(), ()>(&mut *store, name)?
                .call(&mut *store, ()),
            Callable::Start => self
                .instance
                .get_typed_func::<(), ()>(&mut *store, START_EXPORT)?
                .call(&mut *store, ()),
            Callable::Table {
                function,
                environment,
            } => {
                let element = self
                    .table
                    .and_then(|table| table.get(&mut *store, u64::from(*function)));
                let Some(Ref::Func(Some(function))) = element else {
                    return Err(Trap::Wasm("table out of bounds").into());
                };
                let Ok(function) = function.typed::<u32, ()>(&*store) else {
                    return Err(Trap::Wasm("bad signature").into());
                };
                function.call(&mut *store, *environment)
            }
        }
    }

    fn read_globals(&mut self) -> Vec<Val> {
        let store = &mut self.store;
        self.globals
            .iter()
            .map(|global| global.get(&mut *store))
            .collect()
    }

    fn write_globals(&mut self, values: &[Val]) -> Result<(), RuntimeError> {
        for (global, value) in self.globals.iter().zip(values) {
            global
                .set(&mut self.store, *value)
                .map_err(|error| RuntimeError(error.to_string()))?;
        }
        Ok(())
    }

    fn grow_heap(&mut self, bytes: usize) -> Result<(), RuntimeError> {
        let (Some(heap), Some(memory)) = (&self.heap, self.store.data().memory) else {
            return Ok(());
        };
        let missing = bytes.saturating_sub(heap.size()) / crate::memory::WASM_PAGE;
        memory
            .grow(&mut self.store, missing as u64)
            .map(|_| ())
            .map_err(|error| RuntimeError(error.to_string()))
    }
}
