//! A running canister: instance, heap, stable memory, globals and table, committed or rolled back together.
//!
//! An instance is kept between messages. After a message that succeeded its globals are saved and its
//! memories committed; after one that failed, and after every query, they are restored. A failed message
//! that had grown the heap costs the instance: a new one is made on the same file, since a linear memory
//! can't shrink. The table and dropped segments are told in [`super::tracked`].

use std::sync::Arc;

use canister_module::{GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, START_EXPORT, TABLE_EXPORT};
use wasmtime::{Global, Memory, Ref, Store, Table, Val};

use super::{
    HOST_STACK_BYTES, Program, Runtime, RuntimeError, STACK_BYTES, Trap,
    tracked::{Saved, Tracked},
    twins::{Committed, Twins},
};
use crate::{
    ic0::{Callback, Effects, Host, LogLine, Message},
    memory::{GlobalValue, Heap, Image, StableMemory},
};

/// What of a canister is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Callable {
    /// An exported function `() -> ()`.
    Export(String),
    /// The former `(start)` function.
    Start,
    /// An element of the table, called with its environment: a callback.
    Table { function: u64, environment: u64 },
}

impl Callable {
    /// The callback of a call.
    pub(crate) fn callback((function, environment): Callback) -> Self {
        Self::Table {
            function,
            environment,
        }
    }
}

/// How a run ended.
pub(crate) struct Run {
    /// What the canister did to the outside, where it did not trap.
    pub(crate) result: Result<Effects, Trap>,
    /// Instructions that it executed.
    pub(crate) instructions: u64,
    /// What it printed, whether it trapped or not.
    pub(crate) log: Vec<LogLine>,
}

/// An instance of a program. See the module's documentation.
pub(crate) struct Instance {
    runtime: Runtime,
    program: Program,
    live: Live,
    saved: State,
    committed_heap: usize,
    twins: Arc<Twins>,
}

/// What of an instance is not in its memories, as of the last commit.
#[derive(Clone)]
pub(super) struct State {
    globals: Vec<Val>,
    tracked: Option<Arc<Saved>>,
}

/// What wasmtime made.
pub(super) struct Live {
    pub(super) store: Store<Host>,
    instance: wasmtime::Instance,
    pub(super) heap: Option<Heap>,
    table: Option<Table>,
    globals: Vec<Global>,
    tracked: Option<Tracked>,
    /// The state of the table and the segments that was adopted last.
    adopted: Option<Arc<Saved>>,
    memory64: bool,
}

impl Instance {
    /// Instantiates a program on this stable memory. The heap is what the data segments say, uncommitted.
    pub(crate) fn new(
        runtime: &Runtime,
        program: Program,
        stable: StableMemory,
    ) -> Result<Self, (RuntimeError, StableMemory)> {
        let mut live = Live::new(runtime, &program, stable)?;
        let saved = live.state(None);
        Ok(Self {
            twins: Twins::new(runtime.clone(), program.clone()),
            runtime: runtime.clone(),
            program,
            live,
            saved,
            committed_heap: 0,
        })
    }

    /// Instantiates a program on the memories of `old`, uncommitted changes included: the heap stays as it is,
    /// no data segment is applied, and globals are what the program says. Uncommitted; until the result is
    /// committed, `old` can be rolled back once it is given the stable memory again.
    pub(crate) fn keeping_heap(
        runtime: &Runtime,
        program: Program,
        old: &mut Self,
    ) -> Result<Self, (RuntimeError, StableMemory)> {
        let mut new = Self::new(runtime, program, old.take_stable())?;
        if let Err(error) = new.keep_heap(old) {
            return Err((error, new.take_stable()));
        }
        Ok(new)
    }

    fn keep_heap(&mut self, old: &Self) -> Result<(), RuntimeError> {
        let Some(kept) = &old.live.heap else {
            return Ok(());
        };
        self.live.grow_heap(kept.size())?;
        let Some(heap) = &self.live.heap else {
            return Err(RuntimeError("no memory to keep the heap in".to_owned()));
        };
        if heap.size() < kept.size() {
            return Err(RuntimeError("a memory too small for the heap".to_owned()));
        }
        kept.file()
            .and_then(|file| heap.attach(file))
            .and_then(|()| heap.adopt(kept))
            .map_err(RuntimeError::from_io)
    }

    /// Instantiates a program on the memories and globals of an image, uncommitted.
    pub(crate) fn from_image(
        runtime: &Runtime,
        program: Program,
        image: &Image,
    ) -> Result<Self, RuntimeError> {
        let stable = StableMemory::of(image.stable().clone());
        let mut new = Self::new(runtime, program, stable).map_err(|(error, _)| error)?;
        new.load(image)?;
        Ok(new)
    }

