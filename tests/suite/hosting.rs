//! Hosting with the canisters that it asks and the subnet that creates what it is asked for: founders with a licence, developers of an
//! agency, tools that know the cycles ledger.

use std::{ops::Deref, thread, time::Duration};

use candid::{CandidType, Encode, Nat, Principal, decode_one, utils::ArgumentEncoder};
use end_to_end::{TrapsAt, app_hosting_module, trapping};
use ic_management_canister_types::CanisterIdRecord;
use indus_api::{
    Error,
    hosting::{
        APP_DEVELOPER, APPS, App, AppRecord, CANISTERS, COSTS, Configuration, Cost, CostRecord,
        CreateAppArgs, HostedCanister, HostedCanisterRecord, InitArgs, ListCanistersArgs,
        ListCostsArgs, app_key, canister_key, cost_key,
        engine::{
            CreateCanisterArgs, CreateCanisterError, CreatedCanister, CreationArgs, Operator,
            OperatorArgs, Settings, SubnetSelection,
        },
    },
    identity::path,
    licences::{Seat, SeatArgs},
    paging::Page,
    registry::DataClass,
};
use pocket_ic::{RejectResponse, common::rest::RawEffectivePrincipal};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::{
    licences::closed_round_of,
    suite::{CONTROLLER, Suite, commitment, key},
    traps::to_hour,
};

/// Most canisters of an app here.
const LIMIT: u32 = 3;

/// A suite with hosting, a founder ("ayesha") who holds seat 1, and a developer of the organisation ("bilal").
pub(crate) struct Host {
    suite: Suite,
    pub(crate) canister: Principal,
}

impl Deref for Host {
    type Target = Suite;

    fn deref(&self) -> &Suite {
        &self.suite
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.audited(self.canister);
        }
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::on(Suite::new(), key("ayesha"))
    }

    /// On another subnet than identity and the license manager: each step there takes some rounds.
    pub(crate) fn far() -> Self {
        let suite = Suite::far_from_the_registry();
        let subnet = suite.pic.get_subnet(suite.registry).unwrap();
        Self::installed(suite, subnet, key("ayesha"))
    }

    /// On the subnet of identity. Seat 1 is this founder's.
    pub(crate) fn on(suite: Suite, founder: Principal) -> Self {
        let subnet = suite.pic.get_subnet(suite.identity).unwrap();
        Self::installed(suite, subnet, founder)
    }

    /// Installs hosting on a subnet, and has all others know it.
    fn installed(suite: Suite, subnet: Principal, founder: Principal) -> Self {
        let args = InitArgs {
            identity: suite.identity,
            registry: suite.registry,
            license_manager: suite.license_manager,
            configuration: Some(Configuration {
                canisters_of_app: LIMIT,
                ..Configuration::default()
            }),
        };
        let named = ("app-hosting", DataClass::Official);
        let canister = suite.join(subnet, named, app_hosting_module(), &args);
        suite.with_officials();
        suite.official(key("bilal"), APP_DEVELOPER);
        suite.person(key("stranger"));
        let (_, application) = closed_round_of(&suite, "ayesha", founder);
        let granted: Result<Seat, Error> =
            suite.licences(key("officer"), "grant", (application.content.id,));
        assert_eq!(granted.unwrap().seat, 1);
        let claimed: Result<Seat, Error> = suite.licences(founder, "claim", (1_u64,));
        claimed.unwrap();
        Self { suite, canister }
    }

    /// Lets the subnet run by itself, and says where it listens.
    pub(crate) fn live(&mut self) -> String {
        self.suite.pic.make_live(None).to_string()
    }

    pub(crate) fn hosting<R: CandidType + DeserializeOwned>(
        &self,
        caller: &str,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, RejectResponse> {
        self.update(self.canister, key(caller), method, args)
    }

    pub(crate) fn create_app(&self, caller: &str, name: &str) -> Result<App, Error> {
        let organisation = (caller == "bilal").then_some(self.organisation);
        let args = CreateAppArgs {
            organisation,
            name: name.into(),
            data_class: DataClass::Public,
        };
        self.hosting(caller, "create_app", (args,)).unwrap()
    }

    /// What icp-cli sends.
    pub(crate) fn create(&self, caller: &str) -> Result<CreatedCanister, CreateCanisterError> {
        self.create_as(key(caller))
    }

    pub(crate) fn create_as(
        &self,
        caller: Principal,
    ) -> Result<CreatedCanister, CreateCanisterError> {
        self.update(self.canister, caller, "create_canister", (plain(),))
            .unwrap()
    }

    /// An app and a canister as they are certified.
    fn app(&self, id: u64) -> App {
        let path = path(APPS, &app_key(id));
        let witness = self.certified(self.canister, vec![path.clone()]);
        let AppRecord::V1(app) = witness.value(&path).unwrap();
        app
    }

    pub(crate) fn hosted(&self, canister: Principal) -> HostedCanister {
        let path = path(CANISTERS, &canister_key(canister).unwrap());
        let witness = self.certified(self.canister, vec![path.clone()]);
        let HostedCanisterRecord::V1(hosted) = witness.value(&path).unwrap();
        hosted
    }

    fn canisters_of(&self, app: u64) -> Vec<Principal> {
        let args = ListCanistersArgs {
            app,
            after: None,
            limit: 100,
        };
        let page: Result<Page<Principal, HostedCanister>, Error> =
            self.query(self.canister, key("anybody"), "list_canisters", (args,));
        let all = page.unwrap().items;
        all.into_iter().map(|one| one.canister).collect()
    }

    fn controllers(&self, canister: Principal) -> Vec<Principal> {
        let mut controllers = self.pic.get_controllers(canister);
        controllers.sort_unstable();
        controllers
    }
}

