//! Committed bytes of a heap: an in-memory file, and the queries that look at it.
//!
//! What lies outside of [`HeapFile::spans`] has never been committed. It is zeros, which no mapping needs a
//! file for; so a heap that grows takes nothing until it is written, not even when it is read, and a page is
//! not held twice, in the file and as a private copy, while a message first fills it.
//!
//! Before a commit changes a page of the file, every query under way gets its own copy of it
//! ([`Heap::keep`](super::linear::Heap)). The list of these is locked while a commit writes, and for a moment
//! when a query begins and when it ends; never while one runs.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    budget,
    faults::CHUNK,
    linear::Heap,
    mapping,
    pages::{PAGE, PageTree},
    spans::Spans,
};

/// See the module's documentation.
pub(crate) struct HeapFile {
    file: File,
    /// What mappings show.
    spans: Mutex<Arc<Spans>>,
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
            spans: Mutex::default(),
            readers: Mutex::new(Vec::new()),
            reader_left: Condvar::new(),
        }))
    }

    /// One with these contents.
    pub(super) fn of(tree: &PageTree, capacity: usize) -> io::Result<Arc<Self>> {
        let file = Self::new(capacity)?;
        let mut spans = Spans::default();
        tree.for_each(|page, bytes| {
            let start = usize::try_from(page).map_err(io::Error::other)? * PAGE;
            if start + PAGE > capacity {
                return Err(io::Error::other("more than a heap may hold"));
            }
            spans.add(&(start..start + PAGE), capacity);
            file.write(bytes, start)
        })?;
        spans.limit();
        budget::take(file.set_spans(spans.into()));
        Ok(file)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What mappings show.
    pub(super) fn spans(&self) -> Arc<Spans> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows more; returns what the file takes more of the budget now. The caller takes it.
    pub(super) fn set_spans(&self, spans: Arc<Spans>) -> u64 {
        let held = spans.held();
        let mut own = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *own, spans);
        held.saturating_sub(before.held())
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
        let end = self.spans().end();
        let mut at = 0;
        while let Some(start) = self.data_from(at, end)? {
            let part = start..end.min(start + CHUNK);
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

    /// Where the next bytes that are held begin, from `offset` on and before `end`.
    fn data_from(&self, offset: usize, end: usize) -> io::Result<Option<usize>> {
        if offset >= end {
            return Ok(None);
        }
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: moves the file's position, which nobody uses.
        let found = unsafe { libc::lseek(self.file.as_raw_fd(), offset, libc::SEEK_DATA) };
        let error = io::Error::last_os_error();
        match usize::try_from(found) {
            Ok(found) => Ok(Some(found / PAGE * PAGE).filter(|found| *found < end)),
            Err(_) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            Err(_) => Err(error),
        }
    }
}

impl Drop for HeapFile {
    fn drop(&mut self) {
        budget::release(self.spans().held());
    }
}
