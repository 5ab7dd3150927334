//! A memory that counts calls, and refuses to grow beyond a limit.

use std::cell::Cell;
use std::rc::Rc;

use ic_stable_structures::{Memory, VectorMemory};

#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) bytes: VectorMemory,
    /// Wasm pages that there may be.
    pub(crate) limit: Rc<Cell<u64>>,
    pub(crate) reads: Rc<Cell<u64>>,
    pub(crate) writes: Rc<Cell<u64>>,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self {
            bytes: VectorMemory::default(),
            limit: Rc::new(Cell::new(u64::MAX)),
            reads: Rc::default(),
            writes: Rc::default(),
        }
    }

    /// Lets the memory not grow any more.
    pub(crate) fn close(&self) {
        self.limit.set(self.size());
    }
}

impl Memory for Watched {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn grow(&self, pages: u64) -> i64 {
        if self.size() + pages > self.limit.get() {
            -1
        } else {
            self.bytes.grow(pages)
        }
    }

    fn read(&self, offset: u64, dst: &mut [u8]) {
        self.reads.set(self.reads.get() + 1);
        self.bytes.read(offset, dst);
    }

    fn write(&self, offset: u64, src: &[u8]) {
        self.writes.set(self.writes.get() + 1);
        self.bytes.write(offset, src);
    }
}
