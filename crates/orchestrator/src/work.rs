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
//! changed the canister since the work began. If it was anybody else, the work ends and touches nothing.

use candid::{CandidType, Principal};
use indus_api::hosting::{Ended, Failure, HealthCheck};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::step::{Answer, Changes, Info, Mode, Running, Snapshot, Status, Step};

/// Times that a step is tried again, after the first one, before what is under way is given up.
pub const MAX_RETRIES: u32 = 8;
/// Times that a module is installed whose outcome was lost each time.
const MAX_INSTALLATIONS: u32 = 3;
/// Times that a module is told to go on that says afterwards that it has not.
const MAX_CONFIRMATIONS: u32 = 3;
/// How long it holds that nobody else has changed the canister, for steps that can be taken back; in nanoseconds.
const CHECK_NS: u64 = 5_000_000_000;
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
            Phase::BackStart | Phase::Again => Step::Start,
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

    /// Whether it has to be asked first who has changed the canister.
    fn needs_check(&self, now_ns: u64) -> bool {
        let (replaces, starts_or_stops) = match self.phase {
            Phase::Install | Phase::Reload | Phase::BackEmpty | Phase::BackLoad => (true, false),
            Phase::Stop | Phase::Start | Phase::BackStop | Phase::BackStart | Phase::Again => {
                (false, true)
            }
            _ => (false, false),
        };
        // The answer is taken in by the message that takes the step.
        let is_checked = self.checking == Some(false);
        let age = |checked_ns| now_ns.saturating_sub(checked_ns);
        let is_old = self.checked_ns.is_none_or(|at| age(at) >= CHECK_NS);
        let can_be = self.changes.is_some();
        can_be && !is_checked && (replaces || (starts_or_stops && is_old))
    }

    /// The orchestrator is about to be stopped, so this work stands still for a while: what it has stopped, and not begun to change, goes on
    /// meanwhile. Else two that upgrade each other could stop each other for good. The step that does it, if any is needed.
    pub fn park(&mut self) -> Option<Step> {
        if self.sent_ns.is_some() {
            self.lost();
        }
        // Whatever was seen is of before.
        self.checking = None;
        self.checked_ns = None;
        let is_unchanged = match self.phase {
            Phase::IsStopped | Phase::Keep | Phase::Find => true,
            Phase::Install => self.installations == 0 && self.before.is_some(),
            _ => false,
        };
        if !is_unchanged {
            return None;
        }
        if self.phase == Phase::Find {
            self.parked = Some(true);
        } else if self.parked.is_none() {
            self.keep_since_ns = 0;
        }
        self.go(Phase::Stop);
        self.ran.then_some(Step::Start)
    }

    /// The answer to the step that was under way was lost.
    fn lost(&mut self) {
        self.sent_ns = None;
        if self.checking == Some(true) {
            return self.unreachable();
        }
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
            Answer::Changes(changes) => self.changes(&changes),
            Answer::Missing => self.missing(),
            // Who has changed it is asked for until it is known.
            _ if self.checking == Some(true) => self.unreachable(),
            Answer::Unreachable => self.unreachable(),
            Answer::Unknown => self.unknown(),
            Answer::Rejected(message) => self.rejected(&message),
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
            // It said that it was not confirmed: a while later it may be.
            None if before.0 == Phase::IsConfirmed && self.phase == Phase::Confirm => Going::Later,
            None => Going::On,
        }
    }

    // --- answers ----------------------------------------------------------------------------------------------------

    fn done(&mut self) {
        match self.phase {
            Phase::Clear => self.go(Phase::Upload(0)),
            Phase::Stop => self.stopped(),
            Phase::Install => self.go(Phase::Start),
            Phase::Reload => self.go(Phase::Install),
            Phase::Start => self.go(Phase::Probe),
            Phase::Probe => self.well(),
            Phase::Confirm | Phase::Open => self.live(),
            Phase::BackStop | Phase::BackEmpty => self.go(Phase::BackLoad),
            Phase::BackLoad => self.go(Phase::BackStart),
            Phase::BackStart if self.wakes() => self.go(Phase::BackWake),
            // It was loaded between two installations.
            Phase::Again if self.wakes() && self.installations > 0 => self.go(Phase::BackWake),
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
            Phase::IsStopped if status.status == Running::Stopped => self.stopped(),
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

    fn info(&mut self, mut info: Info) {
        cut(&mut info.name);
        match self.phase {
            Phase::Ask => {
                self.said = Some(info);
                self.go(Phase::Clear);
            }
            Phase::Probe if self.has_taken_over(&info) => self.go(Phase::Confirm),
            Phase::Probe => self.back("it has not taken the state over"),
            // In maintenance it has answered nobody.
            Phase::IsConfirmed if info.maintenance => {
                if self.confirmations.unwrap_or(0) < MAX_CONFIRMATIONS {
                    self.go(Phase::Confirm);
                } else {
                    self.back("it was told to go on, and has not");
                }
            }
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
        if self.phase == Phase::Find && self.parked.take().is_some() {
            self.snapshot = ours.map(|snapshot| snapshot.id.clone());
            self.keep_since_ns = 0;
            return self.go(Phase::Keep);
        }
        match (self.phase, ours) {
            (Phase::Keep | Phase::Find, Some(snapshot)) => {
                self.snapshot = Some(snapshot.id.clone());
                self.go(Phase::Install);
            }
            (Phase::Find, None) => self.go(Phase::Keep),
            _ => self.unknown(),
        }
    }

    fn changes(&mut self, changes: &Changes) {
        self.checked_ns = self.sent_ns;
        if self.phase == Phase::Count {
            self.changes = Some(changes.total);
            return self.go(Phase::Look);
        }
        if self.checking != Some(true) {
            return self.unknown();
        }
        self.checking = Some(false);
        let since = changes.total.checked_sub(self.changes.unwrap_or(0));
        if since.is_some_and(|since| since <= changes.ours) {
            return;
        }
        self.say("somebody else has changed it meanwhile, and it is left as it is");
        let untouched = self.phase == Phase::Stop;
        self.end(if untouched {
            Ended::Refused(Failure::OtherModule)
        } else {
            Ended::Broken(Failure::OtherModule)
        });
    }

    fn rejected(&mut self, message: &str) {
        if self.has_to_be() {
            let refusals = self.refusals.unwrap_or(0) + 1;
            self.refusals = Some(refusals);
            self.retries += 1;
            if refusals <= MAX_RETRIES {
                return;
            }
        }
        // What can be left undone needs no reason.
        if !matches!(
            self.phase,
            Phase::Ask | Phase::Open | Phase::BackWake | Phase::Discard | Phase::Tidy
        ) {
            self.say(message);
        }
        self.gives_up();
    }

    /// It surely was not done.
    fn unreachable(&mut self) {
        self.retries += 1;
        let for_ever = self.has_to_be() && self.phase != Phase::IsConfirmed;
        if for_ever || self.retries <= MAX_RETRIES {
            return;
        }
        if self.message.is_none() {
            self.say("it can't be reached, the subnet was busy, or there were too few cycles");
        }
        self.gives_up();
    }

    /// The subnet has no such canister, or no such snapshot of it.
    fn missing(&mut self) {
        if self.message.is_none() {
            self.say("there is no such canister, or no such snapshot of it");
        }
        self.gives_up();
    }

    /// Whether nothing is well until this step is done. What can't say whether it was confirmed is not known to be well, and may have answered
    /// others.
    fn has_to_be(&self) -> bool {
        matches!(
            self.phase,
            Phase::Reload
                | Phase::IsConfirmed
                | Phase::BackStop
                | Phase::BackIsStopped
                | Phase::BackEmpty
                | Phase::BackLoad
                | Phase::BackStart
                | Phase::Again
        )
    }

    /// This step is not tried again.
    fn gives_up(&mut self) {
        match self.phase {
            Phase::Count | Phase::Look => self.end(Ended::Refused(Failure::NotControlled)),
            // It may be what is to be mended.
            Phase::Ask => self.go(Phase::Clear),
            Phase::Clear | Phase::Upload(_) => self.refused(Failure::NotUploaded),
            Phase::Stop | Phase::IsStopped => self.refused(Failure::NotStopped),
            Phase::Keep | Phase::Find => self.refused(Failure::NotKept),
            Phase::Install => self.refused(Failure::NotInstalled),
            Phase::Start | Phase::Probe | Phase::Confirm => self.go_back(),
            Phase::Open => self.live(),
            Phase::BackWake => self.go(Phase::Discard),
            Phase::Discard => self.go(Phase::Tidy),
            Phase::Tidy => self.go(Phase::Done),
            Phase::Done => {}
            // What has to be. The snapshot stays, for whoever looks at it.
            _ => self.end(Ended::Broken(Failure::NotRestored)),
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
            Phase::Open => self.live(),
            Phase::BackWake => self.go(Phase::Discard),
            _ => self.unreachable(),
        }
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
        let is_of_suite =
            self.plan.health == HealthCheck::Maintenance || self.plan.confirms == Some(true);
        is_of_suite && self.before.is_some()
    }
}

/// Cuts a callee's text, between characters.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES));
}
