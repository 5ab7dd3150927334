use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::pending as for_ever,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use ic_stable_structures::VectorMemory;
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;
const KIND: u16 = 7;

/// What the callee does with the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callee {
    Answers,
    Refuses,
    /// Does what it is asked, and the reply is lost.
    LosesReply,
}

thread_local! {
    static MEMORIES: [VectorMemory; 2] = [VectorMemory::default(), VectorMemory::default()];
    static PENDING: RefCell<Pending<VectorMemory>> = RefCell::new(opened());
    static NOW: Cell<u64> = const { Cell::new(START) };
    static CALLEE: Cell<Callee> = const { Cell::new(Callee::Answers) };
    /// What the callee has done, by idempotency key: how often it was asked.
    static DONE: RefCell<BTreeMap<[u8; 8], u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn opened() -> Pending<VectorMemory> {
    MEMORIES.with(|[operations, due]| Pending::open(operations.clone(), due.clone()))
}

struct Bank;

impl Canister for Bank {
    fn is_committed() -> bool {
        true
    }

    fn in_maintenance() -> bool {
        false
    }

    fn time_ns() -> u64 {
        NOW.get()
    }
}

impl Saga for Bank {
    type Memory = VectorMemory;

    fn pending<T>(run: impl FnOnce(&mut Pending<VectorMemory>) -> T) -> T {
        PENDING.with_borrow_mut(run)
    }

    async fn perform(operation: Operation) -> Outcome {
        let callee = CALLEE.get();
        if callee != Callee::Refuses {
            DONE.with_borrow_mut(|done| *done.entry(operation.key()).or_default() += 1);
        }
        match callee {
            Callee::Answers => Outcome::Settled,
            Callee::Refuses => Outcome::Retry,
            Callee::LosesReply => for_ever().await,
        }
    }
}

fn record() -> u64 {
    Bank::pending(|pending| pending.record(NOW.get(), KIND, b"v1: pay".to_vec())).unwrap()
}

type Attempt = Pin<Box<dyn Future<Output = Result<Option<Outcome>, Error>>>>;

/// Runs an attempt to its first `await`, or its end.
fn attempted(id: u64) -> Result<Result<Option<Outcome>, Error>, Attempt> {
    let mut attempt: Attempt = Box::pin(attempt::<Bank>(id));
    match attempt
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err(attempt),
    }
}

fn due() -> Vec<u64> {
    Bank::pending(|pending| pending.due(NOW.get(), 10))
}

fn times_done(id: u64) -> u32 {
    DONE.with_borrow(|done| done.get(&id.to_be_bytes()).copied().unwrap_or(0))
}

#[test]
fn an_operation_that_succeeds_is_gone() {
    let id = record();
    assert_eq!(due(), [id]);
    assert_eq!(attempted(id).ok(), Some(Ok(Some(Outcome::Settled))));
    assert_eq!(times_done(id), 1);
    assert!(Bank::pending(|pending| pending.is_empty()));
    // the timer comes late
    assert_eq!(attempted(id).ok(), Some(Ok(None)));
    assert_eq!(times_done(id), 1);
}

#[test]
fn an_operation_is_taken_back_unless_it_was_attempted() {
    let first = record();
    let cancel = |id| Bank::pending(|pending| pending.cancel(id));
    assert_eq!(cancel(first), Ok(true));
    assert_eq!((due(), cancel(first)), (Vec::new(), Ok(true)));
    CALLEE.set(Callee::LosesReply);
    let second = record();
    assert!(second > first);
    let open = attempted(second);
    assert!(open.is_err());
    assert_eq!(cancel(second), Ok(false));
    assert_eq!(Bank::pending(|pending| pending.len()), 1);
}

