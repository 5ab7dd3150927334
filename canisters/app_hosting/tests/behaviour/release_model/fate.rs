//! What becomes of a release, and so how it has to end.

use indus_api::hosting::{Ended, Failure};
use indus_orchestrator::{Answer, step::Running};

use super::target::Target;

/// What becomes of a release, whatever answers are lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Good,
    /// Its installation traps.
    Traps,
    /// It is installed, and its check refuses.
    Unwell,
    /// It is installed, and never answers.
    Silent,
    /// The same, and it keeps that call open, so that it can't be stopped.
    Clinging,
    /// Nobody ever knows what came of its installation.
    Vanishing,
    /// What runs before keeps a call open, so that it can't be stopped.
    Occupied,
    /// That it was to be stopped never reached the subnet.
    Unstopped,
    /// The canister can't pay for a chunk of the module.
    PoorForChunk,
    /// Nor for a snapshot.
    PoorForSnapshot,
    /// Nor for an installation.
    PoorForInstall,
    /// The canister is deleted.
    Deleted,
    /// Somebody else changes the canister before anything is done to it.
    Meddled,
    /// The same, when there is a snapshot of it.
    MeddledLate,
}

pub(super) const FATES: [Fate; 14] = [
    Fate::Good,
    Fate::Traps,
    Fate::Unwell,
    Fate::Silent,
    Fate::Clinging,
    Fate::Vanishing,
    Fate::Occupied,
    Fate::Unstopped,
    Fate::PoorForChunk,
    Fate::PoorForSnapshot,
    Fate::PoorForInstall,
    Fate::Deleted,
    Fate::Meddled,
    Fate::MeddledLate,
];

/// What the subnet says to who can't pay: what something costs is asked for as if the subnet was busy; room for it is refused.
pub(super) fn poor(id: u64) -> Answer {
    match id % 2 {
        0 => Answer::Unreachable,
        _ => Answer::Rejected("cannot grow memory".into()),
    }
}

impl Fate {
    /// How it ends, and what is said of that, at a canister that `was` so when it began. Whoever is `alone` has to be the only controller;
    /// a module that is not `probed` is well when it is installed.
    pub(super) fn end(
        self,
        id: u64,
        was: &Target,
        alone: bool,
        probed: bool,
    ) -> (Ended, Option<&'static str>) {
        // What is empty is neither stopped nor kept.
        let had = was.code.is_some();
        let ran = was.running == Running::Running;
        let refused = |failure, said| (Ended::Refused(failure), said);
        let unhealthy = |said| (Ended::Restored(Failure::Unhealthy), Some(said));
        let busy = "it can't be reached, the subnet was busy, or there were too few cycles";
        let unpaid = Some(match id % 2 {
            0 => busy,
            _ => "cannot grow memory",
        });
        let meddled = Some("somebody else has changed it meanwhile, and it is left as it is");
        match self {
            Self::Deleted => {
                let gone = "there is no such canister, or no such snapshot of it";
                refused(Failure::NotControlled, Some(gone))
            }
            _ if alone && was.is_shared() => refused(Failure::ForeignControllers, None),
            Self::PoorForChunk => refused(Failure::NotUploaded, unpaid),
            Self::Meddled => refused(Failure::OtherModule, meddled),
            Self::MeddledLate if had => (Ended::Broken(Failure::OtherModule), meddled),
            Self::Occupied | Self::Unstopped if had && ran => refused(Failure::NotStopped, None),
            Self::PoorForSnapshot if had => refused(Failure::NotKept, unpaid),
            Self::PoorForInstall => refused(Failure::NotInstalled, unpaid),
            Self::Traps => refused(Failure::NotInstalled, Some("it trapped")),
            Self::Vanishing => unhealthy("its installation was lost"),
            Self::Unwell if probed => unhealthy("it is not well"),
            Self::Silent | Self::Clinging if probed => unhealthy("it did not answer in time"),
            _ => (Ended::Live, None),
        }
    }
}
