//! Others: who else changes the canister, so that nothing of theirs is undone, and nothing of it left stopped; and who waits for it while
//! this work stands still.

use indus_api::hosting::{Ended, Failure};

use super::{Phase, Work};
use crate::step::{Changes, Step};

/// How long it holds that nobody else has changed the canister, for steps that can be taken back; in nanoseconds.
const CHECK_NS: u64 = 5_000_000_000;

impl Work {
    /// Whether it has to be asked first who has changed the canister.
    pub(super) fn needs_check(&self, now_ns: u64) -> bool {
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

    pub(super) fn changes(&mut self, changes: &Changes) {
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
        let is_empty = self.phase == Phase::Install && self.before.is_none();
        let untouched = self.phase == Phase::Stop || (is_empty && self.installations == 0);
        let is_stopped = !(untouched || self.phase == Phase::BackStop);
        self.end(if untouched {
            Ended::Refused(Failure::OtherModule)
        } else {
            Ended::Broken(Failure::OtherModule)
        });
        // Who has changed it may not know that it was stopped here, even after that.
        if is_stopped && self.ran {
            self.go(Phase::LetGo);
        }
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
}
