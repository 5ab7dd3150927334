//! The lifeline with the canisters that it is for: keepers install what mends them, bad modules are undone, governors have app_hosting upgraded,
//! the lifeline itself is upgraded and traps on the way.
//!
//! However it ends, what was acknowledged is there, and the canister runs.

use std::{
    ops::Deref,
    thread,
    time::{Duration, Instant},
};

use candid::{Encode, Principal};
use end_to_end::{TrapsAt, app_hosting_module, lifeline_module, registry_module, trapping};
use indus_api::{
    Error,
    hosting::App,
    identity::path,
    lifeline::{
        Action, ApproveArgs, CarryOutArgs, Ended, Failure, HealthCheck, INTERVENTIONS, InitArgs,
        Intervention, InterventionRecord, InterventionState, LIFETIME_NS, ModuleOf, ProposeArgs,
        UploadArgs, Uploaded, Why, intervention_key,
    },
    registry::{self, CANISTERS, CanisterEntry, CanisterProfile, DataClass, Drift, UpgradeOrder},
};
use serde_bytes::ByteBuf;

use crate::{
    decisions::recorded,
    hosting::Host,
    releases::{BAD, CHUNK, PATIENCE, hash, labelled},
    suite::{CONTROLLER, Suite, governor, key},
    traps::to_hour,
};

/// Keepers; three of them decide.
const KEEPERS: [&str; 5] = ["noor", "omar", "parveen", "qasim", "rabia"];

/// Answers nothing, and leaves the state alone.
const MUTE: &str = "(module)";

/// Hosting with an app, and a lifeline that controls it, and the registry, beside [`CONTROLLER`].
pub(crate) struct Line {
    host: Host,
    pub(crate) lifeline: Principal,
    app: App,
}

