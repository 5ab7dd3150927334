//! Pages of stable memory that one message has touched.
//!
//! ```text
//!   page number = block · 4,096 + bit       blocks ── BTreeMap ──► [u64; 64]
//! ```
//!
//! A message may touch millions of pages, most often in runs: a range is entered word by word.

use std::collections::BTreeMap;

/// Stable memory is charged and limited by pages of this size, in bytes.
pub(super) const PAGE: u64 = 4_096;

/// Words of a block.
const WORDS: usize = 64;
/// Pages of a block.
const BLOCK: u64 = WORDS as u64 * 64;

/// A set of page numbers.
#[derive(Default)]
pub(super) struct PageSet {
    blocks: BTreeMap<u64, Box<[u64; WORDS]>>,
    len: u64,
}

impl PageSet {
    /// Enters the pages that hold the bytes `offset..offset + len`; returns how many are new.
    pub(super) fn touch(&mut self, offset: u64, len: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        let last = offset.saturating_add(len - 1) / PAGE;
        let mut page = offset / PAGE;
        let before = self.len;
        while page <= last {
            let block = self
                .blocks
                .entry(page / BLOCK)
                .or_insert_with(|| Box::new([0; WORDS]));
            let end = last.min(page | (BLOCK - 1));
            while page <= end {
                let stop = end.min(page | 63);
                let bits = (u64::MAX >> (63 - stop % 64)) & (u64::MAX << (page % 64));
                let word = &mut block[usize::try_from(page % BLOCK / 64).unwrap_or(0)];
                self.len += u64::from((bits & !*word).count_ones());
                *word |= bits;
                page = stop + 1;
            }
        }
        self.len - before
    }

    /// How many pages are in the set.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_each_page_once(
            ranges in prop::collection::vec((0_u64..80_000_000, 0_u64..20_000_000), 1..20)
        ) {
            let mut model = BTreeSet::new();
            let mut pages = PageSet::default();
            for (offset, len) in ranges {
                let before = model.len() as u64;
                if len > 0 {
                    model.extend(offset / PAGE..=(offset + len - 1) / PAGE);
                }
                prop_assert_eq!(pages.touch(offset, len), model.len() as u64 - before);
                prop_assert_eq!(pages.len(), model.len() as u64);
            }
            pages.clear();
            prop_assert_eq!(pages.touch(0, 1), 1);
        }
    }
}
