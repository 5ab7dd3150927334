//! Who may call what, on the real modules: each update of app_hosting by everybody who may not. Nothing is changed by any of them.
//!
//! Who may is seen in [`hosting`](crate::hosting) and [`releases`](crate::releases); all of it at once, without the canisters that
//! say who callers are, in app_hosting's own tests.

use std::{collections::BTreeSet, fs};

use candid::{Encode, Principal, Reserved, decode_one};
use indus_api::{
    Error,
    hosting::{
        APP_APPROVER, App, ApproveReleaseArgs, CarryOutArgs, CreateAppArgs, Release, ReleaseOf,
        ReleaseState, RollBackArgs, UploadArgs, engine::CreateCanisterError,
    },
    registry::DataClass,
};
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::{
    hosting::{Host, plain},
    releases::{good, hash, proposal},
    suite::{governor, key},
};

/// Ayesha's app with a canister that a release is live in, the agency's with one that waits, and an upgrade that governors decided.
struct Scene {
    host: Host,
    app: u64,
    canister: Principal,
    office: u64,
    office_canister: Principal,
    waiting: Release,
    decided: u64,
}

impl Scene {
    fn new() -> Self {
        let host = Host::new();
        host.official(key("sana"), APP_APPROVER);
        let app = host.create_app("ayesha", "kisan").unwrap().id;
        let canister = host.create("ayesha").unwrap().canister_id;
        for version in [1, 2] {
            host.released("ayesha", &good(version), canister);
        }
        let office = host.create_app("bilal", "tax").unwrap().id;
        let chosen: Result<App, Error> = host.hosting("bilal", "choose_app", (office,)).unwrap();
        chosen.unwrap();
        let office_canister = host.create("bilal").unwrap().canister_id;
        let waiting = host.propose("bilal", &good(1), office_canister);
        assert_eq!(waiting.state, ReleaseState::Proposed);
        host.orchestrates();
        let identity = host.module(host.identity);
        let decided = host.ordered(host.identity, &identity, &good(2));
        Self {
            host,
            app,
            canister,
            office,
            office_canister,
            waiting,
            decided,
        }
    }

    /// Everybody here, from who is nobody to who may do most.
    fn callers() -> Vec<(&'static str, Principal)> {
        let named = ["nobody", "stranger", "officer", "ayesha", "bilal", "sana"];
        let mut callers = vec![
            ("anonymous", Principal::anonymous()),
            // Decided nothing here.
            ("governor", governor(5)),
        ];
        callers.extend(named.map(|name| (name, key(name))));
        callers
    }

    /// Each update, what it is called with, and who may.
    fn calls(&self) -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
        let create = |organisation| {
            let args = CreateAppArgs {
                organisation,
                name: "mandi".into(),
                data_class: DataClass::Public,
            };
            Encode!(&args).unwrap()
        };
        let upload = |of| {
            let args = UploadArgs {
                of,
                module_hash: hash(&good(3)),
                index: 0,
                chunk: ByteBuf::from([7]),
            };
            Encode!(&args).unwrap()
        };
        let back = |canister| Encode!(&RollBackArgs { canister, to: None }).unwrap();
        let propose = |canister| Encode!(&proposal(canister, &good(1))).unwrap();
        let approval = ApproveReleaseArgs {
            release: self.waiting.id,
            module_hash: self.waiting.module_hash.clone(),
            argument_hash: self.waiting.argument_hash.clone(),
        };
        let order = CarryOutArgs {
            proposal: self.decided,
            argument: ByteBuf::from(Encode!().unwrap()),
        };
        let upgrade = ReleaseOf::Upgrade {
            proposal: self.decided,
        };
        let number = |id: u64| Encode!(&id).unwrap();
        let (ours, theirs) = (self.canister, self.office_canister);
        vec![
            // No decision of this number is about app_hosting.
            ("apply_decision", number(self.decided), &[]),
            ("approve_release", Encode!(&approval).unwrap(), &["sana"]),
            // Those who decided it are not among the callers.
            ("carry_out", Encode!(&order).unwrap(), &[]),
            ("choose_app", number(self.app), &["ayesha"]),
            ("choose_app", number(self.office), &["bilal"]),
            ("create_app", create(None), &["ayesha"]),
            (
                "create_app",
                create(Some(self.host.organisation)),
                &["bilal"],
            ),
            (
                "create_canister",
                Encode!(&plain()).unwrap(),
                &["ayesha", "bilal"],
            ),
            // It is there, so nobody may.
            ("forget_canister", Encode!(&ours).unwrap(), &[]),
            ("forget_canister", Encode!(&theirs).unwrap(), &[]),
            ("propose_release", propose(ours), &["ayesha"]),
            ("propose_release", propose(theirs), &["bilal"]),
            (
                "refresh_subject",
                Encode!().unwrap(),
                &["stranger", "officer", "ayesha", "bilal", "sana"],
            ),
            ("roll_back", back(ours), &["ayesha"]),
            ("roll_back", back(theirs), &["bilal"]),
            (
                "upload_chunk",
                upload(ReleaseOf::App(self.app)),
                &["ayesha"],
            ),
            (
                "upload_chunk",
                upload(ReleaseOf::App(self.office)),
                &["bilal"],
            ),
            ("upload_chunk", upload(upgrade), &[]),
            (
                "withdraw_release",
                number(self.waiting.id),
                &["bilal", "sana"],
            ),
        ]
    }

    /// What app_hosting says.
    fn call(&self, caller: Principal, method: &str, args: Vec<u8>) -> Result<(), String> {
        let canister = self.host.canister;
        let reply = self.host.pic.update_call(canister, caller, method, args);
        let reply = reply.unwrap();
        if method == "create_canister" {
            let answer: Result<Reserved, CreateCanisterError> = decode_one(&reply).unwrap();
            return answer.map(drop).map_err(|refused| format!("{refused:?}"));
        }
        let answer: Result<Reserved, Error> = decode_one(&reply).unwrap();
        answer.map(drop).map_err(|refused| format!("{refused:?}"))
    }
}

#[test]
fn who_may_not_changes_nothing() {
    let scene = Scene::new();
    let calls = scene.calls();
    let did = concat!(env!("CARGO_MANIFEST_DIR"), "/../candid/app_hosting.did");
    let called: BTreeSet<_> = calls.iter().map(|call| call.0).collect();
    let updates = updates(&fs::read_to_string(did).unwrap());
    assert!(updates.iter().map(String::as_str).eq(called), "{updates:?}");

    let before = scene.host.roots(scene.host.canister);
    for (method, args, may) in calls {
        for (name, caller) in Scene::callers() {
            if !may.contains(&name) {
                let answer = scene.call(caller, method, args.clone());
                let refused = answer.expect_err(&format!("{method} by {name}"));
                let typed = refused.starts_with("Unauthorized")
                    || matches!(
                        (method, name),
                        ("apply_decision" | "create_canister", _)
                            | ("forget_canister", "ayesha" | "bilal")
                    );
                assert!(typed, "{method} by {name}: {refused}");
            }
        }
    }
    assert_eq!(scene.host.roots(scene.host.canister), before);
}
