//! Hosting with the canisters that it asks and the subnet that creates what it is asked for: founders with a licence, developers of an
//! agency, tools that know the cycles ledger.

use std::{ops::Deref, thread};

use candid::{CandidType, Encode, Nat, Principal, utils::ArgumentEncoder};
use end_to_end::{TrapsAt, app_hosting_module, trapping};
use indus_api::{
    Error,
    hosting::{
        APP_DEVELOPER, APPS, App, AppRecord, CANISTERS, Configuration, CreateAppArgs,
        HostedCanister, HostedCanisterRecord, InitArgs, app_key, canister_key,
        engine::{
            CreateCanisterArgs, CreateCanisterError, CreatedCanister, CreationArgs, Operator,
            OperatorArgs, Settings, SubnetSelection,
        },
    },
    identity::path,
    licences::{Seat, SeatArgs},
    registry::DataClass,
};
use pocket_ic::RejectResponse;
use serde::de::DeserializeOwned;

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

    /// Installs hosting on the subnet of identity, and has all others know it. Seat 1 is this founder's.
    pub(crate) fn on(suite: Suite, founder: Principal) -> Self {
        let subnet = suite.pic.get_subnet(suite.identity).unwrap();
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
        self.hosting(caller, "create_canister", (plain(),)).unwrap()
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

    fn controllers(&self, canister: Principal) -> Vec<Principal> {
        let mut controllers = self.pic.get_controllers(canister);
        controllers.sort_unstable();
        controllers
    }
}

fn plain() -> CreateCanisterArgs {
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
    let app = host.create_app("ayesha", "kisan").unwrap();
    let args = Encode!(&plain()).unwrap();
    let submit = |_| {
        host.pic
            .submit_call(
                host.canister,
                key("ayesha"),
                "create_canister",
                args.clone(),
            )
            .unwrap()
    };
    let sent: Vec<_> = (0..100).map(submit).collect();
    let mut created = 0;
    for call in sent {
        let reply = host.pic.await_call(call).unwrap();
        let answer: Result<CreatedCanister, CreateCanisterError> =
            candid::decode_one(&reply).unwrap();
        created += u32::from(answer.is_ok());
    }
    assert_eq!(created, LIMIT);
    let app = host.app(app.id);
    assert_eq!((app.canisters, app.pending), (created, 0));
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
    for _ in 0..=LIMIT {
        let refused: Result<CreatedCanister, CreateCanisterError> = host
            .hosting("ayesha", "create_canister", (greedy.clone(),))
            .unwrap();
        assert!(refused.is_err());
    }
    assert_eq!((host.app(1).canisters, host.app(1).pending), (0, 0));
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
fn a_reply_that_traps_leaves_a_slot_that_a_canister_may_be_behind() {
    let host = trapping_host(TrapsAt::Reply);
    to_hour(&host, true);
    let refused: Result<Result<CreatedCanister, CreateCanisterError>, RejectResponse> =
        host.hosting("ayesha", "create_canister", (plain(),));
    assert!(refused.is_err());
    to_hour(&host, false);
    assert_eq!((host.app(1).canisters, host.app(1).pending), (0, 1));
    // The quota counts it, over an upgrade too.
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
    for _ in 1..LIMIT {
        host.create("ayesha").unwrap();
    }
    assert!(host.create("ayesha").is_err());
}
