//! Installations on a model of a subnet on which everything goes wrong: answers are lost, calls refused, modules don't come up, the
//! orchestrator is upgraded between any two steps.
//!
//! What must hold however it ends: the canister runs what it ran before with the memory it had, or the new module; it runs if it ran, and its
//! timers with it; no snapshot and no chunk is left, unless it is said to be broken; whatever anybody was told is there. What somebody else
//! makes of the canister meanwhile is left as it is.

#![allow(clippy::unwrap_used, clippy::panic)]

use candid::Principal;
use indus_api::hosting::{Ended, Failure, HealthCheck};
use indus_orchestrator::{
    Answer, Going, Plan, Step, Work,
    step::{Changes, Info, Mode, Running, Settings, Snapshot, Status},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_bytes::ByteBuf;

fn hash(of: u8) -> ByteBuf {
    ByteBuf::from([of; 32])
}

fn orchestrator() -> Principal {
    Principal::from_slice(&[9])
}

fn somebody() -> Principal {
    Principal::from_slice(&[5])
}

/// What a module does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    Good,
    /// Its installation traps.
    Traps,
    /// It installs, and answers nothing.
    Mute,
    /// It installs, has lost the state, and says so.
    Forgetful,
    /// It keeps a call open for ever.
    Busy,
    /// It says that it has taken all over, and never leaves maintenance.
    Stubborn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Code {
    module: ByteBuf,
    temper: Temper,
    /// What it remembers: its memory.
    memory: u64,
    maintenance: bool,
}

/// The canister, and what the subnet keeps of it.
struct Subnet {
    now_ns: u64,
    code: Option<Code>,
    running: Running,
    controlled: bool,
    controllers: Vec<Principal>,
    /// Whether anything was asked for but what it is.
    touched: bool,
    chunks: Vec<ByteBuf>,
    snapshots: Vec<(Snapshot, Code)>,
    /// Whether each change of it was the orchestrator's.
    changes: Vec<bool>,
    /// The subnet has forgotten its timers.
    asleep: bool,
    /// How often anybody was told that what they did is kept.
    acknowledged: u64,
    new: Temper,
    /// Chance of each kind of trouble, in a hundred.
    trouble: u32,
    random: ChaCha8Rng,
}

const NEW: u8 = 2;
const MENDED: u8 = 77;
const SECOND: u64 = 1_000_000_000;
const CHUNKS: u32 = 3;

impl Subnet {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn snapshot(&mut self) -> Result<Answer, &'static str> {
        let code = self.code.clone().ok_or("it is empty")?;
        let id = ByteBuf::from(self.now_ns.to_be_bytes());
        let taken = Snapshot {
            id,
            taken_at_timestamp: self.now_ns,
        };
        self.snapshots.push((taken.clone(), code));
        Ok(Answer::Snapshots(vec![taken]))
    }

    /// Does what is asked for.
    fn done(&mut self, step: &Step) -> Result<Answer, &'static str> {
        // Who has changed it is told to everybody.
        if !self.controlled && *step != Step::Changes {
            return Err("not a controller");
        }
        self.touched |= !matches!(step, Step::Changes | Step::Status);
        match step {
            Step::Changes => Ok(Answer::Changes(Changes {
                total: self.changes.len() as u64,
                ours: self.changes.iter().rev().take_while(|ours| **ours).count() as u64,
            })),
            Step::Status => Ok(Answer::Status(Status {
                status: self.running,
                module_hash: self.code.as_ref().map(|code| code.module.clone()),
                settings: Settings {
                    controllers: self.controllers.clone(),
                },
            })),
            Step::Info => {
                let answers = self.running == Running::Running;
                match &self.code {
                    Some(code) if answers && code.temper != Temper::Mute => {
                        Ok(Answer::Info(Info {
                            name: "it".into(),
                            maintenance: code.maintenance,
                            blocks: code.memory,
                        }))
                    }
                    _ => Err("no answer"),
                }
            }
            Step::ClearChunks => {
                self.chunks.clear();
                Ok(Answer::Done)
            }
            Step::UploadChunk(bytes) => {
                let hash = ByteBuf::from(bytes.clone());
                if !self.chunks.contains(&hash) {
                    self.chunks.push(hash.clone());
                }
                Ok(Answer::Chunk(hash))
            }
            Step::Stop => {
                let busy = self
                    .code
                    .as_ref()
                    .is_some_and(|code| code.temper == Temper::Busy);
                if busy && self.running != Running::Stopped {
                    self.running = Running::Stopping;
                    return Ok(Answer::Unknown);
                }
                self.running = Running::Stopped;
                Ok(Answer::Done)
            }
            Step::Start => {
                self.running = Running::Running;
                Ok(Answer::Done)
            }
            Step::TakeSnapshot { replaced } => {
                self.snapshots
                    .retain(|(one, _)| Some(&one.id) != replaced.as_ref());
                self.snapshot()
            }
            Step::ListSnapshots => Ok(Answer::Snapshots(
                self.snapshots.iter().map(|(one, _)| one.clone()).collect(),
            )),
            Step::LoadSnapshot(id) => {
                assert_ne!(self.running, Running::Running, "loaded while it runs");
                let kept = self.snapshots.iter().find(|(one, _)| one.id == *id);
                let (_, code) = kept.ok_or("no such snapshot")?;
                self.code = Some(code.clone());
                self.asleep = true;
                self.changes.push(true);
                Ok(Answer::Done)
            }
            Step::DeleteSnapshot(id) => {
                let before = self.snapshots.len();
                self.snapshots.retain(|(one, _)| one.id != *id);
                if self.snapshots.len() == before {
                    return Err("no such snapshot");
                }
                Ok(Answer::Done)
            }
            Step::Uninstall => {
                self.code = None;
                self.changes.push(true);
                // Its open calls have ended.
                if self.running == Running::Stopping {
                    self.running = Running::Stopped;
                }
                Ok(Answer::Done)
            }
            Step::Install {
                mode,
                chunks,
                module_hash,
                ..
            } => {
                assert!(
                    self.code.is_none() || self.running == Running::Stopped,
                    "installed while it runs"
                );
                let known = chunks.iter().all(|hash| self.chunks.contains(hash));
                if !known || chunks.len() != CHUNKS as usize {
                    return Err("no such chunk");
                }
                match (mode, &self.code) {
                    (Mode::Install, Some(_)) => return Err("not empty"),
                    (Mode::Upgrade { .. }, None) => return Err("empty"),
                    _ => {}
                }
                if self.new == Temper::Traps {
                    return Err("trapped");
                }
                self.asleep = false;
                self.changes.push(true);
                let memory = self.code.as_ref().map_or(0, |code| code.memory);
                let upgraded = self.code.is_some();
                self.code = Some(Code {
                    module: module_hash.clone(),
                    temper: self.new,
                    memory: match self.new {
                        Temper::Forgetful => 0,
                        _ => memory + 1,
                    },
                    maintenance: upgraded,
                });
                Ok(Answer::Done)
            }
            Step::Probe(_) | Step::Confirm => {
                let answers = self.running == Running::Running;
                match &mut self.code {
                    Some(code) if answers && code.temper == Temper::Stubborn => Ok(Answer::Unknown),
                    Some(code) if answers && code.temper != Temper::Mute => {
                        code.maintenance = false;
                        self.asleep = false;
                        Ok(Answer::Done)
                    }
                    _ => Err("no answer"),
                }
            }
        }
    }

    /// What the orchestrator is told of it; nothing where its answer is lost.
    fn answer(&mut self, step: &Step) -> Option<Answer> {
        self.now_ns += 1_000;
        if self.chance(self.trouble) {
            return Some(Answer::Unreachable);
        }
        let answer = match self.done(step) {
            Ok(answer) => answer,
            Err(refused) => Answer::Rejected(refused.into()),
        };
        if self.chance(self.trouble) {
            return None;
        }
        if self.chance(self.trouble) {
            return Some(Answer::Unknown);
        }
        Some(answer)
    }

    /// What others do while it runs: they are answered, which is not to be lost.
    fn used(&mut self) {
        if let Some(code) = &mut self.code
            && self.running == Running::Running
            && !code.maintenance
            && code.temper == Temper::Good
        {
            code.memory += 1;
            self.acknowledged += 1;
        }
    }

    /// Keepers mend it: another module, which runs.
    fn mended(&mut self) {
        self.code = Some(Code {
            module: hash(MENDED),
            temper: Temper::Good,
            memory: self.code.as_ref().map_or(0, |code| code.memory),
            maintenance: false,
        });
        self.running = Running::Running;
        self.changes.push(false);
    }
}

