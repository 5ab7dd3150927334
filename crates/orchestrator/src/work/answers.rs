//! What came of a step, and where it goes from there.

use indus_api::hosting::{Ended, Failure, HealthCheck};
use serde_bytes::ByteBuf;

use super::{Going, MAX_RETRIES, Phase, Work, cut};
use crate::step::{Answer, Info, Running, Snapshot, Status};

/// Times that a module is installed whose outcome was lost each time.
const MAX_INSTALLATIONS: u32 = 3;
/// Times that a module is told to go on that says afterwards that it has not.
const MAX_CONFIRMATIONS: u32 = 3;

impl Work {
    /// The answer to the step that was under way was lost.
    pub(super) fn lost(&mut self) {
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

    fn done(&mut self) {
        match self.phase {
            Phase::Clear => self.go(Phase::Upload(0)),
            Phase::Stop => self.stopped(),
            Phase::Install => self.go(Phase::Start),
            Phase::Reload => self.go(Phase::Install),
            Phase::Start => self.go(Phase::Probe),
            Phase::Probe => self.well(),
            Phase::Confirm | Phase::Open => self.live(),
            Phase::BackStop => self.go(Phase::BackLoad),
            // Nothing keeps it from stopping any more, and what runs is not loaded.
            Phase::BackEmpty => self.go(Phase::BackStop),
            Phase::BackLoad => self.go(Phase::BackStart),
            Phase::BackStart if self.wakes() => self.go(Phase::BackWake),
            // It was loaded between two installations.
            Phase::Again if self.wakes() && self.installations > 0 => self.go(Phase::BackWake),
            Phase::BackStart | Phase::BackWake | Phase::Again => self.go(Phase::Discard),
            Phase::Discard => {
                self.snapshot = None;
                self.go(Phase::Tidy);
            }
            Phase::Tidy | Phase::LetGo => self.go(Phase::Done),
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

    fn rejected(&mut self, message: &str) {
        if self.has_to_be() {
            let refusals = self.refusals.unwrap_or(0) + 1;
            self.refusals = Some(refusals);
            self.retries += 1;
            if refusals <= MAX_RETRIES {
                return;
            }
        }
        if !self.may_be_left() {
            self.say(message);
        }
        self.gives_up();
    }

    /// It surely was not done.
    pub(super) fn unreachable(&mut self) {
        if self.phase == Phase::Install && self.checking != Some(true) {
            self.installations = self.installations.saturating_sub(1);
        }
        self.retries += 1;
        let for_ever = self.has_to_be() && self.phase != Phase::IsConfirmed;
        if for_ever || self.retries <= MAX_RETRIES {
            return;
        }
        if self.message.is_none() && !self.may_be_left() {
            self.say("it can't be reached, the subnet was busy, or there were too few cycles");
        }
        self.gives_up();
    }

    /// The subnet has no such canister, or no such snapshot of it.
    fn missing(&mut self) {
        if self.message.is_none() && !self.may_be_left() {
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
                | Phase::LetGo
        )
    }

    /// Whether this step can be left undone, which needs no reason.
    fn may_be_left(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ask
                | Phase::Open
                | Phase::BackWake
                | Phase::Discard
                | Phase::Tidy
                | Phase::LetGo
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
            Phase::Tidy | Phase::LetGo => self.go(Phase::Done),
            Phase::Done => {}
            // What has to be. The snapshot stays, for whoever looks at it.
            _ => self.end(Ended::Broken(Failure::NotRestored)),
        }
    }

    /// It may have been done, or not.
    pub(super) fn unknown(&mut self) {
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

    /// Whether a suite canister's new module has taken all over: it is the same canister, in maintenance, and its log goes on.
    fn has_taken_over(&self, info: &Info) -> bool {
        if self.before.is_none() {
            return true;
        }
        let goes_on = |said: &Info| said.name == info.name && info.blocks > said.blocks;
        info.maintenance && self.said.as_ref().is_none_or(goes_on)
    }
}
