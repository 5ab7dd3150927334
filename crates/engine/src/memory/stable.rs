//! Stable memory of a canister: up to 500 GiB that survive upgrades.
//!
//! Only the system API touches it, so the mapping may move when it grows: its window doubles, and only
//! pages that were used cost memory.
#![allow(unsafe_code)]

use std::io;

use super::{WASM_PAGE, mapping::PrivateMapping};

/// Largest stable memory, in Wasm pages: 500 GiB.
pub(crate) const MAX_PAGES: u64 = 500 * 1024 * 1024 * 1024 / WASM_PAGE as u64;
/// First window of the mapping.
const FIRST_WINDOW: usize = 16 * WASM_PAGE;

/// The window for a memory of so many bytes.
fn window(bytes: usize) -> usize {
    bytes.max(FIRST_WINDOW).next_power_of_two()
}

/// An access that does not lie within the memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

/// Stable memory of one canister.
pub(crate) struct StableMemory {
    /// There is none until the memory first grows.
    mapping: Option<PrivateMapping>,
    pages: u64,
    committed_pages: u64,
}

impl StableMemory {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            mapping: None,
            pages: 0,
            committed_pages: 0,
        }
    }

    /// Size in Wasm pages.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Grows by so many Wasm pages, and returns the size before; `None` where there is no room.
    pub(crate) fn grow(&mut self, by: u64) -> Option<u64> {
        let before = self.pages;
        let pages = before.checked_add(by).filter(|pages| *pages <= MAX_PAGES)?;
        let bytes = usize::try_from(pages).ok()? * WASM_PAGE;
        self.reserve(bytes).ok()?;
        self.pages = pages;
        Some(before)
    }

    fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let window = window(bytes);
        match &mut self.mapping {
            Some(mapping) if mapping.window() >= window => Ok(()),
            Some(mapping) => mapping.enlarge(window),
            None => {
                let mapping = PrivateMapping::new(window, 0)?;
                mapping.allow(0..window)?;
                self.mapping = Some(mapping);
                Ok(())
            }
        }
    }

    /// Address of a range that lies within the memory.
    fn range(&self, offset: u64, len: usize) -> Result<*mut u8, OutOfBounds> {
        let end = offset.checked_add(len as u64).ok_or(OutOfBounds)?;
        if end > self.pages * WASM_PAGE as u64 {
            return Err(OutOfBounds);
        }
        let Some(mapping) = &self.mapping else {
            return match end {
                0 => Ok(std::ptr::NonNull::dangling().as_ptr()),
                _ => Err(OutOfBounds),
            };
        };
        let offset = usize::try_from(offset).map_err(|_| OutOfBounds)?;
        // SAFETY: `pages` never exceeds the window, so the address lies within the mapping.
        Ok(unsafe { mapping.base().add(offset) })
    }

    /// Copies bytes out.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.range(offset, to.len())?;
        // SAFETY: `range` checked the source; `to` is another allocation.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// Copies bytes in.
    pub(crate) fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.range(offset, from.len())?;
        // SAFETY: `range` checked the destination; `from` is another allocation.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    fn used(&self) -> usize {
        usize::try_from(self.pages)
            .unwrap_or(usize::MAX)
            .saturating_mul(WASM_PAGE)
    }

    /// Makes what was written permanent.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if let Some(mapping) = &self.mapping {
            let written = mapping.written(self.used())?;
            mapping.write_back(&written)?;
        }
        self.committed_pages = self.pages;
        Ok(())
    }

    /// Forgets what was written and grown since the last commit.
    pub(crate) fn rollback(&mut self) -> io::Result<()> {
        if let Some(mapping) = &self.mapping {
            let written = mapping.written(self.used())?;
            mapping.discard(&written)?;
        }
        self.pages = self.committed_pages;
        self.give_back()
    }

    /// Gives back what growing took: the address space, and pages of the file that were only read.
    fn give_back(&mut self) -> io::Result<()> {
        let window = window(self.used());
        if let Some(mapping) = self.mapping.take_if(|mapping| mapping.window() > window) {
            let file = mapping.file().clone();
            drop(mapping);
            file.set_len(window as u64)?;
            let mapping = PrivateMapping::of(file, window, 0)?;
            mapping.allow(0..window)?;
            self.mapping = Some(mapping);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &StableMemory, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        memory.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn commits_stay_and_everything_since_is_rolled_back() {
        let mut memory = StableMemory::new();
        assert_eq!(memory.grow(1), Some(0));
        memory.write(10, b"kept").unwrap();
        memory.commit().unwrap();

        memory.write(10, b"lost").unwrap();
        assert_eq!(memory.grow(100), Some(1));
        memory.write(100 * WASM_PAGE as u64, b"lost").unwrap();
        memory.rollback().unwrap();

        assert_eq!(memory.pages(), 1);
        assert_eq!(memory.mapping.as_ref().unwrap().window(), FIRST_WINDOW);
        assert_eq!(read(&memory, 10, 4), b"kept");
        // What a failed message wrote behind the end does not come back with the next growth.
        memory.grow(100).unwrap();
        assert_eq!(read(&memory, 100 * WASM_PAGE as u64, 4), [0; 4]);
    }

    #[test]
    fn uncommitted_bytes_survive_a_mapping_that_moves() {
        let mut memory = StableMemory::new();
        memory.grow(1).unwrap();
        memory.write(0, b"first").unwrap();
        memory.grow(1 << 16).unwrap();
        memory.write(1 << 32, b"last").unwrap();
        assert_eq!(read(&memory, 0, 5), b"first");
        memory.commit().unwrap();
        memory.rollback().unwrap();
        assert_eq!(read(&memory, 1 << 32, 4), b"last");
    }

    #[test]
    fn nothing_beyond_the_end_can_be_touched() {
        let mut memory = StableMemory::new();
        assert_eq!(memory.write(0, b"x"), Err(OutOfBounds));
        assert_eq!(memory.read(0, &mut []), Ok(()));
        memory.grow(1).unwrap();
        assert_eq!(memory.write(WASM_PAGE as u64 - 1, b"xy"), Err(OutOfBounds));
        assert_eq!(memory.read(u64::MAX, &mut [0]), Err(OutOfBounds));
        assert_eq!(memory.grow(MAX_PAGES), None);
        assert_eq!(memory.pages(), 1);
    }
}