pub(crate) fn plain() -> CreateCanisterArgs {
    CreateCanisterArgs {
        from_subaccount: None,
        created_at_time: None,
        amount: Nat::from(2_000_000_000_000_u64),
        creation_args: None,
    }
}

fn sorted(mut all: Vec<Principal>) -> Vec<Principal> {
    all.sort_unstable();
    all
}

#[test]
fn a_founder_and_an_agency_get_canisters_under_their_quotas() {
    let host = Host::new();
    let subnet = host.pic.get_subnet(host.canister).unwrap();
    let operator = |subnet_id| -> Option<Principal> {
        let args = (OperatorArgs { subnet_id },);
        let told: Operator = host.query(
            host.canister,
            key("ayesha"),
            "getEngineOperatorBySubnet",
            args,
        );
        told.engine_operator_id
    };
    assert_eq!(operator(Some(subnet)), Some(host.canister));
    assert_eq!(operator(Some(host.registry)), None);

    let app = host.create_app("ayesha", "kisan").unwrap();
    let created = host.create("ayesha").unwrap();
    let hosted = host.hosted(created.canister_id);
    assert_eq!((hosted.app, hosted.canister), (app.id, created.canister_id));
    let both = sorted(vec![key("ayesha"), host.canister]);
    assert_eq!(host.controllers(created.canister_id), both);
    assert_eq!(sorted(hosted.controllers), both);
    assert!(host.pic.cycle_balance(created.canister_id) > 400_000_000_000);

    // The founder's own tools install into it.
    let module = b"\0asm\x01\0\0\0".to_vec();
    host.pic
        .install_canister(created.canister_id, module, vec![], Some(key("ayesha")));
    for _ in 1..LIMIT {
        host.create("ayesha").unwrap();
    }
    let refused = host.create("ayesha").unwrap_err();
    let CreateCanisterError::GenericError { message, .. } = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("canisters of the app"), "{message}");
    let app = host.app(app.id);
    assert_eq!((app.canisters, app.pending), (LIMIT, 0));

    let tax = host.create_app("bilal", "tax").unwrap();
    let chosen: Result<App, Error> = host.hosting("bilal", "choose_app", (tax.id,)).unwrap();
    chosen.unwrap();
    let created = host.create("bilal").unwrap();
    assert_eq!(host.hosted(created.canister_id).app, tax.id);
    // Nobody else, nowhere else.
    assert!(matches!(
        host.create_app("stranger", "spam"),
        Err(Error::Unauthorized { .. })
    ));
    assert!(host.create("stranger").is_err());
    let mut elsewhere = plain();
    elsewhere.creation_args = Some(CreationArgs {
        subnet_selection: Some(SubnetSelection::Subnet {
            subnet: host.registry,
        }),
        settings: Some(Settings::default()),
    });
    let refused: Result<CreatedCanister, CreateCanisterError> = host
        .hosting("bilal", "create_canister", (elsewhere,))
        .unwrap();
    assert!(refused.is_err());
}

