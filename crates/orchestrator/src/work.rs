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
//! | confirm | ask whether it is in maintenance: if not, it was confirmed |
//!
//! What surely was not done, because the system was busy, is tried again later, [`MAX_RETRIES`] times.

use candid::{CandidType, Principal};
use indus_api::hosting::{Ended, Failure, HealthCheck};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::step::{Answer, Info, Mode, Running, Snapshot, Status, Step};

/// Times that a step is tried again, after the first one, before what is under way is given up.
pub const MAX_RETRIES: u32 = 8;
/// Times that a module is installed whose outcome was lost each time.
const MAX_INSTALLATIONS: u32 = 3;

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
}

/// The steps.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
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
    // It did not come up.
    BackStop,
    BackIsStopped,
    BackEmpty,
    BackLoad,
    BackStart,
    BackWake,
    // Nothing was installed.
    Again,
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
            phase: Phase::Look,
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
        }
    }

    /// The module that ran before; none before it was looked at, and for an empty canister.
    #[must_use]
    pub fn before(&self) -> Option<&ByteBuf> {
        self.before.as_ref()
    }

    /// What the canister, or the subnet, said of the failure.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// A snapshot that is left at the canister, since it could not be brought back.
    #[must_use]
    pub fn snapshot(&self) -> Option<&ByteBuf> {
        self.snapshot.as_ref()
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
        Some(match self.phase {
            Phase::Done => return None,
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
                Step::TakeSnapshot
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
            Phase::BackStart | Phase::Again => Step::Start,
            Phase::Probe => match &self.plan.health {
                HealthCheck::Installs => {
                    self.live();
                    return None;
                }
                HealthCheck::Method(method) => Step::Probe(method.clone()),
                HealthCheck::Maintenance => Step::Info,
            },
            Phase::Confirm | Phase::BackWake => Step::Confirm,
            Phase::Discard => {
                let Some(snapshot) = &self.snapshot else {
                    self.go(Phase::Tidy);
                    return None;
                };
                Step::DeleteSnapshot(snapshot.clone())
            }
        })
    }

    /// The answer to the step that was under way was lost.
    fn lost(&mut self) {
        self.sent_ns = None;
        match self.phase {
            // Nobody was slow: it was lost here.
            Phase::Ask | Phase::Probe | Phase::BackWake => self.unreachable(),
            _ => self.unknown(),
        }
    }

    /// Takes in the answer to the step that is under way.
    pub fn answered(&mut self, answer: Answer) -> Going {
        let before = (self.phase, self.retries);
        match answer {
            Answer::Unreachable => self.unreachable(),
            Answer::Unknown => self.unknown(),
            Answer::Rejected(message) => self.rejected(message),
            Answer::Status(status) => self.status(&status),
            Answer::Info(info) => self.info(info),
            Answer::Chunk(hash) => self.chunk(hash),
            Answer::Snapshots(snapshots) => self.snapshots(&snapshots),
            Answer::Done => self.done(),
        }
        self.sent_ns = None;
        match self.ended() {
            Some(ended) => Going::Ended(ended),
            None if self.phase == before.0 && self.retries > before.1 => Going::Later,
            None => Going::On,
        }
    }

    // --- answers ----------------------------------------------------------------------------------------------------

    fn done(&mut self) {
        match self.phase {
            Phase::Clear => self.go(Phase::Upload(0)),
            Phase::Stop => self.go(Phase::Keep),
            Phase::Install => self.go(Phase::Start),
            Phase::Reload => self.go(Phase::Install),
            Phase::Start => self.go(Phase::Probe),
            Phase::Probe | Phase::Confirm => self.live(),
            Phase::BackStop | Phase::BackEmpty => self.go(Phase::BackLoad),
            Phase::BackLoad => self.go(Phase::BackStart),
            Phase::BackStart if self.wakes() => self.go(Phase::BackWake),
            Phase::BackStart | Phase::BackWake | Phase::Again => self.go(Phase::Discard),
            Phase::Discard => {
                self.snapshot = None;
                self.go(Phase::Tidy);
            }
            Phase::Tidy => self.go(Phase::Done),
            // Their answers have values.
            _ => self.unknown(),
        }
    }

    fn status(&mut self, status: &Status) {
        match self.phase {
            Phase::Look => self.looked(status),
            Phase::IsStopped if status.status == Running::Stopped => self.go(Phase::Keep),
            Phase::IsStopped => self.refused(Failure::NotStopped),
            Phase::BackIsStopped if status.status == Running::Stopped => self.go(Phase::BackLoad),
            // It keeps calls open: they end with its code.
            Phase::BackIsStopped => self.go(Phase::BackEmpty),
            _ => self.unknown(),
        }
    }

    fn looked(&mut self, status: &Status) {
        let controllers = &status.settings.controllers;
        let allowed = self.plan.controllers.as_ref();
        if allowed.is_some_and(|allowed| controllers.iter().any(|one| !allowed.contains(one))) {
            return self.end(Ended::Refused(Failure::ForeignControllers));
        }
        self.before.clone_from(&status.module_hash);
        self.ran = status.status != Running::Stopped;
        let previous = self.plan.previous.as_ref();
        if previous.is_some() && previous != status.module_hash.as_ref() {
            return self.end(Ended::Refused(Failure::OtherModule));
        }
        let asks = self.plan.health == HealthCheck::Maintenance && self.before.is_some();
        self.go(if asks { Phase::Ask } else { Phase::Clear });
    }

    fn info(&mut self, info: Info) {
        match self.phase {
            Phase::Ask => {
                self.said = Some(info);
                self.go(Phase::Clear);
            }
            Phase::Probe if self.has_taken_over(&info) => self.go(Phase::Confirm),
            Phase::Probe => self.back("it has not taken the state over"),
            Phase::IsConfirmed if info.maintenance => self.go(Phase::Confirm),
            Phase::IsConfirmed => self.live(),
            _ => self.unknown(),
        }
    }

    fn chunk(&mut self, hash: ByteBuf) {
        let Phase::Upload(index) = self.phase else {
            return self.unknown();
        };
        self.uploaded.truncate(index as usize);
        self.uploaded.push(hash);
        self.go(match index + 1 {
            next if next < self.plan.chunks => Phase::Upload(next),
            _ if self.before.is_some() => Phase::Stop,
            // What is empty has nothing to lose.
            _ => Phase::Install,
        });
    }

    fn snapshots(&mut self, snapshots: &[Snapshot]) {
        let since_ns = self.keep_since_ns;
        let ours = snapshots
            .iter()
            .filter(|one| one.taken_at_timestamp >= since_ns)
            .max_by_key(|one| one.taken_at_timestamp);
        match (self.phase, ours) {
            (Phase::Keep | Phase::Find, Some(snapshot)) => {
                self.snapshot = Some(snapshot.id.clone());
                self.go(Phase::Install);
            }
            (Phase::Find, None) => self.go(Phase::Keep),
            _ => self.unknown(),
        }
    }

    fn rejected(&mut self, message: String) {
        let failed = |failure| (failure, message.clone());
        let (failure, message) = match self.phase {
            Phase::Look => {
                self.message = Some(message);
                return self.end(Ended::Refused(Failure::NotControlled));
            }
            // It may be what is to be mended.
            Phase::Ask => return self.go(Phase::Clear),
            Phase::Clear | Phase::Upload(_) => failed(Failure::NotUploaded),
            Phase::Stop | Phase::IsStopped => failed(Failure::NotStopped),
            Phase::Keep | Phase::Find => failed(Failure::NotKept),
            Phase::Install => failed(Failure::NotInstalled),
            Phase::Start | Phase::Probe | Phase::Confirm => return self.back(message),
            // What can't say whether it was confirmed is not known to be well, and may have answered others.
            Phase::Reload
            | Phase::IsConfirmed
            | Phase::BackStop
            | Phase::BackIsStopped
            | Phase::BackEmpty
            | Phase::BackLoad
            | Phase::BackStart
            | Phase::Again => return self.unreachable(),
            Phase::BackWake => return self.go(Phase::Discard),
            Phase::Discard => return self.go(Phase::Tidy),
            Phase::Tidy => return self.go(Phase::Done),
            Phase::Done => return,
        };
        self.message = Some(message);
        self.refused(failure);
    }

    /// It surely was not done.
    fn unreachable(&mut self) {
        if self.phase == Phase::Look {
            return self.end(Ended::Refused(Failure::NotControlled));
        }
        self.retries += 1;
        if self.retries <= MAX_RETRIES {
            return;
        }
        self.message
            .get_or_insert_with(|| "the subnet was busy, or there were too few cycles".into());
        match self.phase {
            Phase::Look | Phase::Done => {}
            Phase::Ask => self.go(Phase::Clear),
            Phase::Clear | Phase::Upload(_) => self.refused(Failure::NotUploaded),
            Phase::Stop | Phase::IsStopped => self.refused(Failure::NotStopped),
            Phase::Keep | Phase::Find => self.refused(Failure::NotKept),
            Phase::Install => self.refused(Failure::NotInstalled),
            Phase::Start | Phase::Probe | Phase::Confirm => self.back("it can't be reached"),
            Phase::Reload
            | Phase::IsConfirmed
            | Phase::BackStop
            | Phase::BackIsStopped
            | Phase::BackEmpty
            | Phase::BackLoad
            | Phase::BackStart
            | Phase::Again => {
                // The snapshot stays, for whoever looks at it.
                self.end(Ended::Broken(Failure::NotRestored));
            }
            Phase::BackWake => self.go(Phase::Discard),
            Phase::Discard => self.go(Phase::Tidy),
            Phase::Tidy => self.go(Phase::Done),
        }
    }

    /// It may have been done, or not.
    fn unknown(&mut self) {
        self.sent_ns = None;
        match self.phase {
            Phase::Stop => self.go(Phase::IsStopped),
            Phase::BackStop => self.go(Phase::BackIsStopped),
            Phase::Keep => self.go(Phase::Find),
            Phase::Install if self.installations >= MAX_INSTALLATIONS => {
                self.back("its installation was lost");
            }
            Phase::Install => self.go(Phase::Reload),
            Phase::Confirm => self.go(Phase::IsConfirmed),
            // Who does not answer in time is not well.
            Phase::Ask => self.go(Phase::Clear),
            Phase::Probe => self.back("it did not answer in time"),
            Phase::BackWake => self.go(Phase::Discard),
            _ => self.unreachable(),
        }
    }

    // --- where it goes ----------------------------------------------------------------------------------------------

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.retries = 0;
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
    fn back(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
        self.ended = Some(Ended::Restored(Failure::Unhealthy));
        self.go(Phase::BackStop);
    }

    /// Nothing is left to be done.
    fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.go(Phase::Done);
    }

    /// Whether a suite canister's new module has taken all over: it is the same canister, in maintenance, and its log goes on.
    fn has_taken_over(&self, info: &Info) -> bool {
        if self.before.is_none() {
            return true;
        }
        let goes_on = |said: &Info| said.name == info.name && info.blocks > said.blocks;
        info.maintenance && self.said.as_ref().is_none_or(goes_on)
    }

    /// Whether what was put back has to be woken: the subnet forgets when to call the timers of what it loads.
    fn wakes(&self) -> bool {
        self.plan.health == HealthCheck::Maintenance && self.before.is_some()
    }
}
