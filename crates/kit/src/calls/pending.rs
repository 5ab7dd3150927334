//! Operations on other canisters that are done in the end, whatever happens on the way.
//!
//! ```text
//! record ──► attempt: count it, set the next try ──► perform ─ await ─► Settled: removed with its effect, in one message
//!              ▲                                        │
//!              │            Retry, a trap in the callback, an upgrade, a stopped callee, a lost reply
//!              └──── timer, after 10 s, 20 s, 40 s, … 1 h ◄──┘
//! ```
//!
//! | memory | key → value |
//! | --- | --- |
//! | operations | id (u64) → version (u8), kind (u16), attempts (u32), next try (u64 nanoseconds), argument |
//! | due | (next try, id) → nothing |
//!
//! Integers in values are little-endian. Id 0 is no operation: its value is the last id (u64). Ids are the times at which
//! operations were recorded, or the next free number, so they are never used again, not even after a reinstallation.
//!
//! Invariants:
//! - An operation is recorded in the message that decides on it, before the first `await`, and removed in the message that
//!   takes in its result. In between it is made at least once, maybe more often: the callee gets [`Operation::key`] as
//!   its idempotency key, or the operation is repeatable by nature.
//! - The next try is set before the call, so what becomes of the call can't stop it.
//! - At most one attempt at an operation is under way, and [`MAX_UNDER_WAY`] in all.
//!
//! Cost: recording, starting and settling write or remove two small entries each; a slice of `due` is one seek, and passes over what is under
//! way.

use ic_stable_structures::{Memory, StableBTreeMap};
use indus_api::Error;

use super::Canister;
use crate::{
    codes::{OPERATION_UNREADABLE, internal},
    guard::{Guard, Guards},
    text::invalid,
};

/// Most operations at once: far more than a suite that works has under way.
pub const MAX_PENDING: u64 = 10_000;
/// Most attempts at once: half of what the system's queue between two canisters holds.
pub const MAX_UNDER_WAY: usize = 250;
/// Longest argument, in bytes: what is longer belongs into a collection, and its key here.
pub const MAX_ARGUMENT_BYTES: usize = 16_384;
/// From the first attempt to the second, in nanoseconds: 10 seconds; doubled each time.
pub const FIRST_RETRY_NS: u64 = 10_000_000_000;
/// Longest time between two attempts, in nanoseconds: an hour.
pub const LAST_RETRY_NS: u64 = 3_600_000_000_000;

const VERSION: u8 = 1;
/// Key of the last id.
const LAST_ID: u64 = 0;

/// Something to be done at another canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub id: u64,
    /// Which operation of the canister's: numbers are never used again.
    pub kind: u16,
    /// What it needs, in an encoding of the canister's that carries its version.
    pub argument: Vec<u8>,
    /// Attempts so far, the one under way included.
    pub attempts: u32,
    next_try_ns: u64,
}

impl Operation {
    /// The idempotency key for the callee: the id, big-endian.
    #[must_use]
    pub fn key(&self) -> [u8; 8] {
        self.id.to_be_bytes()
    }

    fn encode(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            &self.kind.to_le_bytes(),
            &self.attempts.to_le_bytes(),
            &self.next_try_ns.to_le_bytes(),
            &self.argument,
        ]
        .concat()
    }

    fn decode(id: u64, bytes: &[u8]) -> Result<Self, Error> {
        let parts = || {
            let (&[version], bytes) = bytes.split_first_chunk()?;
            let (&kind, bytes) = bytes.split_first_chunk()?;
            let (&attempts, bytes) = bytes.split_first_chunk()?;
            let (&next_try_ns, argument) = bytes.split_first_chunk()?;
            (version == VERSION).then(|| Self {
                id,
                kind: u16::from_le_bytes(kind),
                argument: argument.to_vec(),
                attempts: u32::from_le_bytes(attempts),
                next_try_ns: u64::from_le_bytes(next_try_ns),
            })
        };
        parts().ok_or_else(|| internal(OPERATION_UNREADABLE))
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing left to do: it was done, or never will be, and the state knows.
    Settled,
    /// It has to be tried again.
    Retry,
    /// The same, but it came further than before: as soon as after a first try.
    Progressed,
}

/// A canister with pending operations.
pub trait Saga: Canister {
    /// The memory that they are kept in.
    type Memory: Memory;

    /// Gives access to the operations. Not held across an `await`.
    fn pending<T>(run: impl FnOnce(&mut Pending<Self::Memory>) -> T) -> T;

    /// Makes the call of an operation, and takes its result into the state, committed. What comes after the last `await` is
    /// one message with the removal of the operation, so nothing may be awaited after the result was taken in.
    fn perform(operation: Operation) -> impl Future<Output = Outcome>;
}

/// Attempts one operation: for the method that recorded it, after it committed, and for the timer. None if it was not
/// attempted, because it is settled, not due, or under way.
///
/// # Errors
/// [`Error::LimitReached`] for too many attempts at once, [`Error::Internal`] for a damaged operation. It stays pending.
pub async fn attempt<S: Saga>(id: u64) -> Result<Option<Outcome>, Error> {
    let Some((operation, _under_way)) = S::pending(|pending| pending.start(id, S::time_ns()))?
    else {
        return Ok(None);
    };
    let outcome = S::perform(operation).await;
    match outcome {
        Outcome::Settled => S::pending(|pending| pending.settle(id))?,
        Outcome::Progressed => S::pending(|pending| pending.progressed(id, S::time_ns()))?,
        Outcome::Retry => {}
    }
    Ok(Some(outcome))
}