fn plan(health: HealthCheck) -> Plan {
    Plan {
        canister: Principal::from_slice(&[1]),
        module_hash: hash(NEW),
        chunks: CHUNKS,
        argument: ByteBuf::new(),
        previous: None,
        keep_memory: false,
        health,
        controllers: None,
        confirms: None,
    }
}

fn subnet(seed: u64, new: Temper, before: Option<u8>, trouble: u32) -> Subnet {
    Subnet {
        now_ns: 1_000_000,
        code: before.map(|module| Code {
            module: hash(module),
            temper: Temper::Good,
            memory: 7,
            maintenance: false,
        }),
        running: Running::Running,
        controlled: true,
        controllers: vec![orchestrator()],
        touched: false,
        chunks: vec![hash(99)],
        snapshots: Vec::new(),
        changes: vec![false, true],
        asleep: false,
        acknowledged: 0,
        new,
        trouble,
        random: ChaCha8Rng::seed_from_u64(seed),
    }
}

fn chunk(index: u32) -> Option<Vec<u8>> {
    Some(vec![index.to_le_bytes()[0]])
}

/// Carries it out to its end.
fn carried(subnet: &mut Subnet, work: Work) -> (Ended, Work) {
    carried_between(subnet, work, |_, _| {})
}

/// The same; between two attempts something else may happen.
fn carried_between(
    subnet: &mut Subnet,
    mut work: Work,
    mut between: impl FnMut(&mut Subnet, &mut Work),
) -> (Ended, Work) {
    let maintained = work.plan.health == HealthCheck::Maintenance;
    for _ in 0..5_000 {
        // What is stored is what it goes on with.
        let stored = candid::encode_one(&work).unwrap();
        work = candid::decode_one(&stored).unwrap();
        let Some(step) = work.next(subnet.now_ns, chunk) else {
            return (work.ended().unwrap(), work);
        };
        let Some(answer) = subnet.answer(&step) else {
            subnet.now_ns += 10 * SECOND;
            between(subnet, &mut work);
            continue;
        };
        match work.answered(answer) {
            Going::Ended(ended) => return (ended, work),
            Going::Later => {
                subnet.now_ns += 10 * SECOND;
                between(subnet, &mut work);
            }
            Going::On => {}
        }
        // What other checks than `Maintenance` lose of a new module that is undone is known.
        let is_new = |code: &Code| code.module == hash(NEW);
        if maintained || !subnet.code.as_ref().is_some_and(is_new) {
            subnet.used();
        }
    }
    panic!("it does not end: {work:?}");
}

