//! Repeating a call: a method that creates something takes an idempotency key, and does its work once for each.
//!
//! ```text
//!          begin                 succeed
//! (none) ─────────► in flight ─────────────► done ── 24 h ──► (none)
//!                       │ fail                 │ begin, the same arguments
//!                       └──► (none)            └──► the first success again
//! ```
//!
//! The key is recorded before the first `await`. A duplicate in flight gets [`Error::Conflict`], a later one the first
//! success again, and a failed call may be made again. The same key with another method or other arguments is an error:
//! arguments are compared by the SHA-256 of their bytes, so a client that repeats a call sends the same bytes again.
//!
//! | memory | key → value |
//! | --- | --- |
//! | records | (caller, key) → version (u8), state (u8), since when (u64), hash of the call (32 bytes), success |
//! | index | ((state (u8), since when (u64)), (caller, key)) → nothing |
//! | counts | caller → how many keys are kept for them (u32) |
//!
//! Integers in records are little-endian. A success up to [`MAX_REPLY_BYTES`] is stored; of a longer one its SHA-256 and a
//! pointer, from which the canister can answer again.
//!
//! Invariants:
//! - The index has one entry for each record, the counts add up to the number of records.
//! - A record in flight is never pruned: to forget it would allow its call twice. A call whose end was lost (trap in a
//!   callback, upgrade) is found by [`Idempotency::unsettled`] and ended by the canister's timer.
//! - A record that is done answers for [`LIFETIME_NS`], whether it was pruned or not.
//!
//! Cost: `begin` and `succeed` are each about three reads and three writes of stable maps; a repeated call is one
//! read.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, storable::Blob};
use indus_api::Error;
use sha2::{Digest as _, Sha256};

use crate::refusals::limit_reached as limit;
use crate::{
    Context,
    codes::{IDEMPOTENCY_UNREADABLE, internal},
    guard::IN_PROGRESS,
    text::invalid,
};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 64;
/// Longest success that is stored as it is, in bytes; beyond, its digest and a pointer.
pub const MAX_REPLY_BYTES: usize = 4_096;
/// Longest pointer to a success, in bytes.
pub const MAX_POINTER_BYTES: usize = 64;
/// Most keys of one caller at once.
pub const MAX_KEYS_PER_CALLER: u32 = 1_000;
/// Most keys at once, so that the table has an end: one call a second for a day, and some.
pub const MAX_KEYS: u64 = 100_000;
/// How long a success is answered again, in nanoseconds: 24 hours.
pub const LIFETIME_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

const VERSION: u8 = 1;
const IN_FLIGHT: u8 = 0;
const STORED: u8 = 1;
const ELSEWHERE: u8 = 2;
/// State in the index of whatever is done.
const DONE: u8 = 1;

type Key = (Principal, Blob<MAX_KEY_BYTES>);
type Hash = [u8; 32];

/// How the first call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// What it answered.
    Stored(Vec<u8>),
    /// The SHA-256 of what it answered, and where the canister finds that.
    Elsewhere {
        digest: [u8; 32],
        pointer: Blob<MAX_POINTER_BYTES>,
    },
}

impl Success {
    /// What is kept of an answer: itself, or if it is long, its digest and `pointer`.
    #[must_use]
    pub fn of(reply: Vec<u8>, pointer: Blob<MAX_POINTER_BYTES>) -> Self {
        if reply.len() <= MAX_REPLY_BYTES {
            Self::Stored(reply)
        } else {
            Self::Elsewhere {
                digest: Sha256::digest(&reply).into(),
                pointer,
            }
        }
    }
}

/// What to do with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Do it, and end the ticket.
    New(Ticket),
    /// It was done: answer this again.
    Repeat(Success),
}

/// A call in flight: to be ended once, by [`Idempotency::succeed`] or [`Idempotency::fail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    key: Key,
    since_ns: u64,
}

impl Ticket {
    /// Who made the call.
    #[must_use]
    pub fn caller(&self) -> Principal {
        self.key.0
    }

    /// The key that they chose.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.1.as_slice()
    }

    /// When it began, in nanoseconds.
    #[must_use]
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }
}