    fn load(&mut self, image: &Image) -> Result<(), RuntimeError> {
        let len = usize::try_from(image.heap_len())
            .map_err(|_| RuntimeError("a heap too large for this machine".to_owned()))?;
        self.live.grow_heap(len)?;
        if self.live.heap.as_ref().map_or(0, Heap::size) != len {
            return Err(RuntimeError(format!("a heap of {len} bytes does not fit")));
        }
        if let Some(heap) = &self.live.heap {
            let file = image.heap_file(heap).map_err(RuntimeError::from_io)?;
            heap.attach(file).map_err(RuntimeError::from_io)?;
        }
        let globals = self.live.globals();
        let fits = globals.len() == image.globals.len()
            && globals
                .iter()
                .zip(&image.globals)
                .all(|(own, new)| std::mem::discriminant(own) == std::mem::discriminant(new));
        if !fits {
            return Err(RuntimeError("other globals than the module has".to_owned()));
        }
        let values: Vec<Val> = image.globals.iter().copied().map(value).collect();
        self.live.write_globals(&values)
    }

    /// The committed state as a value. Costs a copy of the heap.
    pub(crate) fn image(&self) -> Result<Image, RuntimeError> {
        Image::of(
            self.live.heap.as_ref(),
            self.committed_heap,
            self.live.store.data().stable.committed(),
            self.saved.globals.iter().filter_map(global).collect(),
        )
        .map_err(RuntimeError::from_io)
    }

    /// Instances for queries on the committed state.
    pub(crate) fn twins(&self) -> Arc<Twins> {
        self.twins.clone()
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
        let twins = self.twins.clone();
        // No query begins while this is held, and none that runs is held up.
        let mut committed = twins.committed();
        if let Err(error) = self.live.heap.as_ref().map_or(Ok(()), Heap::commit) {
            panic!("can't commit the memory of a canister: {error}");
        }
        self.live.store.data_mut().stable.commit(&twins.stable);
        self.committed_heap = self.live.heap.as_ref().map_or(0, Heap::size);
        self.saved = self.live.state(self.saved.tracked.take());
        *committed = Some(Committed {
            state: self.saved.clone(),
            heap_size: self.committed_heap,
            file: self.live.heap.as_ref().and_then(|heap| heap.file().ok()),
        });
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
        self.live.store.data_mut().stable.rollback();
        let grown = match &self.live.heap {
            Some(heap) if heap.size() == self.committed_heap => {
                heap.rollback().map_err(RuntimeError::from_io)?;
                false
            }
            Some(_) => true,
            None => false,
        };
        if grown || !self.live.restore(&self.saved)? {
            self.replace()?;
        }
        Ok(())
    }