const TEMPERS: [Temper; 6] = [
    Temper::Good,
    Temper::Traps,
    Temper::Mute,
    Temper::Forgetful,
    Temper::Busy,
    Temper::Stubborn,
];

#[test]
fn without_trouble_it_ends_as_the_module_deserves() {
    for before in [None, Some(1)] {
        for (temper, expected) in [
            (Temper::Good, Ended::Live),
            (Temper::Traps, Ended::Refused(Failure::NotInstalled)),
            (Temper::Mute, Ended::Restored(Failure::Unhealthy)),
        ] {
            for health in [
                HealthCheck::Method("health".into()),
                HealthCheck::Maintenance,
            ] {
                let mut subnet = subnet(1, temper, before, 0);
                let was = subnet.code.clone();
                let (ended, work) = carried(&mut subnet, Work::new(plan(health)));
                assert_eq!(ended, expected, "{temper:?}");
                assert_eq!(work.said().is_some(), ended != Ended::Live);
                assert_eq!(work.before(), was.map(|was| was.module).as_ref());
                assert!(subnet.snapshots.is_empty() && subnet.chunks.is_empty());
                assert_eq!(subnet.running, Running::Running);
            }
        }
    }
}

#[test]
fn what_forgets_is_noticed_where_it_says_what_it_knows() {
    let mut subnet = subnet(1, Temper::Forgetful, Some(1), 0);
    let (ended, _) = carried(&mut subnet, Work::new(plan(HealthCheck::Maintenance)));
    assert_eq!(ended, Ended::Restored(Failure::Unhealthy));
    assert!(subnet.code.unwrap().memory >= 7);
}