#[test]
fn a_refused_operation_is_tried_again_ever_more_rarely_until_it_succeeds() {
    CALLEE.set(Callee::Refuses);
    let id = record();
    let mut waits = Vec::new();
    for attempts in 1..=12 {
        assert_eq!(attempted(id).ok(), Some(Ok(Some(Outcome::Retry))));
        let operation = Bank::pending(|pending| pending.oldest()).unwrap().unwrap();
        assert_eq!((operation.id, operation.attempts), (id, attempts));
        waits.push((operation.next_try_ns - NOW.get()) / SECOND);
        NOW.set(operation.next_try_ns - 1);
        assert_eq!(due(), [0; 0]);
        assert_eq!(attempted(id).ok(), Some(Ok(None)), "too early");
        NOW.set(operation.next_try_ns);
        assert_eq!(due(), [id]);
    }
    assert_eq!(
        waits,
        [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    );
    assert_eq!(times_done(id), 0);
    CALLEE.set(Callee::Answers);
    assert_eq!(attempted(id).ok(), Some(Ok(Some(Outcome::Settled))));
    assert_eq!((times_done(id), due()), (1, vec![]));
    assert_eq!(backoff_ns(u32::MAX), LAST_RETRY_NS);
}

#[test]
fn a_lost_reply_is_asked_for_again_with_the_same_key() {
    CALLEE.set(Callee::LosesReply);
    let id = record();
    let lost = attempted(id).expect_err("it waits");
    NOW.set(NOW.get() + LAST_RETRY_NS);
    // while the attempt is under way there is no second one
    assert_eq!(attempted(id).ok(), Some(Ok(None)));
    assert_eq!(times_done(id), 1);
    // the callback traps: what the attempt held is dropped, and nothing else happens
    drop(lost);
    CALLEE.set(Callee::Answers);
    assert_eq!(due(), [id]);
    assert_eq!(attempted(id).ok(), Some(Ok(Some(Outcome::Settled))));
    assert_eq!((times_done(id), due()), (2, vec![]));
}

#[test]
fn operations_survive_an_upgrade_and_ids_are_never_used_again() {
    let first = record();
    let second = record();
    assert_eq!((first, second), (START, START + 1));
    attempted(second)
        .unwrap_or_else(|_| panic!("waits"))
        .unwrap();
    PENDING.replace(opened());
    assert_eq!(due(), [first]);
    assert_eq!(record(), START + 2);
    let operation = Bank::pending(|pending| pending.oldest()).unwrap().unwrap();
    assert_eq!(
        (operation.kind, operation.argument),
        (KIND, b"v1: pay".to_vec())
    );
}

#[test]
fn a_slice_of_what_is_due_is_bounded_and_the_longest_due_come_first() {
    let ids: Vec<_> = (0..5).map(|_| record()).collect();
    let slice = Bank::pending(|pending| pending.due(NOW.get(), 2));
    assert_eq!(slice, ids[..2]);
    assert_eq!(Bank::pending(|pending| pending.due(START - 1, 2)), [0; 0]);
}

#[test]
fn arguments_and_operations_are_limited() {
    Bank::pending(|pending| {
        let longest = vec![0; MAX_ARGUMENT_BYTES];
        let longer = vec![0; MAX_ARGUMENT_BYTES + 1];
        assert!(pending.record(START, KIND, longest).is_ok());
        assert_eq!(
            pending.record(START, KIND, longer),
            Err(invalid("argument", "must be at most 16384 bytes long"))
        );
        pending.max_pending = 2;
        assert!(pending.record(START, KIND, vec![]).is_ok());
        assert_eq!(
            pending.record(START, KIND, vec![]),
            Err(Error::LimitReached {
                limit: 2,
                what: "pending operations".into()
            })
        );
        assert_eq!(pending.len(), 2);
    });
}

#[test]
fn attempts_at_once_are_limited_and_what_is_refused_stays_due() {
    CALLEE.set(Callee::LosesReply);
    let ids: Vec<_> = (0..=MAX_UNDER_WAY).map(|_| record()).collect();
    NOW.set(START + SECOND);
    let (last, others) = ids.split_last().unwrap();
    let under_way: Vec<_> = others.iter().map(|id| attempted(*id).err()).collect();
    assert!(under_way.iter().all(Option::is_some));
    assert!(matches!(
        attempted(*last),
        Ok(Err(Error::LimitReached { .. }))
    ));
    assert_eq!(due(), [*last]);
}

#[test]
fn version_1_of_an_operation_is_read_for_ever_and_later_ones_are_an_error() {
    let operation = Operation {
        id: 9,
        kind: 7,
        argument: b"pay".to_vec(),
        attempts: 3,
        next_try_ns: 0x15,
    };
    let bytes = hex::decode("010700030000001500000000000000706179").unwrap();
    assert_eq!(operation.encode(), bytes);
    assert_eq!(Operation::decode(9, &bytes), Ok(operation));
    let damaged = Err(internal(OPERATION_UNREADABLE));
    assert_eq!(Operation::decode(9, &[&[2], &bytes[1..]].concat()), damaged);
    assert_eq!(Operation::decode(9, &bytes[..14]), damaged);
}

proptest! {
    /// Whatever becomes of attempts, each operation is done in the end, and nothing but settled ones is gone before.
    #[test]
    fn every_operation_is_done_in_the_end(
        fates in proptest::collection::vec((0..3_u8, 0..100_u64, any::<bool>()), 1..40)
    ) {
        NOW.set(START);
        let ids: Vec<_> = (0..3).map(|_| record()).collect();
        let mut settled = Vec::new();
        for (fate, seconds, upgrade) in fates {
            CALLEE.set([Callee::Answers, Callee::Refuses, Callee::LosesReply][usize::from(fate)]);
            for id in due() {
                if let Ok(Ok(Some(Outcome::Settled))) = attempted(id) {
                    settled.push(id);
                }
            }
            if upgrade {
                PENDING.replace(opened());
            }
            let left = Bank::pending(|pending| pending.len());
            prop_assert_eq!(left, (ids.len() - settled.len()) as u64);
            NOW.set(NOW.get() + seconds * SECOND);
        }
        CALLEE.set(Callee::Answers);
        NOW.set(NOW.get() + LAST_RETRY_NS);
        for id in due() {
            prop_assert_eq!(attempted(id).ok(), Some(Ok(Some(Outcome::Settled))));
        }
        prop_assert!(Bank::pending(|pending| pending.is_empty()));
        prop_assert!(ids.iter().all(|id| times_done(*id) > 0));
    }
}