    /// A new instance on the committed bytes.
    fn replace(&mut self) -> Result<(), RuntimeError> {
        let file = self.live.heap.as_ref().map(Heap::file).transpose();
        let file = file.map_err(RuntimeError::from_io)?;
        let stable = self.take_stable();
        self.live = match Live::new(&self.runtime, &self.program, stable) {
            Ok(live) => live,
            Err((error, _)) => return Err(error),
        };
        self.live.grow_heap(self.committed_heap)?;
        if let (Some(heap), Some(file)) = (&self.live.heap, file) {
            heap.attach(file).map_err(RuntimeError::from_io)?;
        }
        self.live.adopt(&self.saved)
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
    pub(super) fn new(
        runtime: &Runtime,
        program: &Program,
        stable: StableMemory,
    ) -> Result<Self, (RuntimeError, StableMemory)> {
        let memory64 = program.module.memory64;
        let width = runtime.width(memory64);
        let mut store = Store::new(&width.engine, Host::new(stable));
        store.limiter(|host| host);
        let instantiated = store.set_fuel(u64::MAX).and_then(|()| {
            let (result, heap) =
                Heap::create_during(|| width.linker.instantiate(&mut store, &program.compiled));
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
        let tracked = Tracked::find(&mut store, instance);
        Ok(Self {
            store,
            instance,
            heap,
            table,
            globals,
            tracked,
            adopted: None,
            memory64,
        })
    }

    pub(super) fn run(&mut self, callable: &Callable, message: Message, limit: u64) -> Run {
        self.store.data_mut().begin(message, limit);
        // Entering the function costs 1 that the Internet Computer does not count.
        let fuel = limit.saturating_add(1);
        // On this thread's stack if that is large enough, else on another one for the time being.
        let stack = STACK_BYTES + HOST_STACK_BYTES;
        let result = self
            .store
            .set_fuel(fuel)
            .and_then(|()| stacker::maybe_grow(stack, stack, || self.enter(callable)));
        let left = self.store.get_fuel().unwrap_or(0);
        let instructions = (fuel - left.min(fuel)).saturating_sub(1);
        let trap = result.err().map(|error| Trap::from_wasmtime(&error, limit));
        let condemned = self.heap.as_ref().is_some_and(Heap::is_condemned);
        let trap = if condemned {
            Some(Trap::OutOfMemory)
        } else {
            trap
        };
        let (effects, log) = self.store.data_mut().end(trap.as_ref());
        Run {
            result: trap.map_or(Ok(effects), Err),
            instructions,
            log,
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
                    .and_then(|table| table.get(&mut *store, *function));
                let function = match element {
                    Some(Ref::Func(Some(function))) => function,
                    Some(_) => {
                        return Err(Trap::contract("unexpected null function reference").into());
                    }
                    None => return Err(Trap::NoFunction(*function).into()),
                };
                let mismatch = |_| Trap::contract(Trap::BAD_SIGNATURE);
                if self.memory64 {
                    let function = function.typed::<u64, ()>(&*store).map_err(mismatch)?;
                    function.call(&mut *store, *environment)
                } else {
                    let environment = u32::try_from(*environment).map_err(|_| {
                        let text =
                            format!("error converting additional value {environment} to u32");
                        Trap::contract(text)
                    })?;
                    let function = function.typed::<u32, ()>(&*store).map_err(mismatch)?;
                    function.call(&mut *store, environment)
                }
            }
        }
    }

    /// The state to go back to from now on; `before` is the tracked part of the one so far.
    fn state(&mut self, before: Option<Arc<Saved>>) -> State {
        let store = &mut self.store;
        let tracked = self.tracked.as_ref().map(|tracked| match before {
            Some(before) if !tracked.has_changed(store) => before,
            _ => Arc::new(tracked.save(store)),
        });
        if let Some(tracked) = &self.tracked
            && let Err(error) = tracked.settle(store)
        {
            panic!("can't write a global of a canister: {error}");
        }
        State {
            globals: self.read_globals(),
            tracked,
        }
    }

    /// Goes back to this state; false where only a new instance can have it.
    pub(super) fn restore(&mut self, state: &State) -> Result<bool, RuntimeError> {
        if let (Some(tracked), Some(saved)) = (&self.tracked, &state.tracked)
            && tracked.has_changed(&mut self.store)
            && !tracked.restore(&mut self.store, saved)?
        {
            return Ok(false);
        }
        self.write_globals(&state.globals)?;
        Ok(true)
    }

    /// Takes over the state of another instance of the same program.
    pub(super) fn adopt(&mut self, state: &State) -> Result<(), RuntimeError> {
        if let (Some(tracked), Some(saved)) = (&self.tracked, &state.tracked) {
            let store = &mut self.store;
            let has_it = |adopted: &Arc<Saved>| Arc::ptr_eq(adopted, saved);
            if tracked.has_changed(store) || !self.adopted.as_ref().is_some_and(has_it) {
                // Segments are dropped by functions of the module, and the message before may have used up
                // all it had.
                store
                    .set_fuel(u64::MAX)
                    .map_err(|error| RuntimeError(error.to_string()))?;
                tracked.apply(store, saved)?;
                self.adopted = Some(saved.clone());
            }
        }
        self.write_globals(&state.globals)
    }

    /// The state of the moment, for [`Live::restore`].
    pub(super) fn peek_state(&mut self) -> State {
        let store = &mut self.store;
        let tracked = self.tracked.as_ref();
        State {
            tracked: tracked.map(|tracked| Arc::new(tracked.save(store))),
            globals: self.read_globals(),
        }
    }

    /// Whether the table or the dropped segments may differ from what was adopted.
    pub(super) fn has_changed(&mut self) -> bool {
        let tracked = self.tracked.as_ref();
        tracked.is_some_and(|tracked| tracked.has_changed(&mut self.store))
    }

    fn globals(&mut self) -> Vec<GlobalValue> {
        self.read_globals().iter().filter_map(global).collect()
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

    pub(super) fn grow_heap(&mut self, bytes: usize) -> Result<(), RuntimeError> {
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

/// The value of a global; the checks of modules let no others be mutable.
fn global(value: &Val) -> Option<GlobalValue> {
    match value {
        Val::I32(value) => Some(GlobalValue::I32(*value)),
        Val::I64(value) => Some(GlobalValue::I64(*value)),
        Val::F32(bits) => Some(GlobalValue::F32(*bits)),
        Val::F64(bits) => Some(GlobalValue::F64(*bits)),
        Val::V128(value) => Some(GlobalValue::V128(value.as_u128())),
        _ => None,
    }
}

fn value(global: GlobalValue) -> Val {
    match global {
        GlobalValue::I32(value) => Val::I32(value),
        GlobalValue::I64(value) => Val::I64(value),
        GlobalValue::F32(bits) => Val::F32(bits),
        GlobalValue::F64(bits) => Val::F64(bits),
        GlobalValue::V128(value) => Val::V128(value.into()),
    }
}
