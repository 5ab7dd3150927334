//! Random histories of releases against a model: proposals, approvals, withdrawals, ends of all kinds, rollbacks; answers that are lost, calls
//! that can't be made, canisters that are deleted or that somebody else changes; upgrades of app_hosting between any two steps.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use indus_api::hosting::{Ended, Failure, ReleaseState};
use indus_orchestrator::{Answer, Step, step::Changes};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    releases::{approver, hash, proposal},
    setting::{Setting, developer, founder, named, refusal},
};

const MODULES: [&[u8]; 4] = [b"module a", b"module b", b"module c", b"module d"];

/// What should be known of a canister.
#[derive(Default)]
struct Canister {
    agency: bool,
    /// Its open release: proposed, or running.
    open: Option<(u64, bool)>,
    live: Option<u64>,
    before: Option<u64>,
    releases: u64,
}

/// What should be known of a release.
struct Release {
    module: usize,
    went_live: bool,
}

/// What becomes of a release.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Good,
    /// Its installation traps.
    Traps,
    /// It is installed, and does not come up.
    Unwell,
    /// The canister is deleted.
    Deleted,
    /// Somebody else changes the canister meanwhile.
    Meddled,
}

const FATES: [Fate; 7] = [
    Fate::Good,
    Fate::Traps,
    Fate::Good,
    Fate::Unwell,
    Fate::Good,
    Fate::Deleted,
    Fate::Meddled,
];

#[derive(Default)]
struct Model {
    canisters: BTreeMap<Principal, Canister>,
    releases: BTreeMap<u64, Release>,
    /// Releases that began to put back what was there.
    loaded: BTreeSet<u64>,
    /// Releases that know how often the canister was changed before them.
    counted: BTreeSet<u64>,
    /// All ends that there were.
    ends: BTreeSet<String>,
}

impl Model {
    fn opened(&mut self, canister: Principal, id: u64, module: usize) {
        let of = self.canisters.get_mut(&canister).unwrap();
        of.open = Some((id, !of.agency));
        of.releases += 1;
        let went_live = false;
        self.releases.insert(id, Release { module, went_live });
    }
}

