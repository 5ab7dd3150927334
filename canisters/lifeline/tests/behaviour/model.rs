//! Random histories against a model: keepers who propose, approve, take back and replace each other; time that passes; what runs and how it
//! ends; upgrades.

use std::collections::BTreeSet;

use indus_api::lifeline::{
    Action, Ended, InterventionState, LIFETIME_NS, MAX_OPEN, ModuleArgs, ModuleOf, Why,
};
use lifeline::uploads;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::setting::{
    ARGUMENT, MINUTE, ONE, Setting, TWO, hosting, install, key, refusal, registry, set_controllers,
    set_keepers, upgrade,
};

/// Everybody who might be a keeper.
const PEOPLE: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Open,
    Withdrawn,
    Expired,
    Running,
    Ended,
}

#[derive(Debug)]
struct One {
    /// None for a decision.
    proposer: Option<u8>,
    approvals: BTreeSet<u8>,
    action: Action,
    proposed_at_ns: u64,
    stands: Stands,
}

/// What should be there.
struct Model {
    keepers: BTreeSet<u8>,
    threshold: usize,
    all: Vec<One>,
}

impl Model {
    fn open(&self) -> impl Iterator<Item = &One> {
        self.all.iter().filter(|one| one.stands == Stands::Open)
    }

    fn is_idle(&self, action: &Action) -> bool {
        let about = |action: &Action| match action {
            Action::Install { canister, .. } | Action::SetControllers { canister, .. } => {
                Some(*canister)
            }
            Action::SetKeepers { .. } => None,
        };
        let mut running = self.all.iter().filter(|one| one.stands == Stands::Running);
        running.all(|one| about(&one.action) != about(action))
    }

    /// One more approves it, and there may be enough.
    fn approved(&mut self, at: usize, n: u8) {
        self.all[at].approvals.insert(n);
        if self.all[at].approvals.len() < self.threshold {
            return;
        }
        let Action::SetKeepers { keepers, threshold } = self.all[at].action.clone() else {
            self.all[at].stands = Stands::Running;
            return;
        };
        self.all[at].stands = Stands::Ended;
        self.threshold = threshold as usize;
        let is = |n: &u8| keepers.contains(&key(*n));
        self.keepers = (1..=PEOPLE).filter(is).collect();
        for one in self.all.iter_mut().filter(|one| one.stands == Stands::Open) {
            if one.proposer.is_some_and(|n| is(&n)) {
                one.approvals.retain(is);
            } else {
                one.stands = Stands::Withdrawn;
            }
        }
    }
}

fn action(random: &mut ChaCha8Rng) -> Action {
    let canister = if random.random_bool(0.5) {
        registry()
    } else {
        hosting()
    };
    match random.random_range(0..5) {
        0..2 => install(canister, if random.random_bool(0.5) { ONE } else { TWO }),
        2..4 => set_controllers(canister, &[random.random_range(1..=2)]),
        _ => {
            let mut keepers: Vec<u8> = (1..=PEOPLE).collect();
            while keepers.len() > 5 {
                keepers.remove(random.random_range(0..keepers.len()));
            }
            set_keepers(&keepers, random.random_range(3..=4))
        }
    }
}

fn is_there(s: &Setting, n: u8, action: &Action) -> bool {
    let Action::Install { module_hash, .. } = action else {
        return true;
    };
    let args = ModuleArgs {
        of: ModuleOf::Keeper(key(n)),
        module_hash: module_hash.clone(),
    };
    uploads::get(&s.state, &args).is_ok()
}

