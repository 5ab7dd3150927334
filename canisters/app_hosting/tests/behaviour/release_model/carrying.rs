//! A release is carried out, with answers that are lost and an upgrade of app_hosting after each step; what is left of it when it ends.

use app_hosting::releases;
use candid::Principal;
use indus_api::hosting::{
    CANISTERS, Ended, Failure, HostedCanisterRecord, ReleaseState, canister_key,
};
use indus_orchestrator::{Answer, Going, Step, step::Running};
use rand::RngExt as _;

use super::{
    History, MODULES,
    target::{Code, Target},
};
use crate::{releases::hash, setting::founder};

/// Times that a module is installed whose installation is lost each time.
const MAX_INSTALLATIONS: u32 = 3;

/// What happens to a call on its way.
enum Way {
    Good,
    /// The subnet is busy: it is not done.
    Busy,
    /// It is not done, and there is no answer.
    Gone,
    /// It is done, and there is no answer.
    Lost,
    /// It is done, and nobody can say so.
    Unknown,
}

impl History {
    /// Carries the open release of a canister out for a while, or to its end.
    pub(super) fn carry(&mut self, canister: Principal) {
        let Some((id, true)) = self.canisters[&canister].open else {
            return;
        };
        for _ in 0..self.random.random_range(1..40) {
            self.s.reopen();
            let next = self.s.update(&founder(1), |state, context| {
                releases::next(state, context, id)
            });
            let (at, step) = next.unwrap().expect("it says so when it ends");
            assert_eq!(at, canister);
            let Some(answer) = self.answer(canister, id, step) else {
                continue;
            };
            let going = self.s.update(&founder(1), |state, context| {
                releases::answered(state, context, id, answer)
            });
            if let Going::Ended(ended) = going.unwrap() {
                return self.ended(canister, id, ended);
            }
        }
    }

    fn answer(&mut self, canister: Principal, id: u64, step: Step) -> Option<Answer> {
        let way = self.way(id, &step);
        if matches!(way, Way::Busy | Way::Gone) {
            return matches!(way, Way::Busy).then_some(Answer::Unreachable);
        }
        let fate = self.releases[&id].fate;
        let of = self.canisters.get_mut(&canister).unwrap();
        let answer = of.target.answer(step, id, fate, self.s.time_ns);
        match way {
            Way::Lost => None,
            Way::Unknown => Some(Answer::Unknown),
            _ => Some(answer),
        }
    }

    /// One call in ten goes astray, unless how the release ends would depend on it.
    fn way(&mut self, id: u64, step: &Step) -> Way {
        let of = self.releases.get_mut(&id).unwrap();
        of.installations += u32::from(matches!(step, Step::Install { .. }));
        let is_last = of.installations >= MAX_INSTALLATIONS;
        if !self.random.random_bool(0.1) {
            return Way::Good;
        }
        match (self.random.random_range(0..4), step) {
            (0, _) => Way::Busy,
            (_, Step::Install { .. }) if is_last => Way::Good,
            // What does not stop goes on: that is a fate.
            (1, Step::Stop) => Way::Good,
            (1, _) => Way::Gone,
            // Who does not answer is not well: that is another one.
            (3, Step::Probe(_)) => Way::Good,
            (2, _) => Way::Lost,
            _ => Way::Unknown,
        }
    }

    /// It ends as it has to, and everything is as it should be then.
    fn ended(&mut self, canister: Principal, id: u64, ended: Ended) {
        let release = self.releases.get_mut(&id).unwrap();
        let (fate, what) = (release.fate, release.what);
        let of = self.canisters.get_mut(&canister).unwrap();
        let was = of.was.take().expect("it had begun");
        let about = format!("release {id}: {fate:?} of {what:?}, {was:?}");
        let (expected, said) = fate.end(id, &was, of.agency, what.probed);
        assert_eq!(ended, expected, "{about}");
        of.open = None;
        if ended == Ended::Live {
            release.went_live = true;
            of.before = of.live.replace(id);
        }
        let live = Code {
            module: hash(MODULES[what.module]),
            release: Some(id),
        };
        check_target(&of.target, &was, live, ended, &about);

        let key = canister_key(canister).unwrap();
        let HostedCanisterRecord::V1(hosted) = self.s.certified(CANISTERS, &key);
        let releases = (hosted.release, hosted.release_before);
        assert_eq!(releases, (of.live, of.before), "{about}");
        let certified = self.s.release(id);
        let ReleaseState::Ended { how, .. } = certified.state else {
            panic!("{about}: {certified:?}");
        };
        assert_eq!(how, ended, "{about}");
        // What it found there, if it looked.
        let untouched = is_untouched(ended);
        let found = was.code.as_ref().filter(|_| !untouched);
        let found = found.map(|code| &code.module);
        assert_eq!(certified.replaced.as_ref(), found, "{about}");
        let (who, _) = of.owner();
        let mut told = said.map(str::to_owned);
        if let (Some(told), Some((left, _))) = (&mut told, of.target.snapshots.last())
            && of.target.snapshots.len() > was.snapshots.len()
        {
            told.push_str("; its snapshot is ");
            told.push_str(&hex::encode(&left.id));
        }
        let message = releases::message(&self.s.state, || Ok(who), id);
        assert_eq!(message.unwrap(), told, "{about}");
        // It is over.
        let next = self.s.update(&founder(1), |state, context| {
            releases::next(state, context, id)
        });
        assert_eq!(next, Ok(None), "{about}");
        let stopped = was.running != Running::Running;
        *self.ends.entry(format!("{ended:?}")).or_default() += 1;
        self.seen.insert((fate, was.code.is_none(), stopped));
    }
}

/// Whether nothing but questions was asked.
fn is_untouched(ended: Ended) -> bool {
    matches!(
        ended,
        Ended::Refused(Failure::NotControlled | Failure::ForeignControllers)
    )
}

/// The canister is what it was, or what it should become; somebody else's work on it stays.
fn check_target(target: &Target, was: &Target, live: Code, ended: Ended, about: &str) {
    if is_untouched(ended) {
        assert_eq!(target, was, "{about}");
        return;
    }
    let others = matches!(
        ended,
        Ended::Refused(Failure::OtherModule) | Ended::Broken(Failure::OtherModule)
    );
    let (code, running) = match ended {
        Ended::Live => (Some(live), Running::Running),
        _ if others => (Some(Code::others()), was.running),
        // What was stopped is left so; what served serves, also where it was stopped here before somebody else changed it.
        _ => (was.code.clone(), was.running),
    };
    assert_eq!(target.code, code, "{about}");
    assert_eq!(target.running, running, "{about}");
    assert_eq!(target.controllers, was.controllers, "{about}");
    // Only what could not be brought back leaves its snapshot.
    let left = matches!(ended, Ended::Broken(_)) && was.code.is_some();
    let kept = was.snapshots.len() + usize::from(left);
    assert_eq!(target.snapshots.len(), kept, "{about}");
    assert_eq!(target.snapshots[..was.snapshots.len()], was.snapshots);
    assert!(others || target.chunks.is_empty(), "{about}");
}
