//! The clock of a network, which the threads that check requests read without asking the thread that runs it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use engine::Time;

/// The wall clock, in the time of the Internet Computer.
pub(crate) fn wall_clock() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What time a network has: its own while it is moved by hand, the wall clock's while it is live.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The time of the network's last change of time.
    reached: AtomicU64,
    live: AtomicBool,
    /// How far a live network is ahead of the wall clock: its time never goes back.
    ahead: AtomicU64,
}

impl Clock {
    pub(super) fn new(now: Time) -> Self {
        Self {
            reached: AtomicU64::new(now.0),
            live: AtomicBool::new(false),
            ahead: AtomicU64::new(0),
        }
    }

    /// The time by which a request is judged.
    pub(crate) fn now(&self) -> Time {
        let reached = self.reached.load(Ordering::Relaxed);
        if !self.live.load(Ordering::Relaxed) {
            return Time(reached);
        }
        let now = wall_clock().plus(self.ahead.load(Ordering::Relaxed));
        // The clock of the machine may have been set back since; the network's never is.
        now.max(Time(reached))
    }

    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn reach(&self, time: Time) {
        self.reached.store(time.0, Ordering::Relaxed);
    }

    pub(super) fn go_live(&self) {
        let reached = self.reached.load(Ordering::Relaxed);
        let ahead = reached.saturating_sub(wall_clock().0);
        self.ahead.store(ahead, Ordering::Relaxed);
        self.live.store(true, Ordering::Relaxed);
    }

    pub(super) fn stand_still(&self) {
        self.live.store(false, Ordering::Relaxed);
    }
}