#[test]
fn what_must_not_be_touched_is_not() {
    let other = Plan {
        previous: Some(hash(5)),
        ..plan(HealthCheck::Installs)
    };
    let others = Plan {
        controllers: Some(vec![somebody()]),
        ..plan(HealthCheck::Installs)
    };
    for (plan, controlled, failure) in [
        (other, true, Failure::OtherModule),
        (others, true, Failure::ForeignControllers),
        (plan(HealthCheck::Installs), false, Failure::NotControlled),
    ] {
        let mut subnet = subnet(1, Temper::Good, Some(1), 0);
        subnet.controlled = controlled;
        let (ended, _) = carried(&mut subnet, Work::new(plan));
        assert_eq!(ended, Ended::Refused(failure));
        assert!(!subnet.touched);
        assert_eq!(subnet.chunks, [hash(99)]);
        assert_eq!(subnet.code.unwrap().module, hash(1));
    }
}

#[test]
fn what_was_stopped_is_left_stopped_unless_it_is_replaced() {
    for (temper, running) in [
        (Temper::Good, Running::Running),
        (Temper::Traps, Running::Stopped),
        (Temper::Mute, Running::Stopped),
    ] {
        let mut subnet = subnet(1, temper, Some(1), 0);
        subnet.running = Running::Stopped;
        carried(
            &mut subnet,
            Work::new(plan(HealthCheck::Method("health".into()))),
        );
        assert_eq!(subnet.running, running, "{temper:?}");
    }
}

#[test]
fn what_does_not_stop_goes_on() {
    let mut subnet = subnet(1, Temper::Good, Some(1), 0);
    subnet.code.as_mut().unwrap().temper = Temper::Busy;
    let (ended, _) = carried(&mut subnet, Work::new(plan(HealthCheck::Installs)));
    assert_eq!(ended, Ended::Refused(Failure::NotStopped));
    assert_eq!(subnet.running, Running::Running);
}

#[test]
fn a_new_module_that_does_not_stop_is_put_back_all_the_same() {
    let mut subnet = subnet(1, Temper::Busy, Some(1), 0);
    let mut work = Work::new(plan(HealthCheck::Method("health".into())));
    // It comes up, and its probe fails.
    let ended = loop {
        let step = work.next(subnet.now_ns, chunk).unwrap();
        let answer = match &step {
            Step::Probe(_) => Answer::Rejected("not well".into()),
            step => subnet.answer(step).unwrap(),
        };
        if let Going::Ended(ended) = work.answered(answer) {
            break ended;
        }
    };
    assert_eq!(ended, Ended::Restored(Failure::Unhealthy));
    assert_eq!(subnet.code.unwrap().module, hash(1));
    assert_eq!(subnet.running, Running::Running);
}

