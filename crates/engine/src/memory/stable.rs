//! Stable memory of a canister: up to 500 GiB that survive upgrades.
//!
//! Only the system API touches it, so no mapping is needed: the committed pages are a [`PageTree`], and the
//! pages that a message wrote lie over it until it commits. Growing is a number; a page that was never
//! written takes no memory, not even when it is read.
//!
//! Cost: an access copies its bytes, and looks up each page; a commit moves the written pages into the tree;
//! a rollback drops them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    WASM_PAGE,
    pages::{PAGE, Page, PageTree, parts},
};

/// Largest stable memory, in Wasm pages: 500 GiB.
pub(crate) const MAX_PAGES: u64 = 500 * 1024 * 1024 * 1024 / WASM_PAGE as u64;

/// Why an access failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StableError {
    /// It does not lie within the memory.
    OutOfBounds,
    /// The canisters of this machine hold all memory that they may hold.
    OutOfMemory,
}

/// What stable memory was when it was last committed. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct StableState {
    pub(super) tree: PageTree,
    pub(super) pages: u64,
}

/// Where the owner of a stable memory leaves its committed state for those who look at it.
#[derive(Default)]
pub(crate) struct Published(Mutex<StableState>);

impl Published {
    pub(crate) fn get(&self) -> StableState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Stable memory of one canister.
#[derive(Default)]
pub(crate) struct StableMemory {
    committed: StableState,
    pages: u64,
    /// Pages written since the last commit.
    written: BTreeMap<u64, Arc<Page>>,
}

/// Uncommitted changes, put aside.
pub(crate) struct StableCheckpoint {
    pages: u64,
    written: BTreeMap<u64, Arc<Page>>,
}

impl StableMemory {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One that was committed with these contents.
    pub(crate) fn of(committed: StableState) -> Self {
        Self {
            pages: committed.pages,
            committed,
            ..Self::default()
        }
    }

    /// Size in Wasm pages.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// The committed state.
    pub(crate) fn committed(&self) -> &StableState {
        &self.committed
    }

    /// Grows by so many Wasm pages, and returns the size before; `None` where there is no room.
    pub(crate) fn grow(&mut self, by: u64) -> Option<u64> {
        let before = self.pages;
        self.pages = before.checked_add(by).filter(|pages| *pages <= MAX_PAGES)?;
        Some(before)
    }

    fn check(&self, offset: u64, len: usize) -> Result<(), StableError> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.pages * WASM_PAGE as u64) {
            return Err(StableError::OutOfBounds);
        }
        Ok(())
    }

    /// Copies bytes out.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), StableError> {
        self.check(offset, to.len())?;
        if self.written.is_empty() {
            self.committed.tree.read(offset, to);
            return Ok(());
        }
        for (page, within, part) in parts(offset, to.len()) {
            let to = &mut to[part];
            let written = self.written.get(&page).map(|page| &page.bytes);
            match written.or_else(|| self.committed.tree.get(page)) {
                Some(bytes) => to.copy_from_slice(&bytes[within..within + to.len()]),
                None => to.fill(0),
            }
        }
        Ok(())
    }

    /// Copies bytes in.
    pub(crate) fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), StableError> {
        self.check(offset, from.len())?;
        for (page, within, part) in parts(offset, from.len()) {
            let from = &from[part];
            let bytes = self.edit(page).ok_or(StableError::OutOfMemory)?;
            bytes[within..within + from.len()].copy_from_slice(from);
        }
        Ok(())
    }

    /// The message's own copy of a page, made when it first writes it.
    fn edit(&mut self, page: u64) -> Option<&mut [u8; PAGE]> {
        use std::collections::btree_map::Entry;
        let slot = match self.written.entry(page) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(Arc::new(match self.committed.tree.get(page) {
                Some(bytes) => Page::copy_of(bytes)?,
                None => Page::zeroed()?,
            })),
        };
        // A checkpoint may hold it too.
        if Arc::get_mut(slot).is_none() {
            *slot = Arc::new(Page::copy_of(&slot.bytes)?);
        }
        Arc::get_mut(slot).map(|page| &mut page.bytes)
    }

    /// Makes what was written permanent, and shows it to those who look at `published`.
    pub(crate) fn commit(&mut self, published: &Published) {
        let mut shown = published.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Held by nobody else, nodes are changed in place.
        *shown = StableState::default();
        for (page, bytes) in std::mem::take(&mut self.written) {
            self.committed.tree.set(page, bytes);
        }
        self.committed.pages = self.pages;
        *shown = self.committed.clone();
    }

    /// Forgets what was written and grown since the last commit.
    pub(crate) fn rollback(&mut self) {
        self.written.clear();
        self.pages = self.committed.pages;
    }

    /// Puts the uncommitted changes aside.
    pub(crate) fn checkpoint(&self) -> StableCheckpoint {
        StableCheckpoint {
            pages: self.pages,
            written: self.written.clone(),
        }
    }

    /// Makes them what they were then.
    pub(crate) fn restore(&mut self, checkpoint: &StableCheckpoint) {
        self.pages = checkpoint.pages;
        self.written.clone_from(&checkpoint.written);
    }
}
