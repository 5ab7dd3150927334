//! A memory that can grow to a number of pages and no further.

use ic_stable_structures::{Memory, VectorMemory};

pub(crate) struct Limited {
    memory: VectorMemory,
    pages: u64,
}

impl Limited {
    /// An empty one that grows to so many pages.
    pub(crate) fn to(pages: u64) -> Self {
        Self {
            memory: VectorMemory::default(),
            pages,
        }
    }
}

impl Memory for Limited {
    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn grow(&self, pages: u64) -> i64 {
        if self.size() + pages > self.pages {
            return -1;
        }
        self.memory.grow(pages)
    }

    fn read(&self, offset: u64, dst: &mut [u8]) {
        self.memory.read(offset, dst);
    }

    fn write(&self, offset: u64, src: &[u8]) {
        self.memory.write(offset, src);
    }
}