impl Deref for Line {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !thread::panicking() {
            let app = self.host.create_app("ayesha", "kisan").unwrap();
            assert_eq!(app.id, self.app.id);
            self.audited(self.lifeline);
        }
    }
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::of(Host::new())
    }

    /// On another subnet than app_hosting: each step takes some rounds.
    pub(crate) fn far() -> Self {
        Self::of(Host::on(Suite::far_from_the_registry(), key("ayesha")))
    }

    /// On the subnet of the registry.
    fn of(host: Host) -> Self {
        let app = host.create_app("ayesha", "kisan").unwrap();
        let subnet = host.pic.get_subnet(host.registry).unwrap();
        let lifeline = host
            .pic
            .create_canister_on_subnet(Some(CONTROLLER), None, subnet);
        host.pic.add_cycles(lifeline, 1_000_000_000_000_000);
        let args = InitArgs {
            registry: host.registry,
            app_hosting: host.canister,
            keepers: KEEPERS.map(key).to_vec(),
            threshold: 3,
        };
        let args = Encode!(&args).unwrap();
        host.pic
            .install_canister(lifeline, lifeline_module(), args, Some(CONTROLLER));
        for canister in [host.registry, host.canister] {
            host.pic
                .set_controllers(canister, Some(CONTROLLER), vec![CONTROLLER, lifeline])
                .unwrap();
        }
        host.pass(Duration::from_secs(1));
        Self {
            host,
            lifeline,
            app,
        }
    }

    pub(crate) fn upload(&self, caller: Principal, of: ModuleOf, module: &[u8]) {
        for (index, chunk) in (0..).zip(module.chunks(CHUNK)) {
            let args = UploadArgs {
                of,
                module_hash: hash(module),
                index,
                chunk: ByteBuf::from(chunk),
            };
            let uploaded: Result<Uploaded, Error> = self
                .update(self.lifeline, caller, "upload_chunk", (args,))
                .unwrap();
            uploaded.unwrap();
        }
    }

    fn propose(&self, caller: &str, action: Action) -> Result<Intervention, Error> {
        let argument = match action {
            Action::Install { .. } => Encode!().unwrap(),
            _ => vec![],
        };
        let args = ProposeArgs {
            action,
            argument: ByteBuf::from(argument),
        };
        self.update(self.lifeline, key(caller), "propose", (args,))
            .unwrap()
    }

    fn approve(&self, caller: &str, one: &Intervention) -> Result<Intervention, Error> {
        let args = ApproveArgs {
            id: one.id,
            action_hash: one.action_hash.clone(),
        };
        self.update(self.lifeline, key(caller), "approve", (args,))
            .unwrap()
    }

    /// What one keeper proposes and two others approve.
    pub(crate) fn agreed(&self, action: Action) -> Intervention {
        let proposed = self.propose("noor", action).unwrap();
        let waits = self.approve("omar", &proposed).unwrap();
        assert_eq!(waits.state, InterventionState::Open);
        let begun = self.approve("parveen", &proposed).unwrap();
        assert!(matches!(begun.state, InterventionState::Running { .. }));
        begun
    }

    pub(crate) fn install(&self, canister: Principal, module: &[u8]) -> Intervention {
        self.upload(key("noor"), ModuleOf::Keeper(key("noor")), module);
        self.agreed(install(canister, module))
    }

    /// An intervention as it is certified.
    pub(crate) fn intervention(&self, id: u64) -> Intervention {
        let path = path(INTERVENTIONS, &intervention_key(id));
        let witness = self.certified(self.lifeline, vec![path.clone()]);
        let InterventionRecord::V1(one) = witness.value(&path).unwrap();
        one
    }

    /// Lets time pass until an intervention has ended. How.
    pub(crate) fn ended(&self, id: u64) -> Ended {
        let began = Instant::now();
        loop {
            match self.intervention(id).state {
                InterventionState::Ended { how, .. } => return how,
                InterventionState::Running { .. } => {}
                other => panic!("{other:?}"),
            }
            assert!(began.elapsed() < PATIENCE, "{id} does not end");
            self.pass(Duration::from_secs(2));
        }
    }

    pub(crate) fn runs(&self, canister: Principal) -> Option<ByteBuf> {
        let status = self.pic.canister_status(canister, Some(self.lifeline));
        status.unwrap().module_hash.map(ByteBuf::from)
    }

    /// Has the governors say what app_hosting should run.
    pub(crate) fn declared(&self, module_hash: Option<ByteBuf>) {
        self.decided(registry::Action::RecordCanister(CanisterProfile {
            canister: self.canister,
            organisation: self.organisation,
            name: "app-hosting".into(),
            module_hash,
            data_class: DataClass::Official,
        }));
    }

    fn observed(&self, canister: Principal) -> Drift {
        let observed: Result<CanisterEntry, Error> =
            self.registry(key("anybody"), "observe_canister", (canister,));
        observed.unwrap().drift
    }

    fn upgrade_lifeline(&self, module: Vec<u8>) {
        self.stop(self.lifeline);
        let args = Encode!().unwrap();
        self.pic
            .upgrade_canister(self.lifeline, module, args, Some(CONTROLLER))
            .unwrap();
        self.start(self.lifeline);
        self.confirm(self.lifeline);
    }

    /// An upgrade of app_hosting that the governors decided.
    pub(crate) fn ordered(&self, from: &[u8], to: &[u8]) -> u64 {
        recorded(self);
        self.decided(registry::Action::Upgrade(UpgradeOrder {
            canister: self.canister,
            module_hash: hash(to),
            argument_hash: hash(&Encode!().unwrap()),
            previous_hash: hash(from),
            source_commit: "0".repeat(40),
            version: "0.1.0".into(),
        }))
        .id
    }

    pub(crate) fn carry_out(
        &self,
        caller: Principal,
        proposal: u64,
    ) -> Result<Intervention, Error> {
        let args = CarryOutArgs {
            proposal,
            argument: ByteBuf::from(Encode!().unwrap()),
        };
        self.update(self.lifeline, caller, "carry_out", (args,))
            .unwrap()
    }
}