#[test]
fn a_seat_that_is_suspended_creates_nothing_more_at_once() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    host.create("ayesha").unwrap();
    let args = SeatArgs {
        seat: 1,
        application: 1,
        reason: commitment("reason"),
    };
    let suspended: Result<Seat, Error> = host.licences(key("officer"), "suspend", (args,));
    suspended.unwrap();
    assert!(host.create("ayesha").is_err());
    assert!(host.create_app("ayesha", "mandi").is_err());
    assert_eq!((host.app(1).canisters, host.app(1).pending), (1, 0));
}

#[test]
fn a_hundred_calls_at_once_create_as_many_canisters_as_the_quota_allows() {
    let host = Host::new();
    let app = host.create_app("bilal", "tax").unwrap();
    let developers: Vec<String> = (0..10).map(|n| format!("developer {n}")).collect();
    for developer in &developers {
        host.official(key(developer), APP_DEVELOPER);
        let chosen: Result<App, Error> = host.hosting(developer, "choose_app", (app.id,)).unwrap();
        chosen.unwrap();
    }
    let args = Encode!(&plain()).unwrap();
    let submit = |developer: &String| {
        host.pic
            .submit_call(
                host.canister,
                key(developer),
                "create_canister",
                args.clone(),
            )
            .unwrap()
    };
    let sent: Vec<_> = (0..10)
        .flat_map(|_| developers.iter().map(submit))
        .collect();
    assert_eq!(sent.len(), 100);
    let (mut created, mut beyond) = (0, 0);
    for call in sent {
        let reply = host.pic.await_call(call).unwrap();
        let answer: Result<CreatedCanister, CreateCanisterError> =
            candid::decode_one(&reply).unwrap();
        match answer {
            Ok(_) => created += 1,
            Err(CreateCanisterError::GenericError { message, .. }) => {
                assert!(message.contains("canisters of the app"), "{message}");
                beyond += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    // Nobody was turned away for anything else: all of them came as far as the quota.
    assert_eq!((created, beyond), (LIMIT, 100 - LIMIT));
    let app = host.app(app.id);
    assert_eq!((app.canisters, app.pending), (created, 0));
    assert_eq!(host.canisters_of(app.id).len(), LIMIT as usize);
}

#[test]
fn who_can_not_be_asked_refuses_nobody_anything_for_good() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    for asked in [host.identity, host.license_manager] {
        host.stop(asked);
        let refused = host.create("ayesha").unwrap_err();
        assert!(
            matches!(refused, CreateCanisterError::FailedToCreate { .. }),
            "{refused:?}"
        );
        assert_eq!((host.app(1).canisters, host.app(1).pending), (0, 0));
        host.start(asked);
    }
    host.create("ayesha").unwrap();
}

#[test]
fn a_subnet_that_refuses_gives_the_slot_back() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    // No subnet takes so much of a processor.
    let mut greedy = plain();
    greedy.creation_args = Some(CreationArgs {
        subnet_selection: None,
        settings: Some(Settings {
            compute_allocation: Some(Nat::from(101_u8)),
            ..Settings::default()
        }),
    });
    let before = host.pic.cycle_balance(host.canister);
    for _ in 0..=LIMIT {
        let refused: Result<CreatedCanister, CreateCanisterError> = host
            .hosting("ayesha", "create_canister", (greedy.clone(),))
            .unwrap();
        assert!(refused.is_err());
    }
    assert_eq!((host.app(1).canisters, host.app(1).pending), (0, 0));
    // And the cycles that were sent along.
    assert!(before - host.pic.cycle_balance(host.canister) < 50_000_000_000);
    host.create("ayesha").unwrap();
}

/// Hosting that traps in odd hours.
fn trapping_host(at: TrapsAt) -> Host {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    to_hour(&host, false);
    let module = trapping(&app_hosting_module(), at);
    host.stop(host.canister);
    host.pic
        .upgrade_canister(host.canister, module, Encode!().unwrap(), Some(CONTROLLER))
        .unwrap();
    host.start(host.canister);
    host.confirm(host.canister);
    host
}

#[test]
fn a_callback_that_traps_changes_nothing_that_is_not_kept() {
    let host = trapping_host(TrapsAt::CallbackStart);
    to_hour(&host, true);
    let refused: Result<Result<CreatedCanister, CreateCanisterError>, RejectResponse> =
        host.hosting("ayesha", "create_canister", (plain(),));
    assert!(refused.is_err());
    to_hour(&host, false);
    // Nothing was under way yet, and the next call is not kept out.
    assert_eq!((host.app(1).canisters, host.app(1).pending), (0, 0));
    host.create("ayesha").unwrap();
}

#[test]
fn an_upgrade_waits_for_what_the_subnet_creates() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    let (args, management) = (Encode!(&plain()).unwrap(), Principal::management_canister());
    let call = host
        .pic
        .submit_call(host.canister, key("ayesha"), "create_canister", args);
    let of = RawEffectivePrincipal::CanisterId(host.canister.as_slice().to_vec());
    let args = Encode!(&CanisterIdRecord {
        canister_id: host.canister
    })
    .unwrap();
    let stop = host.pic.submit_call_with_effective_principal(
        management,
        of,
        CONTROLLER,
        "stop_canister",
        args,
    );
    // One round for both.
    for call in [call, stop] {
        let reply = host.pic.await_call(call.unwrap()).unwrap();
        if !reply.starts_with(b"DIDL\0\0") {
            let created: Result<CreatedCanister, CreateCanisterError> = decode_one(&reply).unwrap();
            created.unwrap();
        }
    }
    host.upgrade_hosting(app_hosting_module());
    assert_eq!((host.app(1).canisters, host.app(1).pending), (1, 0));
    let canister = host.canisters_of(1)[0];
    let both = sorted(vec![key("ayesha"), host.canister]);
    assert_eq!(host.controllers(canister), both);
    host.create("ayesha").unwrap();
}

