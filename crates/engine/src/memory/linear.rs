//! The heap of a canister: the linear memory that wasmtime executes on.
//!
//! ```text
//!   0                                             size         window     + guard
//!   ├─ file, read ─┼─ nothing ─┼─ file ─┼─ nothing ─┼─ beyond ────┼──────────────┤
//!       chunks touched since the last commit are writable, file or not
//! ```
//!
//! wasmtime asks a [`HeapCreator`] for the memory of each instance. The file with the committed bytes
//! ([`HeapFile`]) outlives the instance: a canister whose failed message had grown the heap gets a new
//! instance on the same file, since a linear memory can't shrink; and each query runs on a heap of its own
//! on that file.
//!
//! Invariant: what the file holds lies within the committed size, which no heap that is attached to the file
//! undercuts.
#![allow(unsafe_code)]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::{
    WASM_PAGE, budget,
    committed::HeapFile,
    faults::{self, CHUNK, Registered, Tracker},
    mapping::{self, Window},
    pages::{PAGE, Page},
    spans::Spans,
};

/// Largest heap of a 32-bit module.
const HEAP_BYTES: usize = 4 << 30;
/// Largest heap of a 64-bit module.
const HEAP_BYTES_64: usize = faults::MAX_BYTES;

thread_local! {
    /// Hands the new heap to whoever instantiates: wasmtime calls the creator on the thread that does so,
    /// with nothing to tell instances apart by.
    static CREATED: RefCell<Option<Heap>> = const { RefCell::new(None) };
}

/// A heap, shared between wasmtime and the engine.
#[derive(Clone)]
pub(crate) struct Heap(Arc<Inner>);

struct Inner {
    /// Before the window, so that the handler has forgotten it when it is unmapped.
    tracker: Registered,
    window: Window,
    file: Mutex<Option<Arc<HeapFile>>>,
    /// Parts of the window that show the file.
    shown: Mutex<Arc<Spans>>,
    /// Of a query that may be restored: what pages of the file were before commits changed them since.
    before: Mutex<Option<BTreeMap<usize, Page>>>,
}

/// What a query has written of its heap, put aside.
pub(crate) struct HeapCheckpoint(BTreeMap<usize, Page>);

fn out_of_memory() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

impl Heap {
    /// Runs `instantiate`, and returns the heap that it creates, if any.
    pub(crate) fn create_during<T>(instantiate: impl FnOnce() -> T) -> (T, Option<Self>) {
        CREATED.set(None);
        let result = instantiate();
        (result, CREATED.take())
    }

    /// An empty one that can become `largest` bytes long.
    fn new(largest: usize, guard: usize) -> io::Result<Self> {
        let window = Window::new(largest, guard)?;
        let tracker = Registered::new(Tracker::new(window.base()), largest)?;
        Ok(Self(Arc::new(Inner {
            tracker,
            window,
            file: Mutex::new(None),
            shown: Mutex::default(),
            before: Mutex::new(None),
        })))
    }