/// The keys in use.
pub struct Idempotency<M: Memory> {
    records: StableBTreeMap<Key, Vec<u8>, M>,
    index: StableBTreeMap<((u8, u64), Key), (), M>,
    counts: StableBTreeMap<Principal, u32, M>,
    max_keys: u64,
}

impl<M: Memory> Idempotency<M> {
    /// The keys that are kept in these memories.
    #[must_use]
    pub fn open(records: M, index: M, counts: M) -> Self {
        Self {
            records: StableBTreeMap::init(records),
            index: StableBTreeMap::init(index),
            counts: StableBTreeMap::init(counts),
            max_keys: MAX_KEYS,
        }
    }

    /// Begins the caller's call of `method` with the Candid bytes `arguments`, or finds out that it was made before.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] to anonymous callers, who would share their keys; [`Error::Invalid`] for
    /// `idempotency_key`: its length, or that it came with another call before; [`Error::Conflict`] while the first call
    /// is in flight; [`Error::LimitReached`]. Nothing is recorded then.
    pub fn begin(
        &mut self,
        context: &Context,
        key: &[u8],
        method: &str,
        arguments: &[u8],
    ) -> Result<Begin, Error> {
        let caller = context.authenticated()?;
        let key = (caller, checked_key(key)?);
        let now_ns = context.time_ns;
        let call = call_hash(method, arguments);
        if let Some(record) = self.record(&key)? {
            if !record.is_over(now_ns) {
                return record.answer(&call);
            }
            self.forget(&key, &record);
        }
        let mine = self.counts.get(&caller).unwrap_or(0);
        if mine >= MAX_KEYS_PER_CALLER {
            return Err(limit(
                MAX_KEYS_PER_CALLER.into(),
                "idempotency keys of one caller in 24 hours",
            ));
        }
        if self.records.len() >= self.max_keys {
            return Err(limit(self.max_keys, "idempotency keys"));
        }
        let record = Record {
            since_ns: now_ns,
            call,
            success: None,
        };
        self.counts.insert(caller, mine + 1);
        self.index.insert((record.due(), key), ());
        self.records.insert(key, record.encode());
        Ok(Begin::New(Ticket {
            key,
            since_ns: now_ns,
        }))
    }

    /// Keeps the success of a call. Nothing happens if the call was ended before.
    ///
    /// # Errors
    /// [`Error::Internal`] for a damaged record.
    pub fn succeed(
        &mut self,
        context: &Context,
        ticket: &Ticket,
        success: Success,
    ) -> Result<(), Error> {
        let Some(record) = self.in_flight(ticket)? else {
            return Ok(());
        };
        self.index.remove(&(record.due(), ticket.key));
        let done = Record {
            since_ns: context.time_ns,
            success: Some(success),
            ..record
        };
        self.index.insert((done.due(), ticket.key), ());
        self.records.insert(ticket.key, done.encode());
        Ok(())
    }

    /// Forgets a call that failed, so that it can be made again. Nothing happens if the call was ended before.
    ///
    /// # Errors
    /// [`Error::Internal`] for a damaged record.
    pub fn fail(&mut self, ticket: &Ticket) -> Result<(), Error> {
        if let Some(record) = self.in_flight(ticket)? {
            self.forget(&ticket.key, &record);
        }
        Ok(())
    }

    /// At most `limit` calls that have been in flight since before `older_than_ns`, the oldest first.
    #[must_use]
    pub fn unsettled(&self, older_than_ns: u64, limit: usize) -> Vec<Ticket> {
        self.index
            .keys_range(..first_of(IN_FLIGHT, older_than_ns))
            .take(limit)
            .map(|((_, since_ns), key)| Ticket { key, since_ns })
            .collect()
    }

    /// Drops at most `slice` records that are done and too old. True if there may be more.
    ///
    /// # Errors
    /// [`Error::Internal`] for a damaged record.
    pub fn prune(&mut self, now_ns: u64, slice: usize) -> Result<bool, Error> {
        let Some(end_ns) = now_ns.checked_sub(LIFETIME_NS).map(|old| old + 1) else {
            return Ok(false);
        };
        let over: Vec<Key> = self
            .index
            .keys_range(first_of(DONE, 0)..first_of(DONE, end_ns))
            .take(slice)
            .map(|(_, key)| key)
            .collect();
        for key in &over {
            if let Some(record) = self.record(key)? {
                self.forget(key, &record);
            }
        }
        Ok(over.len() == slice)
    }

