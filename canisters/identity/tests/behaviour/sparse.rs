//! A memory that keeps the pages that were written, and counts writes: a canister with many structures takes hundreds of
//! megabytes of stable memory, nearly all of it untouched.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use ic_stable_structures::Memory;

const PAGE: usize = 65_536;

#[derive(Clone, Default)]
pub(crate) struct SparseMemory(Rc<Pages>);

#[derive(Default)]
struct Pages {
    size: Cell<u64>,
    written: RefCell<BTreeMap<u64, Box<[u8]>>>,
    writes: Cell<u64>,
}

impl SparseMemory {
    /// How often it was written to.
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.get()
    }

    /// The parts of a range that lie in one page each: page, offset in it, offset in the range, length.
    fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let at = offset + done as u64;
            let (page, start) = (at / PAGE as u64, usize::try_from(at % PAGE as u64).unwrap());
            let part = (PAGE - start).min(length - done);
            let from = done;
            done += part;
            (part > 0).then_some((page, start, from, part))
        })
    }
}

impl Memory for SparseMemory {
    fn size(&self) -> u64 {
        self.0.size.get()
    }

    fn grow(&self, pages: u64) -> i64 {
        self.0.writes.set(self.0.writes.get() + 1);
        let before = self.0.size.get();
        self.0.size.set(before + pages);
        i64::try_from(before).unwrap()
    }

    fn read(&self, offset: u64, into: &mut [u8]) {
        let written = self.0.written.borrow();
        for (page, start, from, part) in Self::parts(offset, into.len()) {
            match written.get(&page) {
                Some(bytes) => into[from..from + part].copy_from_slice(&bytes[start..start + part]),
                None => into[from..from + part].fill(0),
            }
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.0.writes.set(self.0.writes.get() + 1);
        let mut written = self.0.written.borrow_mut();
        for (page, start, from, part) in Self::parts(offset, bytes.len()) {
            assert!(page < self.size(), "beyond the end");
            let page = written
                .entry(page)
                .or_insert_with(|| vec![0; PAGE].into_boxed_slice());
            page[start..start + part].copy_from_slice(&bytes[from..from + part]);
        }
    }
}
