//! Rate limits: a token bucket for each person and each organisation.
//!
//! A bucket holds up to `burst` tokens and gets a new one each `interval_ns`. All that is stored of it is the time at which
//! it will be full again, so nothing has to be refilled:
//!
//! | key | value |
//! | --- | --- |
//! | (principal, 0) | the person's bucket is full at this time, u64 nanoseconds |
//! | (empty principal, organisation id) | the same, of the organisation |
//!
//! Invariants:
//! - A call takes from the person's bucket and the organisation's, or from neither.
//! - A bucket that is full again says the same as none at all, so it may be dropped: [`RateLimits::prune`] does, in slices.
//! - There are at most [`MAX_BUCKETS`]. A table that is full forgets, of [`EVICTION_LOOK`] buckets that come next in turn,
//!   the one nearest to full. So nobody locks others out by filling it; who is forgotten gets at most one more burst.
//! - Limits may change with an upgrade: a bucket is worth what it has still to wait.
//!
//! Rate limits are not audited: they would flood the log.
//!
//! Cost: two reads and two writes of stable maps a call (one each without an organisation), some 120,000 instructions at
//! 10,000 buckets. A slice of pruning costs a read a bucket that it looks at and a removal each that is full. Some 100 bytes
//! of stable memory a bucket.

use std::ops::Bound;

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap};
use indus_api::Error;

use crate::Context;

/// Most buckets at once: some 10 MB, and more persons and organisations than can be short of tokens together.
pub const MAX_BUCKETS: u64 = 100_000;
/// Buckets among which a full table chooses the one to forget.
pub const EVICTION_LOOK: usize = 16;

const NANOS_PER_MS: u64 = 1_000_000;

/// How fast something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Tokens in a full bucket.
    pub burst: u32,
    /// Nanoseconds until there is one token more.
    pub interval_ns: u64,
}

impl Limit {
    /// Nanoseconds in which an empty bucket fills.
    fn full_ns(self) -> u64 {
        self.interval_ns.saturating_mul(self.burst.into())
    }
}

/// Whose bucket it is: a person's principal and 0, or the empty principal and an organisation's id. No person has the empty
/// principal (the management canister), and no organisation the id 0.
type Owner = (Principal, u64);

fn person(principal: Principal) -> Owner {
    (principal, 0)
}

fn organisation(id: u64) -> Owner {
    (Principal::management_canister(), id)
}

/// The buckets, and what they hold.
pub struct RateLimits<M: Memory> {
    buckets: StableBTreeMap<Owner, u64, M>,
    person: Limit,
    organisation: Limit,
    max_buckets: u64,
    /// Where pruning goes on. In the heap: after an upgrade it starts from the front.
    cursor: Option<Owner>,
}

impl<M: Memory> RateLimits<M> {
    /// The buckets in `memory`, with these limits from now on.
    #[must_use]
    pub fn open(memory: M, person: Limit, organisation: Limit) -> Self {
        Self {
            buckets: StableBTreeMap::init(memory),
            person,
            organisation,
            max_buckets: MAX_BUCKETS,
            cursor: None,
        }
    }

    /// Takes `tokens` from the caller's bucket, and from their organisation's.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if one of them has not so many; [`Error::LimitReached`] if one never has. Nothing is taken
    /// then.
    pub fn take(
        &mut self,
        context: &Context,
        organisation: Option<u64>,
        tokens: u32,
    ) -> Result<(), Error> {
        self.take_of(context.caller, context.time_ns, organisation, tokens)
    }

