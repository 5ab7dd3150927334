//! Which chunks of a heap a message touches, told by page faults.
//!
//! Between messages the committed part of a heap is read-only, and the rest inaccessible. The first touch
//! of a chunk ([`CHUNK`]) that this does not allow raises SIGSEGV; the handler marks the chunk, reserves it
//! in the budget, makes it readable and writable, and lets the instruction run again. A commit or a rollback
//! then asks the kernel about the marked chunks only.
//!
//! - The handler is installed after wasmtime's and runs before it. Faults that are not ours (beyond the size
//!   of a heap, or anywhere else) go on to wasmtime's, which makes traps of those that Wasm code raised.
//! - It may run on any thread and in the middle of anything, so it takes no lock and allocates nothing: the
//!   heaps stand in a fixed table whose entries are read like a seqlock.
//! - It can't refuse a touch: the code that faulted may be the host's. Where the budget has no room, the
//!   chunk is mapped to a *sink*, one piece of memory that all such chunks of a heap share, and the heap is
//!   *condemned*: whatever the message computes from then on is thrown away.
//!
//! Cost: opening a chunk takes up to 0.1 ms, once per chunk and message; finding the heap is linear in the
//! number of heaps of the process.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    fs::File,
    io,
    mem::MaybeUninit,
    ops::Range,
    os::fd::{AsRawFd as _, IntoRawFd as _},
    ptr,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use super::{budget, mapping};

/// Unit in which heaps are tracked, in bytes.
pub(super) const CHUNK: usize = 2 << 20;
/// Largest heap that can be tracked: that of a 64-bit module.
pub(super) const MAX_BYTES: usize = 6 << 30;
const WORDS: usize = MAX_BYTES / CHUNK / 64;
/// Heaps that a process can have, those of queries included.
const MAX_HEAPS: usize = 8192;

/// What is known of a heap's chunks. The signal handler and the threads that commit share it.
pub(super) struct Tracker {
    base: usize,
    /// Accessible bytes, from the base.
    size: AtomicUsize,
    /// A bit for each chunk that has been made writable since the last commit or rollback.
    dirty: [AtomicU64; WORDS],
    /// Bytes reserved in the budget for dirty chunks.
    reserved: AtomicU64,
    condemned: AtomicBool,
    /// Index in the table of heaps.
    slot: AtomicUsize,
}