fn install(canister: Principal, module: &[u8]) -> Action {
    Action::Install {
        canister,
        module_hash: hash(module),
        argument_hash: hash(&Encode!().unwrap()),
        health: HealthCheck::Maintenance,
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn keepers_install_what_they_agree_to_and_a_bad_module_is_undone() {
    let line = Line::new();
    let hosting = line.canister;
    line.declared(Some(hash(&app_hosting_module())));
    assert_eq!(line.observed(hosting), Drift::Match);
    let (_, before) = line.roots(hosting);

    let next = labelled(&app_hosting_module(), 1);
    let begun = line.install(hosting, &next);
    assert_eq!(line.ended(begun.id), Ended::Live);
    assert_eq!(
        line.intervention(begun.id).replaced,
        Some(hash(&app_hosting_module()))
    );
    assert_eq!(line.runs(hosting), Some(hash(&next)));
    assert!(!line.service_info(hosting).maintenance);
    assert_eq!(line.roots(hosting).1, before);
    // The registry sees that it runs what no governor decided.
    assert_eq!(line.observed(hosting), Drift::Drift);

    let (head, before) = line.roots(hosting);
    let bad = line.install(hosting, &wat(BAD));
    assert_eq!(line.ended(bad.id), Ended::Restored(Failure::Unhealthy));
    assert_eq!(line.runs(hosting), Some(hash(&next)));
    assert_eq!(line.roots(hosting), (head, before));
    let said = |caller: &str| -> Result<Option<String>, Error> {
        line.query(
            line.lifeline,
            key(caller),
            "intervention_message",
            (bad.id,),
        )
    };
    assert!(said("rabia").unwrap().is_some());
    assert!(matches!(said("stranger"), Err(Error::Unauthorized { .. })));
    let snapshots = line
        .pic
        .list_canister_snapshots(hosting, Some(line.lifeline));
    assert_eq!(snapshots.unwrap().len(), 0);
}

#[test]
fn nobody_else_does_anything() {
    let line = Line::new();
    let module = labelled(&app_hosting_module(), 1);
    let chunk = |of| UploadArgs {
        of,
        module_hash: hash(&module),
        index: 0,
        chunk: ByteBuf::from(vec![7]),
    };
    let (_, before) = line.roots(line.lifeline);
    for stranger in [
        key("stranger"),
        governor(1),
        CONTROLLER,
        Principal::anonymous(),
    ] {
        for of in [
            ModuleOf::Keeper(stranger),
            ModuleOf::Keeper(key("noor")),
            ModuleOf::Decision { proposal: 1 },
        ] {
            let uploaded: Result<Uploaded, Error> = line
                .update(line.lifeline, stranger, "upload_chunk", (chunk(of),))
                .unwrap();
            uploaded.unwrap_err();
        }
        let args = ProposeArgs {
            action: install(line.canister, &module),
            argument: ByteBuf::from(Encode!().unwrap()),
        };
        let proposed: Result<Intervention, Error> = line
            .update(line.lifeline, stranger, "propose", (args,))
            .unwrap();
        assert!(matches!(proposed, Err(Error::Unauthorized { .. })));
        line.carry_out(stranger, 1).unwrap_err();
    }
    assert_eq!(line.roots(line.lifeline).1, before);
}

#[test]
fn a_registry_that_answers_nothing_is_mended_by_keepers_alone() {
    let line = Line::new();
    let registry = line.registry;
    // But what it looks at by itself.
    let decided = || {
        let (head, mut roots) = line.roots(registry);
        roots.remove(CANISTERS);
        (head.size, roots)
    };
    let (size, before) = decided();
    line.stop(registry);
    line.pic
        .upgrade_canister(registry, wat(MUTE), vec![], Some(CONTROLLER))
        .unwrap();
    line.start(registry);
    // Nobody can be asked what was decided.
    assert!(matches!(
        line.carry_out(governor(1), 1),
        Err(Error::Unavailable { .. })
    ));
    let begun = line.install(registry, &registry_module());
    assert_eq!(line.ended(begun.id), Ended::Live);
    let (mended, after) = decided();
    assert_eq!(after, before);
    assert!(mended >= size + 2, "upgraded, and confirmed");
    assert!(!line.service_info(registry).maintenance);
}

#[test]
fn governors_have_app_hosting_upgraded() {
    let line = Line::new();
    let hosting = line.canister;
    let next = labelled(&app_hosting_module(), 1);
    let proposal = line.ordered(&app_hosting_module(), &next);
    line.upload(governor(2), ModuleOf::Decision { proposal }, &next);
    for nobody in [key("stranger"), key("noor"), governor(5)] {
        assert!(matches!(
            line.carry_out(nobody, proposal),
            Err(Error::Unauthorized { .. })
        ));
    }
    let begun = line.carry_out(governor(1), proposal).unwrap();
    let by = governor(1);
    assert_eq!(begun.why, Why::Decision { proposal, by });
    assert_eq!(line.ended(begun.id), Ended::Live);
    assert_eq!(line.runs(hosting), Some(hash(&next)));
    assert!(!line.service_info(hosting).maintenance);
    assert_eq!(line.observed(hosting), Drift::Match);
    // Once, whoever asks again, also when the module before runs once more.
    let again = line.carry_out(governor(2), proposal).unwrap();
    assert_eq!(again, line.intervention(begun.id));
    let back = line.install(hosting, &app_hosting_module());
    assert_eq!(line.ended(back.id), Ended::Live);
    assert_eq!(line.carry_out(governor(2), proposal).unwrap(), again);
    assert_eq!(line.runs(hosting), Some(hash(&app_hosting_module())));

    // Of another module they had nothing decided, and a bad one is undone.
    let another = labelled(&app_hosting_module(), 2);
    let proposal = line.ordered(&next, &another);
    line.upload(governor(1), ModuleOf::Decision { proposal }, &another);
    let other = line.carry_out(governor(1), proposal).unwrap();
    assert_eq!(line.ended(other.id), Ended::Refused(Failure::OtherModule));
    line.declared(None);
    let (head, roots) = line.roots(hosting);
    let proposal = line.ordered(&app_hosting_module(), &wat(BAD));
    line.upload(governor(1), ModuleOf::Decision { proposal }, &wat(BAD));
    let bad = line.carry_out(governor(1), proposal).unwrap();
    assert_eq!(line.ended(bad.id), Ended::Restored(Failure::Unhealthy));
    assert_eq!(line.roots(hosting), (head, roots));

    // App_hosting upgrades all others.
    let order = UpgradeOrder {
        canister: line.license_manager,
        module_hash: hash(&next),
        argument_hash: hash(&Encode!().unwrap()),
        previous_hash: hash(&line.module(line.license_manager)),
        source_commit: "0".repeat(40),
        version: "0.1.0".into(),
    };
    line.decided(registry::Action::RecordCanister(CanisterProfile {
        canister: line.license_manager,
        organisation: line.organisation,
        name: "license-manager".into(),
        module_hash: None,
        data_class: DataClass::Official,
    }));
    let proposal = line.decided(registry::Action::Upgrade(order)).id;
    assert!(matches!(
        line.carry_out(governor(1), proposal),
        Err(Error::Invalid { .. })
    ));
}

#[test]
fn keepers_set_controllers_of_what_they_control() {
    let line = Line::new();
    let set = |canister, engineer: &str| {
        let controllers = vec![line.lifeline, CONTROLLER, key(engineer)];
        let begun = line.agreed(Action::SetControllers {
            canister,
            controllers,
        });
        line.ended(begun.id)
    };
    assert_eq!(set(line.canister, "engineer"), Ended::Live);
    let mut controllers = line.pic.get_controllers(line.canister);
    controllers.sort_unstable();
    let mut expected = vec![line.lifeline, CONTROLLER, key("engineer")];
    expected.sort_unstable();
    assert_eq!(controllers, expected);

    // It controls the registry no more.
    line.pic
        .set_controllers(line.registry, Some(CONTROLLER), vec![CONTROLLER])
        .unwrap();
    let refused = Ended::Refused(Failure::NotControlled);
    assert_eq!(set(line.registry, "engineer"), refused);
    let begun = line.install(line.registry, &registry_module());
    assert_eq!(line.ended(begun.id), refused);
}

#[test]
fn what_nobody_approves_in_time_expires_by_itself() {
    let line = Line::new();
    let action = Action::SetKeepers {
        keepers: KEEPERS.map(key)[..3].to_vec(),
        threshold: 2,
    };
    let proposed = line.propose("noor", action.clone()).unwrap();
    line.approve("omar", &proposed).unwrap();
    line.pass(Duration::from_nanos(LIFETIME_NS) + Duration::from_secs(70));
    assert!(matches!(
        line.intervention(proposed.id).state,
        InterventionState::Expired { .. }
    ));
    let again = line.propose("noor", action).unwrap();
    line.approve("omar", &again).unwrap();
    let ended = line.approve("parveen", &again).unwrap();
    assert!(matches!(
        ended.state,
        InterventionState::Ended {
            how: Ended::Live,
            ..
        }
    ));
    let other = line.propose("rabia", install(line.canister, b"module"));
    assert!(matches!(other, Err(Error::Unauthorized { .. })));
}

#[test]
fn the_lifeline_is_upgraded_while_it_waits_for_any_step() {
    let line = Line::far();
    let (mut running, mut interrupted) = (app_hosting_module(), 0);
    for rounds in 0..16 {
        let bad = rounds % 3 == 2;
        let next = labelled(&app_hosting_module(), rounds);
        let module = if bad { wat(BAD) } else { next.clone() };
        let begun = line.install(line.canister, &module);
        for _ in 0..2 * rounds {
            line.pic.tick();
        }
        let state = line.intervention(begun.id).state;
        interrupted += u32::from(matches!(state, InterventionState::Running { .. }));
        line.upgrade_lifeline(lifeline_module());
        let expected = if bad {
            Ended::Restored(Failure::Unhealthy)
        } else {
            running = next;
            Ended::Live
        };
        assert_eq!(line.ended(begun.id), expected, "{rounds}");
        assert_eq!(line.runs(line.canister), Some(hash(&running)));
        assert!(!line.service_info(line.canister).maintenance);
    }
    assert!(interrupted > 3, "only {interrupted} were under way");
}

#[test]
fn whatever_answer_the_lifeline_loses_it_ends_well() {
    let line = Line::far();
    to_hour(&line, false);
    line.upgrade_lifeline(trapping(&lifeline_module(), TrapsAt::Answer));
    let mut running = app_hosting_module();
    for rounds in 0..8 {
        let next = labelled(&app_hosting_module(), rounds);
        let begun = line.install(line.canister, &next);
        for _ in 0..3 * rounds {
            line.pic.tick();
        }
        // What is answered now is lost.
        to_hour(&line, true);
        to_hour(&line, false);
        match line.ended(begun.id) {
            Ended::Live => running = next,
            // Hours pass here: its check was not answered in time.
            Ended::Restored(Failure::Unhealthy) => {}
            other => panic!("{rounds}: {other:?}"),
        }
        assert_eq!(line.runs(line.canister), Some(hash(&running)));
        assert!(!line.service_info(line.canister).maintenance);
    }
    // Controllers, too.
    let controllers = vec![line.lifeline, CONTROLLER];
    let begun = line.agreed(Action::SetControllers {
        canister: line.canister,
        controllers,
    });
    to_hour(&line, true);
    to_hour(&line, false);
    assert_eq!(line.ended(begun.id), Ended::Live);
}
