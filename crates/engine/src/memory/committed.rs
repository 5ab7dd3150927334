//! Committed bytes of a heap: an in-memory file, and the queries that look at it.
//!
//! Bytes behind [`HeapFile::len`] have never been committed. They are zeros, which no mapping needs a file
//! for; so a heap that grows takes nothing until it is written, and a page is not held twice, in the file
//! and as a private copy, while a message first fills it.
//!
//! Before a commit changes a page of the file, every query under way gets its own copy of it
//! ([`Heap::keep`](super::linear::Heap)). The list of these is locked while a commit writes, and for a moment
//! when a query begins and when it ends; never while one runs.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    budget,
    faults::CHUNK,
    linear::Heap,
    mapping,
    pages::{PAGE, PageTree},
};

/// See the module's documentation.
pub(crate) struct HeapFile {
    file: File,
    /// Bytes that mappings show; a multiple of the page size.
    len: AtomicUsize,
    readers: Mutex<Vec<Heap>>,
    reader_left: Condvar,
}

impl HeapFile {
    /// An empty one, for a heap that may become so large.
    pub(super) fn new(capacity: usize) -> io::Result<Arc<Self>> {
        let file = mapping::memory_file(c"heap")?;
        // The file is sparse: a long one costs nothing.
        file.set_len(capacity as u64)?;
        Ok(Arc::new(Self {
            file,
            len: AtomicUsize::new(0),
            readers: Mutex::new(Vec::new()),
            reader_left: Condvar::new(),
        }))
    }

    /// One with these contents.
    pub(super) fn of(tree: &PageTree, capacity: usize) -> io::Result<Arc<Self>> {
        let file = Self::new(capacity)?;
        let mut end = 0;
        tree.for_each(|page, bytes| {
            end = (page + 1) * PAGE as u64;
            file.file.write_all_at(bytes, page * PAGE as u64)
        })?;
        let end = usize::try_from(end).map_err(io::Error::other)?;
        if end > capacity {
            return Err(io::Error::other("more than a heap may hold"));
        }
        let held = file.set_len(end.next_multiple_of(CHUNK).min(capacity));
        budget::take(held);
        Ok(file)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes that mappings show.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Shows so many bytes; returns what the file takes more of the budget now. The caller takes it.
    pub(super) fn set_len(&self, len: usize) -> u64 {
        let before = self.len.swap(len, Ordering::Relaxed);
        held(len).saturating_sub(held(before))
    }

    pub(super) fn write(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        self.file.write_all_at(bytes, offset as u64)
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: usize) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset as u64)
    }

    /// Queries under way, which can't begin or end while the result lives.
    pub(super) fn readers(&self) -> MutexGuard<'_, Vec<Heap>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for a commit that is about to change the file. Where the kernel can't make private copies
    /// for others, it waits until there are no queries.
    pub(super) fn readers_of_change(&self) -> MutexGuard<'_, Vec<Heap>> {
        let mut readers = self.readers();
        while !readers.is_empty() && !mapping::can_populate() {
            readers = self
                .reader_left
                .wait(readers)
                .unwrap_or_else(PoisonError::into_inner);
        }
        readers
    }

    pub(super) fn leave(&self, heap: &Heap) {
        self.readers().retain(|reader| !reader.is(heap));
        self.reader_left.notify_all();
    }

    /// The contents, where the budget has room for a copy.
    pub(super) fn pages(&self) -> io::Result<PageTree> {
        let mut tree = PageTree::default();
        let mut bytes = vec![0; CHUNK];
        let mut at = 0;
        while let Some(start) = self.data_from(at)? {
            let part = start..self.len().min(start + CHUNK);
            let bytes = &mut bytes[..part.len()];
            self.read(bytes, start)?;
            for (page, bytes) in (start / PAGE..).zip(bytes.chunks(PAGE)) {
                let is_empty = bytes.iter().all(|byte| *byte == 0);
                if !is_empty && !tree.write((page * PAGE) as u64, bytes) {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
            }
            at = part.end;
        }
        Ok(tree)
    }

    /// Where the next bytes that are held begin, from `offset` on.
    fn data_from(&self, offset: usize) -> io::Result<Option<usize>> {
        if offset >= self.len() {
            return Ok(None);
        }
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: moves the file's position, which nobody uses.
        let found = unsafe { libc::lseek(self.file.as_raw_fd(), offset, libc::SEEK_DATA) };
        let error = io::Error::last_os_error();
        match usize::try_from(found) {
            Ok(found) => Ok(Some(found / PAGE * PAGE).filter(|found| *found < self.len())),
            Err(_) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            Err(_) => Err(error),
        }
    }
}

/// What a file that shows so many bytes takes of the budget.
fn held(len: usize) -> u64 {
    len.next_multiple_of(CHUNK) as u64
}

impl Drop for HeapFile {
    fn drop(&mut self) {
        budget::release(held(self.len()));
    }
}
