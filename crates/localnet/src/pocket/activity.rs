//! When the server was used last: without use for its time to live, it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Counts requests under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Activity(Arc<State>);

struct State {
    under_way: AtomicUsize,
    last_end: Mutex<Instant>,
}

/// A request under way, until it is dropped.
pub(super) struct UnderWay(Arc<State>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            under_way: AtomicUsize::new(0),
            last_end: Mutex::new(Instant::now()),
        }))
    }

    pub(super) fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.0.clone())
    }

    /// Ends when there has been no request for so long.
    pub(super) async fn idle_for(&self, ttl: Duration) {
        loop {
            let idle = if self.0.under_way.load(Ordering::SeqCst) == 0 {
                self.0.last_end.lock().elapsed()
            } else {
                Duration::ZERO
            };
            if idle >= ttl {
                return;
            }
            // A request that is under way ends at some time that nobody knows.
            tokio::time::sleep((ttl - idle).min(Duration::from_secs(1))).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.last_end.lock() = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