    /// The same from the bucket of `whom`: a person's, with whichever of their keys they call.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    pub fn take_of(
        &mut self,
        whom: Principal,
        now_ns: u64,
        organisation: Option<u64>,
        tokens: u32,
    ) -> Result<(), Error> {
        let person = person(whom);
        let person_full = self.taken(&person, self.person, now_ns, tokens);
        let organisation = organisation.map(|id| {
            let owner = self::organisation(id);
            let full = self.taken(&owner, self.organisation, now_ns, tokens);
            (owner, full)
        });
        // Who has to wait for both waits for the slower one.
        let (person_full, organisation) = match (person_full, organisation) {
            (Ok(person_full), None) => (person_full, None),
            (Ok(person_full), Some((owner, Ok(full)))) => (person_full, Some((owner, full))),
            (Err(short), None | Some((_, Ok(_)))) | (Ok(_), Some((_, Err(short)))) => {
                return Err(short.into());
            }
            (Err(one), Some((_, Err(other)))) => return Err(one.max(other).into()),
        };
        self.put(person, person_full, now_ns);
        if let Some((owner, full)) = organisation {
            self.put(owner, full, now_ns);
        }
        Ok(())
    }

    /// Looks at `slice` buckets and drops those that are full again. True if there are more buckets to look at before it
    /// starts again from the front.
    pub fn prune(&mut self, now_ns: u64, slice: usize) -> bool {
        let looked_at = self.next(slice);
        let more = looked_at.len() == slice && slice > 0;
        self.cursor = looked_at.last().filter(|_| more).map(|(owner, _)| *owner);
        for (owner, full_ns) in looked_at {
            if full_ns <= now_ns {
                self.buckets.remove(&owner);
            }
        }
        more
    }

    /// How many buckets are kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the bucket will be full after `tokens` were taken.
    fn taken(&self, owner: &Owner, limit: Limit, now_ns: u64, tokens: u32) -> Result<u64, Short> {
        if tokens > limit.burst {
            return Err(Short::Ever { burst: limit.burst });
        }
        let price_ns = limit.interval_ns.saturating_mul(tokens.into());
        let full_ns = self
            .buckets
            .get(owner)
            .map_or(now_ns, |full_ns| full_ns.max(now_ns))
            .saturating_add(price_ns);
        let wait_ns = (full_ns - now_ns).saturating_sub(limit.full_ns());
        if wait_ns > 0 {
            return Err(Short::For { wait_ns });
        }
        Ok(full_ns)
    }

    fn put(&mut self, owner: Owner, full_ns: u64, now_ns: u64) {
        if full_ns <= now_ns {
            return;
        }
        if self.buckets.len() >= self.max_buckets && !self.buckets.contains_key(&owner) {
            self.evict();
        }
        self.buckets.insert(owner, full_ns);
    }

    fn evict(&mut self) {
        let mut candidates = self.next(EVICTION_LOOK);
        let missing = EVICTION_LOOK - candidates.len();
        self.cursor = None;
        candidates.extend(self.next(missing));
        let Some((nearest, _)) = candidates.iter().min_by_key(|(_, full_ns)| *full_ns) else {
            return;
        };
        self.buckets.remove(nearest);
        self.cursor = candidates.last().map(|(owner, _)| *owner);
    }

    /// The buckets behind the cursor.
    fn next(&self, count: usize) -> Vec<(Owner, u64)> {
        let start = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.buckets
            .range((start, Bound::Unbounded))
            .take(count)
            .map(|entry| (*entry.key(), entry.value()))
            .collect()
    }
}

/// Too few tokens; the greater one is the longer to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Short {
    For { wait_ns: u64 },
    Ever { burst: u32 },
}

