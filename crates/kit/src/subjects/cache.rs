//! Subjects that another canister decides on, kept for at most a minute.
//!
//! ```text
//! update:  needs_fresh? ── no ──► subject
//!             │ yes
//!             └─► pull ─ await ─► checked, kept ──► subject
//! query:   subject, or Unavailable "refresh": the client calls the update `refresh_subject` once, and asks again
//! ```
//!
//! Invariants:
//! - An entry's age counts from before its question was sent, and an entry that is [`LIFETIME_NS`] old is none. So a
//!   revocation holds everywhere at most that long after identity decided on it, and for sensitive operations, which
//!   always pull, at once.
//! - A caller has at most [`MAX_PULLS_OF_CALLER`] pulls at a time; the answer to an older question never replaces that to a newer
//!   one, whichever comes first.
//! - There are at most [`MAX_ENTRIES`]; the one that expires first makes room.
//! - It is in the heap and empty after an upgrade: that costs a pull, and no stable memory.
//!
//! Cost: O(log n) in the heap, a few thousand instructions; a pull is one inter-canister call. An entry takes some 200 bytes,
//! at most 3 KB with 32 long roles.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    thread::LocalKey,
};

use candid::Principal;
use indus_api::Error;

use super::{Subject, Subjects, check};
use crate::{
    Context,
    guard::{Guard, Guards},
};

/// How long an answer may be used, in nanoseconds: 60 seconds.
pub const LIFETIME_NS: u64 = 60_000_000_000;
/// Most subjects that are kept: as many as call one canister within a minute, and some; at most 30 MB.
pub const MAX_ENTRIES: usize = 10_000;
/// Most pulls at once: half of what the system's queue between two canisters holds.
pub const MAX_PULLS: usize = 250;
/// Most of them for one caller: who does several things at once asks several times.
pub const MAX_PULLS_OF_CALLER: u8 = 16;
/// Reason of the [`Error::Unavailable`] that asks the client to call `refresh_subject`.
pub const REFRESH: &str = "refresh";

/// The subjects of the callers of the last minute.
#[derive(Debug)]
pub struct CachedSubjects {
    /// Name of the canister that decides, for errors.
    source: &'static str,
    entries: BTreeMap<Principal, Entry>,
    /// The same, the oldest first.
    by_age: BTreeSet<(u64, Principal)>,
    pulls: Guards<(Principal, u8)>,
    /// Number of the next pull.
    next_pull: u64,
    max_entries: usize,
}

#[derive(Debug)]
struct Entry {
    /// Number of the pull that it came of.
    pull: u64,
    asked_at_ns: u64,
    /// None if the source knew nobody, or its answer could not be used.
    subject: Option<Subject>,
}

impl CachedSubjects {
    /// Knows nobody yet. `source` names the canister that decides.
    #[must_use]
    pub fn new(source: &'static str) -> Self {
        Self {
            source,
            entries: BTreeMap::new(),
            by_age: BTreeSet::new(),
            pulls: Guards::new("refreshes of subjects at once", MAX_PULLS),
            next_pull: 0,
            max_entries: MAX_ENTRIES,
        }
    }

    /// How many subjects are kept, those that have expired included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the source knew this caller, when it was asked last.
    #[must_use]
    pub fn knows(&self, caller: &Principal) -> bool {
        let entry = self.entries.get(caller);
        entry.is_some_and(|entry| entry.subject.is_some())
    }

    fn fresh(&self, caller: &Principal, now_ns: u64) -> Option<&Subject> {
        self.entries
            .get(caller)
            .filter(|entry| !is_over(entry.asked_at_ns, now_ns))
            .and_then(|entry| entry.subject.as_ref())
    }

    /// Begins a pull: its guard, and its number.
    fn begin(&mut self, caller: Principal) -> Result<(Guard<(Principal, u8)>, u64), Error> {
        let guard = self.pulls.enter_one_of(&caller, MAX_PULLS_OF_CALLER)?;
        let number = self.next_pull;
        self.next_pull += 1;
        Ok((guard, number))
    }