impl Tracker {
    pub(super) fn new(base: *mut u8) -> Self {
        Self {
            base: base as usize,
            size: AtomicUsize::new(0),
            dirty: [const { AtomicU64::new(0) }; WORDS],
            reserved: AtomicU64::new(0),
            condemned: AtomicBool::new(false),
            slot: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn set_size(&self, size: usize) {
        assert!(size <= MAX_BYTES);
        self.size.store(size, Ordering::Relaxed);
    }

    /// The budget had no room for what the message touched: its result counts for nothing.
    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Relaxed)
    }

    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
    }

    /// Marks a chunk; false where the budget has no room for it.
    fn mark(&self, chunk: usize) -> bool {
        let bit = 1 << (chunk % 64);
        if self.dirty[chunk / 64].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return true;
        }
        let granted = !self.is_condemned() && budget::reserve(CHUNK as u64);
        if granted {
            self.reserved.fetch_add(CHUNK as u64, Ordering::Relaxed);
        }
        granted
    }

    /// Marks the chunks of a range, and makes the range writable; condemns the heap where the budget has no
    /// room. For threads other than the one that runs the canister.
    pub(super) fn open(&self, range: &Range<usize>) -> io::Result<()> {
        for chunk in range.start / CHUNK..range.end.div_ceil(CHUNK) {
            if !self.mark(chunk) {
                self.condemn();
                return Ok(());
            }
        }
        self.protect(range, libc::PROT_READ | libc::PROT_WRITE)
    }

    fn protect(&self, range: &Range<usize>, protection: i32) -> io::Result<()> {
        // SAFETY: a part of the heap, which this tracker's owner has mapped as long as the tracker lives.
        let result = unsafe {
            libc::mprotect(
                ptr::with_exposed_provenance_mut(self.base + range.start),
                range.len(),
                protection,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Makes the chunk at this offset accessible; false where the heap ends before it.
    fn admit(&self, offset: usize) -> bool {
        let size = self.size();
        if offset >= size {
            return false;
        }
        let chunk = offset / CHUNK;
        let range = chunk * CHUNK..size.min((chunk + 1) * CHUNK);
        if !self.mark(chunk) {
            self.condemn();
            return self.sink(&range);
        }
        if self
            .protect(&range, libc::PROT_READ | libc::PROT_WRITE)
            .is_ok()
        {
            return true;
        }
        // The process may have too many mappings: one with one protection takes fewer.
        for word in 0..size.div_ceil(CHUNK).div_ceil(64) {
            let chunks = size.div_ceil(CHUNK) - word * 64;
            let mask = if chunks >= 64 {
                u64::MAX
            } else {
                (1 << chunks) - 1
            };
            let before = self.dirty[word].fetch_or(mask, Ordering::Relaxed);
            let bytes = u64::from((mask & !before).count_ones()) * CHUNK as u64;
            budget::take(bytes);
            self.reserved.fetch_add(bytes, Ordering::Relaxed);
        }
        self.protect(&(0..size), libc::PROT_READ | libc::PROT_WRITE)
            .is_ok()
    }

    /// Maps a chunk to the heap's sink.
    fn sink(&self, range: &Range<usize>) -> bool {
        let slot = self.slot.load(Ordering::Relaxed);
        let (Ok(offset), file) = (i64::try_from(slot * CHUNK), SINKS.load(Ordering::Relaxed))
        else {
            return false;
        };
        // SAFETY: replaces a part of the heap; the sink is as long as the table of heaps.
        let placed = unsafe {
            libc::mmap(
                ptr::with_exposed_provenance_mut(self.base + range.start),
                range.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                file,
                offset,
            )
        };
        placed != libc::MAP_FAILED
    }

    /// Marked chunks, joined where they touch, as far as they are accessible.
    pub(super) fn dirty(&self) -> Vec<Range<usize>> {
        let size = self.size();
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (word, bits) in self.dirty.iter().enumerate() {
            let mut bits = bits.load(Ordering::Relaxed);
            while bits != 0 {
                let chunk = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let range = chunk * CHUNK..size.min((chunk + 1) * CHUNK);
                match runs.last_mut() {
                    _ if range.is_empty() => {}
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => runs.push(range),
                }
            }
        }
        runs
    }

    /// Forgets all marks, and returns the bytes that were reserved for them; the caller releases them.
    pub(super) fn clear(&self) -> u64 {
        for word in &self.dirty {
            word.store(0, Ordering::Relaxed);
        }
        if self.condemned.swap(false, Ordering::Relaxed) {
            self.empty_sink();
        }
        self.reserved.swap(0, Ordering::Relaxed)
    }

    fn empty_sink(&self) {
        let slot = self.slot.load(Ordering::Relaxed);
        if let (Ok(offset), Ok(len)) = (i64::try_from(slot * CHUNK), i64::try_from(CHUNK)) {
            // SAFETY: frees memory of a file that nothing maps at this offset any more.
            unsafe {
                libc::fallocate(
                    SINKS.load(Ordering::Relaxed),
                    libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                    offset,
                    len,
                )
            };
        }
    }
}

/// A tracker that the signal handler knows, until this is dropped.
pub(super) struct Registered {
    tracker: Box<Tracker>,
}

impl Registered {
    /// Lets the handler take care of `window` bytes from the tracker's base. The memory must stay mapped
    /// until the result is dropped.
    pub(super) fn new(tracker: Tracker, window: usize) -> io::Result<Self> {
        let tracker = Box::new(tracker);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match free.pop() {
            Some(slot) => slot,
            None => {
                let next = IN_USE.load(Ordering::Relaxed);
                if next == MAX_HEAPS {
                    return Err(io::Error::other("too many heaps"));
                }
                IN_USE.store(next + 1, Ordering::Release);
                next
            }
        };
        drop(free);
        tracker.slot.store(slot, Ordering::Relaxed);
        TABLE[slot].set(tracker.base..tracker.base + window, &raw const *tracker);
        Ok(Self { tracker })
    }
}

impl std::ops::Deref for Registered {
    type Target = Tracker;

    fn deref(&self) -> &Tracker {
        &self.tracker
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let slot = self.tracker.slot.load(Ordering::Relaxed);
        TABLE[slot].set(0..0, ptr::null());
        FREE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(slot);
        budget::release(self.tracker.clear());
    }
}

/// Slots of the table that were used and are free again.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Slots from here on have never been used.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static TABLE: [Slot; MAX_HEAPS] = [const { Slot::empty() }; MAX_HEAPS];
/// File of the sinks, one for each slot.
static SINKS: AtomicI32 = AtomicI32::new(-1);

/// A registered heap. Only the holder of the slot changes it; the handler reads it at any time.
struct Slot {
    /// Odd while the slot changes.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    tracker: AtomicPtr<Tracker>,
}

impl Slot {
    const fn empty() -> Self {
        Self {
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            tracker: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn set(&self, range: Range<usize>, tracker: *const Tracker) {
        self.version.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(range.start, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        self.tracker.store(tracker.cast_mut(), Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The tracker, if it is that of a heap around this address.
    fn find(&self, address: usize) -> Option<*const Tracker> {
        let version = self.version.load(Ordering::Acquire);
        let range = self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed);
        let tracker = self.tracker.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        // A slot that changes is not the one of a heap that somebody is using.
        let stable = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        (stable && range.contains(&address)).then_some(tracker.cast_const())
    }
}

/// The action for SIGSEGV before ours.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once, before the handler that reads it is installed.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::zeroed()));

/// Installs the handler, once, and what it needs. wasmtime's must have been installed before.
pub(super) fn install() -> io::Result<()> {
    static INSTALLED: Once = Once::new();
    let mut result = Ok(());
    INSTALLED.call_once(|| result = try_install());
    result
}

fn try_install() -> io::Result<()> {
    budget::prepare();
    let sinks: File = mapping::memory_file(c"sinks")?;
    sinks.set_len((MAX_HEAPS * CHUNK) as u64)?;
    // Kept for the life of the process.
    SINKS.store(sinks.into_raw_fd().as_raw_fd(), Ordering::Relaxed);
    // SAFETY: a zeroed action is valid and then filled; the previous one is stored before the handler, which
    // reads it, can run: the first call only asks.
    unsafe {
        if libc::sigaction(libc::SIGSEGV, ptr::null(), PREVIOUS.0.get().cast()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        action.sa_sigaction = on_fault as *const () as usize;
        libc::sigemptyset(&raw mut action.sa_mask);
        if libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    /// The mapping does not allow the access (`asm-generic/siginfo.h`).
    const SEGV_ACCERR: i32 = 2;
    // SAFETY: the kernel passes a valid siginfo; of SIGSEGV with this code it has an address.
    let address = unsafe {
        match (*info).si_code {
            SEGV_ACCERR => Some((*info).si_addr() as usize),
            _ => None,
        }
    };
    if let Some(address) = address {
        // SAFETY: the thread's own errno, which the interrupted code may be about to read.
        let errno = unsafe { *libc::__errno_location() };
        let admitted = TABLE[..IN_USE.load(Ordering::Acquire)]
            .iter()
            .find_map(|slot| slot.find(address))
            // SAFETY: the interrupted code uses the memory around this address, so its owner lives, and
            // with it the tracker.
            .is_some_and(|tracker| unsafe { (*tracker).admit(address - (*tracker).base) });
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
        if admitted {
            return;
        }
    }
    // SAFETY: hands the signal to whoever had it before, as that action asks for it.
    unsafe {
        let previous = (*PREVIOUS.0.get()).assume_init();
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                std::mem::transmute(previous.sa_sigaction);
            handler(signal, info, context);
        } else if matches!(previous.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            // The instruction runs again, and the process ends as it would have.
            libc::sigaction(signal, &raw const previous, ptr::null_mut());
        } else {
            let handler: extern "C" fn(libc::c_int) = std::mem::transmute(previous.sa_sigaction);
            handler(signal);
        }
    }
}
