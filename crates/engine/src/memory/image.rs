//! The memories of a canister as a value: what a snapshot keeps.
//!
//! Pages are shared where they can be: an image of a stable memory, and copies of images, cost nothing until
//! one side changes. Pages of zeros are not held.

use std::io;

use super::{
    WASM_PAGE,
    committed::HeapFile,
    linear::Heap,
    pages::{CAPACITY, PAGE, PageTree},
    stable::{MAX_PAGES, StableError, StableState},
};

/// Value of a mutable global; floats by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalValue {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
}

/// See the module's documentation.
#[derive(Clone, Default)]
pub(crate) struct Image {
    heap: PageTree,
    heap_len: u64,
    stable: StableState,
    /// Mutable globals, in the order of the module.
    pub(crate) globals: Vec<GlobalValue>,
}

impl Image {
    /// Of committed memories.
    pub(crate) fn of(
        heap: Option<&Heap>,
        heap_len: usize,
        stable: &StableState,
        globals: Vec<GlobalValue>,
    ) -> io::Result<Self> {
        Ok(Self {
            heap: match heap {
                Some(heap) => heap.file()?.pages()?,
                None => PageTree::default(),
            },
            heap_len: heap_len as u64,
            stable: stable.clone(),
            globals,
        })
    }

    /// A new file with the heap's bytes.
    pub(crate) fn heap_file(&self, heap: &Heap) -> io::Result<std::sync::Arc<HeapFile>> {
        HeapFile::of(&self.heap, heap.size())
    }

    pub(crate) fn stable(&self) -> &StableState {
        &self.stable
    }

    /// Size of the heap, in bytes.
    pub(crate) fn heap_len(&self) -> u64 {
        self.heap_len
    }

    /// Size of the stable memory, in bytes.
    pub(crate) fn stable_len(&self) -> u64 {
        self.stable.pages * WASM_PAGE as u64
    }

    /// Makes the heap so many bytes long: whole Wasm pages, at most what any module can have.
    pub(crate) fn resize_heap(&mut self, len: u64) -> Result<(), StableError> {
        if !len.is_multiple_of(WASM_PAGE as u64) || len > CAPACITY {
            return Err(StableError::OutOfBounds);
        }
        if len < self.heap_len {
            self.heap.truncate(len / PAGE as u64);
        }
        self.heap_len = len;
        Ok(())
    }

    /// Makes the stable memory so many bytes long: whole Wasm pages.
    pub(crate) fn resize_stable(&mut self, len: u64) -> Result<(), StableError> {
        let pages = len / WASM_PAGE as u64;
        if !len.is_multiple_of(WASM_PAGE as u64) || pages > MAX_PAGES {
            return Err(StableError::OutOfBounds);
        }
        if pages < self.stable.pages {
            self.stable.tree.truncate(len / PAGE as u64);
        }
        self.stable.pages = pages;
        Ok(())
    }

    /// `len` bytes of the heap.
    pub(crate) fn read_heap(&self, offset: u64, len: usize) -> Result<Vec<u8>, StableError> {
        read(&self.heap, self.heap_len, offset, len)
    }

    /// Changes the heap.
    pub(crate) fn write_heap(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StableError> {
        write(&mut self.heap, self.heap_len, offset, bytes)
    }

    /// `len` bytes of the stable memory.
    pub(crate) fn read_stable(&self, offset: u64, len: usize) -> Result<Vec<u8>, StableError> {
        read(&self.stable.tree, self.stable_len(), offset, len)
    }

    /// Changes the stable memory.
    pub(crate) fn write_stable(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StableError> {
        let len = self.stable_len();
        write(&mut self.stable.tree, len, offset, bytes)
    }
}

fn check(size: u64, offset: u64, len: usize) -> Result<(), StableError> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(StableError::OutOfBounds),
    }
}

fn read(tree: &PageTree, size: u64, offset: u64, len: usize) -> Result<Vec<u8>, StableError> {
    check(size, offset, len)?;
    let mut bytes = vec![0; len];
    tree.read(offset, &mut bytes);
    Ok(bytes)
}

fn write(tree: &mut PageTree, size: u64, offset: u64, bytes: &[u8]) -> Result<(), StableError> {
    check(size, offset, bytes.len())?;
    if tree.write(offset, bytes) {
        Ok(())
    } else {
        Err(StableError::OutOfMemory)
    }
}
