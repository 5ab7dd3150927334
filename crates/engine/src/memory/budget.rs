//! How much memory all canisters of this process may hold together.
//!
//! Counted are the committed bytes of heaps and stable memories, the private copies that messages under way
//! make of them, and images. Heaps are counted in chunks ([`super::faults::CHUNK`]), which is more than they
//! take, never less; everything else in pages.
//!
//! Beyond the limit a message that touches more memory fails, and the canister is as it was before: the
//! machine's own remedy would be to end the process, and every canister with it.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// 0 until it is first asked for.
static LIMIT: AtomicU64 = AtomicU64::new(0);
static USED: AtomicU64 = AtomicU64::new(0);

/// Bounds the memory of all canisters of this process, in bytes. Three quarters of the machine's by default.
pub fn limit_memory(bytes: u64) {
    LIMIT.store(bytes.max(1), Ordering::Relaxed);
}

/// Bytes that the canisters of this process hold now, by the rules of the budget.
pub fn memory_held() -> u64 {
    USED.load(Ordering::Relaxed)
}

/// Sets the default limit, unless there is one. Before anything is reserved in a signal handler.
pub(super) fn prepare() {
    if LIMIT.load(Ordering::Relaxed) == 0 {
        let _ = LIMIT.compare_exchange(0, default_limit(), Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn default_limit() -> u64 {
    // SAFETY: sysconf only reads.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    let machine = u64::try_from(pages)
        .unwrap_or(u64::MAX >> 16)
        .saturating_mul(super::mapping::page_size() as u64);
    // A container may have less than its machine.
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX);
    machine.min(container) / 4 * 3
}

/// Takes so many bytes, where they are left. Safe in a signal handler.
pub(super) fn reserve(bytes: u64) -> bool {
    let limit = match LIMIT.load(Ordering::Relaxed) {
        0 => u64::MAX,
        limit => limit,
    };
    USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(bytes).filter(|sum| *sum <= limit)
    })
    .is_ok()
}

/// Takes so many bytes in any case: for what can't fail, such as a commit.
pub(super) fn take(bytes: u64) {
    USED.fetch_add(bytes, Ordering::Relaxed);
}

/// Gives bytes back.
pub(super) fn release(bytes: u64) {
    USED.fetch_sub(bytes, Ordering::Relaxed);
}

/// Bytes that were taken, and come back when this is dropped.
#[derive(Debug)]
pub(super) struct Charge(u64);

impl Charge {
    /// Takes so many bytes, where they are left.
    pub(super) fn reserve(bytes: u64) -> Option<Self> {
        reserve(bytes).then(|| Self(bytes))
    }

    /// Takes so many bytes in any case.
    pub(super) fn take(bytes: u64) -> Self {
        take(bytes);
        Self(bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        release(self.0);
    }
}