    /// Takes in what the source answered to a pull. Whatever it is, it replaces what was known by pulls before it.
    fn keep(
        &mut self,
        caller: Principal,
        answer: Option<Subject>,
        (pull, asked_at_ns): (u64, u64),
        now_ns: u64,
    ) -> Result<Subject, Error> {
        let answer = self.checked(answer, asked_at_ns, now_ns);
        let known = self.entries.get(&caller);
        if known.is_none_or(|entry| entry.pull < pull) {
            let entry = Entry {
                pull,
                asked_at_ns,
                subject: answer.clone().ok(),
            };
            self.put(caller, entry);
        }
        answer
    }

    fn checked(
        &self,
        answer: Option<Subject>,
        asked_at_ns: u64,
        now_ns: u64,
    ) -> Result<Subject, Error> {
        let subject = answer.ok_or_else(|| Error::Unauthorized {
            needs: "a registered person".into(),
        })?;
        check(&subject).map_err(|_| self.unavailable("its answer is out of bounds"))?;
        if is_over(asked_at_ns, now_ns) {
            return Err(self.unavailable("its answer came too late"));
        }
        Ok(subject)
    }

    fn put(&mut self, caller: Principal, entry: Entry) {
        if let Some(before) = self.entries.remove(&caller) {
            self.by_age.remove(&(before.asked_at_ns, caller));
        }
        if self.entries.len() >= self.max_entries
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.insert((entry.asked_at_ns, caller));
        self.entries.insert(caller, entry);
    }

    fn unavailable(&self, reason: &str) -> Error {
        Error::Unavailable {
            canister: self.source.into(),
            reason: reason.into(),
        }
    }
}

impl Subjects for CachedSubjects {
    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        let caller = context.authenticated()?;
        self.fresh(&caller, context.time_ns)
            .cloned()
            .ok_or_else(|| self.unavailable(REFRESH))
    }

    fn needs_fresh(&self, context: &Context, sensitive: bool) -> bool {
        sensitive || self.fresh(&context.caller, context.time_ns).is_none()
    }
}

/// Asks the source for the caller's subject, keeps the answer and returns it. `ask` makes the call: none means that the
/// source knows nobody of that name. `clock` tells the time, before the question and after the answer.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers and to those whom the source does not know; [`Error::Conflict`] while
/// [`MAX_PULLS_OF_CALLER`] pulls for the same caller are under way; [`Error::LimitReached`] for too many at once; [`Error::Unavailable`] for an answer
/// that can't be used; those of `ask`, after which what was known stays until it expires.
pub async fn pull<Ask>(
    cache: &'static LocalKey<RefCell<CachedSubjects>>,
    context: Context,
    clock: impl Fn() -> u64,
    ask: Ask,
) -> Result<Subject, Error>
where
    Ask: AsyncFnOnce(Principal) -> Result<Option<Subject>, Error>,
{
    let caller = context.authenticated()?;
    let (_under_way, number) = cache.with_borrow_mut(|cache| cache.begin(caller))?;
    let asked_at_ns = clock();
    let answer = ask(caller).await?;
    cache.with_borrow_mut(|cache| cache.keep(caller, answer, (number, asked_at_ns), clock()))
}