    /// Accessible bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.tracker.size()
    }

    /// Whether the message under way touched more memory than the machine has: its result counts for nothing.
    pub(crate) fn is_condemned(&self) -> bool {
        self.0.tracker.is_condemned()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// File with the committed bytes.
    pub(crate) fn file(&self) -> io::Result<Arc<HeapFile>> {
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        let new = HeapFile::new(self.0.window.len())?;
        Ok(file.insert(new).clone())
    }

    /// Shows the committed bytes of this file instead of what instantiation wrote. The heap must have been
    /// grown to the committed size.
    pub(crate) fn attach(&self, file: Arc<HeapFile>) -> io::Result<()> {
        if file.spans().end() > self.size() {
            return Err(io::Error::other("a heap smaller than its committed bytes"));
        }
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        self.remap()
    }

    fn remap(&self) -> io::Result<()> {
        let file = self.file()?;
        self.0.window.map_nothing(0..self.0.window.len())?;
        *self.0.shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        self.show(&file, file.spans())?;
        budget::release(self.0.tracker.clear());
        Ok(())
    }

    fn shown(&self) -> Arc<Spans> {
        self.0
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Maps what `spans` has more than is shown so far.
    fn show(&self, file: &HeapFile, spans: Arc<Spans>) -> io::Result<()> {
        let shown = self.shown();
        for span in spans.iter() {
            if shown.within(span).len() > 1 {
                // Mapped in parts it would stay several mappings.
                self.0.window.map_file(span.clone(), file.file())?;
            } else {
                for part in shown.without(span) {
                    self.0.window.map_file(part, file.file())?;
                }
            }
        }
        *self.0.shown.lock().unwrap_or_else(PoisonError::into_inner) = spans;
        Ok(())
    }

    /// Makes what was written permanent. Queries under way don't notice.
    pub(crate) fn commit(&self) -> io::Result<()> {
        let (window, tracker) = (&self.0.window, &self.0.tracker);
        let dirty = tracker.dirty();
        if dirty.is_empty() {
            return Ok(());
        }
        let file = self.file()?;
        let readers = file.readers_of_change();
        let mut spans = Spans::clone(&file.spans());
        for run in &dirty {
            for range in window.written(run.clone())? {
                for part in pieces(range) {
                    for reader in &*readers {
                        reader.keep(&part, &file);
                    }
                    // SAFETY: the kernel listed these pages as written, so they are mapped and readable, and
                    // the canister does not run (invariant 2).
                    file.write(unsafe { window.bytes(part.clone()) }, part.start)?;
                    spans.add(&part, self.size());
                    window.discard(part)?;
                }
            }
        }
        spans.limit();
        let spans = Arc::new(spans);
        self.close(&dirty)?;
        self.show(&file, spans.clone())?;
        let added = file.set_spans(spans);
        // What was reserved for private copies is the file's now.
        budget::take(added);
        budget::release(tracker.clear());
        Ok(())
    }

    /// Forgets what was written since the last commit.
    pub(crate) fn rollback(&self) -> io::Result<()> {
        let (window, tracker) = (&self.0.window, &self.0.tracker);
        if tracker.is_condemned() {
            return self.remap();
        }
        let dirty = tracker.dirty();
        let shown = self.shown();
        for part in dirty.iter().flat_map(|run| shown.within(run)) {
            for range in window.written(part)? {
                window.discard(range)?;
            }
        }
        self.close(&dirty)?;
        budget::release(tracker.clear());
        Ok(())
    }

    /// Protects chunks again where they show the file, and empties them where they don't.
    fn close(&self, dirty: &[Range<usize>]) -> io::Result<()> {
        let shown = self.shown();
        for run in dirty {
            for part in shown.within(run) {
                self.0.window.protect(part)?;
            }
            for part in shown.without(run) {
                self.0.window.map_nothing(part)?;
            }
        }
        Ok(())
    }

    /// Copies the uncommitted changes of another heap on the same file.
    pub(crate) fn adopt(&self, other: &Self) -> io::Result<()> {
        for run in other.0.tracker.dirty() {
            for range in other.0.window.written(run)? {
                for part in pieces(range) {
                    // SAFETY: written pages are readable; neither canister runs (invariant 2). The copy is
                    // within the size of this heap, whose chunks the fault handler opens.
                    unsafe {
                        let bytes = other.0.window.bytes(part.clone());
                        self.0.window.write(part.start, bytes);
                    }
                }
            }
        }
        if self.is_condemned() {
            return Err(out_of_memory());
        }
        Ok(())
    }

    /// Begins to look at the committed bytes of this file as they are now, until [`Heap::leave`]. The heap
    /// must have been grown to the committed size.
    pub(crate) fn join(&self, file: &Arc<HeapFile>) -> io::Result<()> {
        let mut readers = file.readers();
        let attached = self
            .0
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, file));
        if attached {
            let spans = file.spans();
            if spans.end() > self.size() {
                return Err(io::Error::other("a heap smaller than its committed bytes"));
            }
            self.show(file, spans)?;
        } else {
            self.attach(file.clone())?;
        }
        readers.push(self.clone());
        Ok(())
    }

    /// Ends that, and forgets what was written.
    pub(crate) fn leave(&self) -> io::Result<()> {
        self.file()?.leave(self);
        *self.before() = None;
        self.rollback()
    }

    fn before(&self) -> std::sync::MutexGuard<'_, Option<BTreeMap<usize, Page>>> {
        self.0.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes private copies of a range of the file that is about to change. Called by the thread that
    /// commits, while the canister may be running on this heap.
    fn keep(&self, range: &Range<usize>, file: &HeapFile) {
        for part in self.shown().within(range) {
            if self.is_condemned() {
                return;
            }
            let kept = self
                .0
                .tracker
                .open(&part)
                .and_then(|()| self.keep_for_restoring(&part, file))
                .and_then(|()| self.0.window.populate(part));
            if kept.is_err() {
                // A query that mixes two states must not answer.
                self.0.tracker.condemn();
            }
        }
    }

    fn keep_for_restoring(&self, range: &Range<usize>, file: &HeapFile) -> io::Result<()> {
        let mut before = self.before();
        let Some(before) = &mut *before else {
            return Ok(());
        };
        for page in range.start / PAGE..range.end / PAGE {
            if let std::collections::btree_map::Entry::Vacant(slot) = before.entry(page) {
                let mut bytes = [0; PAGE];
                file.read(&mut bytes, page * PAGE)?;
                slot.insert(Page::copy_of(&bytes).ok_or_else(out_of_memory)?);
            }
        }
        Ok(())
    }

    /// Puts the written pages aside. Of a heap that has joined, while its canister does not run.
    pub(crate) fn checkpoint(&self) -> io::Result<HeapCheckpoint> {
        let file = self.file()?;
        // No commit in between: either it is seen here, or it keeps what it changes.
        let _readers = file.readers();
        self.before().get_or_insert_default();
        let mut pages = BTreeMap::new();
        for range in self.written()? {
            for start in range.step_by(PAGE) {
                // SAFETY: written pages are readable; the canister does not run.
                let bytes = unsafe { self.0.window.bytes(start..start + PAGE) };
                let bytes = bytes.first_chunk().ok_or_else(out_of_memory)?;
                pages.insert(
                    start / PAGE,
                    Page::copy_of(bytes).ok_or_else(out_of_memory)?,
                );
            }
        }
        Ok(HeapCheckpoint(pages))
    }

    fn written(&self) -> io::Result<Vec<Range<usize>>> {
        let mut ranges = Vec::new();
        for run in self.0.tracker.dirty() {
            ranges.extend(self.0.window.written(run)?);
        }
        Ok(ranges)
    }

    /// Makes the bytes what they were at the checkpoint; the size stays.
    pub(crate) fn restore(&self, checkpoint: &HeapCheckpoint) -> io::Result<()> {
        let file = self.file()?;
        let _readers = file.readers();
        if self.is_condemned() {
            return Err(out_of_memory());
        }
        let before = self.before();
        for range in self.written()? {
            for start in range.step_by(PAGE) {
                let page = start / PAGE;
                let then = checkpoint.0.get(&page);
                let then = then.or_else(|| before.as_ref()?.get(&page));
                match then {
                    // SAFETY: a written page is writable, and the canister does not run.
                    Some(then) => unsafe { self.0.window.write(start, &then.bytes) },
                    None => self.0.window.discard(start..start + PAGE)?,
                }
            }
        }
        Ok(())
    }
}