#[test]
fn what_never_leaves_maintenance_is_put_back() {
    let mut subnet = subnet(1, Temper::Stubborn, Some(1), 0);
    let mut waits = 0;
    let (ended, work) = carried_between(
        &mut subnet,
        Work::new(plan(HealthCheck::Maintenance)),
        |_, _| waits += 1,
    );
    assert_eq!(ended, Ended::Restored(Failure::Unhealthy));
    assert_eq!(
        waits, 2,
        "it is asked three times, with a while between them"
    );
    assert!(work.said().unwrap().contains("has not"));
    assert_eq!(subnet.code.unwrap().module, hash(1));
}

#[test]
fn what_is_only_installed_is_let_out_of_maintenance() {
    for health in [HealthCheck::Installs, HealthCheck::Method("health".into())] {
        let plan = Plan {
            confirms: Some(true),
            ..plan(health)
        };
        let mut subnet = subnet(1, Temper::Good, Some(1), 0);
        let (ended, _) = carried(&mut subnet, Work::new(plan));
        assert_eq!(ended, Ended::Live);
        assert!(!subnet.code.unwrap().maintenance);
    }
}

#[test]
fn what_is_long_is_cut() {
    let mut work = Work::new(plan(HealthCheck::Installs));
    let subnet = subnet(1, Temper::Good, Some(1), 0);
    work.next(subnet.now_ns, chunk).unwrap();
    work.answered(Answer::Changes(Changes { total: 0, ours: 0 }));
    work.next(subnet.now_ns, chunk).unwrap();
    work.answered(Answer::Rejected("پ".repeat(50_000)));
    assert_eq!(work.said().unwrap(), "پ".repeat(100));
}

#[test]
fn what_somebody_else_has_mended_is_left_alone() {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..2_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let temper = TEMPERS[random.random_range(0..TEMPERS.len())];
        let health = [HealthCheck::Maintenance, HealthCheck::Installs];
        let health = health[random.random_range(0..2)].clone();
        let at = random.random_range(0..8);
        let (mut attempts, mut mended) = (0, None);
        let mut subnet = subnet(seed, temper, Some(1), 20);
        let (ended, _) = carried_between(&mut subnet, Work::new(plan(health)), |subnet, work| {
            if attempts == at && work.before().is_some() {
                subnet.mended();
                mended = subnet.code.clone();
            }
            attempts += 1;
        });
        let Some(mended) = mended else { continue };
        let about = format!("seed {seed}: {temper:?} {ended:?}");
        let code = subnet.code.as_ref().expect(&about);
        assert_eq!(code.module, mended.module, "{about}");
        assert!(code.memory >= mended.memory, "{about}");
        assert_eq!(subnet.running, Running::Running, "{about}");
        *seen.entry(format!("{ended:?}")).or_default() += 1;
    }
    for ended in ["Refused(OtherModule)", "Broken(OtherModule)"] {
        assert!(seen[ended] > 20, "{seen:?}");
    }
}

/// Has the orchestrator stopped, and upgraded, after so many steps; `meanwhile` happens to the canister.
fn stopped_after(
    steps: usize,
    subnet: &mut Subnet,
    mut meanwhile: impl FnMut(&mut Subnet),
) -> Ended {
    let mut work = Work::new(plan(HealthCheck::Maintenance));
    for step in 0..1_000 {
        if step == steps {
            let begun = subnet.changes.len() > 2;
            let stopped = subnet.running != Running::Running;
            let starts = work.park();
            assert_eq!(
                starts,
                (stopped && !begun).then_some(Step::Start),
                "{steps}"
            );
            if let Some(starts) = starts {
                subnet.answer(&starts).unwrap();
                assert_eq!(subnet.running, Running::Running);
            }
            subnet.used();
            meanwhile(subnet);
        }
        let Some(step) = work.next(subnet.now_ns, chunk) else {
            return work.ended().unwrap();
        };
        let answer = subnet.answer(&step).unwrap();
        if let Going::Ended(ended) = work.answered(answer) {
            return ended;
        }
    }
    panic!("it does not end: {work:?}");
}