fn step(s: &mut Setting, model: &mut Model, random: &mut ChaCha8Rng) {
    let all: Vec<Principal> = model.canisters.keys().copied().collect();
    let canister = all[random.random_range(0..all.len())];
    let (agency, open) = {
        let of = &model.canisters[&canister];
        (of.agency, of.open)
    };
    let (who, app) = match agency {
        true => (developer(2, 7), 2),
        false => (founder(1), 1),
    };
    let next = model.releases.len() as u64 + 1;
    match random.random_range(0..10) {
        0..3 => {
            let module = random.random_range(0..MODULES.len());
            s.upload(&who, app, MODULES[module]).unwrap();
            let answer = s.propose(&who, proposal(canister, MODULES[module]));
            match open {
                Some((id, _)) if model.releases[&id].module == module => {
                    assert_eq!(answer.unwrap().id, id, "the same again");
                }
                Some(_) => assert_eq!(refusal(answer), "conflict"),
                None => {
                    assert_eq!(answer.unwrap().id, next);
                    model.opened(canister, next, module);
                }
            }
        }
        3..5 => {
            // Any that there was, or the one before.
            let to = random
                .random_bool(0.5)
                .then(|| random.random_range(1..=next));
            let answer = s.roll_back(&who, canister, to);
            let of = &model.canisters[&canister];
            let to = to.or(of.before);
            let of_canister = |id: u64| s.state_of(id).is_some_and(|one| one == canister);
            match to {
                None => assert_eq!(refusal(answer), "no release"),
                Some(id) if id == next => assert_eq!(refusal(answer), "no release"),
                Some(id) if !of_canister(id) => {
                    assert_eq!(refusal(answer), "no release of the canister");
                }
                Some(id) if !model.releases[&id].went_live => {
                    assert_eq!(refusal(answer), "conflict");
                }
                Some(id) => {
                    let module = model.releases[&id].module;
                    match open {
                        Some((id, _)) if model.releases[&id].module == module => {
                            assert_eq!(answer.unwrap().id, id);
                        }
                        Some(_) => assert_eq!(refusal(answer), "conflict"),
                        None => {
                            let release = answer.unwrap();
                            assert_eq!(release.rolls_back_to, Some(id));
                            model.opened(canister, release.id, module);
                        }
                    }
                }
            }
        }
        5..7 => {
            let Some((id, runs)) = open.filter(|_| agency) else {
                return;
            };
            let release = s.release(id);
            let answer = match random.random_bool(0.7) {
                true => s.approve(&approver(3, 7), &release),
                false => s.withdraw(&approver(3, 7), id),
            };
            let of = model.canisters.get_mut(&canister).unwrap();
            match answer {
                Ok(release) if release.approved_by.is_some() => of.open = Some((id, true)),
                Ok(_) => {
                    assert!(!runs);
                    of.open = None;
                }
                refused => {
                    assert_eq!(refusal(refused), "conflict");
                    assert!(runs);
                }
            }
        }
        _ => {
            let Some((id, true)) = open else { return };
            let of = &model.canisters[&canister];
            let before = of.live.map(|live| MODULES[model.releases[&live].module]);
            // A module's own fate, however often this canister is upgraded meanwhile.
            let fate = FATES[usize::try_from(id).unwrap() % FATES.len()];
            // In its middle this canister is upgraded; or the release comes to its end.
            let most = random.random_range(1..30);
            let loaded = &mut model.loaded;
            let (ended, _) = s.steps_with(id, before, most, |step, answer| {
                let installs = matches!(step, Step::Install { .. });
                if random.random_bool(0.1) && !installs {
                    // There is no answer, or it is lost: it is asked again.
                    let lost = random.random_bool(0.5) && *step != Step::Stop;
                    return (!lost).then_some(Answer::Unreachable);
                }
                if matches!(step, Step::LoadSnapshot(_) | Step::Uninstall) {
                    loaded.insert(id);
                }
                let begun = loaded.contains(&id);
                Some(match (fate, step) {
                    (Fate::Traps, Step::Install { .. }) => Answer::Rejected("it trapped".into()),
                    (Fate::Unwell, Step::Start) if !begun => {
                        Answer::Rejected("it does not start".into())
                    }
                    (Fate::Meddled, Step::Changes) if model.counted.contains(&id) => {
                        Answer::Changes(Changes { total: 2, ours: 0 })
                    }
                    (Fate::Meddled, Step::Changes) => {
                        model.counted.insert(id);
                        answer
                    }
                    (Fate::Deleted, Step::Status) => Answer::Missing,
                    _ => answer,
                })
            });
            let Some(ended) = ended else { return };
            let of = model.canisters.get_mut(&canister).unwrap();
            let expected = match fate {
                Fate::Good => Ended::Live,
                Fate::Traps => Ended::Refused(Failure::NotInstalled),
                Fate::Unwell => Ended::Restored(Failure::Unhealthy),
                Fate::Deleted => Ended::Refused(Failure::NotControlled),
                // It is noticed before anything is stopped, where there is something to stop.
                Fate::Meddled if of.live.is_some() => Ended::Refused(Failure::OtherModule),
                Fate::Meddled => Ended::Broken(Failure::OtherModule),
            };
            assert_eq!(ended, expected, "{fate:?}");
            model.ends.insert(format!("{ended:?}"));
            of.open = None;
            if ended == Ended::Live {
                model.releases.get_mut(&id).unwrap().went_live = true;
                of.before = of.live.replace(id);
            }
        }
    }
    check(s, model, canister);
}

/// What is certified is what the model knows.
fn check(s: &Setting, model: &Model, canister: Principal) {
    let of = &model.canisters[&canister];
    let app = if of.agency { 2 } else { 1 };
    let hosted = s.canisters(app);
    let hosted = hosted.iter().find(|one| one.canister == canister).unwrap();
    assert_eq!(
        (hosted.release, hosted.release_before),
        (of.live, of.before)
    );
    let live = of.live.map(|id| hash(MODULES[model.releases[&id].module]));
    assert_eq!(hosted.module_hash, live);
    if let Some((id, runs)) = of.open {
        let state = s.release(id).state;
        assert_eq!(matches!(state, ReleaseState::Running { .. }), runs);
        assert_eq!(state == ReleaseState::Proposed, !runs);
        assert_eq!(s.release(id).number, of.releases);
    }
}

#[test]
fn every_history_of_releases_ends_as_its_modules_deserve() {
    let mut ends = BTreeSet::new();
    let mut live = 0;
    for seed in 0..8 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut s = Setting::new();
        let (one, office) = (founder(1), developer(2, 7));
        s.create_app(&one, named("kisan", None)).unwrap();
        s.create_app(&office, named("tax", Some(7))).unwrap();
        s.choose(&office, 2).unwrap();
        let mut model = Model::default();
        for (subject, agency) in [(&one, false), (&one, false), (&office, true)] {
            let creation = s.begin(subject).unwrap();
            let canister = s.created(subject, &creation).unwrap();
            let of = Canister {
                agency,
                ..Canister::default()
            };
            model.canisters.insert(canister, of);
        }
        for _ in 0..160 {
            step(&mut s, &mut model, &mut random);
        }
        s.audit();
        let releases = model.releases.values();
        live += releases.filter(|one| one.went_live).count();
        ends.extend(model.ends);
    }
    assert!(live > 25, "{live}");
    assert_eq!(ends.len(), 6, "{ends:?}");
}