/// The operations that are pending.
pub struct Pending<M: Memory> {
    operations: StableBTreeMap<u64, Vec<u8>, M>,
    due: StableBTreeMap<(u64, u64), (), M>,
    under_way: Guards<u64>,
    max_pending: u64,
}

impl<M: Memory> Pending<M> {
    /// The operations that are kept in these memories.
    #[must_use]
    pub fn open(operations: M, due: M) -> Self {
        Self {
            operations: StableBTreeMap::init(operations),
            due: StableBTreeMap::init(due),
            under_way: Guards::new("calls of pending operations at once", MAX_UNDER_WAY),
            max_pending: MAX_PENDING,
        }
    }

    /// Records an operation, due at once, and returns its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `argument`; [`Error::LimitReached`]; [`Error::Internal`] for a damaged last id. Nothing is
    /// recorded then.
    pub fn record(&mut self, now_ns: u64, kind: u16, argument: Vec<u8>) -> Result<u64, Error> {
        if argument.len() > MAX_ARGUMENT_BYTES {
            let reason = format!("must be at most {MAX_ARGUMENT_BYTES} bytes long");
            return Err(invalid("argument", reason));
        }
        if self.len() >= self.max_pending {
            return Err(Error::LimitReached {
                limit: self.max_pending,
                what: "pending operations".into(),
            });
        }
        let id = now_ns.max(self.last_id()? + 1);
        self.operations.insert(LAST_ID, id.to_le_bytes().to_vec());
        self.put(&Operation {
            id,
            kind,
            argument,
            attempts: 0,
            next_try_ns: now_ns,
        });
        Ok(id)
    }

    /// Takes an operation back that the same message has recorded, because it fails after all. One that was attempted
    /// stays: nobody knows what the callee has done. Whether it is gone.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is damaged.
    pub fn cancel(&mut self, id: u64) -> Result<bool, Error> {
        match self.operation(id)? {
            Some(operation) if operation.attempts > 0 => Ok(false),
            _ => self.settle(id).map(|()| true),
        }
    }

    /// At most `limit` operations that are due and not under way, the longest first.
    #[must_use]
    pub fn due(&self, now_ns: u64, limit: usize) -> Vec<u64> {
        self.due
            .keys_range(..=(now_ns, u64::MAX))
            .map(|(_, id)| id)
            .filter(|id| !self.under_way.contains(id))
            .take(limit)
            .collect()
    }

    /// How many operations are pending.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.due.len()
    }

    /// Whether none is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest operation: one that gets very old needs somebody to look at it.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is damaged.
    pub fn oldest(&self) -> Result<Option<Operation>, Error> {
        self.operations
            .range(LAST_ID + 1..)
            .next()
            .map(|entry| Operation::decode(*entry.key(), &entry.value()))
            .transpose()
    }

    /// Starts an attempt: counts it and sets the next try. None if the operation is settled, not due, or under way.
    fn start(&mut self, id: u64, now_ns: u64) -> Result<Option<(Operation, Guard<u64>)>, Error> {
        let Some(mut operation) = self.operation(id)? else {
            return Ok(None);
        };
        if operation.next_try_ns > now_ns {
            return Ok(None);
        }
        let guard = match self.under_way.enter(id) {
            Err(Error::Conflict { .. }) => return Ok(None),
            entered => entered?,
        };
        self.due.remove(&(operation.next_try_ns, id));
        operation.next_try_ns = now_ns.saturating_add(backoff_ns(operation.attempts));
        operation.attempts = operation.attempts.saturating_add(1);
        self.put(&operation);
        Ok(Some((operation, guard)))
    }

    /// The next try comes as soon as after a first one.
    fn progressed(&mut self, id: u64, now_ns: u64) -> Result<(), Error> {
        if let Some(mut operation) = self.operation(id)? {
            self.due.remove(&(operation.next_try_ns, id));
            operation.attempts = 1;
            operation.next_try_ns = now_ns.saturating_add(FIRST_RETRY_NS);
            self.put(&operation);
        }
        Ok(())
    }

    fn settle(&mut self, id: u64) -> Result<(), Error> {
        if let Some(operation) = self.operation(id)? {
            self.due.remove(&(operation.next_try_ns, id));
            self.operations.remove(&id);
        }
        Ok(())
    }

    fn put(&mut self, operation: &Operation) {
        self.due.insert((operation.next_try_ns, operation.id), ());
        self.operations.insert(operation.id, operation.encode());
    }

    fn operation(&self, id: u64) -> Result<Option<Operation>, Error> {
        if id == LAST_ID {
            return Ok(None);
        }
        self.operations
            .get(&id)
            .map(|bytes| Operation::decode(id, &bytes))
            .transpose()
    }

    fn last_id(&self) -> Result<u64, Error> {
        let Some(bytes) = self.operations.get(&LAST_ID) else {
            return Ok(LAST_ID);
        };
        let bytes = bytes
            .try_into()
            .map_err(|_| internal(OPERATION_UNREADABLE))?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// From this attempt to the next, after so many before it.
fn backoff_ns(attempts: u32) -> u64 {
    1_u64
        .checked_shl(attempts)
        .and_then(|factor| FIRST_RETRY_NS.checked_mul(factor))
        .map_or(LAST_RETRY_NS, |wait_ns| wait_ns.min(LAST_RETRY_NS))
}

#[cfg(test)]
mod tests;
