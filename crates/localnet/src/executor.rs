//! The executor: one thread that owns the network, and the handle that everyone else has.
//!
//! ```text
//!   handlers ──Command──▶ bounded channel ──▶ executor thread: commands, then one round, then calls that wait
//!      ▲                                          │
//!      └───────────── oneshot answer ─────────────┘
//! ```
//!
//! - Commands that are there already are taken together, so calls that come at the same time end in the same round
//!   and share one signature of the subnet.
//! - A call that waits is answered with its certificate when it has ended, or told to poll after [`PATIENCE`].
//! - Time is the wall clock. It moves with each call and each [`TICK`], not with each read: reads in between find
//!   the same state, so they share a certificate.
//! - A client that has gone away is noticed when its answer can't be delivered, and changes nothing.
//!
//! The thread ends when the last handle is dropped. If it panics, every request is answered [`Refusal::Stopped`].

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use candid::Principal;
use engine::{
    Effective, Ingress, MethodMetrics, Network, NodeSignature, Path, Query, ReadStateRefused,
    Reject, RequestId, RequestStatus, Time,
};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    answer::query_signable, authentication::AuthenticationError, expiry::check_expiry,
    refusal::Refusal,
};

/// How long a call waits for its end before its client is told to poll.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time between two rounds: how late a timer may fire.
pub const TICK: Duration = Duration::from_millis(100);
/// Commands that may wait; beyond it a request is refused as overload.
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

type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

enum Command {
    Call {
        to: Destination,
        ingress: Ingress,
        wait: bool,
        answer: Answer<CallOutcome>,
    },
    Query {
        to: Destination,
        query: Query,
        id: RequestId,
        answer: Answer<QueryOutcome>,
    },
    ReadState {
        to: Destination,
        sender: Principal,
        paths: Vec<Path>,
        answer: Answer<Arc<[u8]>>,
    },
    Metrics {
        answer: Answer<Vec<MethodMetrics>>,
    },
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination {
    pub effective: Effective,
    /// If no subnet is responsible for the id, the application subnet takes it.
    pub anywhere: bool,
}

/// A handle on the executor. Dropping the future of a method gives up the answer, not the command.
#[derive(Clone)]
pub(crate) struct Executor {
    commands: mpsc::Sender<Command>,
}

impl Executor {
    /// Moves the network to a thread of its own.
    ///
    /// # Errors
    /// The thread or its timer can't be made.
    pub(crate) fn spawn(network: Network) -> std::io::Result<Self> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        thread::Builder::new()
            .name("subnet".into())
            .spawn(move || {
                let executor = ExecutorThread {
                    network,
                    waiting: Vec::new(),
                    more: false,
                    last_round: Instant::now(),
                };
                executor.run(&runtime, queue);
            })?;
        Ok(Self { commands })
    }

    /// Submits a call, and waits for its end if `wait` is set.
    ///
    /// # Errors
    /// No subnet is responsible, overload, or the executor has stopped; the same for all methods.
    pub(crate) async fn call(
        &self,
        to: Destination,
        ingress: Ingress,
        wait: bool,
    ) -> Result<CallOutcome, Refusal> {
        self.ask(|answer| Command::Call {
            to,
            ingress,
            wait,
            answer,
        })
        .await
    }

    /// Runs a query. Its request id goes into the signature.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub(crate) async fn query(
        &self,
        to: Destination,
        query: Query,
        id: RequestId,
    ) -> Result<QueryOutcome, Refusal> {
        self.ask(|answer| Command::Query {
            to,
            query,
            id,
            answer,
        })
        .await
    }

    /// The certificate of these paths.
    ///
    /// # Errors
    /// See [`Self::call`]; besides, the sender may not read them.
    pub(crate) async fn read_state(
        &self,
        to: Destination,
        sender: Principal,
        paths: Vec<Path>,
    ) -> Result<Arc<[u8]>, Refusal> {
        self.ask(|answer| Command::ReadState {
            to,
            sender,
            paths,
            answer,
        })
        .await
    }

    /// What each method has cost.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub(crate) async fn metrics(&self) -> Result<Vec<MethodMetrics>, Refusal> {
        self.ask(|answer| Command::Metrics { answer }).await
    }

    /// Ends when the thread has ended, which while there is a handle means a panic.
    pub(crate) async fn stopped(&self) {
        self.commands.closed().await;
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, Refusal> {
        let (answer, reply) = oneshot::channel();
        self.commands
            .try_send(command(answer))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Refusal::Stopped,
            })?;
        reply.await.map_err(|_| Refusal::Stopped)?
    }
}

/// The wall clock, in the time of the Internet Computer.
pub(crate) fn wall_clock() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A call whose client waits for its end.
struct Waiting {
    subnet: Principal,
    id: RequestId,
    until: Instant,
    answer: Answer<CallOutcome>,
}

struct ExecutorThread {
    network: Network,
    waiting: Vec<Waiting>,
    /// The last round left messages.
    more: bool,
    last_round: Instant,
}