/// Splits a range, so that no more than a chunk of it is held twice at a time.
fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(CHUNK)
        .map(move |start| start..end.min(start + CHUNK))
}

/// Creates the heaps of all instances of a wasmtime engine.
pub(crate) struct HeapCreator;

impl HeapCreator {
    /// Prepares the process. After the engine was made, since wasmtime's fault handler comes first.
    pub(crate) fn prepare() -> io::Result<()> {
        mapping::allow_many_files();
        faults::install()
    }
}

// SAFETY: the memory returned reserves what wasmtime asks for plus the guard, never moves, and stays mapped as
// long as wasmtime holds it. Up to `byte_size` each access succeeds, if only after the fault handler has
// opened the chunk; behind it none does.
unsafe impl MemoryCreator for HeapCreator {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let largest = if ty.is_64() {
            HEAP_BYTES_64
        } else {
            HEAP_BYTES
        };
        let reserved = reserved.unwrap_or(largest).max(largest);
        // What is reserved beyond the largest heap is never accessible.
        let heap = Heap::new(largest, reserved - largest + guard)
            .map_err(|error| format!("no memory for a heap: {error}"))?;
        let mut linear = Linear(heap.clone());
        linear.grow_to(minimum).map_err(|error| error.to_string())?;
        CREATED.set(Some(heap));
        Ok(Box::new(linear))
    }
}

/// What wasmtime holds of a heap.
struct Linear(Heap);

// SAFETY: `as_ptr` is stable for the life of the value; `byte_size` bytes from it are accessible by way of the
// fault handler, and the rest of the reservation is not.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.0.size()
    }

    fn byte_capacity(&self) -> usize {
        self.0.0.window.len()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.byte_capacity() || !new_size.is_multiple_of(WASM_PAGE) {
            wasmtime::bail!("a heap of {new_size} bytes");
        }
        // Nothing to do: the new part is inaccessible, and the fault handler opens what is touched of it.
        self.0.0.tracker.set_size(new_size.max(self.0.size()));
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.0.window.base()
    }
}

#[cfg(test)]
mod tests;
