//! Random histories of releases against a model: proposals, approvals, withdrawals, ends of all kinds, rollbacks; modules that are not what they
//! are said to be; answers that are lost, calls that can't be made, canisters that are stopped or deleted, or that somebody else changes;
//! upgrades of app_hosting between any two steps.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`fate`] | what becomes of a release, and so how it has to end |
//! | [`target`] | the canister, and what the subnet keeps of it |
//! | [`carrying`] | a release is carried out |
//! | [`lies`] | modules that can't be released |

mod carrying;
mod fate;
mod lies;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use app_hosting::{
    creations,
    releases::{self, MAX_RUNNING_OF_APP},
};
use candid::Principal;
use indus_api::{
    Subject,
    hosting::{Configuration, HealthCheck, ProposeReleaseArgs, ReleaseState},
};
use indus_orchestrator::step::Running;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    releases::{approver, hash, proposal},
    setting::{Setting, developer, founder, named, refusal},
};
use fate::{FATES, Fate};
use target::Target;

const MODULES: [&[u8]; 4] = [b"module a", b"module b", b"module c", b"module d"];
/// Most bytes of modules of an app: the least that can be configured.
const MODULE_BYTES: u64 = 1 << 20;
const HISTORIES: u64 = 26;
const ACTIONS: usize = 400;

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct What {
    module: usize,
    /// Whether the new module is asked how it is.
    probed: bool,
}

impl What {
    fn proposal(self, canister: Principal) -> ProposeReleaseArgs {
        let health = match self.probed {
            true => HealthCheck::Method("health".into()),
            false => HealthCheck::Installs,
        };
        ProposeReleaseArgs {
            health,
            ..proposal(canister, MODULES[self.module])
        }
    }
}

/// What should be known of a canister.
struct Canister {
    agency: bool,
    target: Target,
    /// Its open release: proposed, or running.
    open: Option<(u64, bool)>,
    /// What it was when that began to run.
    was: Option<Target>,
    live: Option<u64>,
    before: Option<u64>,
    releases: u64,
}

impl Canister {
    /// Who releases, and the app.
    fn owner(&self) -> (Subject, u64) {
        match self.agency {
            true => (developer(2, 7), 2),
            false => (founder(1), 1),
        }
    }

    fn begins(&mut self, id: u64) {
        self.open = Some((id, true));
        self.was = Some(self.target.clone());
    }
}

/// What should be known of a release.
struct Release {
    what: What,
    fate: Fate,
    /// Times that it was to be installed.
    installations: u32,
    went_live: bool,
}

