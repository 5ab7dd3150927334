//! Guards around `await`s: at most one operation a key, and so many in all.
//!
//! While an operation awaits an answer, other messages run. A guard that lives across the `await` keeps a second operation
//! on the same key out. It is released when it is dropped: at the end, at an early return, and after a trap in a callback,
//! because then the canister's cleanup drops what the operation held.
//!
//! Invariants: dropping a guard takes its key back and does nothing else, so it can't fail where nothing may. Guards are
//! in the heap, because a canister is upgraded when it is stopped, and stops when no call is open; what must survive an upgrade
//! belongs into [`crate::calls::pending`].
//!
//! Cost: O(log n) in the number of open operations, no stable memory.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use indus_api::Error;

/// Reason of the [`Error::Conflict`] with an operation that is under way.
pub const IN_PROGRESS: &str = "in_progress";

/// The operations that are under way. A clone counts with its original.
#[derive(Clone, Debug)]
pub struct Guards<K> {
    open: Rc<RefCell<BTreeSet<K>>>,
    /// Names what is limited in [`Error::LimitReached`].
    what: &'static str,
    limit: usize,
}

impl<K: Ord + Clone> Guards<K> {
    /// None is under way; `limit` may be at once.
    #[must_use]
    pub fn new(what: &'static str, limit: usize) -> Self {
        Self {
            open: Rc::default(),
            what,
            limit,
        }
    }

    /// Enters an operation; it ends when the guard is dropped.
    ///
    /// # Errors
    /// [`Error::Conflict`] with [`IN_PROGRESS`] if one with this key is under way; [`Error::LimitReached`].
    pub fn enter(&self, key: K) -> Result<Guard<K>, Error> {
        let mut open = self.open.borrow_mut();
        if open.contains(&key) {
            return Err(Error::Conflict {
                reason: IN_PROGRESS.into(),
            });
        }
        if open.len() >= self.limit {
            return Err(Error::LimitReached {
                limit: self.limit as u64,
                what: self.what.into(),
            });
        }
        open.insert(key.clone());
        Ok(Guard {
            open: Rc::clone(&self.open),
            key,
        })
    }

    /// Whether an operation with this key is under way.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.open.borrow().contains(key)
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether none is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Ord + Clone> Guards<(K, u8)> {
    /// Enters one of the operations that `key` may have at once: so many places.
    ///
    /// # Errors
    /// [`Error::Conflict`] with [`IN_PROGRESS`] if all of them are taken; [`Error::LimitReached`].
    pub fn enter_one_of(&self, key: &K, places: u8) -> Result<Guard<(K, u8)>, Error> {
        let taken = || Error::Conflict {
            reason: IN_PROGRESS.into(),
        };
        (0..places)
            .map(|place| self.enter((key.clone(), place)))
            .find(|entered| !matches!(entered, Err(Error::Conflict { .. })))
            .unwrap_or_else(|| Err(taken()))
    }
}

/// An operation that is under way.
#[must_use = "the operation ends when the guard is dropped"]
#[derive(Debug)]
pub struct Guard<K: Ord> {
    open: Rc<RefCell<BTreeSet<K>>>,
    key: K,
}

impl<K: Ord> Drop for Guard<K> {
    fn drop(&mut self) {
        // Nobody holds this borrow for longer than one statement, so it can't fail.
        self.open.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict() -> Error {
        Error::Conflict {
            reason: IN_PROGRESS.into(),
        }
    }

    #[test]
    fn a_second_operation_on_a_key_waits_for_the_first() {
        let guards = Guards::new("transfers under way", 10);
        let first = guards.enter("a").unwrap();
        assert_eq!(guards.enter("a").unwrap_err(), conflict());
        let other = guards.enter("b").unwrap();
        assert_eq!(guards.len(), 2);
        drop(first);
        drop(guards.enter("a").unwrap());
        drop(other);
        assert!(guards.is_empty());
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let guards = Guards::new("transfers under way", 2);
        let open: Vec<_> = (0..2).map(|key| guards.enter(key).unwrap()).collect();
        let refused = Error::LimitReached {
            limit: 2,
            what: "transfers under way".into(),
        };
        assert_eq!(guards.clone().enter(2).unwrap_err(), refused);
        assert_eq!(guards.enter(1).unwrap_err(), conflict());
        drop(open);
        assert!(guards.enter(2).is_ok());
    }

    #[test]
    fn an_operation_that_is_cancelled_at_its_await_is_over() {
        let guards = Guards::new("transfers under way", 2);
        let mut operation = Box::pin(async {
            let _guard = guards.enter(1).unwrap();
            std::future::pending::<()>().await;
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(operation.as_mut().poll(&mut context).is_pending());
        assert_eq!(guards.len(), 1);
        drop(operation);
        assert!(guards.is_empty());
    }
}