    /// How many keys are kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.records.len()
    }

    /// Whether no key is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.records
            .get(key)
            .map(|bytes| Record::decode(&bytes))
            .transpose()
    }

    /// The record of a ticket that was not ended yet.
    fn in_flight(&self, ticket: &Ticket) -> Result<Option<Record>, Error> {
        let record = self.record(&ticket.key)?;
        Ok(record.filter(|record| record.success.is_none() && record.since_ns == ticket.since_ns))
    }

    fn forget(&mut self, key: &Key, record: &Record) {
        self.records.remove(key);
        self.index.remove(&(record.due(), *key));
        match self.counts.get(&key.0) {
            Some(count) if count > 1 => self.counts.insert(key.0, count - 1),
            _ => self.counts.remove(&key.0),
        };
    }
}

/// What is stored for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    since_ns: u64,
    call: Hash,
    /// None while the call is in flight.
    success: Option<Success>,
}

impl Record {
    /// Where it is in the index.
    fn due(&self) -> (u8, u64) {
        let state = if self.success.is_none() {
            IN_FLIGHT
        } else {
            DONE
        };
        (state, self.since_ns)
    }

    fn is_over(&self, now_ns: u64) -> bool {
        self.success.is_some() && now_ns.saturating_sub(self.since_ns) >= LIFETIME_NS
    }

    fn answer(self, call: &Hash) -> Result<Begin, Error> {
        if self.call != *call {
            return Err(invalid(
                "idempotency_key",
                "was used for a call with other arguments",
            ));
        }
        self.success
            .map(Begin::Repeat)
            .ok_or_else(|| Error::Conflict {
                reason: IN_PROGRESS.into(),
            })
    }

    fn encode(&self) -> Vec<u8> {
        let (state, success) = match &self.success {
            None => (IN_FLIGHT, Vec::new()),
            Some(Success::Stored(reply)) => (STORED, reply.clone()),
            Some(Success::Elsewhere { digest, pointer }) => {
                (ELSEWHERE, [digest, pointer.as_slice()].concat())
            }
        };
        [
            &[VERSION, state][..],
            &self.since_ns.to_le_bytes(),
            &self.call,
            &success,
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::parts(bytes).ok_or_else(|| internal(IDEMPOTENCY_UNREADABLE))
    }

    fn parts(bytes: &[u8]) -> Option<Self> {
        let (&[version, state], bytes) = bytes.split_first_chunk()?;
        let (since_ns, bytes) = bytes.split_first_chunk()?;
        let (&call, success) = bytes.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let success = match state {
            IN_FLIGHT if success.is_empty() => None,
            STORED => Some(Success::Stored(success.to_vec())),
            ELSEWHERE => {
                let (&digest, pointer) = success.split_first_chunk()?;
                let pointer = Blob::try_from(pointer).ok()?;
                Some(Success::Elsewhere { digest, pointer })
            }
            _ => return None,
        };
        Some(Self {
            since_ns: u64::from_le_bytes(*since_ns),
            call,
            success,
        })
    }
}

fn checked_key(key: &[u8]) -> Result<Blob<MAX_KEY_BYTES>, Error> {
    Blob::try_from(key)
        .ok()
        .filter(|_| !key.is_empty())
        .ok_or_else(|| {
            invalid(
                "idempotency_key",
                format!("must be 1 to {MAX_KEY_BYTES} bytes long"),
            )
        })
}

/// Names the call: SHA-256 over the method's length (u64, big-endian), the method and the arguments.
fn call_hash(method: &str, arguments: &[u8]) -> Hash {
    Sha256::new()
        .chain_update((method.len() as u64).to_be_bytes())
        .chain_update(method)
        .chain_update(arguments)
        .finalize()
        .into()
}

/// Sorts before every entry of the index with this state and time, and behind all with an earlier one.
fn first_of(state: u8, since_ns: u64) -> ((u8, u64), Key) {
    let least = (Principal::management_canister(), Blob::default());
    ((state, since_ns), least)
}

#[cfg(test)]
mod tests;
