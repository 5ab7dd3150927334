//! The executor: one thread that runs a network, and the handle that everyone else has.
//!
//! ```text
//!   handlers ──query, read state, submit──▶ engine::Reader
//!      │                                        │ (same state)
//!      └──Job──▶ bounded channel ──▶ executor thread: jobs, then one round, then calls that wait
//!      ▲                                        │
//!      └────────── oneshot answer ──────────────┘
//! ```
//!
//! - Jobs that are there already are taken together, so calls that come at the same time end in the same round
//!   and share one signature of the subnet.
//! - A call that waits is told when it has ended, or to poll after [`PATIENCE`].
//! - A live network follows the wall clock. Its time moves with each round, not with each read: reads in between find
//!   the same state, so they share a certificate. A network that is not live stands still but for the jobs that move it.
//! - A client that has gone away is noticed when its answer can't be delivered, and changes nothing.
//!
//! The thread ends when the last handle is dropped. If it panics, every request is answered [`Refusal::Stopped`].

mod clock;
mod driver;
mod outcalls;

use std::{
    sync::{
        Arc, Weak,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use candid::Principal;
use engine::{
    Effective, HttpResponse, Ingress, MethodMetrics, Network, NodeSignature, Path, Query,
    ReadStateRefused, Reader, Reject, RejectCode, RequestId, StateReader, Time,
};
use tokio::{
    sync::{oneshot, watch},
    task::block_in_place,
};

use self::outcalls::Outcalls;
use crate::{answer::query_signable, refusal::Refusal};

pub(crate) use clock::{Clock, wall_clock};
pub(crate) use driver::{AwaitFailed, Driver};

/// How long a call waits for its end before its client is told to poll.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time between two rounds of a live network: how late a timer may fire.
pub const TICK: Duration = Duration::from_millis(100);
/// Jobs that may wait; beyond it a request is refused as overload.
pub(crate) const QUEUE: usize = 512;

/// What became of a call at its submission, or within the time that its client waits.
#[derive(Clone, Debug)]
pub(crate) enum CallOutcome {
    /// The certificate of its reply or reject.
    Ended(Arc<[u8]>),
    /// It was refused before execution; nothing of it is in the state.
    NotTaken(Reject),
    /// It was taken, and has not ended yet.
    Taken,
}

/// An answer to a query, signed by a node.
#[derive(Clone, Debug)]
pub(crate) struct QueryOutcome {
    pub result: Result<Vec<u8>, Reject>,
    pub time: Time,
    pub signature: NodeSignature,
}

/// Something to be done on the executor's thread.
type Job = Box<dyn FnOnce(&mut Driver) + Send>;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination {
    pub effective: Effective,
    /// If no subnet is responsible for the id, the application subnet takes it.
    pub anywhere: bool,
}

/// A handle on the executor. Dropping the future of a method gives up the answer, not the job.
#[derive(Clone)]
pub(crate) struct Executor {
    jobs: Arc<SyncSender<Job>>,
    reader: Reader,
    clock: Arc<Clock>,
    ended: watch::Receiver<()>,
}

/// A handle that doesn't keep the executor's thread alive.
#[derive(Clone)]
struct WeakExecutor(Weak<SyncSender<Job>>);

impl WeakExecutor {
    /// Answers an outcall that the network performed, if there still is a network.
    async fn answer(
        &self,
        subnet: Principal,
        id: u64,
        ended: Result<HttpResponse, (RejectCode, String)>,
    ) {
        let mut job: Job = Box::new(move |driver| driver.answer_outcall(subnet, id, ended));
        // Nobody else would answer it.
        while let Some(jobs) = self.0.upgrade() {
            match jobs.try_send(job) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => job = back,
            }
            drop(jobs);
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Executor {
    /// Moves the network to a thread of its own, where it stands still. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The thread can't be made.
    pub(crate) fn spawn(network: Network) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let (alive, ended) = watch::channel(());
        let executor = Self {
            jobs: Arc::new(jobs),
            reader: network.reader(),
            clock: Arc::new(Clock::new(network.time())),
            ended,
        };
        let clock = executor.clock.clone();
        let outcalls = Outcalls::new(
            WeakExecutor(Arc::downgrade(&executor.jobs)),
            tokio::runtime::Handle::current(),
        );
        thread::Builder::new()
            .name("network".into())
            .spawn(move || {
                // Dropped with the thread, however it ends.
                let _alive = alive;
                Driver::new(network, clock, outcalls).run(&queue);
            })?;
        Ok(executor)
    }

    /// What can be asked of the network without its thread.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The time by which requests are judged.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Has the network follow the wall clock, with at least `delay` between two rounds; ends when its time is certified
    /// for the first time. False if it was live already.
    ///
    /// # Errors
    /// Overload, or the executor has stopped; the same for all methods.
    pub(crate) async fn go_live(&self, delay: Duration) -> Result<bool, Refusal> {
        self.run(move |driver| driver.go_live(delay)).await
    }

    /// Submits a call, and waits for its end if `wait` is set.
    ///
    /// # Errors
    /// No subnet is responsible, overload, or the executor has stopped.
    pub(crate) async fn call(
        &self,
        to: Destination,
        ingress: Ingress,
        wait: bool,
    ) -> Result<CallOutcome, Refusal> {
        let subnet = self.route(to)?;
        let id = ingress.id;
        if let Err(reject) = block_in_place(|| self.reader.submit(subnet, ingress)) {
            return Ok(CallOutcome::NotTaken(reject));
        }
        self.follow(subnet, id, wait).await
    }

    /// The same for a call that `answer` ends, and no canister. It is made once, however often the call comes.
    ///
    /// # Errors
    /// As [`Executor::call`].
    pub(crate) async fn call_answered_by(
        &self,
        to: Destination,
        ingress: &Ingress,
        wait: bool,
        answer: impl Future<Output = Result<Vec<u8>, Reject>> + Send + 'static,
    ) -> Result<CallOutcome, Refusal> {
        let subnet = self.route(to)?;
        let id = ingress.id;
        match block_in_place(|| self.reader.take(subnet, ingress)) {
            Err(reject) => return Ok(CallOutcome::NotTaken(reject)),
            Ok(false) => {}
            Ok(true) => {
                let executor = self.clone();
                // The client may go away; the call goes on.
                tokio::spawn(async move {
                    let result = answer.await;
                    executor.reader.end(subnet, &id, result);
                    // Without a round, its client hears of it after the next one.
                    let _ = executor.send(Box::new(Driver::wake));
                });
            }
        }
        self.follow(subnet, id, wait).await
    }

    /// Waits for the end of a call that was taken, if that is wanted.
    async fn follow(
        &self,
        subnet: Principal,
        id: RequestId,
        wait: bool,
    ) -> Result<CallOutcome, Refusal> {
        let (answer, ended) = oneshot::channel();
        let until = Instant::now() + PATIENCE;
        self.send(Box::new(move |driver| {
            driver.wake();
            if wait {
                driver.watch(subnet, id, until, answer);
            }
        }))?;
        if !wait {
            return Ok(CallOutcome::Taken);
        }
        if !ended.await.map_err(|_| Refusal::Stopped)? {
            return Ok(CallOutcome::Taken);
        }
        let path = vec![b"request_status".to_vec(), id.0.to_vec()];
        let certificate = block_in_place(|| self.reader.read_state(subnet, &[path]));
        Ok(CallOutcome::Ended(certificate))
    }

    /// Says that something was submitted, which a live network executes at once.
    ///
    /// # Errors
    /// Overload, or the executor has stopped.
    pub(crate) fn wake_if_live(&self) -> Result<(), Refusal> {
        if self.clock.is_live() {
            self.send(Box::new(Driver::wake))?;
        }
        Ok(())
    }

    /// Runs a query. Its request id goes into the signature.
    ///
    /// # Errors
    /// No subnet is responsible.
    pub(crate) fn query(
        &self,
        to: Destination,
        query: Query,
        id: &RequestId,
    ) -> Result<QueryOutcome, Refusal> {
        self.query_answered_by(to, id, |subnet| self.reader.query(subnet, query))
    }

    /// Signs what `answer` makes of a query, as a node of the subnet that it went to.
    ///
    /// # Errors
    /// No subnet is responsible.
    pub(crate) fn query_answered_by(
        &self,
        to: Destination,
        id: &RequestId,
        answer: impl FnOnce(Principal) -> Result<Vec<u8>, Reject>,
    ) -> Result<QueryOutcome, Refusal> {
        let subnet = self.route(to)?;
        Ok(block_in_place(|| {
            let result = answer(subnet);
            let time = self.reader.time_of(subnet);
            let signable = query_signable(&result, id, time);
            QueryOutcome {
                result,
                time,
                signature: self.reader.sign_as_node(subnet, &signable),
            }
        }))
    }

    /// The certificate of these paths.
    ///
    /// # Errors
    /// No subnet is responsible, or the sender may not read them.
    pub(crate) fn read_state(
        &self,
        to: Destination,
        reader: &StateReader,
        paths: &[Path],
    ) -> Result<Arc<[u8]>, Refusal> {
        let subnet = self.route(to)?;
        block_in_place(|| {
            self.reader
                .may_read_state(subnet, &to.effective, reader, paths)
                .map_err(|refused| match refused {
                    ReadStateRefused::Invalid(reason) => Refusal::InvalidPaths(reason),
                    ReadStateRefused::Forbidden(reason) => Refusal::MayNotRead(reason),
                    ReadStateRefused::NoSuchPath(reason) => Refusal::NotInTree(reason),
                })?;
            Ok(self.reader.read_state(subnet, paths))
        })
    }

    /// What each method has cost.
    pub(crate) fn metrics(&self) -> Vec<MethodMetrics> {
        block_in_place(|| self.reader.metrics())
    }

    /// Ends when the thread has ended: after the last handle was dropped, or by a panic.
    pub(crate) async fn stopped(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Ends when the thread has ended, for which this handle doesn't count.
    pub(crate) async fn dropped(self) {
        let mut ended = self.ended.clone();
        drop(self);
        while ended.changed().await.is_ok() {}
    }

    /// Does something on the thread of the network.
    ///
    /// # Errors
    /// Overload, or the executor has stopped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Driver) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, result) = oneshot::channel();
        self.send(Box::new(move |driver| drop(answer.send(act(driver)))))?;
        result.await.map_err(|_| Refusal::Stopped)
    }

    fn send(&self, job: Job) -> Result<(), Refusal> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Overloaded,
            TrySendError::Disconnected(_) => Refusal::Stopped,
        })
    }

    fn route(&self, to: Destination) -> Result<Principal, Refusal> {
        match self.reader.route(&to.effective) {
            Some(subnet) => Ok(subnet),
            None if to.anywhere => Ok(self.reader.application_subnet()),
            None => Err(match to.effective {
                Effective::Canister(id) => Refusal::NoSubnetOfCanister(id),
                Effective::Subnet(id) => Refusal::NoSubnet(id),
            }),
        }
    }
}
