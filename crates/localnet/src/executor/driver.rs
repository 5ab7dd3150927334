//! What runs on the executor's thread: jobs, rounds, and the calls whose clients wait.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use candid::Principal;
use engine::{HttpResponse, Network, Reject, RejectCode, RequestId, RequestStatus, Time};
use tokio::sync::oneshot;

use super::{Job, QUEUE, TICK, clock::Clock, outcalls::Outcalls};

/// Rounds in which a call that is awaited must end.
const MAX_ROUNDS: usize = 100;

/// How time passes.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// By jobs alone.
    Still,
    /// With the wall clock; at least so long between two rounds.
    Live { delay: Duration },
}

/// A call whose client waits for its end.
struct Waiting {
    subnet: Principal,
    id: RequestId,
    until: Instant,
    answer: oneshot::Sender<bool>,
}

/// A time that can't be set, because it has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimePassed {
    pub now: Time,
    pub set: Time,
}

/// A call has not ended in [`MAX_ROUNDS`] rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwaitFailed {
    pub rounds: usize,
}

/// See the module's documentation.
pub(crate) struct Driver {
    network: Network,
    clock: Arc<Clock>,
    pace: Pace,
    waiting: Vec<Waiting>,
    /// There may be something to execute.
    more: bool,
    last_round: Instant,
    /// Time of the network in the last round.
    time_of_round: Time,
    outcalls: Outcalls,
}

impl Driver {
    pub(super) fn new(network: Network, clock: Arc<Clock>, outcalls: Outcalls) -> Self {
        Self {
            clock,
            pace: Pace::Still,
            waiting: Vec::new(),
            more: false,
            last_round: Instant::now(),
            time_of_round: network.time(),
            network,
            outcalls,
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let next = match self.pause() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => queue.recv_timeout(pause),
            };
            match next {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(job) => {
                    job(&mut self);
                    for _ in 0..QUEUE {
                        let Ok(job) = queue.try_recv() else { break };
                        job(&mut self);
                    }
                }
            }
            if let Pace::Live { delay } = self.pace {
                let since = self.last_round.elapsed();
                if since >= delay && (self.more || since >= TICK) {
                    self.round();
                }
            }
            for call in std::mem::take(&mut self.waiting) {
                self.settle(call);
            }
        }
    }

    /// How long to wait for a job; None: until there is one.
    fn pause(&self) -> Option<Duration> {
        let since = self.last_round.elapsed();
        match self.pace {
            Pace::Live { delay } if self.more => Some(delay.saturating_sub(since)),
            Pace::Live { delay } => Some(TICK.max(delay).saturating_sub(since)),
            Pace::Still => {
                let first = self.waiting.iter().map(|call| call.until).min();
                first.map(|until| until.saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Executes what is queued, for one round. Each round has a time of its own.
    pub(crate) fn round(&mut self) {
        let live = matches!(self.pace, Pace::Live { .. });
        let now = if live {
            self.clock.now()
        } else {
            self.network.time()
        };
        let now = if now > self.time_of_round {
            now
        } else {
            self.time_of_round.plus(1)
        };
        self.move_time(now);
        self.time_of_round = self.network.time();
        self.more = self.network.run();
        self.last_round = Instant::now();
        if live {
            self.outcalls.perform(&self.network);
        }
    }

    fn move_time(&mut self, now: Time) {
        self.network.advance_time(now);
        self.clock.reach(self.network.time());
    }

    /// Sets the time, for the next round at the latest.
    ///
    /// # Errors
    /// The time has passed.
    pub(crate) fn set_time(&mut self, set: Time) -> Result<(), TimePassed> {
        let now = self.network.time();
        if set < now {
            return Err(TimePassed { now, set });
        }
        self.move_time(set);
        Ok(())
    }

    /// Runs rounds until a call has ended, and returns how.
    ///
    /// # Errors
    /// It doesn't end.
    pub(crate) fn finish(
        &mut self,
        subnet: Principal,
        id: &RequestId,
    ) -> Result<Result<Vec<u8>, Reject>, AwaitFailed> {
        for _ in 0..MAX_ROUNDS {
            match self.network.status(subnet, id) {
                RequestStatus::Replied(reply) => return Ok(Ok(reply)),
                RequestStatus::Rejected(reject) => return Ok(Err(reject)),
                RequestStatus::Unknown | RequestStatus::Received | RequestStatus::Processing => {}
            }
            self.round();
        }
        Err(AwaitFailed { rounds: MAX_ROUNDS })
    }

    pub(super) fn go_live(&mut self, delay: Duration) -> bool {
        if self.is_live() {
            return false;
        }
        self.pace = Pace::Live { delay };
        self.clock.go_live();
        self.round();
        true
    }

    /// Has the network stand still.
    pub(crate) fn stand_still(&mut self) {
        self.pace = Pace::Still;
        self.clock.stand_still();
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.pace, Pace::Live { .. })
    }

    pub(crate) fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Requests to servers that are being performed.
    pub(crate) fn outcalls(&self) -> &Outcalls {
        &self.outcalls
    }

    pub(super) fn answer_outcall(
        &mut self,
        subnet: Principal,
        id: u64,
        ended: Result<HttpResponse, (RejectCode, String)>,
    ) {
        self.outcalls.ended(subnet, id);
        self.network.answer_http(subnet, id, ended);
        self.wake();
    }

    /// Says that there may be something to execute.
    pub(crate) fn wake(&mut self) {
        self.more = true;
    }

    pub(super) fn watch(
        &mut self,
        subnet: Principal,
        id: RequestId,
        until: Instant,
        answer: oneshot::Sender<bool>,
    ) {
        self.waiting.push(Waiting {
            subnet,
            id,
            until,
            answer,
        });
    }

    /// Tells the client of a call that it has ended, or that it has waited long enough; keeps it otherwise.
    fn settle(&mut self, call: Waiting) {
        if call.answer.is_closed() {
            return;
        }
        let ended = match self.network.status(call.subnet, &call.id) {
            RequestStatus::Replied(_) | RequestStatus::Rejected(_) => true,
            RequestStatus::Unknown | RequestStatus::Received | RequestStatus::Processing => false,
        };
        if ended || Instant::now() >= call.until {
            let _ = call.answer.send(ended);
        } else {
            self.waiting.push(call);
        }
    }
}