/// A history so far.
struct History {
    s: Setting,
    random: ChaCha8Rng,
    canisters: BTreeMap<Principal, Canister>,
    releases: BTreeMap<u64, Release>,
    /// Apps' modules that have their hash.
    complete: BTreeSet<(u64, usize)>,
    /// How many releases began to run.
    begun: u64,
    /// How many ended how.
    ends: BTreeMap<String, u32>,
    /// Fates that there were, of canisters that were empty or not, stopped or not.
    seen: BTreeSet<(Fate, bool, bool)>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut s = Setting::with(Configuration {
            module_bytes_of_app: MODULE_BYTES,
            ..Configuration::default()
        });
        let (one, office) = (founder(1), developer(2, 7));
        s.create_app(&one, named("kisan", None)).unwrap();
        s.create_app(&office, named("tax", Some(7))).unwrap();
        s.choose(&office, 2).unwrap();
        let mut canisters = BTreeMap::new();
        // One more of the founder's than releases that may run at once.
        let of_founder = MAX_RUNNING_OF_APP + 1;
        for n in 0..of_founder + 3 {
            let agency = n >= of_founder;
            let subject = if agency { &office } else { &one };
            let creation = s.begin(subject).unwrap();
            let canister = s.created(subject, &creation).unwrap();
            let of = Canister {
                agency,
                target: Target::new(),
                open: None,
                was: None,
                live: None,
                before: None,
                releases: 0,
            };
            canisters.insert(canister, of);
        }
        Self {
            s,
            random: ChaCha8Rng::seed_from_u64(seed),
            canisters,
            releases: BTreeMap::new(),
            complete: BTreeSet::new(),
            begun: 0,
            ends: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn act(&mut self) {
        let all: Vec<Principal> = self.canisters.keys().copied().collect();
        let canister = all[self.random.random_range(0..all.len())];
        match self.random.random_range(0..40) {
            0..9 => self.propose(canister),
            9..14 => self.roll_back(canister),
            14..19 => self.decide(canister),
            19..23 => self.touch(canister),
            23 => self.lie(canister),
            24 => self.exceed(canister),
            _ => self.carry(canister),
        }
        self.check(canister);
    }

    fn propose(&mut self, canister: Principal) {
        let what = What {
            module: self.random.random_range(0..MODULES.len()),
            probed: self.random.random_bool(0.7),
        };
        let (who, app) = self.canisters[&canister].owner();
        self.s.upload(&who, app, MODULES[what.module]).unwrap();
        let answer = self.s.propose(&who, what.proposal(canister));
        self.opened(canister, what, None, answer);
    }

    fn roll_back(&mut self, canister: Principal) {
        let next = self.releases.len() as u64 + 1;
        // Any that there was, or the one before.
        let to = match self.random.random_bool(0.5) {
            true => Some(self.random.random_range(1..=next)),
            false => None,
        };
        let of = &self.canisters[&canister];
        let answer = self.s.roll_back(&of.owner().0, canister, to);
        let is_of_canister = |id: u64| self.s.state_of(id) == Some(canister);
        match to.or(of.before) {
            None => assert_eq!(refusal(answer), "no release"),
            Some(id) if id == next => assert_eq!(refusal(answer), "no release"),
            Some(id) if !is_of_canister(id) => {
                assert_eq!(refusal(answer), "no release of the canister");
            }
            Some(id) if !self.releases[&id].went_live => assert_eq!(refusal(answer), "conflict"),
            Some(id) => {
                let what = self.releases[&id].what;
                self.opened(canister, what, Some(id), answer);
            }
        }
    }

    /// What came of a proposal of something that can be released.
    fn opened(
        &mut self,
        canister: Principal,
        what: What,
        rolls_back_to: Option<u64>,
        answer: Result<indus_api::hosting::Release, indus_api::Error>,
    ) {
        let next = self.releases.len() as u64 + 1;
        let running = self.canisters.values().filter(|one| {
            let runs = one.open.is_some_and(|(_, runs)| runs);
            !one.agency && runs
        });
        let is_full = running.count() == MAX_RUNNING_OF_APP;
        let of = self.canisters.get_mut(&canister).unwrap();
        match of.open {
            Some((id, _)) if self.releases[&id].what == what => {
                assert_eq!(answer.unwrap().id, id, "the same again");
                return;
            }
            Some(_) => return assert_eq!(refusal(answer), "conflict"),
            None => self.complete.insert((of.owner().1, what.module)),
        };
        if is_full && !of.agency {
            let full = format!("limit {MAX_RUNNING_OF_APP}");
            assert_eq!(refusal(answer), full);
            *self.ends.entry(full).or_default() += 1;
            return;
        }
        let release = answer.unwrap();
        assert_eq!(release.id, next);
        assert_eq!(release.rolls_back_to, rolls_back_to);
        of.releases += 1;
        if of.agency {
            of.open = Some((next, false));
        } else {
            of.begins(next);
            self.begun += 1;
        }
        let fate = match self.random.random_bool(0.4) {
            true => Fate::Good,
            false => FATES[self.random.random_range(0..FATES.len())],
        };
        let release = Release {
            what,
            fate,
            installations: 0,
            went_live: false,
        };
        self.releases.insert(next, release);
    }

    /// An agency's second person approves, or takes it back.
    fn decide(&mut self, canister: Principal) {
        let of = self.canisters.get_mut(&canister).unwrap();
        let Some((id, runs)) = of.open.filter(|_| of.agency) else {
            return;
        };
        let release = releases::get(&self.s.state, id).unwrap();
        let approves = self.random.random_bool(0.7);
        let answer = match approves {
            true => self.s.approve(&approver(3, 7), &release),
            false => self.s.withdraw(&approver(3, 7), id),
        };
        match (runs, approves) {
            // It is approved already.
            (true, true) => assert_eq!(answer, Ok(release)),
            (true, false) => assert_eq!(refusal(answer), "conflict"),
            (false, true) => {
                assert!(answer.unwrap().approved_by.is_some());
                of.begins(id);
                self.begun += 1;
            }
            (false, false) => {
                let state = answer.unwrap().state;
                assert!(matches!(state, ReleaseState::Withdrawn { .. }));
                of.open = None;
            }
        }
    }

    /// Somebody else does something to a canister that nobody releases to now.
    fn touch(&mut self, canister: Principal) {
        let of = self.canisters.get_mut(&canister).unwrap();
        if of.open.is_some_and(|(_, runs)| runs) {
            return;
        }
        match self.random.random_range(0..10) {
            0..5 => of.target.running = Running::Stopped,
            5..7 => of.target.running = Running::Running,
            7 => of.target.meddle(),
            8 => of.target.share(true),
            _ => of.target.share(false),
        }
    }

    /// What is kept is what the model knows; that it is certified is checked where a release ends.
    fn check(&self, canister: Principal) {
        let of = &self.canisters[&canister];
        let hosted = creations::get(&self.s.state, canister).unwrap();
        let (live, before) = (hosted.release, hosted.release_before);
        assert_eq!((live, before), (of.live, of.before));
        let live = of.live.map(|id| self.releases[&id].what.module);
        let live = live.map(|module| hash(MODULES[module]));
        assert_eq!(hosted.module_hash, live);
        if let Some((id, runs)) = of.open {
            let release = releases::get(&self.s.state, id).unwrap();
            let is_running = matches!(release.state, ReleaseState::Running { .. });
            assert_eq!(is_running, runs);
            assert_eq!(release.state == ReleaseState::Proposed, !runs);
            assert_eq!(release.number, of.releases);
        }
        // Each that ever ran has one operation that carries it out; what was refused has none.
        assert_eq!(self.s.state.pending.len(), self.begun);
    }

    /// Releases take no slot and give none back; the log says all that there is.
    fn check_all(&self) {
        for (app, agency) in [(1, false), (2, true)] {
            let of_app = |one: &&Canister| one.agency == agency;
            let canisters = self.canisters.values().filter(of_app).count();
            let found = self.s.app(app);
            assert_eq!((found.canisters as usize, found.pending), (canisters, 0));
            assert_eq!(self.s.canisters(app).len(), canisters);
        }
        self.s.audit();
    }
}

#[test]
fn every_history_of_releases_ends_as_its_modules_deserve() {
    let mut ends = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for seed in 0..HISTORIES {
        // Read where it fails.
        println!("history {seed}");
        let mut history = History::new(seed);
        for _ in 0..ACTIONS {
            history.act();
        }
        history.check_all();
        for (end, times) in history.ends {
            *ends.entry(end).or_default() += times;
        }
        seen.extend(history.seen);
    }
    for (end, least) in [
        ("Live", 100),
        ("Refused(NotControlled)", 10),
        ("Refused(ForeignControllers)", 10),
        ("Refused(OtherModule)", 10),
        ("Refused(NotUploaded)", 10),
        ("Refused(NotStopped)", 10),
        ("Refused(NotKept)", 10),
        ("Refused(NotInstalled)", 10),
        ("Restored(Unhealthy)", 10),
        ("Broken(OtherModule)", 10),
        ("limit 5", 10),
    ] {
        assert!(ends.get(end) >= Some(&least), "{end}: {ends:?}");
    }
    // Each fate befell canisters that were empty, that ran, and that were stopped.
    for fate in FATES {
        for (empty, stopped) in [(true, false), (false, false), (false, true)] {
            assert!(seen.contains(&(fate, empty, stopped)), "{fate:?}: {seen:?}");
        }
    }
}
