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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(memory: &StableMemory, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        memory.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn commits_stay_and_everything_since_is_rolled_back() {
        let published = Published::default();
        let mut memory = StableMemory::new();
        assert_eq!(memory.grow(1), Some(0));
        memory.write(10, b"kept").unwrap();
        memory.commit(&published);

        memory.write(10, b"lost").unwrap();
        assert_eq!(memory.grow(100), Some(1));
        memory.write(100 * WASM_PAGE as u64, b"lost").unwrap();
        memory.rollback();

        assert_eq!(memory.pages(), 1);
        assert_eq!(read(&memory, 10, 4), b"kept");
        // What a failed message wrote behind the end does not come back with the next growth.
        memory.grow(100).unwrap();
        assert_eq!(read(&memory, 100 * WASM_PAGE as u64, 4), [0; 4]);
    }

    #[test]
    fn half_a_tebibyte_can_be_grown_and_used_at_both_ends() {
        let published = Published::default();
        let mut memory = StableMemory::new();
        assert_eq!(memory.grow(MAX_PAGES), Some(0));
        let end = MAX_PAGES * WASM_PAGE as u64;
        memory.write(0, b"first").unwrap();
        memory.write(end - 4, b"last").unwrap();
        memory.commit(&published);
        memory.rollback();
        assert_eq!(read(&memory, 0, 5), b"first");
        assert_eq!(read(&memory, end - 4, 4), b"last");
        assert_eq!(memory.grow(1), None);
    }

    #[test]
    fn nothing_beyond_the_end_can_be_touched() {
        let mut memory = StableMemory::new();
        assert_eq!(memory.write(0, b"x"), Err(StableError::OutOfBounds));
        assert_eq!(memory.read(0, &mut []), Ok(()));
        memory.grow(1).unwrap();
        let end = WASM_PAGE as u64;
        assert_eq!(memory.write(end - 1, b"xy"), Err(StableError::OutOfBounds));
        assert_eq!(
            memory.read(u64::MAX, &mut [0]),
            Err(StableError::OutOfBounds)
        );
        assert_eq!(memory.grow(MAX_PAGES), None);
        assert_eq!(memory.pages(), 1);
    }

    const SIZE: usize = 3 * WASM_PAGE;

    proptest! {
        #[test]
        fn a_reader_keeps_the_state_that_it_took_and_a_checkpoint_comes_back(
            steps in proptest::collection::vec((0..6_u8, 0..SIZE, 1..3 * PAGE, 1..=255_u8), 1..80)
        ) {
            let published = Published::default();
            let mut memory = StableMemory::new();
            memory.grow(SIZE as u64 / WASM_PAGE as u64).unwrap();
            memory.commit(&published);
            let mut bytes = vec![0; SIZE];
            let mut committed = bytes.clone();
            let mut checkpoint = (memory.checkpoint(), bytes.clone());
            let mut readers = Vec::new();
            for (step, at, len, value) in steps {
                match step {
                    0 => {
                        memory.commit(&published);
                        committed.clone_from(&bytes);
                        checkpoint = (memory.checkpoint(), bytes.clone());
                    }
                    1 => {
                        memory.rollback();
                        bytes.clone_from(&committed);
                        checkpoint = (memory.checkpoint(), bytes.clone());
                    }
                    2 => readers.push((StableMemory::of(published.get()), committed.clone())),
                    3 => checkpoint = (memory.checkpoint(), bytes.clone()),
                    4 => {
                        memory.restore(&checkpoint.0);
                        bytes.clone_from(&checkpoint.1);
                    }
                    _ => {
                        let len = len.min(SIZE - at);
                        bytes[at..at + len].fill(value);
                        memory.write(at as u64, &vec![value; len]).unwrap();
                    }
                }
            }
            prop_assert!(read(&memory, 0, SIZE) == bytes);
            for (reader, then) in readers {
                prop_assert!(read(&reader, 0, SIZE) == then);
            }
        }
    }
}