impl ExecutorThread {
    fn run(mut self, runtime: &Runtime, mut queue: mpsc::Receiver<Command>) {
        self.network.advance_time(wall_clock());
        loop {
            let pause = if self.more {
                Duration::ZERO
            } else {
                TICK.saturating_sub(self.last_round.elapsed())
            };
            let next = runtime.block_on(async { timeout(pause, queue.recv()).await });
            let mut submitted = false;
            match next {
                Ok(None) => return,
                Ok(Some(command)) => {
                    submitted |= self.take(command);
                    for _ in 0..QUEUE {
                        let Ok(command) = queue.try_recv() else { break };
                        submitted |= self.take(command);
                    }
                }
                Err(_) => {}
            }
            if submitted || self.more || self.last_round.elapsed() >= TICK {
                self.round();
            }
        }
    }

    /// Executes what is queued, for one round, and answers the calls that have ended.
    fn round(&mut self) {
        self.network.advance_time(wall_clock());
        self.more = self.network.run();
        self.last_round = Instant::now();
        for call in std::mem::take(&mut self.waiting) {
            self.settle(call);
        }
    }

    /// Carries out a command; true if it is a call that a round may execute.
    fn take(&mut self, command: Command) -> bool {
        match command {
            Command::Call {
                to,
                ingress,
                wait,
                answer,
            } => return self.submit(to, ingress, wait, answer),
            Command::Query {
                to,
                query,
                id,
                answer,
            } => {
                send(
                    answer,
                    self.route(to).map(|subnet| self.query(subnet, query, &id)),
                );
            }
            Command::ReadState {
                to,
                sender,
                paths,
                answer,
            } => send(answer, self.read_state(to, &sender, &paths)),
            Command::Metrics { answer } => send(answer, Ok(self.network.metrics())),
        }
        false
    }

    fn submit(
        &mut self,
        to: Destination,
        ingress: Ingress,
        wait: bool,
        answer: Answer<CallOutcome>,
    ) -> bool {
        let subnet = match self.route(to) {
            Ok(subnet) => subnet,
            Err(refusal) => {
                send(answer, Err(refusal));
                return false;
            }
        };
        self.network.advance_time(wall_clock());
        // The clock of the machine may have been set back since; the network's never is.
        if let Err(error) = check_expiry(ingress.expiry, self.network.time()) {
            send(answer, Err(AuthenticationError::from(error).into()));
            return false;
        }
        let id = ingress.id;
        match self.network.submit(subnet, ingress) {
            Err(reject) => {
                send(answer, Ok(CallOutcome::NotTaken(reject)));
                false
            }
            Ok(()) if wait => {
                self.waiting.push(Waiting {
                    subnet,
                    id,
                    until: Instant::now() + PATIENCE,
                    answer,
                });
                true
            }
            Ok(()) => {
                send(answer, Ok(CallOutcome::Taken));
                true
            }
        }
    }

    /// Answers a call that has ended or waited long enough; keeps it otherwise.
    fn settle(&mut self, call: Waiting) {
        if call.answer.is_closed() {
            return;
        }
        let outcome = match self.network.status(call.subnet, &call.id) {
            RequestStatus::Unknown | RequestStatus::Received | RequestStatus::Processing => {
                if Instant::now() < call.until {
                    self.waiting.push(call);
                    return;
                }
                CallOutcome::Taken
            }
            RequestStatus::Replied(_) | RequestStatus::Rejected(_) => {
                let path = vec![b"request_status".to_vec(), call.id.0.to_vec()];
                CallOutcome::Ended(self.network.read_state(call.subnet, &[path]))
            }
        };
        send(call.answer, Ok(outcome));
    }

    fn query(&mut self, subnet: Principal, query: Query, id: &RequestId) -> QueryOutcome {
        let result = self.network.query(subnet, query);
        let time = self.network.time();
        let signature = self
            .network
            .sign_as_node(subnet, &query_signable(&result, id, time));
        QueryOutcome {
            result,
            time,
            signature,
        }
    }

    fn read_state(
        &mut self,
        to: Destination,
        sender: &Principal,
        paths: &[Path],
    ) -> Result<Arc<[u8]>, Refusal> {
        let subnet = self.route(to)?;
        self.network
            .may_read_state(subnet, &to.effective, sender, paths)
            .map_err(|refused| match refused {
                ReadStateRefused::Invalid(reason) => Refusal::InvalidPaths(reason),
                ReadStateRefused::Forbidden(reason) => Refusal::MayNotRead(reason),
            })?;
        Ok(self.network.read_state(subnet, paths))
    }

    fn route(&self, to: Destination) -> Result<Principal, Refusal> {
        match self.network.route(&to.effective) {
            Some(subnet) => Ok(subnet),
            None if to.anywhere => Ok(self.network.application_subnet()),
            None => Err(match to.effective {
                Effective::Canister(id) => Refusal::NoSubnetOfCanister(id),
                Effective::Subnet(id) => Refusal::NoSubnet(id),
            }),
        }
    }
}

/// Delivers an answer. A client that has gone away doesn't need it.
fn send<T>(answer: Answer<T>, result: Result<T, Refusal>) {
    drop(answer.send(result));
}