#[test]
fn a_reply_that_traps_loses_no_canister() {
    let host = trapping_host(TrapsAt::Reply);
    to_hour(&host, true);
    let refused: Result<Result<CreatedCanister, CreateCanisterError>, RejectResponse> =
        host.hosting("ayesha", "create_canister", (plain(),));
    assert!(refused.is_err());
    // What the subnet made is kept, over an upgrade too, and gets its record.
    host.stop(host.canister);
    host.pic
        .upgrade_canister(
            host.canister,
            app_hosting_module(),
            Encode!().unwrap(),
            Some(CONTROLLER),
        )
        .unwrap();
    host.start(host.canister);
    host.confirm(host.canister);
    host.pass(Duration::from_secs(60));
    assert_eq!((host.app(1).canisters, host.app(1).pending), (1, 0));
    let [canister] = &host.canisters_of(1)[..] else {
        panic!("one canister");
    };
    let both = sorted(vec![key("ayesha"), host.canister]);
    assert_eq!(host.controllers(*canister), both);
    assert_eq!(sorted(host.hosted(*canister).controllers), both);
    for _ in 1..LIMIT {
        host.create("ayesha").unwrap();
    }
    assert!(host.create("ayesha").is_err());
}

/// Burns as many cycles as its argument says, in 16 bytes, and does nothing else.
fn burner() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (memory 1)
            (func (export "canister_update burn")
                (call $copy (i32.const 0) (i32.const 0) (i32.const 16))
                (call $burn (i64.load (i32.const 8)) (i64.load (i32.const 0)) (i32.const 16))
                (call $reply)))"#,
    )
    .unwrap()
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn canisters_are_read_and_given_what_they_need_and_it_is_in_the_books() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    let canister = host.create("ayesha").unwrap().canister_id;
    let gone = host.create("ayesha").unwrap().canister_id;
    let module = burner();
    let sender = Some(key("ayesha"));
    host.pic
        .install_canister(canister, module.clone(), vec![], sender);
    host.pic.stop_canister(gone, sender).unwrap();
    host.pic.delete_canister(gone, sender).unwrap();
    let burn = |cycles: u128| {
        let args = cycles.to_le_bytes().to_vec();
        host.pic
            .update_call(canister, key("ayesha"), "burn", args)
            .unwrap();
    };
    let a_day = || {
        host.pass(DAY);
        host.pass(Duration::from_secs(120));
    };
    let books = || -> (u128, u128) {
        let args = ListCostsArgs {
            app: 1,
            after: None,
            limit: 10,
        };
        let months: Result<Page<u32, Cost>, Error> =
            host.query(host.canister, key("anybody"), "list_costs", (args,));
        let months = months.unwrap().items;
        for cost in &months {
            let path = path(COSTS, &cost_key(1, cost.month));
            let witness = host.certified(host.canister, vec![path.clone()]);
            let CostRecord::V1(certified) = witness.value(&path).unwrap();
            assert_eq!(&certified, cost);
        }
        let sum = |of: fn(&Cost) -> u128| months.iter().map(of).sum();
        (
            sum(|cost| cost.cycles_used),
            sum(|cost| cost.cycles_topped_up),
        )
    };
    let (treasury, plenty) = (
        || host.pic.cycle_balance(host.canister),
        host.pic.cycle_balance(canister),
    );

    a_day();
    assert_eq!(books().1, 0);
    // What its owner installed is in the record now.
    let hosted = host.hosted(canister);
    assert_eq!(
        hosted.module_hash.unwrap(),
        Sha256::digest(&module).to_vec()
    );

    burn(plenty - 200_000_000_000);
    let before = treasury();
    a_day();
    const TRILLION: u128 = 1_000_000_000_000;
    let balance = host.pic.cycle_balance(canister);
    assert!(balance > TRILLION, "{balance}");
    let given = before - treasury();
    assert!(
        (TRILLION..TRILLION + TRILLION / 10).contains(&given),
        "{given}"
    );
    let (used, topped_up) = books();
    assert!(used > plenty - 300_000_000_000, "{used}");
    assert_eq!(topped_up, TRILLION);
    // Not more than an app gets in a month, whatever it does with it.
    for _ in 0..4 {
        burn(
            host.pic
                .cycle_balance(canister)
                .saturating_sub(100_000_000_000),
        );
        a_day();
    }
    let (_, topped_up) = books();
    assert!(
        (3 * TRILLION..=6 * TRILLION).contains(&topped_up),
        "{topped_up}"
    );
    assert!(host.pic.cycle_balance(canister) < 2 * TRILLION);

    // What was deleted makes room, once it is old enough.
    let forget = |caller: &str| -> Result<App, Error> {
        host.hosting(caller, "forget_canister", (gone,)).unwrap()
    };
    assert!(matches!(
        forget("stranger"),
        Err(Error::Unauthorized { .. })
    ));
    assert!(matches!(forget("ayesha"), Err(Error::Conflict { .. })));
    host.pass(30 * DAY);
    let kept: Result<App, Error> = host
        .hosting("ayesha", "forget_canister", (canister,))
        .unwrap();
    assert!(matches!(kept, Err(Error::Conflict { .. })), "it exists");
    assert_eq!(forget("ayesha").unwrap().canisters, 1);
    assert_eq!(host.canisters_of(1), [canister]);
    assert!(matches!(forget("ayesha"), Err(Error::NotFound { .. })));
}