fn is_over(asked_at_ns: u64, now_ns: u64) -> bool {
    now_ns.saturating_sub(asked_at_ns) >= LIFETIME_NS
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
        pin::pin,
        task::{Poll, Waker},
    };

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_700_000_000 * SECOND;

    thread_local! {
        static CACHE: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new("identity"));
        static NOW: Cell<u64> = const { Cell::new(START) };
    }

    fn clock() -> u64 {
        NOW.get()
    }

    fn by(caller: u8) -> Context {
        Context {
            caller: Principal::from_slice(&[caller, 1]),
            time_ns: clock(),
        }
    }

    fn subject(n: u8) -> Subject {
        Subject {
            person: Principal::from_slice(&[n, 2]),
            organisation: Some(7),
            roles: ["officer".to_owned()].into(),
        }
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop()))
    }

    fn pulled(caller: u8, answer: Result<Option<Subject>, Error>) -> Result<Subject, Error> {
        match poll(pull(&CACHE, by(caller), clock, async |_| answer)) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("nothing to wait for"),
        }
    }

    fn cached(caller: u8) -> Result<Subject, Error> {
        CACHE.with_borrow(|cache| cache.subject(&by(caller)))
    }

    fn unavailable<T>(reason: &str) -> Result<T, Error> {
        Err(Error::Unavailable {
            canister: "identity".into(),
            reason: reason.into(),
        })
    }

    #[test]
    fn a_subject_is_known_from_its_pull_on_for_a_minute() {
        assert_eq!(cached(1), unavailable(REFRESH));
        assert_eq!(pulled(1, Ok(Some(subject(1)))), Ok(subject(1)));
        NOW.set(START + LIFETIME_NS - 1);
        assert_eq!(cached(1), Ok(subject(1)));
        assert_eq!(cached(2), unavailable(REFRESH));
        NOW.set(START + LIFETIME_NS);
        assert_eq!(cached(1), unavailable(REFRESH));
    }

    #[test]
    fn the_age_of_an_answer_counts_from_its_question() {
        let slow = |seconds: u64| {
            move |_| {
                NOW.set(clock() + seconds * SECOND);
                ready(Ok(Some(subject(1))))
            }
        };
        let ask = slow(59);
        let _ = poll(pull(&CACHE, by(1), clock, async move |caller| {
            ask(caller).await
        }));
        assert_eq!(cached(1), Ok(subject(1)));
        NOW.set(clock() + SECOND);
        assert_eq!(cached(1), unavailable(REFRESH));

        let ask = slow(60);
        assert_eq!(
            poll(pull(&CACHE, by(1), clock, async move |caller| ask(caller).await)),
            Poll::Ready(unavailable("its answer came too late"))
        );
        assert_eq!(cached(1), unavailable(REFRESH));
    }

    #[test]
    fn a_sensitive_operation_always_needs_a_fresh_answer_and_others_when_there_is_none() {
        let needs = |sensitive| CACHE.with_borrow(|cache| cache.needs_fresh(&by(1), sensitive));
        assert!(needs(true) && needs(false));
        pulled(1, Ok(Some(subject(1)))).unwrap();
        assert!(needs(true) && !needs(false));
    }

    #[test]
    fn a_revocation_holds_as_soon_as_it_is_pulled() {
        pulled(1, Ok(Some(subject(1)))).unwrap();
        assert_eq!(
            pulled(1, Ok(None)),
            Err(Error::Unauthorized {
                needs: "a registered person".into()
            })
        );
        assert_eq!(cached(1), unavailable(REFRESH));
    }

    #[test]
    fn an_older_answer_that_comes_later_replaces_nothing() {
        for (newer, known) in [
            (Some(subject(2)), Ok(subject(2))),
            (None, unavailable(REFRESH)),
        ] {
            let mut older = Box::pin(pull(&CACHE, by(1), clock, async |_| {
                let mut waited = false;
                std::future::poll_fn(|_| {
                    if waited {
                        return Poll::Ready(Ok(Some(subject(1))));
                    }
                    waited = true;
                    Poll::Pending
                })
                .await
            }));
            let mut context = std::task::Context::from_waker(Waker::noop());
            assert!(older.as_mut().poll(&mut context).is_pending());
            let _newer = pulled(1, Ok(newer));
            assert_eq!(cached(1), known);
            // It is what its own operation asked for, and nobody else's.
            assert_eq!(
                older.as_mut().poll(&mut context),
                Poll::Ready(Ok(subject(1)))
            );
            assert_eq!(cached(1), known);
        }
    }

    #[test]
    fn a_source_that_fails_gives_nobody_anything() {
        assert_eq!(pulled(1, unavailable("stopped")), unavailable("stopped"));
        assert_eq!(cached(1), unavailable(REFRESH));
        // what was known stays, until it expires
        pulled(1, Ok(Some(subject(1)))).unwrap();
        NOW.set(START + LIFETIME_NS - 1);
        assert!(pulled(1, unavailable("stopped")).is_err());
        assert_eq!(cached(1), Ok(subject(1)));
        NOW.set(START + LIFETIME_NS);
        assert_eq!(cached(1), unavailable(REFRESH));
    }

    #[test]
    fn an_answer_out_of_bounds_is_not_used() {
        pulled(1, Ok(Some(subject(1)))).unwrap();
        let roles = ["r".repeat(65)].into();
        let excessive = Subject {
            roles,
            ..subject(1)
        };
        assert_eq!(
            pulled(1, Ok(Some(excessive))),
            unavailable("its answer is out of bounds")
        );
        assert_eq!(cached(1), unavailable(REFRESH));
    }

    #[test]
    fn anonymous_callers_are_nobody_and_are_not_asked_for() {
        let anonymous = Context {
            caller: Principal::anonymous(),
            time_ns: START,
        };
        let asked = poll(pull(&CACHE, anonymous, clock, async |_| panic!("asked")));
        assert!(matches!(
            asked,
            Poll::Ready(Err(Error::Unauthorized { .. }))
        ));
        let cached = CACHE.with_borrow(|cache| cache.subject(&anonymous));
        assert!(matches!(cached, Err(Error::Unauthorized { .. })));
    }

    #[test]
    fn a_caller_has_so_many_pulls_at_a_time_and_a_cancelled_one_is_over() {
        let waiting = || Box::pin(pull(&CACHE, by(1), clock, async |_| pending().await));
        let mut context = std::task::Context::from_waker(Waker::noop());
        let mut all: Vec<_> = (0..MAX_PULLS_OF_CALLER).map(|_| waiting()).collect();
        for one in &mut all {
            assert!(one.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(
            pulled(1, Ok(Some(subject(1)))),
            Err(Error::Conflict {
                reason: "in_progress".into()
            })
        );
        assert_eq!(pulled(2, Ok(Some(subject(2)))), Ok(subject(2)));
        all.pop();
        assert_eq!(pulled(1, Ok(Some(subject(1)))), Ok(subject(1)));
    }

    proptest! {
        #[test]
        fn the_cache_is_bounded_and_keeps_the_youngest(
            pulls in proptest::collection::vec((0..12_u8, 0..8_u64), 1..80)
        ) {
            CACHE.replace(CachedSubjects { max_entries: 5, ..CachedSubjects::new("identity") });
            NOW.set(START);
            // callers by their last pull, the oldest first
            let mut model: Vec<(u8, u64)> = Vec::new();
            for (caller, seconds) in pulls {
                NOW.set(clock() + seconds * SECOND);
                pulled(caller, Ok(Some(subject(caller)))).unwrap();
                model.retain(|(known, _)| *known != caller);
                model.push((caller, clock()));
                // within one instant, the lesser principal goes first
                model.sort_by_key(|(known, at)| (*at, by(*known).caller));
                if model.len() > 5 {
                    // the newcomer makes room before it comes in
                    let out = usize::from(model[0].0 == caller);
                    model.remove(out);
                }
                for caller in 0..12 {
                    let known = model.iter().any(|(known, at)| *known == caller && clock() - at < LIFETIME_NS);
                    prop_assert_eq!(cached(caller).is_ok(), known);
                }
                let consistent = CACHE.with_borrow(|cache| cache.by_age.len() == cache.len() && cache.len() <= 5);
                prop_assert!(consistent);
            }
        }
    }
}