#[test]
fn who_is_stopped_leaves_nothing_stopped_that_is_as_it_was() {
    for at in 0..40 {
        let mut subnet = subnet(1, Temper::Good, Some(1), 0);
        let ended = stopped_after(at, &mut subnet, |_| {});
        assert_eq!(ended, Ended::Live, "{at}");
        assert!(subnet.snapshots.is_empty(), "{at}");
        let memory = subnet.code.unwrap().memory;
        assert!(memory >= 7 + subnet.acknowledged, "{at}");
    }
}

#[test]
fn what_was_mended_while_the_orchestrator_was_stopped_is_left_alone() {
    let mut noticed = 0;
    for at in 1..40 {
        let mut mended = false;
        let mut subnet = subnet(1, Temper::Good, Some(1), 0);
        let ended = stopped_after(at, &mut subnet, |subnet| {
            subnet.mended();
            mended = true;
        });
        if !mended {
            continue;
        }
        assert_eq!(subnet.code.unwrap().module, hash(MENDED), "{at}: {ended:?}");
        assert_eq!(subnet.running, Running::Running, "{at}: {ended:?}");
        noticed += usize::from(matches!(
            ended,
            Ended::Refused(Failure::OtherModule) | Ended::Broken(Failure::OtherModule)
        ));
    }
    // Later than that there is nothing left to do but to tidy up.
    assert!(noticed > 8, "{noticed}");
}

/// What may stand in the way of an installation, at random: somebody else controls the canister, who must not; another module runs than the
/// one that is to be replaced; the orchestrator is no controller. Why it has to be refused then, untouched.
fn obstructed(random: &mut ChaCha8Rng, subnet: &mut Subnet, plan: &mut Plan) -> Option<Failure> {
    let module = subnet.code.as_ref().map(|code| code.module.clone());
    subnet.controlled = random.random_bool(0.95);
    let shared = random.random_bool(0.2);
    if shared {
        subnet.controllers.push(somebody());
    }
    plan.controllers = match random.random_range(0..4) {
        0 => Some(vec![orchestrator()]),
        // Where more may control it, nobody has to.
        1 => Some(vec![somebody(), orchestrator()]),
        _ => None,
    };
    plan.previous = match random.random_range(0..10) {
        0 => Some(hash(5)),
        1..4 => Some(module.clone().unwrap_or_else(|| hash(1))),
        _ => None,
    };
    let allowed = plan.controllers.as_ref();
    let foreign = shared && allowed.is_some_and(|allowed| !allowed.contains(&somebody()));
    match () {
        () if !subnet.controlled => Some(Failure::NotControlled),
        () if foreign => Some(Failure::ForeignControllers),
        () if plan.previous.is_some() && plan.previous != module => Some(Failure::OtherModule),
        () => None,
    }
}