fn step(s: &mut Setting, model: &mut Model, random: &mut ChaCha8Rng) {
    let n = random.random_range(1..=PEOPLE);
    let is_keeper = model.keepers.contains(&n);
    // The time at which the next call comes.
    let now_ns = s.time_ns + MINUTE;
    let is_over = |one: &One| now_ns - one.proposed_at_ns >= LIFETIME_NS;
    match random.random_range(0..30) {
        0..6 => {
            let action = action(random);
            let own = model.open().find(|one| one.proposer == Some(n));
            let same = own.is_some_and(|one| one.action == action && !is_over(one));
            let expected = match () {
                () if !is_keeper => Err("unauthorized".to_owned()),
                () if same => Ok(false),
                () if own.is_some() => Err("limit 1".into()),
                () if model.open().count() as u64 == MAX_OPEN => Err(format!("limit {MAX_OPEN}")),
                () if !is_there(s, n, &action) => Err("no module".into()),
                () => Ok(true),
            };
            let answer = s.propose(n, action.clone());
            match expected {
                Ok(false) => assert_eq!(answer.unwrap().state, InterventionState::Open),
                Ok(true) => {
                    model.all.push(One {
                        proposer: Some(n),
                        approvals: [n].into(),
                        action,
                        proposed_at_ns: now_ns,
                        stands: Stands::Open,
                    });
                    assert_eq!(answer.unwrap().id, model.all.len() as u64);
                }
                Err(refused) => assert_eq!(refusal(answer), refused),
            }
        }
        6..9 => {
            let module = if random.random_bool(0.5) { ONE } else { TWO };
            let answer = s.upload(n, module);
            assert_eq!(answer.is_ok(), is_keeper);
        }
        9..21 if !model.all.is_empty() => {
            // The latest ones are those that are open.
            let first = model.all.len().saturating_sub(6);
            let at = random.random_range(first..model.all.len());
            let one = &model.all[at];
            let again = one.approvals.contains(&n);
            let votes = one.approvals.len() + usize::from(!again);
            let begins = votes >= model.threshold && !model.is_idle(&one.action);
            let is_set = matches!(one.action, Action::SetKeepers { .. });
            let expected = match () {
                () if !is_keeper => Err("unauthorized"),
                () if one.proposer.is_none() => Err("conflict"),
                () if again && one.stands != Stands::Open => Ok(false),
                () if one.stands != Stands::Open => Err("conflict"),
                () if is_over(one) => Err("expired"),
                () if begins && !is_set => Err("conflict"),
                () => Ok(true),
            };
            let read = s.get(at as u64 + 1);
            let answer = s.approve(n, &read);
            match expected {
                Ok(counts) => {
                    answer.unwrap();
                    if counts {
                        model.approved(at, n);
                    }
                }
                Err(refused) => assert_eq!(refusal(answer), refused),
            }
        }
        21 if !model.all.is_empty() => {
            let at = random.random_range(0..model.all.len());
            let one = &mut model.all[at];
            let answer = s.withdraw(n, at as u64 + 1);
            let expected = match () {
                () if !is_keeper || one.proposer != Some(n) => Err("unauthorized"),
                () if one.stands == Stands::Withdrawn => Ok(()),
                () if one.stands != Stands::Open => Err("conflict"),
                () if is_over(one) => Err("expired"),
                () => Ok(()),
            };
            match expected {
                Ok(()) => {
                    answer.unwrap();
                    one.stands = Stands::Withdrawn;
                }
                Err(refused) => assert_eq!(refusal(answer), refused),
            }
        }
        22 => {
            let decided = upgrade(5, hosting(), TWO);
            s.upload_decided(key(11), &decided, TWO).unwrap();
            let answer = s.carry_out(key(11), &decided, ARGUMENT);
            let before = model.all.iter().rposition(|one| one.proposer.is_none());
            let same = before.filter(|at| model.all[*at].stands == Stands::Running);
            let action = install(hosting(), TWO);
            match same {
                Some(at) => assert_eq!(answer.unwrap().id, at as u64 + 1),
                None if !model.is_idle(&action) => assert_eq!(refusal(answer), "conflict"),
                None => {
                    let begun = answer.unwrap();
                    model.all.push(One {
                        proposer: None,
                        approvals: BTreeSet::new(),
                        action: begun.action,
                        proposed_at_ns: now_ns,
                        stands: Stands::Running,
                    });
                }
            }
        }
        23..26 => {
            let mut running = model.all.iter().enumerate();
            let Some((at, one)) = running.find(|(_, one)| one.stands == Stands::Running) else {
                return;
            };
            let (id, good) = (at as u64 + 1, random.random_bool(0.7));
            match (&one.action, one.proposer) {
                (Action::SetControllers { .. }, _) => {
                    let refused = indus_kit::calls::CallError::Rejected {
                        code: 5,
                        message: "no".into(),
                    };
                    assert!(s.set(id, 1, if good { Ok(()) } else { Err(refused) }));
                }
                (_, Some(_)) => {
                    let (ended, _) = s.carried(id, Some(ONE), good);
                    assert_eq!(ended == Ended::Live, good);
                }
                (_, None) => {
                    // It never says that it is in maintenance.
                    let (ended, _) = s.carried(id, Some(if good { TWO } else { ONE }), false);
                    assert!(matches!(ended, Ended::Refused(_)));
                }
            }
            model.all[at].stands = Stands::Ended;
        }
        26 => s.time_ns += random.random_range(0..LIFETIME_NS / 3),
        27..29 => {
            s.expire();
            for one in &mut model.all {
                if one.stands == Stands::Open && is_over(one) {
                    one.stands = Stands::Expired;
                }
            }
        }
        _ => s.reopen(),
    }
}

fn compared(s: &Setting, model: &Model, seed: u64) {
    let keepers: BTreeSet<_> = s.keepers().keepers.into_iter().collect();
    let expected: BTreeSet<_> = model.keepers.iter().copied().map(key).collect();
    assert_eq!(keepers, expected, "seed {seed}");
    assert_eq!(s.keepers().threshold as usize, model.threshold);
    let mut running = 0;
    for (id, one) in (1..).zip(&model.all) {
        let found = s.get(id);
        let stands = match found.state {
            InterventionState::Open => Stands::Open,
            InterventionState::Withdrawn { .. } => Stands::Withdrawn,
            InterventionState::Expired { .. } => Stands::Expired,
            InterventionState::Running { .. } => Stands::Running,
            InterventionState::Ended { .. } => Stands::Ended,
        };
        assert_eq!(stands, one.stands, "seed {seed}, {id}");
        running += u64::from(stands == Stands::Running);
        assert_eq!(found.action, one.action);
        if let (Why::Votes { approvals, .. }, Some(proposer)) = (&found.why, one.proposer) {
            let approvals: BTreeSet<_> = approvals.iter().map(|one| one.keeper).collect();
            let expected: BTreeSet<_> = one.approvals.iter().copied().map(key).collect();
            assert_eq!(approvals, expected, "seed {seed}, {id}");
            if matches!(stands, Stands::Open | Stands::Running) {
                assert!(is_there(s, proposer, &one.action), "seed {seed}, {id}");
            }
        }
    }
    assert!(running <= 2);
}

#[test]
fn every_history_keeps_to_the_threshold_and_forgets_nothing() {
    let mut ends = BTreeSet::new();
    for seed in 0..40 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut s = Setting::new();
        let mut model = Model {
            keepers: (1..=5).collect(),
            threshold: 3,
            all: Vec::new(),
        };
        for _ in 0..160 {
            step(&mut s, &mut model, &mut random);
        }
        compared(&s, &model, seed);
        s.audit();
        ends.extend(model.all.iter().map(|one| format!("{:?}", one.stands)));
    }
    assert_eq!(ends.len(), 5, "{ends:?}");
}
