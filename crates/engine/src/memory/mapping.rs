//! A window of addresses, parts of which show an in-memory file: the one place that maps and unmaps.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    fs::File,
    io,
    ops::Range,
    os::fd::{AsRawFd as _, FromRawFd as _},
    ptr,
    sync::OnceLock,
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

/// A new, empty file in memory.
pub(super) fn memory_file(name: &CStr) -> io::Result<File> {
    // SAFETY: the name is a C string; the descriptor is checked before it is owned.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else has.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Each heap has a file: allows as many as the process may have at all.
pub(super) fn allow_many_files() {
    // SAFETY: the struct is filled by the first call and read by the second.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// With huge pages the kernel would report 2 MiB as written where one byte was; kernels that have none refuse
/// this. All parts of a window are treated alike, so that they can be one mapping.
fn no_huge_pages(at: *mut libc::c_void, len: usize) {
    // SAFETY: advice about a part that was just mapped; it changes no byte.
    unsafe { libc::madvise(at, len, libc::MADV_NOHUGEPAGE) };
}

/// `window` bytes of address space, followed by `guard` bytes that can never be touched.
///
/// Nothing of the window is accessible at first.
pub(super) struct Window {
    base: *mut u8,
    window: usize,
    guard: usize,
}

// SAFETY: the mapping is memory that this value owns alone (invariant 1); the pointer is valid on every
// thread, and every method takes care of its range only.
unsafe impl Send for Window {}
// SAFETY: as above; the bytes themselves are only touched as invariant 2 allows.
unsafe impl Sync for Window {}

impl Window {
    /// Reserves addresses; `window` and `guard` are multiples of the page size.
    pub(super) fn new(window: usize, guard: usize) -> io::Result<Self> {
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
        no_huge_pages(base, window + guard);
        Ok(Self {
            base: base.cast(),
            window,
            guard,
        })
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.window
    }

    fn at(&self, range: &Range<usize>) -> *mut libc::c_void {
        assert!(range.start <= range.end && range.end <= self.window);
        // SAFETY: within the window (asserted), which this value owns.
        unsafe { self.base.add(range.start).cast() }
    }

    fn place(
        &self,
        range: &Range<usize>,
        protection: i32,
        flags: i32,
        fd: i32,
        offset: usize,
    ) -> io::Result<()> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: replaces a part of the window (asserted in `at`).
        let placed = unsafe {
            libc::mmap(
                self.at(range),
                range.len(),
                protection,
                flags | libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
                fd,
                offset,
            )
        };
        if placed == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        no_huge_pages(placed, range.len());
        Ok(())
    }

    /// Makes a range empty and inaccessible.
    pub(super) fn map_nothing(&self, range: Range<usize>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        self.place(&range, libc::PROT_NONE, libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Shows the bytes of the file at the same offsets, to be read.
    pub(super) fn map_file(&self, range: Range<usize>, file: &File) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let both = libc::PROT_READ | libc::PROT_WRITE;
        self.place(&range, both, 0, file.as_raw_fd(), range.start)?;
        // The first private page gives the mapping the structure by which the kernel tells whether parts with
        // equal protection can be one mapping again. Made once for the whole, it stays the same in all parts,
        // so that mappings don't add up however often chunks are opened and closed.
        // SAFETY: the first byte of the range just mapped, which nobody else uses yet.
        unsafe {
            let first: *mut u8 = self.at(&range).cast();
            first.write_volatile(first.read_volatile());
        }
        self.discard(range.start..range.start + page_size())?;
        self.protect(range)
    }

    /// Allows nothing but reading.
    pub(super) fn protect(&self, range: Range<usize>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: within the window.
        checked(unsafe { libc::mprotect(self.at(&range), range.len(), libc::PROT_READ) })
    }

    /// Allows reading and writing.
    #[cfg(test)]
    pub(super) fn allow(&self, range: Range<usize>) -> io::Result<()> {
        let both = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: within the window.
        checked(unsafe { libc::mprotect(self.at(&range), range.len(), both) })
    }

    /// Drops the private copies of a range: the file's bytes show again.
    pub(super) fn discard(&self, range: Range<usize>) -> io::Result<()> {
        // SAFETY: within the window; on a private file mapping MADV_DONTNEED restores the file's bytes.
        checked(unsafe { libc::madvise(self.at(&range), range.len(), libc::MADV_DONTNEED) })
    }

    /// Makes private copies of all pages of a writable range, as if each had been written.
    pub(super) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        // SAFETY: within the window; the bytes stay what they are.
        checked(unsafe { libc::madvise(self.at(&range), range.len(), libc::MADV_POPULATE_WRITE) })
    }

    /// Written parts of a range, in order.
    pub(super) fn written(&self, range: Range<usize>) -> io::Result<Vec<Range<usize>>> {
        let start = self.at(&range) as usize;
        let mut ranges = pagemap::written(start..start + range.len())?;
        for part in &mut ranges {
            *part = part.start + range.start..part.end + range.start;
        }
        Ok(ranges)
    }

    /// Bytes of a readable range.
    ///
    /// # Safety
    /// The range is readable, and nobody writes it as long as the result lives.
    pub(super) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: within the window; the rest is the caller's.
        unsafe { std::slice::from_raw_parts(self.at(&range).cast(), range.len()) }
    }

    /// Copies bytes in.
    ///
    /// # Safety
    /// The range is writable, or becomes so by the fault handler, and nobody else touches it.
    pub(super) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(&(offset..offset + bytes.len()));
        // SAFETY: within the window; the rest is the caller's.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), bytes.len()) }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: unmaps what this value owns, for the only time.
        unsafe { libc::munmap(self.base.cast(), self.window + self.guard) };
    }
}

/// Whether this kernel can make private copies on demand (Linux 5.14).
pub(super) fn can_populate() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let try_it = || {
            let file = memory_file(c"probe")?;
            file.set_len(page_size() as u64)?;
            let window = Window::new(page_size(), 0)?;
            let both = libc::PROT_READ | libc::PROT_WRITE;
            window.place(&(0..page_size()), both, 0, file.as_raw_fd(), 0)?;
            window.populate(0..page_size())
        };
        try_it().is_ok()
    })
}
