//! Timers: bounded jobs, each safe to lose.
//!
//! ```text
//! at once, and
//! every interval: ──► slice ── More ──► at once, in a message of its own: slice ── More ──► …
//!                       └───── Done ──► until the next interval
//! ```
//!
//! A canister lists its [`Job`]s once, and starts them in `init` and in `post_upgrade`, since an upgrade forgets timers. A
//! job does a slice of its work and says whether there is more. What it has to know lies in the state, so a lost timer
//! costs time and nothing else.
//!
//! Invariants:
//! - A slice is one message. It runs in a call of the canister to itself (as `ic-cdk-timers` does it), so a trap in it undoes
//!   this slice only: the job comes again at its next interval, other jobs don't notice.
//! - A job has one continuation at most: the interval's tick replaces one that still waits, or was lost in a trap.
//! - Who loads a snapshot confirms the upgrade then, which wakes the timers. Where they were lost for want of cycles, the next update does.
//! - During maintenance no job runs; intervals go on, so that afterwards nothing has to be started.
//!
//! Cost: a call to itself a slice (some 1 million cycles on 13 nodes, and 5 million for its message) besides the work.

use std::{cell::Cell, cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use ic_cdk_timers::TimerId;

use crate::{
    Context,
    calls::{
        Canister,
        pending::{Saga, attempt},
    },
};

/// Whether a job has work left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing until the next interval.
    Done,
    /// There is more: again in the next message.
    More,
}

/// Something that a canister does from time to time.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Names it in [`last_runs`].
    pub name: &'static str,
    pub interval: Duration,
    /// How much one message may do: things to look at, chosen so that a slice stays far below the limit of instructions.
    pub slice: usize,
    /// Does one slice. The context's caller is the canister itself.
    pub run: fn(&Context, usize) -> Progress,
}

/// How much later than it should a timer may come, in nanoseconds, until it is taken for lost.
const LATE_NS: u64 = 60_000_000_000;

/// When a timer was last called, and how soon the next one has to be, in nanoseconds.
#[derive(Clone, Copy, Default)]
struct Pulse {
    last_ns: u64,
    every_ns: u64,
}

impl Pulse {
    /// Whether nothing has come for so long that nothing will.
    fn is_lost(self, now_ns: u64) -> bool {
        let wait_ns = self.every_ns.saturating_add(LATE_NS);
        self.every_ns > 0 && now_ns.saturating_sub(self.last_ns) > wait_ns
    }
}

