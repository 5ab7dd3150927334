//! Where an installation stands, and what comes next.
//!
//! Pure: [`Work::next`] says the step, [`Work::answered`] takes in what came of it. A step that was begun and has no answer is
//! [lost](Work::next): what can be repeated is; a snapshot that may be there is looked for; an installation is begun anew from the snapshot;
//! a confirmation is asked for.
//!
//! | lost, or nobody knows | then |
//! | --- | --- |
//! | status, info, chunks, stop, start, load, uninstall, probe, wake, delete | again |
//! | take a snapshot | look for one that is not older than the attempt; else again |
//! | install | put the snapshot back (or uninstall), and install again, three times at most |
//! | confirm | ask whether it is in maintenance: if not, it was confirmed; three times at most |
//!
//! What surely was not done, because the system was busy, is tried again later, [`MAX_RETRIES`] times; what puts back what was there, for as long
//! as it takes.
//!
//! Others may control the canister, too: keepers who mend it, a founder. Before a step that changes what runs, the subnet is asked who has
//! changed the canister since the work began. If it was anybody else, the work starts what it has stopped, touches nothing else, and ends.

mod answers;
mod others;

use candid::{CandidType, Principal};
use indus_api::hosting::{Ended, Failure, HealthCheck};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::step::{Info, Mode, Step};

/// Times that a step is tried again, after the first one, before what is under way is given up.
pub const MAX_RETRIES: u32 = 8;
/// Most of what a callee said that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 200;

/// What is to be done.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub canister: Principal,
    pub module_hash: ByteBuf,
    /// In how many chunks the module is kept.
    pub chunks: u32,
    /// Candid of the module's argument.
    pub argument: ByteBuf,
    /// Hash of the module that must run before; none for whatever does, or nothing.
    pub previous: Option<ByteBuf>,
    /// Whether main memory stays over the upgrade.
    pub keep_memory: bool,
    pub health: HealthCheck,
    /// The only controllers that the canister may have; none for any, as long as this canister is one of them.
    pub controllers: Option<Vec<Principal>>,
    /// It is a canister of the suite, which begins in maintenance: it is told to go on, also where no answer of it is waited for.
    pub confirms: Option<bool>,
}

/// The steps.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Count,
    Look,
    Ask,
    Clear,
    Upload(u32),
    Stop,
    IsStopped,
    Keep,
    Find,
    Install,
    Reload,
    Start,
    Probe,
    Confirm,
    IsConfirmed,
    // It was installed, which is enough; one of the suite is let out of maintenance.
    Open,
    // It did not come up.
    BackStop,
    BackIsStopped,
    BackEmpty,
    BackLoad,
    BackStart,
    BackWake,
    // Nothing was installed.
    Again,
    // Somebody else has changed it, and it stands still because of this work.
    LetGo,
    // In any case.
    Discard,
    Tidy,
    Done,
}

/// An installation.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub plan: Plan,
    phase: Phase,
    /// The step's call was made, when; its answer has not come.
    sent_ns: Option<u64>,
    /// Times that this step was tried and surely not done.
    retries: u32,
    installations: u32,
    /// The module that ran before.
    before: Option<ByteBuf>,
    /// Whether the canister was not stopped before.
    ran: bool,
    /// What a suite canister said before.
    said: Option<Info>,
    /// Hashes of the chunks that are in the canister's store.
    uploaded: Vec<ByteBuf>,
    /// No snapshot that was taken before is ours.
    keep_since_ns: u64,
    snapshot: Option<ByteBuf>,
    ended: Option<Ended>,
    /// What the callee said of the failure.
    message: Option<String>,
    // Works that were begun before these were kept have none of them. All are optional for that.
    /// Times that this step was refused, though it has to be done.
    refusals: Option<u32>,
    confirmations: Option<u32>,
    /// Changes of the canister when the work began.
    changes: Option<u64>,
    /// When it was last asked who changed the canister, and nobody else had.
    checked_ns: Option<u64>,
    /// A snapshot may be there that was taken before the work was parked, and is to be replaced.
    parked: Option<bool>,
    /// The call that is under way asks for that; `false`: it was answered, and this step may be taken.
    checking: Option<bool>,
}

/// How it goes on after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Going {
    /// At once.
    On,
    /// After a while: the system was busy.
    Later,
    /// Not at all.
    Ended(Ended),
}

