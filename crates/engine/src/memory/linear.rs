//! The heap of a canister: the linear memory that wasmtime executes on.
//!
//! wasmtime asks a [`HeapCreator`] for the memory of each instance. The file behind it outlives the
//! instance: a canister whose failed message had grown the heap gets a new instance on the same file,
//! since a linear memory can't shrink.
#![allow(unsafe_code)]

use std::{
    cell::RefCell,
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::{WASM_PAGE, mapping::PrivateMapping};

/// Largest heap where wasmtime does not say how much it reserves: that of a 32-bit module.
const HEAP_BYTES: usize = 4 << 30;

thread_local! {
    /// Hands a file to the creator, and the new heap back to whoever instantiates: wasmtime calls the
    /// creator on the thread that does so, with nothing to tell instances apart by.
    static EXCHANGE: RefCell<Exchange> = const { RefCell::new(Exchange { file: None, created: None }) };
}

#[derive(Default)]
struct Exchange {
    file: Option<Arc<File>>,
    created: Option<Heap>,
}

/// A heap, shared between wasmtime and the engine.
#[derive(Clone)]
pub(crate) struct Heap(Arc<Inner>);

struct Inner {
    mapping: PrivateMapping,
    /// Accessible bytes, from the start.
    size: AtomicUsize,
}

impl Heap {
    /// Runs `instantiate`; the heap that it creates, if any, shows `file` (or a new, empty one).
    pub(crate) fn create_during<T>(
        file: Option<Arc<File>>,
        instantiate: impl FnOnce() -> T,
    ) -> (T, Option<Self>) {
        EXCHANGE.set(Exchange {
            file,
            created: None,
        });
        let result = instantiate();
        (result, EXCHANGE.take().created)
    }

    /// Accessible bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.size.load(Ordering::Relaxed)
    }

    /// File with the committed bytes.
    pub(crate) fn file(&self) -> Arc<File> {
        self.0.mapping.file().clone()
    }

    /// Makes what was written permanent.
    pub(crate) fn commit(&self) -> io::Result<()> {
        let written = self.0.mapping.written(self.size())?;
        self.0.mapping.write_back(&written)
    }

    /// Forgets what was written since the last commit.
    pub(crate) fn rollback(&self) -> io::Result<()> {
        let written = self.0.mapping.written(self.size())?;
        self.0.mapping.discard(&written)
    }
}

/// Creates the heaps of all instances of a wasmtime engine.
pub(crate) struct HeapCreator;

// SAFETY: the memory returned reserves what wasmtime asks for plus the guard, is accessible exactly up to
// `byte_size`, never moves, and stays mapped as long as wasmtime holds it. A file that is mapped again is
// not zero; the engine restores it to its committed bytes after instantiation, before any Wasm code runs.
unsafe impl MemoryCreator for HeapCreator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let window = reserved.unwrap_or(HEAP_BYTES);
        let file = EXCHANGE.with_borrow_mut(|exchange| exchange.file.take());
        let mapping = match file {
            Some(file) => PrivateMapping::of(file, window, guard),
            None => PrivateMapping::new(window, guard),
        }
        .map_err(|error| format!("no memory for a heap: {error}"))?;
        let heap = Heap(Arc::new(Inner {
            mapping,
            size: AtomicUsize::new(0),
        }));
        let mut linear = Linear(heap.clone());
        linear.grow_to(minimum).map_err(|error| error.to_string())?;
        EXCHANGE.with_borrow_mut(|exchange| exchange.created = Some(heap));
        Ok(Box::new(linear))
    }
}

/// What wasmtime holds of a heap.
struct Linear(Heap);

// SAFETY: `as_ptr` is stable for the life of the value, `byte_size` bytes from it are accessible, and the
// rest of the reservation is not.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.0.size()
    }

    fn byte_capacity(&self) -> usize {
        self.0.0.mapping.window()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let size = self.0.size();
        if new_size > self.byte_capacity() || !new_size.is_multiple_of(WASM_PAGE) {
            wasmtime::bail!("a heap of {new_size} bytes");
        }
        self.0.0.mapping.allow(size..new_size.max(size))?;
        self.0.0.size.store(new_size.max(size), Ordering::Relaxed);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.0.mapping.base()
    }
}
