//! Twins: instances for queries, which run beside the canister on its last committed state.
//!
//! ```text
//!   Instance ── commit ──► Committed ── checkout ──► Twin ── run, run … ── drop ──► idle
//!   (one thread)           (under a lock)            (any thread)                     │
//!                               └────────── checkout ◄────────────────────────────────┘
//! ```
//!
//! A twin sees the state as of its checkout until it is dropped, whatever is committed meanwhile, and what it
//! writes is forgotten then. The lock is held while a commit or a checkout is under way, never while a twin
//! runs. A reinstallation or an upgrade makes a new [`Instance`](super::Instance) with twins of its own; the
//! old ones end on the old state.
//!
//! Cost: a checkout writes the globals, and makes an instance where none is idle; a commit copies each page
//! that it changes once for each twin that is checked out.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    Program, Run, Runtime, RuntimeError,
    instance::{Callable, Live, State},
};
use crate::{
    ic0::Message,
    memory::{Heap, HeapCheckpoint, HeapFile, Published, StableCheckpoint, StableMemory},
};

/// Idle twins of one canister: as many as can run at a time.
fn max_idle() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// Idle twins of all canisters together.
const MAX_IDLE: usize = 256;

static IDLE: AtomicUsize = AtomicUsize::new(0);

/// The committed state of an instance, and its twins. See the module's documentation.
pub(crate) struct Twins {
    runtime: Runtime,
    program: Program,
    committed: Mutex<Option<Committed>>,
    pub(super) stable: Published,
    idle: Mutex<Vec<Live>>,
}

/// What a twin starts from, besides the stable memory.
pub(super) struct Committed {
    pub(super) state: State,
    pub(super) heap_size: usize,
    /// None where the module has no memory.
    pub(super) file: Option<Arc<HeapFile>>,
}

impl Twins {
    pub(super) fn new(runtime: Runtime, program: Program) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            program,
            committed: Mutex::new(None),
            stable: Published::default(),
            idle: Mutex::default(),
        })
    }

    /// The committed state; a commit holds this while it changes any of it.
    pub(super) fn committed(&self) -> MutexGuard<'_, Option<Committed>> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Live>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stable memory as of the last commit.
    pub(crate) fn stable(&self) -> StableMemory {
        StableMemory::of(self.stable.get())
    }

    /// An instance in the state of the last commit before this call.
    pub(crate) fn checkout(self: &Arc<Self>) -> Result<Twin, RuntimeError> {
        let idle = self.idle().pop();
        let mut live = match idle {
            Some(live) => {
                IDLE.fetch_sub(1, Ordering::Relaxed);
                live
            }
            None => Live::new(&self.runtime, &self.program, StableMemory::new())
                .map_err(|(error, _)| error)?,
        };
        let committed = self.committed();
        let Some(committed) = &*committed else {
            return Err(RuntimeError("nothing was committed yet".to_owned()));
        };
        live.grow_heap(committed.heap_size)?;
        live.adopt(&committed.state)?;
        live.store.data_mut().stable = StableMemory::of(self.stable.get());
        if let (Some(heap), Some(file)) = (&live.heap, &committed.file) {
            heap.join(file).map_err(RuntimeError::from_io)?;
        }
        Ok(Twin {
            size: committed.heap_size,
            changed: false,
            live: Some(live),
            twins: self.clone(),
        })
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        IDLE.fetch_sub(self.idle().len(), Ordering::Relaxed);
    }
}

/// An instance for a query, or for the queries of one call graph.
pub(crate) struct Twin {
    /// Some until it is dropped.
    live: Option<Live>,
    /// Committed size of the heap.
    size: usize,
    /// The table or the segments were other than the committed ones at some time.
    changed: bool,
    twins: Arc<Twins>,
}

/// What a twin was at some time since its checkout.
pub(crate) struct Checkpoint {
    heap: Option<HeapCheckpoint>,
    stable: StableCheckpoint,
    state: State,
}

impl Twin {
    /// Runs `callable` on `message` with at most `limit` instructions. What it writes stays until the twin is
    /// dropped.
    ///
    /// # Panics
    /// Never: a twin has its instance until it is dropped.
    pub(crate) fn run(&mut self, callable: &Callable, message: Message, limit: u64) -> Run {
        self.live().run(callable, message, limit)
    }

    #[allow(
        clippy::expect_used,
        reason = "the instance is taken out by `drop` alone"
    )]
    fn live(&mut self) -> &mut Live {
        self.live.as_mut().expect("a twin has its instance")
    }

    /// Puts aside what was written since the checkout. Costs a copy of it.
    pub(crate) fn checkpoint(&mut self) -> Result<Checkpoint, RuntimeError> {
        let live = self.live();
        let heap = live.heap.as_ref().map(Heap::checkpoint).transpose();
        Ok(Checkpoint {
            heap: heap.map_err(RuntimeError::from_io)?,
            stable: live.store.data().stable.checkpoint(),
            state: live.peek_state(),
        })
    }

    /// Makes everything as it was at the checkpoint, but for one thing: a heap that has grown since keeps its
    /// size, and shows zeros there.
    pub(crate) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), RuntimeError> {
        self.changed |= self.live().has_changed();
        let live = self.live();
        if let (Some(heap), Some(then)) = (&live.heap, &checkpoint.heap) {
            heap.restore(then).map_err(RuntimeError::from_io)?;
        }
        live.store.data_mut().stable.restore(&checkpoint.stable);
        if live.restore(&checkpoint.state)? {
            Ok(())
        } else {
            let text = "a table that grew or a segment that was dropped stays so";
            Err(RuntimeError(text.to_owned()))
        }
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let Some(mut live) = self.live.take() else {
            return;
        };
        // A stable memory that is held makes commits copy.
        live.store.data_mut().stable = StableMemory::new();
        let left = match &live.heap {
            Some(heap) => heap.leave().map(|()| heap.size() == self.size),
            None => Ok(true),
        };
        // One that grew can't shrink; one that can't be restored is of no use.
        if matches!(left, Ok(true)) && !self.changed && !live.has_changed() {
            let mut idle = self.twins.idle();
            if idle.len() < max_idle() && IDLE.load(Ordering::Relaxed) < MAX_IDLE {
                IDLE.fetch_add(1, Ordering::Relaxed);
                idle.push(live);
            }
        }
    }
}