thread_local! {
    static PULSE: Cell<Pulse> = const { Cell::new(Pulse { last_ns: 0, every_ns: 0 }) };
    static LAST_RUNS: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Starts the jobs: in `init` and in `post_upgrade`, once. Each does its first slice in the next round, a message of its own.
pub fn start<C: Canister>(jobs: &'static [Job]) {
    let shortest = jobs.iter().map(|job| job.interval).min();
    let every_ns = shortest.map_or(0, |interval| {
        u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
    });
    PULSE.set(Pulse {
        last_ns: C::time_ns(),
        every_ns,
    });
    for job in jobs {
        let next = Rc::new(Cell::new(None));
        let first = Rc::clone(&next);
        let at_once = async move { turn::<C>(job, first) };
        next.set(Some(ic_cdk_timers::set_timer(Duration::ZERO, at_once)));
        ic_cdk_timers::set_timer_interval(job.interval, move || {
            let next = Rc::clone(&next);
            async move { turn::<C>(job, next) }
        });
    }
}

/// When each job last did a slice to its end, in nanoseconds, since the canister was started: a job that traps stays behind.
#[must_use]
pub fn last_runs() -> Vec<(&'static str, u64)> {
    LAST_RUNS.with_borrow(|runs| runs.iter().map(|(name, at_ns)| (*name, *at_ns)).collect())
}

/// Attempts at most `slice` [pending](crate::calls::pending) operations that are due, each in a message of its own, so that
/// none waits for another or traps with it. For the job that retries.
pub fn retry_pending<S: Saga>(context: &Context, slice: usize) -> Progress {
    for id in S::pending(|pending| pending.due(context.time_ns, slice)) {
        soon(async move {
            // What can't be attempted now stays due.
            let _later = attempt::<S>(id).await;
        });
    }
    // What was taken on is due until its message comes, so there is nothing to go on with in this one.
    Progress::Done
}

/// Does something in a message of its own, in the next round. It is safe to lose.
pub fn soon(task: impl Future<Output = ()> + 'static) {
    ic_cdk_timers::set_timer(Duration::ZERO, task);
}

/// Wakes the timers if they have been lost: where a canister is frozen for want of cycles as a timer falls due, the subnet forgets when to call it
/// (IC interface specification, "Global timer"), also when there are cycles again. For every
/// update, and every call of others.
pub(crate) fn awake_if_lost(now_ns: u64) {
    let pulse = PULSE.get();
    if pulse.is_lost(now_ns) {
        PULSE.set(Pulse {
            last_ns: now_ns,
            ..pulse
        });
        awake();
    }
}

/// Has the subnet call the timers in the next round, which says anew when it should do so later. Loading a snapshot brings the
/// timers back, but not the time at which the subnet calls them (IC interface specification, `load_canister_snapshot`).
pub(crate) fn awake() {
    let now = ic_cdk::api::time();
    ic_cdk::api::global_timer_set(now);
}

fn turn<C: Canister>(job: &'static Job, next: Rc<Cell<Option<TimerId>>>) {
    if let Some(waiting) = next.take() {
        ic_cdk_timers::clear_timer(waiting);
    }
    let context = Context {
        caller: ic_cdk::api::canister_self(),
        time_ns: C::time_ns(),
    };
    PULSE.set(Pulse {
        last_ns: context.time_ns,
        ..PULSE.get()
    });
    if slice::<C>(job, &context) == Progress::More {
        let again = Rc::clone(&next);
        let id = ic_cdk_timers::set_timer(Duration::ZERO, async move { turn::<C>(job, again) });
        next.set(Some(id));
    }
}

fn slice<C: Canister>(job: &Job, context: &Context) -> Progress {
    if C::in_maintenance() {
        return Progress::Done;
    }
    let progress = (job.run)(context, job.slice);
    LAST_RUNS.with_borrow_mut(|runs| runs.insert(job.name, context.time_ns));
    progress
}

#[cfg(test)]
mod tests {
    use candid::Principal;

    use super::*;

    thread_local! {
        static MAINTENANCE: Cell<bool> = const { Cell::new(false) };
        static LEFT: Cell<usize> = const { Cell::new(5) };
    }

    struct Worker;

    impl Canister for Worker {
        fn is_committed() -> bool {
            true
        }

        fn in_maintenance() -> bool {
            MAINTENANCE.get()
        }

        fn time_ns() -> u64 {
            1
        }
    }

    const JOB: Job = Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 2,
        run: |_, slice| {
            LEFT.set(LEFT.get().saturating_sub(slice));
            if LEFT.get() == 0 {
                Progress::Done
            } else {
                Progress::More
            }
        },
    };

    fn at(time_ns: u64) -> Context {
        Context {
            caller: Principal::from_slice(&[1]),
            time_ns,
        }
    }

    #[test]
    fn a_job_does_a_slice_at_a_time_until_there_is_no_more() {
        let turns: Vec<_> = (1..=3)
            .map(|time| slice::<Worker>(&JOB, &at(time)))
            .collect();
        assert_eq!(turns, [Progress::More, Progress::More, Progress::Done]);
        assert_eq!(last_runs(), [("prune", 3)]);
    }

    #[test]
    fn timers_are_lost_when_nothing_has_come_for_a_minute_longer_than_it_should() {
        let pulse = Pulse {
            last_ns: 5,
            every_ns: 10,
        };
        assert!(!pulse.is_lost(5));
        assert!(!pulse.is_lost(15 + LATE_NS));
        assert!(pulse.is_lost(16 + LATE_NS));
        // Whoever has no jobs waits for none.
        assert!(!Pulse::default().is_lost(u64::MAX));
    }

    #[test]
    fn no_job_runs_during_maintenance() {
        MAINTENANCE.set(true);
        assert_eq!(slice::<Worker>(&JOB, &at(1)), Progress::Done);
        assert_eq!((LEFT.get(), last_runs()), (5, vec![]));
        MAINTENANCE.set(false);
        assert_eq!(slice::<Worker>(&JOB, &at(2)), Progress::More);
    }
}