impl From<Short> for Error {
    fn from(short: Short) -> Self {
        match short {
            Short::For { wait_ns } => Self::RateLimited {
                retry_after_ms: wait_ns.div_ceil(NANOS_PER_MS),
            },
            Short::Ever { burst } => Self::LimitReached {
                limit: burst.into(),
                what: "tokens in one call".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_700_000_000 * SECOND;
    /// 3 at once, then one a second.
    const PERSON: Limit = Limit {
        burst: 3,
        interval_ns: SECOND,
    };
    /// 5 at once, then one each 10 seconds.
    const ORGANISATION: Limit = Limit {
        burst: 5,
        interval_ns: 10 * SECOND,
    };

    fn limits() -> RateLimits<VectorMemory> {
        RateLimits::open(VectorMemory::default(), PERSON, ORGANISATION)
    }

    fn caller(n: u8, time_ns: u64) -> Context {
        Context {
            caller: Principal::from_slice(&[n, 7]),
            time_ns,
        }
    }

    fn limited(retry_after_ms: u64) -> Result<(), Error> {
        Err(Error::RateLimited { retry_after_ms })
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let mut limits = limits();
        for _ in 0..3 {
            assert_eq!(limits.take(&caller(1, START), None, 1), Ok(()));
        }
        assert_eq!(limits.take(&caller(1, START), None, 1), limited(1_000));
        let later = START + SECOND / 4;
        assert_eq!(limits.take(&caller(1, later), None, 1), limited(750));
        let later = START + SECOND - 1;
        assert_eq!(limits.take(&caller(1, later), None, 1), limited(1));
        let later = START + SECOND;
        assert_eq!(limits.take(&caller(1, later), None, 1), Ok(()));
        assert_eq!(limits.take(&caller(1, later), None, 1), limited(1_000));
        assert_eq!(limits.take(&caller(2, later), None, 3), Ok(()));
    }

    #[test]
    fn waiting_as_long_as_told_is_enough() {
        let mut limits = limits();
        limits.take(&caller(1, START), None, 2).unwrap();
        let time_ns = START + 123;
        let Err(Error::RateLimited { retry_after_ms }) = limits.take(&caller(1, time_ns), None, 3)
        else {
            panic!("not limited");
        };
        let time_ns = time_ns + retry_after_ms * NANOS_PER_MS;
        assert_eq!(limits.take(&caller(1, time_ns), None, 3), Ok(()));
    }

    #[test]
    fn a_call_takes_from_both_buckets_or_from_neither() {
        let mut limits = limits();
        limits.take(&caller(1, START), Some(9), 3).unwrap();
        // the person is short: the organisation's two tokens stay
        assert_eq!(limits.take(&caller(1, START), Some(9), 1), limited(1_000));
        limits.take(&caller(2, START), Some(9), 2).unwrap();
        // the organisation is short: the person's three tokens stay
        assert_eq!(limits.take(&caller(3, START), Some(9), 1), limited(10_000));
        assert_eq!(limits.take(&caller(3, START), None, 3), Ok(()));
        // both are short: the longer wait
        assert_eq!(limits.take(&caller(1, START), Some(9), 1), limited(10_000));
    }

    #[test]
    fn what_no_bucket_ever_holds_is_refused_for_good() {
        let refused = Err(Error::LimitReached {
            limit: 3,
            what: "tokens in one call".into(),
        });
        assert_eq!(limits().take(&caller(1, START), Some(1), 4), refused);
    }

    #[test]
    fn buckets_survive_an_upgrade() {
        let memory = VectorMemory::default();
        RateLimits::open(memory.clone(), PERSON, ORGANISATION)
            .take(&caller(1, START), None, 3)
            .unwrap();
        let mut opened = RateLimits::open(memory, PERSON, ORGANISATION);
        assert_eq!(opened.take(&caller(1, START), None, 1), limited(1_000));
    }

    #[test]
    fn pruning_in_slices_drops_what_is_full_and_nothing_else() {
        let mut limits = limits();
        for n in 0..10 {
            limits.take(&caller(n, START), None, 1).unwrap();
        }
        limits.take(&caller(5, START), None, 2).unwrap();
        let now_ns = START + SECOND;
        let mut slices = 1;
        while limits.prune(now_ns, 3) {
            slices += 1;
        }
        assert_eq!((slices, limits.len()), (4, 1));
        assert_eq!(limits.take(&caller(5, now_ns), None, 2), limited(1_000));
    }

    #[test]
    fn a_full_table_forgets_the_bucket_nearest_to_full() {
        let mut limits = limits();
        limits.max_buckets = 10;
        for n in 0..10 {
            let tokens = if n == 4 { 1 } else { 3 };
            limits.take(&caller(n, START), None, tokens).unwrap();
        }
        limits.take(&caller(20, START), None, 3).unwrap();
        assert_eq!(limits.len(), 10);
        // 4 was forgotten: its bucket is full; the others stay empty
        for n in [0, 3, 5, 9, 20] {
            assert_eq!(limits.take(&caller(n, START), None, 1), limited(1_000));
        }
        assert_eq!(limits.take(&caller(4, START), None, 3), Ok(()));
        assert_eq!(limits.len(), 10);
    }

    proptest! {
        /// The reference counts tokens, which refill as time passes.
        #[test]
        fn buckets_do_what_counted_tokens_do(
            calls in proptest::collection::vec((0..3_000_u64, 1..4_u32, any::<bool>()), 1..60)
        ) {
            let mut limits = limits();
            let (mut now_ns, mut tokens_ms) = (START, 3_000_u64);
            for (wait_ms, tokens, prune) in calls {
                now_ns += wait_ms * NANOS_PER_MS;
                tokens_ms = (tokens_ms + wait_ms).min(3_000);
                if prune {
                    limits.prune(now_ns, 1);
                }
                let price = u64::from(tokens) * 1_000;
                let expected = if price <= tokens_ms {
                    tokens_ms -= price;
                    Ok(())
                } else {
                    limited(price - tokens_ms)
                };
                prop_assert_eq!(limits.take(&caller(1, now_ns), None, tokens), expected);
            }
        }
    }
}