impl Work {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            phase: Phase::Count,
            sent_ns: None,
            retries: 0,
            installations: 0,
            before: None,
            ran: true,
            said: None,
            uploaded: Vec::new(),
            keep_since_ns: 0,
            snapshot: None,
            ended: None,
            message: None,
            refusals: None,
            confirmations: None,
            changes: None,
            checked_ns: None,
            parked: None,
            checking: None,
        }
    }

    /// The module that ran before; none before it was looked at, and for an empty canister.
    #[must_use]
    pub fn before(&self) -> Option<&ByteBuf> {
        self.before.as_ref()
    }

    /// What there is to say of a failure: what the canister, or the subnet, said, and which snapshot is left at the canister, where what was
    /// there could not be brought back.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let is_broken = matches!(self.ended, Some(Ended::Broken(_)));
        let left = self.snapshot.as_ref().filter(|_| is_broken);
        let left = left.map(|snapshot| format!("its snapshot is {}", hex::encode(snapshot)));
        let said: Vec<String> = self.message.iter().cloned().chain(left).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended.filter(|_| self.phase == Phase::Done)
    }

    /// The next step, which is under way from now on; `chunk` reads one of the module. None when it has ended. To be called only when no
    /// call of this work is open: one that was sent and has no answer is lost then.
    pub fn next(&mut self, now_ns: u64, chunk: impl Fn(u32) -> Option<Vec<u8>>) -> Option<Step> {
        if self.sent_ns.is_some() {
            self.lost();
        }
        while self.phase != Phase::Done {
            if let Some(step) = self.step(now_ns, &chunk) {
                self.sent_ns = Some(now_ns);
                return Some(step);
            }
        }
        None
    }

    /// The call of this phase; none where it needs none, and another phase has begun.
    fn step(&mut self, now_ns: u64, chunk: impl Fn(u32) -> Option<Vec<u8>>) -> Option<Step> {
        if self.needs_check(now_ns) {
            self.checking = Some(true);
            return Some(Step::Changes);
        }
        self.checking = None;
        Some(match self.phase {
            Phase::Done => return None,
            Phase::Count => Step::Changes,
            Phase::Look | Phase::IsStopped | Phase::BackIsStopped => Step::Status,
            Phase::Ask | Phase::IsConfirmed => Step::Info,
            Phase::Clear | Phase::Tidy => Step::ClearChunks,
            Phase::Upload(index) => {
                let Some(bytes) = chunk(index) else {
                    // It is kept as long as the work is; what is not there can't be installed.
                    self.refused(Failure::NotUploaded);
                    return None;
                };
                Step::UploadChunk(bytes)
            }
            Phase::Stop | Phase::BackStop => Step::Stop,
            Phase::Keep => {
                if self.keep_since_ns == 0 {
                    self.keep_since_ns = now_ns;
                }
                // One that was taken before the work was parked is of no use any more.
                Step::TakeSnapshot {
                    replaced: self.snapshot.clone(),
                }
            }
            Phase::Find => Step::ListSnapshots,
            Phase::Install => {
                self.installations += 1;
                let keep_memory = self.plan.keep_memory;
                Step::Install {
                    mode: match self.before {
                        None => Mode::Install,
                        Some(_) => Mode::Upgrade { keep_memory },
                    },
                    chunks: self.uploaded.clone(),
                    module_hash: self.plan.module_hash.clone(),
                    argument: self.plan.argument.clone(),
                }
            }
            Phase::Reload | Phase::BackLoad => match &self.snapshot {
                Some(snapshot) => Step::LoadSnapshot(snapshot.clone()),
                None => Step::Uninstall,
            },
            Phase::BackEmpty => Step::Uninstall,
            Phase::Start => Step::Start,
            // What did not run is left so.
            Phase::BackStart | Phase::Again if !self.ran => {
                self.go(Phase::Discard);
                return None;
            }
            Phase::BackStart | Phase::Again | Phase::LetGo => Step::Start,
            Phase::Probe => match &self.plan.health {
                HealthCheck::Installs => {
                    self.well();
                    return None;
                }
                HealthCheck::Method(method) => Step::Probe(method.clone()),
                HealthCheck::Maintenance => Step::Info,
            },
            Phase::Confirm => {
                self.confirmations = Some(self.confirmations.unwrap_or(0) + 1);
                Step::Confirm
            }
            Phase::Open | Phase::BackWake => Step::Confirm,
            Phase::Discard => {
                let Some(snapshot) = &self.snapshot else {
                    self.go(Phase::Tidy);
                    return None;
                };
                Step::DeleteSnapshot(snapshot.clone())
            }
        })
    }

    // --- where it goes ----------------------------------------------------------------------------------------------

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.retries = 0;
        self.refusals = None;
        self.checking = None;
    }

    /// Nothing changes the canister now: it can be kept.
    fn stopped(&mut self) {
        self.go(if self.parked.is_some() {
            Phase::Find
        } else {
            Phase::Keep
        });
    }

    /// The new module is as well as it has to be.
    fn well(&mut self) {
        if self.plan.confirms == Some(true) {
            self.go(Phase::Open);
        } else {
            self.live();
        }
    }

    /// The new module runs, and stays.
    fn live(&mut self) {
        self.ended = Some(Ended::Live);
        self.go(Phase::Discard);
    }

    /// Nothing was installed: what was there goes on.
    fn refused(&mut self, failure: Failure) {
        self.ended = Some(Ended::Refused(failure));
        let untouched = matches!(self.phase, Phase::Clear | Phase::Upload(_));
        self.go(if untouched { Phase::Tidy } else { Phase::Again });
    }

    /// The new module does not come up: all becomes what it was.
    fn back(&mut self, message: &str) {
        self.say(message);
        self.go_back();
    }

    fn go_back(&mut self) {
        self.ended = Some(Ended::Restored(Failure::Unhealthy));
        self.go(Phase::BackStop);
    }

    /// Keeps what is said of the failure, beside what was said of an earlier one.
    fn say(&mut self, message: &str) {
        let mut message = message.to_owned();
        cut(&mut message);
        self.message = Some(match self.message.take() {
            Some(before) if before != message => {
                let mut both = format!("{before}; {message}");
                both.truncate(both.floor_char_boundary(2 * MAX_MESSAGE_BYTES));
                both
            }
            _ => message,
        });
    }

    /// Nothing is left to be done.
    fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.go(Phase::Done);
    }

    /// Whether what was put back has to be woken: the subnet forgets when to call the timers of what it loads.
    fn wakes(&self) -> bool {
        let is_of_suite =
            self.plan.health == HealthCheck::Maintenance || self.plan.confirms == Some(true);
        is_of_suite && self.before.is_some()
    }
}

/// Cuts a callee's text, between characters.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES));
}
