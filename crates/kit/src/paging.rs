//! Lists in pages: the request is checked once, and the answer is made in one way.
//!
//! ```text
//! PageArgs {after, limit} ── checked ──► PageRequest ── range ──► the caller's iterator ── answer ──► Page {items, next}
//! ```
//!
//! A list may leave entries out: those that the caller may not read, or did not ask for. Then one answer looks at
//! [`MAX_EXAMINED`] entries at most, and a page may be short or empty though more follow.
//!
//! Invariant: following `next` from the first page to the last gives every entry that was there all the while exactly once.
//!
//! Cost: one seek, and at most `limit` + 1 entries (for a list that leaves entries out, `MAX_EXAMINED`).

use std::ops::Bound;

use indus_api::{
    Error,
    paging::{MAX_PAGE, Page, PageArgs},
};

use crate::text::invalid;

/// Most entries that one answer looks at: what a query can afford, at some 50,000 instructions for reading and decoding
/// an entry.
pub const MAX_EXAMINED: usize = 1_000;

/// A checked request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    after: Option<K>,
    limit: usize,
}

impl<K: Clone> PageRequest<K> {
    /// Checks a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `limit`.
    pub fn checked(args: PageArgs<K>) -> Result<Self, Error> {
        let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
        if !(1..=MAX_PAGE).contains(&args.limit) {
            return Err(invalid("limit", format!("must be 1 to {MAX_PAGE}")));
        }
        Ok(Self {
            after: args.after,
            limit,
        })
    }

    /// The keys from which the page is made.
    #[must_use]
    pub fn range(&self) -> (Bound<K>, Bound<K>) {
        let start = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        (start, Bound::Unbounded)
    }

    /// Makes the page of the entries in [`PageRequest::range`], in the order of their keys. `item` says what the page
    /// shows of an entry, or nothing to leave it out.
    ///
    /// # Errors
    /// The first one of `item`.
    pub fn answer<E, T>(
        self,
        entries: impl IntoIterator<Item = E>,
        key: impl Fn(&E) -> K,
        mut item: impl FnMut(E) -> Result<Option<T>, Error>,
    ) -> Result<Page<K, T>, Error> {
        let mut items = Vec::new();
        let mut last = None;
        for (examined, entry) in entries.into_iter().enumerate() {
            if items.len() == self.limit || examined == MAX_EXAMINED {
                return Ok(Page { items, next: last });
            }
            last = Some(key(&entry));
            items.extend(item(entry)?);
        }
        Ok(Page { items, next: None })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type List = BTreeMap<u64, u64>;

    fn page(
        list: &List,
        after: Option<u64>,
        limit: u32,
        shown: impl Fn(u64) -> bool,
    ) -> Page<u64, u64> {
        let request = PageRequest::checked(PageArgs { after, limit }).unwrap();
        let range = request.range();
        request
            .answer(
                list.range(range),
                |entry| *entry.0,
                |(_, value)| Ok(shown(*value).then_some(*value)),
            )
            .unwrap()
    }

    #[test]
    fn a_limit_out_of_bounds_is_refused_by_name() {
        for limit in [0, MAX_PAGE + 1, u32::MAX] {
            assert_eq!(
                PageRequest::<u64>::checked(PageArgs { after: None, limit }),
                Err(invalid("limit", "must be 1 to 100"))
            );
        }
        for limit in [1, MAX_PAGE] {
            assert!(PageRequest::<u64>::checked(PageArgs { after: None, limit }).is_ok());
        }
    }

    #[test]
    fn the_last_page_says_that_it_is_the_last() {
        let list = List::from([(1, 1), (2, 2)]);
        assert_eq!(page(&list, None, 1, |_| true).next, Some(1));
        assert_eq!(page(&list, None, 2, |_| true).next, None);
        assert_eq!(page(&list, Some(1), 1, |_| true).next, None);
        assert_eq!(page(&list, Some(u64::MAX), 1, |_| true).items, [0; 0]);
    }

    #[test]
    fn a_list_that_leaves_much_out_is_read_in_bounded_steps() {
        let list: List = (0..2_500).map(|n| (n, n)).collect();
        let first = page(&list, None, 100, |value| value == 2_400);
        assert_eq!((first.items, first.next), (vec![], Some(999)));
        let third = page(&list, Some(1_999), 100, |value| value == 2_400);
        assert_eq!((third.items, third.next), (vec![2_400], None));
    }

    #[test]
    fn an_entry_that_is_damaged_fails_the_page() {
        let request = PageRequest::checked(PageArgs {
            after: None::<u64>,
            limit: 5,
        })
        .unwrap();
        let damaged = request.answer([1], |key| *key, |_| Err::<Option<()>, _>(Error::Expired));
        assert_eq!(damaged, Err(Error::Expired));
    }

    proptest! {
        #[test]
        fn following_the_pages_gives_every_entry_once(
            list in proptest::collection::btree_map(any::<u64>(), any::<u64>(), 0..60),
            limit in 1..20_u32,
            modulus in 1..4_u64,
        ) {
            let shown = |value: u64| value.is_multiple_of(modulus);
            let mut all = Vec::new();
            let mut after = None;
            loop {
                let page = page(&list, after, limit, shown);
                prop_assert!(page.items.len() <= usize::try_from(limit).unwrap());
                prop_assert!(page.next.is_none() || page.next > after);
                all.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            prop_assert_eq!(all, list.values().copied().filter(|value| shown(*value)).collect::<Vec<_>>());
        }
    }
}