#[test]
fn whatever_goes_wrong_it_ends_well_or_says_that_it_did_not() {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..5_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let temper = TEMPERS[random.random_range(0..TEMPERS.len())];
        let before = random.random_bool(0.8).then_some(1);
        let health = match random.random_range(0..3) {
            0 => HealthCheck::Installs,
            1 => HealthCheck::Method("health".into()),
            _ => HealthCheck::Maintenance,
        };
        let trouble = [1, 5, 20, 45][random.random_range(0..4)];
        let mut subnet = subnet(seed, temper, before, trouble);
        let parks = random.random_bool(0.3);
        let running = match random.random_bool(0.8) {
            true => Running::Running,
            false => Running::Stopped,
        };
        subnet.running = running;
        let mut plan = plan(health.clone());
        let obstructed = obstructed(&mut random, &mut subnet, &mut plan);
        let (ended, work) = carried_between(&mut subnet, Work::new(plan), |subnet, work| {
            // The orchestrator is upgraded.
            if parks && let Some(step) = work.park() {
                let _any = subnet.answer(&step);
            }
        });
        let about = format!("seed {seed}: {temper:?} {health:?} {running:?} {ended:?}");
        *seen.entry(format!("{ended:?}")).or_default() += 1;
        if running == Running::Stopped {
            *seen.entry(format!("{ended:?}, stopped")).or_default() += 1;
        }
        // Where it can't be asked what it is, it is not known to be controlled either.
        let unasked = ended == Ended::Refused(Failure::NotControlled) && trouble >= 20;
        if let Some(failure) = obstructed {
            assert!(unasked || ended == Ended::Refused(failure), "{about}");
        }
        if obstructed.is_some() || unasked {
            assert!(!subnet.touched, "{about}");
            assert_eq!(subnet.running, running, "{about}");
            assert_eq!(subnet.chunks, [hash(99)], "{about}");
            assert_eq!(subnet.changes, [false, true], "{about}");
            assert!(subnet.snapshots.is_empty() && !subnet.asleep, "{about}");
            let memory = subnet.code.as_ref().map(|code| code.memory);
            let told = before.map(|_| 7 + subnet.acknowledged);
            assert_eq!(memory, told, "{about}");
            continue;
        }
        let told = before.map_or(0, |_| 7 + subnet.acknowledged);
        match ended {
            Ended::Live => {
                let code = subnet.code.as_ref().expect(&about);
                assert_eq!(code.module, hash(NEW), "{about}");
                assert_ne!(temper, Temper::Traps, "{about}");
                if health == HealthCheck::Maintenance {
                    assert!(!code.maintenance, "{about}");
                    assert_ne!(temper, Temper::Mute, "{about}");
                    if temper == Temper::Good {
                        assert!(code.memory >= told, "{about}");
                    }
                }
                assert_eq!(subnet.running, Running::Running, "{about}");
            }
            Ended::Refused(_) | Ended::Restored(_) => {
                let module = subnet.code.as_ref().map(|code| code.module.clone());
                assert_eq!(module, before.map(hash), "{about}");
                if let Some(code) = &subnet.code {
                    // Nothing was forgotten of what it knew, or was told while it ran.
                    assert!(code.memory >= told, "{about}");
                    assert!(!code.maintenance, "{about}");
                    // It is tried for a while to wake it, unless it is left stopped.
                    let woken = health != HealthCheck::Maintenance || trouble > 5;
                    let stopped = running == Running::Stopped;
                    assert!(woken || stopped || !subnet.asleep, "{about}");
                }
                assert_eq!(subnet.running, running, "{about}");
                // There was nothing to be refused for.
                let unfounded = [
                    Failure::NotControlled,
                    Failure::ForeignControllers,
                    Failure::OtherModule,
                ];
                let unfounded = unfounded.map(Ended::Refused);
                assert!(!unfounded.contains(&ended), "{about}");
            }
            Ended::Broken(_) => {
                assert!(trouble >= 20, "{about}");
                // What was there is there, or can be put back by hand.
                let module = subnet.code.as_ref().map(|code| code.module.clone());
                let is_there = module == before.map(hash);
                // Whoever does that is told by which snapshot.
                let said = work.said().expect(&about);
                let named = |(one, _): &(Snapshot, Code)| said.contains(&hex::encode(&one.id));
                let kept = before.is_none() || subnet.snapshots.iter().any(named);
                assert!(is_there || kept, "{about}: {said}");
            }
        }
        // Tidying up is tried for a while, not for ever.
        if trouble <= 5 && !matches!(ended, Ended::Broken(_)) {
            assert!(subnet.snapshots.is_empty(), "{about}");
        }
    }
    for ended in [
        "Live",
        "Refused(NotInstalled)",
        "Restored(Unhealthy)",
        "Refused(NotControlled)",
        "Refused(ForeignControllers)",
        "Refused(OtherModule)",
        "Live, stopped",
        "Refused(NotInstalled), stopped",
        "Restored(Unhealthy), stopped",
    ] {
        assert!(seen[ended] > 50, "{ended}: {seen:?}");
    }
}
