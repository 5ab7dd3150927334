//! A private mapping of an in-memory file: the one place that maps, protects and unmaps.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    ops::Range,
    os::{
        fd::{AsRawFd as _, FromRawFd as _},
        unix::fs::FileExt as _,
    },
    ptr,
    sync::{Arc, OnceLock},
};

use super::pagemap;

/// Size of a page of this machine, in bytes.
pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf only reads.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    })
}

/// `window` bytes of a file, mapped privately, followed by `guard` bytes that can't be touched.
///
/// Nothing of the window is accessible until [`PrivateMapping::allow`] is called for it.
pub(super) struct PrivateMapping {
    base: *mut u8,
    window: usize,
    guard: usize,
    file: Arc<File>,
}

// SAFETY: the mapping is memory that this value owns alone (invariant 1); the pointer is valid on every
// thread, and every method that writes memory or protection takes care of its range only.
unsafe impl Send for PrivateMapping {}
// SAFETY: as above; the bytes themselves are only touched by the thread that runs the canister (invariant 2).
unsafe impl Sync for PrivateMapping {}

impl PrivateMapping {
    /// Maps a new, empty file; `window` and `guard` are multiples of the page size.
    pub(super) fn new(window: usize, guard: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; the descriptor is checked before it is owned.
        let fd = unsafe { libc::memfd_create(c"canister".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else has.
        let file = unsafe { File::from_raw_fd(fd) };
        Self::of(Arc::new(file), window, guard)
    }

    /// Maps a file that another mapping shows already.
    pub(super) fn of(file: Arc<File>, window: usize, guard: usize) -> io::Result<Self> {
        if file.metadata()?.len() < window as u64 {
            // The file is sparse: a long one costs nothing.
            file.set_len(window as u64)?;
        }
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                window + guard,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Self {
            base: base.cast(),
            window,
            guard,
            file,
        };
        if window > 0 {
            // SAFETY: replaces the first part of the mapping just made, which nobody uses yet.
            let placed = unsafe {
                libc::mmap(
                    base,
                    window,
                    libc::PROT_NONE,
                    libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
                    mapping.file.as_raw_fd(),
                    0,
                )
            };
            if placed == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(mapping)
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Makes a page-aligned part of the window readable and writable.
    pub(super) fn allow(&self, range: Range<usize>) -> io::Result<()> {
        assert!(range.start <= range.end && range.end <= self.window);
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: within the window (asserted), which this value owns.
        let result = unsafe {
            libc::mprotect(
                self.base.add(range.start).cast(),
                range.len(),
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Written parts of the first `len` bytes, in order.
    pub(super) fn written(&self, len: usize) -> io::Result<Vec<Range<usize>>> {
        assert!(len <= self.window);
        let start = self.base as usize;
        pagemap::written(start..start + len)
    }

    /// Writes these ranges to the file and drops their private copies.
    pub(super) fn write_back(&self, ranges: &[Range<usize>]) -> io::Result<()> {
        for range in ranges {
            assert!(range.end <= self.window);
            // SAFETY: the kernel listed these pages as written, so they are mapped and readable, and no
            // Wasm code runs (invariant 2).
            let bytes =
                unsafe { std::slice::from_raw_parts(self.base.add(range.start), range.len()) };
            self.file.write_all_at(bytes, range.start as u64)?;
        }
        self.discard(ranges)
    }

    /// Drops the private copies of these ranges: the file's bytes show again.
    pub(super) fn discard(&self, ranges: &[Range<usize>]) -> io::Result<()> {
        for range in ranges {
            assert!(range.end <= self.window);
            // SAFETY: within the window; on a private file mapping MADV_DONTNEED restores the file's bytes.
            let result = unsafe {
                libc::madvise(
                    self.base.add(range.start).cast(),
                    range.len(),
                    libc::MADV_DONTNEED,
                )
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Makes the window larger; the mapping may move. Private copies are kept, and the new part is
    /// accessible as the old one is, so all of the window must have been allowed. Not with a guard.
    pub(super) fn enlarge(&mut self, window: usize) -> io::Result<()> {
        assert!(window >= self.window && self.guard == 0 && self.window > 0);
        self.file.set_len(window as u64)?;
        // SAFETY: `base` and `window` are those of one mapping that this value owns; nobody holds a
        // pointer into it (`&mut self`).
        let moved =
            unsafe { libc::mremap(self.base.cast(), self.window, window, libc::MREMAP_MAYMOVE) };
        if moved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.base = moved.cast();
        self.window = window;
        Ok(())
    }
}

impl Drop for PrivateMapping {
    fn drop(&mut self) {
        // SAFETY: unmaps what this value owns, for the only time.
        unsafe { libc::munmap(self.base.cast(), self.window + self.guard) };
    }
}
