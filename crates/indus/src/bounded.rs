//! Tasks of which only so many run at a time.
//!
//! Invariant: when it is dropped, all of its tasks end.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

/// Running and waiting tasks, each with the key it was pushed with.
pub(crate) struct Bounded<K, T> {
    permits: Arc<Semaphore>,
    tasks: JoinSet<T>,
    keys: HashMap<Id, K>,
}

impl<K, T: Send + 'static> Bounded<K, T> {
    /// At most `limit` at a time.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
        }
    }

    /// Adds a task; it starts, in the order of pushing, when there is room.
    pub(crate) fn push(&mut self, key: K, task: impl Future<Output = T> + Send + 'static) {
        let permits = Arc::clone(&self.permits);
        let handle = self.tasks.spawn(async move {
            // The semaphore is never closed; without a permit the task would run all the same.
            let _permit = permits.acquire().await;
            task.await
        });
        self.keys.insert(handle.id(), key);
    }

    /// The next task that ended, with what it returned, or how it panicked; `None` when all have ended.
    pub(crate) async fn next(&mut self) -> Option<(K, Result<T, JoinError>)> {
        let (id, outcome) = match self.tasks.join_next_with_id().await? {
            Ok((id, value)) => (id, Ok(value)),
            Err(error) => (error.id(), Err(error)),
        };
        self.keys.remove(&id).map(|key| (key, outcome))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_limit_run_at_a_time_and_all_end() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        let mut tasks = Bounded::new(3);
        for key in 0..20 {
            tasks.push(key, async move {
                let running = RUNNING.fetch_add(1, SeqCst) + 1;
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                RUNNING.fetch_sub(1, SeqCst);
                (key, running)
            });
        }
        let mut seen = Vec::new();
        let mut most = 0;
        while let Some((key, outcome)) = tasks.next().await {
            let (value, running) = outcome.unwrap();
            assert_eq!(key, value);
            seen.push(key);
            most = most.max(running);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert_eq!(most, 3);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_reported_with_its_key() {
        let mut tasks = Bounded::new(1);
        tasks.push("bad", async { panic!("on purpose") });
        let (key, outcome): (_, Result<(), _>) = tasks.next().await.unwrap();
        assert_eq!(key, "bad");
        assert!(outcome.unwrap_err().is_panic());
        assert!(tasks.next().await.is_none());
    }
}
