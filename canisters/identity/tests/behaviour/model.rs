//! Identity against a model that is plainly right: lists that are searched from end to end.
//!
//! Random histories of some keys, two organisations and their administrators, with the clock, suspensions and upgrades in
//! between. The model says of each call whether it may succeed. After each, everybody's methods and subjects are the model's;
//! in the end the replayed log gives what is certified.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use candid::Principal;
use identity::{methods, persons};
use indus_api::{
    Subject,
    identity::{
        DEFAULT_RECOVERY_DELAY_NS, OpenRecoveryArgs, PAIRING_NS, PAIRING_TRIES,
        RECOVERY_LIFETIME_NS, RECOVERY_OFFICER,
    },
    registry::OrganisationStatus,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::setting::{CLERK, DAY, Setting, administrator, key, new_method};

const KEYS: std::ops::RangeInclusive<u8> = 1..=7;
const NOBODY: Principal = Principal::management_canister();

#[derive(Clone, Debug)]
enum Call {
    Register(u8),
    Open(u8),
    Offer {
        by: u8,
        to: u8,
        right: bool,
    },
    Confirm {
        by: u8,
        key: u8,
    },
    Remove {
        by: u8,
        key: u8,
    },
    Choose {
        by: u8,
        office: Option<u64>,
    },
    Grant {
        by: u64,
        organisation: u64,
        to: u8,
        officer: bool,
        days: u64,
    },
    Accept {
        by: u8,
        role: Index,
    },
    Revoke {
        by: Result<u8, u64>,
        role: Index,
    },
    OpenRecovery {
        by: u8,
        of: u8,
        key: u8,
        remove_others: bool,
    },
    Approve {
        by: u8,
        recovery: Index,
        right: bool,
    },
    Veto {
        by: u8,
        recovery: Index,
    },
    Finish {
        by: u8,
        recovery: Index,
    },
    Activate {
        organisation: u64,
        active: bool,
    },
    Wait(u64),
    Reopen,
}

fn calls() -> impl Strategy<Value = Call> {
    let one = || KEYS;
    let organisation = || prop_oneof![4 => Just(1_u64), 1 => Just(2)];
    let index = any::<Index>;
    let right = || proptest::bool::weighted(0.9);
    prop_oneof![
        1 => one().prop_map(Call::Register),
        3 => one().prop_map(Call::Open),
        4 => (one(), one(), right()).prop_map(|(by, to, right)| Call::Offer { by, to, right }),
        4 => (one(), one()).prop_map(|(by, key)| Call::Confirm { by, key }),
        2 => (one(), one()).prop_map(|(by, key)| Call::Remove { by, key }),
        2 => (one(), proptest::option::of(organisation()))
            .prop_map(|(by, office)| Call::Choose { by, office }),
        9 => (organisation(), right(), one(), proptest::bool::weighted(0.7), 1..40_u64).prop_map(
            |(organisation, right, to, officer, days)| Call::Grant {
                by: if right { organisation } else { 3 - organisation },
                organisation,
                to,
                officer,
                days,
            }
        ),
        9 => (one(), index()).prop_map(|(by, role)| Call::Accept { by, role }),
        3 => (
            prop_oneof![one().prop_map(Ok), organisation().prop_map(Err)], index())
            .prop_map(|(by, role)| Call::Revoke { by, role }),
        6 => (one(), one(), one(), any::<bool>()).prop_map(|(by, of, key, remove_others)| {
            Call::OpenRecovery { by, of, key, remove_others }
        }),
        8 => (one(), index(), right())
            .prop_map(|(by, recovery, right)| Call::Approve { by, recovery, right }),
        1 => (one(), index()).prop_map(|(by, recovery)| Call::Veto { by, recovery }),
        8 => (one(), index()).prop_map(|(by, recovery)| Call::Finish { by, recovery }),
        1 => (organisation(), proptest::bool::weighted(0.7))
            .prop_map(|(organisation, active)| Call::Activate { organisation, active }),
        4 => prop_oneof![3 => Just(1), 1 => Just(PAIRING_NS), 4 => Just(3 * DAY), 1 => Just(30 * DAY)]
            .prop_map(Call::Wait),
        1 => Just(Call::Reopen),
    ]
}

/// A population in which much can happen: persons 1 to 5, of whom 1 to 4 are officers of organisation 1, and 5 its clerk.
fn beginning() -> Vec<Call> {
    let mut calls: Vec<_> = (1..=5).map(Call::Register).collect();
    for to in 1..=5 {
        calls.push(Call::Grant {
            by: 1,
            organisation: 1,
            to,
            officer: to < 5,
            days: 39,
        });
    }
    calls
}

struct Role {
    person: Principal,
    organisation: u64,
    name: &'static str,
    from_ns: u64,
    until_ns: u64,
    accepted: bool,
    revoked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Vetoed,
    Finished,
}

struct Recovery {
    person: Principal,
    organisation: u64,
    key: u8,
    remove_others: bool,
    by: Principal,
    approved: Option<(Principal, u64)>,
    ends_ns: u64,
    end: End,
}

struct Pairing {
    ends_ns: u64,
    tries: u8,
    offer: Option<u8>,
}

#[derive(Default)]
struct Model {
    /// Each key's person, and the office that it chose.
    methods: BTreeMap<u8, (Principal, Option<u64>)>,
    pairings: BTreeMap<Principal, Pairing>,
    roles: Vec<Role>,
    recoveries: Vec<Recovery>,
    suspended: BTreeSet<u64>,
    now_ns: u64,
}

impl Model {
    fn person(&self, key: u8) -> Option<Principal> {
        self.methods.get(&key).map(|(person, _)| *person)
    }

    /// A key that speaks for a person.
    fn key_of(&self, person: Principal) -> Option<u8> {
        let mut keys = self.methods.iter();
        keys.find(|(_, method)| method.0 == person)
            .map(|(key, _)| *key)
    }

    fn methods_of(&self, person: Principal) -> usize {
        self.methods.values().filter(|one| one.0 == person).count()
    }

    fn holds(&self, person: Principal, organisation: u64, name: Option<&str>) -> bool {
        self.roles.iter().any(|role| {
            role.person == person
                && role.organisation == organisation
                && name.is_none_or(|name| name == role.name)
                && role.accepted
                && !role.revoked
                && (role.from_ns..role.until_ns).contains(&self.now_ns)
        })
    }

    /// For which organisation a key acts, active or not.
    fn office(&self, key: u8) -> Option<u64> {
        let (person, chosen) = *self.methods.get(&key)?;
        let mut held = [1, 2]
            .into_iter()
            .filter(|organisation| self.holds(person, *organisation, None));
        match chosen {
            Some(chosen) => held.find(|organisation| *organisation == chosen),
            None => {
                let first = held.next()?;
                held.next().is_none().then_some(first)
            }
        }
    }

    fn subject(&self, key: u8) -> Option<Subject> {
        let person = self.person(key)?;
        let organisation = self.office(key).filter(|one| !self.suspended.contains(one));
        let names = [RECOVERY_OFFICER, CLERK].into_iter();
        let roles = organisation.map(|organisation| {
            names
                .filter(|name| self.holds(person, organisation, Some(name)))
                .map(ToOwned::to_owned)
                .collect()
        });
        Some(Subject {
            person,
            organisation,
            roles: roles.unwrap_or_default(),
        })
    }

    /// The person of a recovery officer, and their organisation.
    fn officer(&self, key: u8) -> Option<(Principal, u64)> {
        let subject = self.subject(key)?;
        subject
            .roles
            .contains(RECOVERY_OFFICER)
            .then_some((subject.person, subject.organisation?))
    }

    fn is_open(&self, recovery: &Recovery) -> bool {
        recovery.end == End::Open && self.now_ns < recovery.ends_ns
    }

    fn pairing(&mut self, person: Principal) -> Option<&mut Pairing> {
        let now_ns = self.now_ns;
        self.pairings
            .get_mut(&person)
            .filter(|pairing| now_ns < pairing.ends_ns)
    }
}

struct World {
    s: Setting,
    model: Model,
    /// Codes of pairings that were opened.
    codes: BTreeMap<Principal, String>,
}

impl World {
    fn new() -> Self {
        Self {
            s: Setting::new(),
            model: Model::default(),
            codes: BTreeMap::new(),
        }
    }

    /// The person of a key, or an id that is nobody's.
    fn person(&self, key: u8) -> Principal {
        self.model.person(key).unwrap_or(NOBODY)
    }

    fn role(&self, index: Index) -> (u64, Option<usize>) {
        let count = self.model.roles.len();
        let place = (count > 0).then(|| index.index(count));
        (place.map_or(1, |place| place as u64 + 1), place)
    }

    /// The last one more often than others.
    fn recovery(&self, index: Index) -> (u64, Option<usize>) {
        let count = self.model.recoveries.len();
        let place = (count > 0).then(|| index.index(count + 5).min(count - 1));
        (place.map_or(1, |place| place as u64 + 1), place)
    }

    fn make(&mut self, call: &Call) {
        // The message comes a nanosecond later.
        self.model.now_ns = self.s.time_ns + 1;
        match call.clone() {
            Call::Register(n) => self.register(n),
            Call::Open(n) => self.open(n),
            Call::Offer { by, to, right } => self.offer(by, to, right),
            Call::Confirm { by, key } => self.confirm(by, key),
            Call::Remove { by, key } => self.remove(by, key),
            Call::Choose { by, office } => self.choose(by, office),
            Call::Grant {
                by,
                organisation,
                to,
                officer,
                days,
            } => {
                let name = if officer { RECOVERY_OFFICER } else { CLERK };
                self.grant(by, organisation, to, name, days);
            }
            Call::Accept { by, role } => self.accept(by, role),
            Call::Revoke { by, role } => self.revoke(by, role),
            Call::OpenRecovery {
                by,
                of,
                key,
                remove_others,
            } => {
                self.open_recovery(by, of, key, remove_others);
            }
            Call::Approve {
                by,
                recovery,
                right,
            } => self.approve(by, recovery, right),
            Call::Veto { by, recovery } => self.veto(by, recovery),
            Call::Finish { by, recovery } => self.finish(by, recovery),
            Call::Activate {
                organisation,
                active,
            } => {
                let status = if active {
                    self.model.suspended.remove(&organisation);
                    OrganisationStatus::Active
                } else {
                    self.model.suspended.insert(organisation);
                    OrganisationStatus::Suspended
                };
                self.s.set_status(organisation, status);
                // as if the minute had passed, in which the change is not known
                self.s.wait(60_000_000_000);
            }
            Call::Wait(time_ns) => self.s.wait(time_ns),
            Call::Reopen => {
                self.model.pairings.clear();
                self.s.reopen();
            }
        }
    }

    fn register(&mut self, n: u8) {
        let answer = self.s.register(key(n)).unwrap();
        if let Some(known) = self.model.person(n) {
            assert_eq!(answer.id, known);
        } else {
            assert_eq!(self.model.methods_of(answer.id), 0, "an id was used again");
            self.model.methods.insert(n, (answer.id, None));
        }
    }

    fn open(&mut self, n: u8) {
        let answer = self.s.open_pairing(key(n));
        assert_eq!(answer.is_ok(), self.model.person(n).is_some());
        if let Ok(pairing) = answer {
            let person = self.person(n);
            let known = Pairing {
                ends_ns: self.model.now_ns + PAIRING_NS,
                tries: PAIRING_TRIES,
                offer: None,
            };
            self.model.pairings.insert(person, known);
            self.codes.insert(person, pairing.code);
        }
    }

    fn offer(&mut self, by: u8, to: u8, right: bool) {
        let person = self.person(to);
        let code = self
            .codes
            .get(&person)
            .cloned()
            .unwrap_or("AAAAAAAA".into());
        let wrong = if code.starts_with('A') {
            "BBBBBBBB"
        } else {
            "AAAAAAAA"
        };
        let answer = self
            .s
            .offer(key(by), person, if right { &code } else { wrong });
        let is_free = self.model.person(by).is_none();
        let mut expected = false;
        if is_free && let Some(pairing) = self.model.pairing(person) {
            if right {
                expected = pairing.offer.is_none_or(|offered| offered == by);
                pairing.offer.get_or_insert(by);
            } else {
                pairing.tries -= 1;
                if pairing.tries == 0 {
                    self.model.pairings.remove(&person);
                }
            }
        }
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
    }

    fn confirm(&mut self, by: u8, offered: u8) {
        let answer = self.s.confirm(key(by), key(offered));
        let person = self.person(by);
        let is_mine = self.model.person(by).is_some() && self.model.person(offered) == Some(person);
        let is_free = self.model.person(offered).is_none();
        let is_offered = self
            .model
            .pairing(person)
            .is_some_and(|pairing| pairing.offer == Some(offered));
        assert_eq!(
            answer.is_ok(),
            is_mine || (is_free && is_offered),
            "{answer:?}"
        );
        if answer.is_ok() && !is_mine {
            self.model.methods.insert(offered, (person, None));
            self.model.pairings.remove(&person);
        }
    }

    fn remove(&mut self, by: u8, method: u8) {
        let answer = self.s.remove(key(by), key(method));
        let person = self.model.person(by);
        let expected = person.is_some_and(|person| {
            self.model.person(method) == Some(person) && self.model.methods_of(person) > 1
        });
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        if expected {
            self.model.methods.remove(&method);
        }
    }

    fn choose(&mut self, by: u8, office: Option<u64>) {
        let answer = self.s.choose(key(by), office);
        let expected = self.model.methods.get(&by).is_some_and(|(person, chosen)| {
            *chosen == office || office.is_none_or(|one| self.model.holds(*person, one, None))
        });
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        if expected && let Some(method) = self.model.methods.get_mut(&by) {
            method.1 = office;
        }
    }

    fn grant(&mut self, by: u64, organisation: u64, to: u8, name: &'static str, days: u64) {
        let person = self.person(to);
        let mut args = self.s.role(person, organisation, name);
        args.valid_until_ns = self.s.time_ns + days * DAY;
        let (from_ns, until_ns) = (args.valid_from_ns, args.valid_until_ns);
        let answer = self.s.grant(administrator(by), args);
        let now_ns = self.model.now_ns;
        let overlaps = self.model.roles.iter().any(|role| {
            (role.person, role.organisation, role.name) == (person, organisation, name)
                && !role.revoked
                && role.until_ns > now_ns
        });
        let expected = by == organisation
            && person != NOBODY
            && !self.model.suspended.contains(&organisation)
            && !overlaps;
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        if expected {
            self.model.roles.push(Role {
                person,
                organisation,
                name,
                from_ns,
                until_ns,
                accepted: false,
                revoked: false,
            });
        }
    }

    fn accept(&mut self, by: u8, role: Index) {
        // Half of the time the one to whom the last offer was made.
        let offered = self.model.roles.iter().rposition(|role| !role.accepted);
        let (by, (id, place)) = match offered.filter(|_| role.index(2) == 0) {
            Some(place) => {
                let person = self.model.roles[place].person;
                let by = self.model.key_of(person).unwrap_or(by);
                (by, (place as u64 + 1, Some(place)))
            }
            None => (by, self.role(role)),
        };
        let answer = self.s.accept(key(by), id);
        let person = self.person(by);
        let now_ns = self.model.now_ns;
        let role = place.map(|place| &mut self.model.roles[place]);
        let role =
            role.filter(|role| role.person == person && !role.revoked && now_ns < role.until_ns);
        assert_eq!(answer.is_ok(), role.is_some(), "{answer:?}");
        if let Some(role) = role {
            role.accepted = true;
        }
    }

    fn revoke(&mut self, by: Result<u8, u64>, role: Index) {
        // Half of the time a role on which the last recovery rests.
        let official = self.model.recoveries.last().map(|one| one.by);
        let held = self
            .model
            .roles
            .iter()
            .rposition(|role| Some(role.person) == official && !role.revoked);
        let (by, (id, place)) = match held.filter(|_| role.index(2) == 0) {
            Some(place) => {
                let organisation = self.model.roles[place].organisation;
                (Err(organisation), (place as u64 + 1, Some(place)))
            }
            None => (by, self.role(role)),
        };
        let caller = by.map_or_else(administrator, key);
        let answer = self.s.revoke_role(caller, id);
        let person = by.ok().and_then(|n| self.model.person(n));
        let role = place.map(|place| &mut self.model.roles[place]);
        let role =
            role.filter(|role| person == Some(role.person) || by.err() == Some(role.organisation));
        assert_eq!(answer.is_ok(), role.is_some(), "{answer:?}");
        if let Some(role) = role {
            role.revoked = true;
        }
    }

    fn open_recovery(&mut self, by: u8, of: u8, new: u8, remove_others: bool) {
        let person = self.person(of);
        let args = OpenRecoveryArgs {
            person,
            new_method: new_method(new),
            remove_others,
        };
        let answer = self.s.open_recovery(key(by), args);
        let model = &mut self.model;
        let officer = model.officer(by).filter(|(officer, organisation)| {
            *officer != person && model.holds(person, *organisation, None)
        });
        let open = model
            .recoveries
            .iter()
            .find(|one| one.person == person && model.is_open(one));
        let Some((officer, organisation)) = officer else {
            assert!(answer.is_err());
            return;
        };
        if let Some(open) = open {
            let same = (open.by, open.organisation, open.key, open.remove_others)
                == (officer, organisation, new, remove_others);
            assert_eq!(answer.is_ok(), same, "{answer:?}");
            return;
        }
        assert_eq!(answer.is_ok(), model.person(new).is_none(), "{answer:?}");
        if answer.is_ok() {
            model.recoveries.push(Recovery {
                person,
                organisation,
                key: new,
                remove_others,
                by: officer,
                approved: None,
                ends_ns: model.now_ns + RECOVERY_LIFETIME_NS,
                end: End::Open,
            });
        }
    }

    fn approve(&mut self, by: u8, recovery: Index, right: bool) {
        let (id, place) = self.recovery(recovery);
        let hash = if right {
            self.s.recovery_hash(id)
        } else {
            [0; 32]
        };
        let answer = self.s.approve_recovery(key(by), id, hash);
        let model = &self.model;
        let officer = model.officer(by);
        let known = place.map(|place| &model.recoveries[place]).filter(|one| {
            officer.is_some_and(|(officer, organisation)| {
                organisation == one.organisation && officer != one.by && officer != one.person
            }) && model.is_open(one)
        });
        let officer = officer.map_or(NOBODY, |(officer, _)| officer);
        let expected = known.is_some_and(|one| match one.approved {
            Some((approver, _)) => approver == officer,
            None => {
                right
                    && model.holds(one.person, one.organisation, None)
                    && model.holds(one.by, one.organisation, Some(RECOVERY_OFFICER))
            }
        });
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        if expected && let Some(place) = place {
            let ready_ns = self.model.now_ns + DEFAULT_RECOVERY_DELAY_NS;
            self.model.recoveries[place]
                .approved
                .get_or_insert((officer, ready_ns));
        }
    }

    fn veto(&mut self, by: u8, recovery: Index) {
        let (id, place) = self.recovery(recovery);
        let answer = self.s.veto(key(by), id);
        let model = &self.model;
        let expected = place
            .map(|place| &model.recoveries[place])
            .is_some_and(|one| {
                model.person(by) == Some(one.person)
                    && (one.end == End::Vetoed || model.is_open(one))
            });
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        if expected && let Some(place) = place {
            self.model.recoveries[place].end = End::Vetoed;
        }
    }

    fn finish(&mut self, by: u8, recovery: Index) {
        let (id, place) = self.recovery(recovery);
        // Half of the time the second official.
        let approved = place.and_then(|place| self.model.recoveries[place].approved);
        let approver = approved.and_then(|(approver, _)| self.model.key_of(approver));
        let by = approver.filter(|_| recovery.index(2) == 0).unwrap_or(by);
        let answer = self.s.finish(key(by), id);
        let model = &mut self.model;
        let Some(place) = place else {
            assert!(answer.is_err());
            return;
        };
        let one = &model.recoveries[place];
        let caller = model.person(by);
        let may = by == one.key
            || caller == Some(one.by)
            || (caller.is_some() && caller == one.approved.map(|(approver, _)| approver));
        if may && one.end == End::Finished {
            assert!(answer.is_ok());
            return;
        }
        // what must never be otherwise: two officials, the delay, no veto, the life of the organisation
        let holds = |who| model.holds(who, one.organisation, Some(RECOVERY_OFFICER));
        let hold = one
            .approved
            .is_some_and(|(approver, _)| holds(approver) && holds(one.by));
        let rest = may
            && model.is_open(one)
            && one
                .approved
                .is_some_and(|(approver, ready_ns)| approver != one.by && model.now_ns >= ready_ns)
            && !model.suspended.contains(&one.organisation)
            && model.holds(one.person, one.organisation, None)
            && model.person(one.key).is_none();
        assert_eq!(answer.is_ok(), rest && hold, "{answer:?}");
        if rest {
            let what = if hold {
                "a recovery was finished"
            } else {
                "an official lost the role"
            };
            REACHED.with_borrow_mut(|reached| reached.insert(what));
        }
        if answer.is_err() {
            return;
        }
        let (person, new, remove_others) = (one.person, one.key, one.remove_others);
        model.recoveries[place].end = End::Finished;
        if remove_others {
            model.methods.retain(|_, method| method.0 != person);
        }
        model.methods.insert(new, (person, None));
        model.pairings.remove(&person);
    }

    /// What is known of everybody is what the model knows.
    fn check(&mut self) {
        self.model.now_ns = self.s.time_ns;
        for n in KEYS {
            let method = methods::find(&self.s.state, key(n)).unwrap();
            let known = method.map(|method| (method.person, method.office));
            assert_eq!(known, self.model.methods.get(&n).copied());
            assert_eq!(self.s.subject(key(n)), self.model.subject(n));
            let view = persons::view(&self.s.state, &self.s.at(key(n)));
            let count = view.map_or(0, |view| view.methods.len());
            let person = self.model.person(n);
            assert_eq!(
                count,
                person.map_or(0, |person| self.model.methods_of(person))
            );
        }
    }
}

thread_local! {
    /// What histories came to.
    static REACHED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

fn run(calls: &[Call]) {
    let mut world = World::new();
    for call in beginning() {
        world.make(&call);
    }
    for n in 1..=5 {
        world.s.accept(key(n), n.into()).unwrap();
        world.model.roles[usize::from(n) - 1].accepted = true;
    }
    for call in calls {
        world.make(call);
        world.check();
    }
    world.s.audit();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_identity_answers_and_certifies_like_the_model(calls in vec(calls(), 1..200)) {
        run(&calls);
    }
}

#[test]
fn such_histories_come_to_what_recoveries_are_about() {
    let config = ProptestConfig {
        cases: 32,
        ..ProptestConfig::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let run = |calls: Vec<Call>| {
        run(&calls);
        Ok(())
    };
    TestRunner::new_with_rng(config, random)
        .run(&vec(calls(), 200), run)
        .unwrap();
    let reached = REACHED.with_borrow(|reached| reached.iter().copied().collect::<Vec<_>>());
    assert_eq!(
        reached,
        ["a recovery was finished", "an official lost the role"]
    );
}
