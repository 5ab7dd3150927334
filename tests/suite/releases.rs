//! Releases on a real subnet: modules that come up and modules that don't, canisters that are stopped, deleted, busy, out of cycles or
//! controlled by others, app_hosting upgraded and trapping on the way; and upgrades of the suite that the governors decided.
//!
//! However a release ends, what was acknowledged is there, and the canister runs.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use candid::{Encode, Principal, decode_one};
use end_to_end::{
    TrapsAt, app_hosting_module, example_module, identity_module, messaging_module,
    registry_module, trapping,
};
use flate2::read::GzDecoder;
use indus_api::{
    Error,
    hosting::{
        APP_APPROVER, ApproveReleaseArgs, CarryOutArgs, Ended, Failure, HealthCheck,
        MAX_CHUNK_BYTES, MAX_CHUNKS, ProposeReleaseArgs, RELEASES, Release, ReleaseOf,
        ReleaseRecord, ReleaseState, RollBackArgs, UploadArgs, Uploaded, release_key,
    },
    identity::path,
    licences::Application,
    messaging,
    registry::{Action, CanisterProfile, DataClass, UpgradeOrder},
};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::{
    decisions::{configure, recorded, suite_canisters},
    hosting::Host,
    licences::{application, round},
    suite::{CONTROLLER, governor, key},
    traps::to_hour,
};

/// Longest a release may take here, in this machine's time: so that a test that waits for one that hangs ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const CHUNK: usize = 1_000_000;

/// Takes the state, writes over it, and answers nothing.
pub(crate) const BAD: &str = r#"(module
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (memory 1)
    (func (export "canister_post_upgrade")
        (call $write (i64.const 0) (i64.const 0) (i64.const 65536))))"#;

pub(crate) fn hash(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from(Sha256::digest(bytes).to_vec())
}

/// A counter in stable memory that says its version. `upgraded` is what it does after an upgrade, `health` what its health check does.
/// `slow` answers after three rounds, `long` after forty, `busy` never.
fn counter(version: u8, upgraded: &str, health: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
            (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
            (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
            (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $call_data_append (param i32 i32)))
            (import "ic0" "call_perform" (func $call_perform (result i32)))
            (memory 1)
            (data (i32.const 16) "\{version:02x}")
            (data (i32.const 32) "raw_rand")
            (data (i32.const 40) "DIDL\00\00")
            (table funcref (elem $again))
            (global $left (mut i32) (i32.const 0))
            (func $load (call $read (i64.const 0) (i64.const 0) (i64.const 4)))
            (func $again (param i32)
                (if (i32.eqz (global.get $left)) (then (call $reply) (return)))
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (call $call_new (i32.const 0) (i32.const 0) (i32.const 32) (i32.const 8)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $call_data_append (i32.const 40) (i32.const 6))
                (drop (call $call_perform)))
            (func $slow (global.set $left (i32.const 3)) (call $again (i32.const 0)))
            (func $long (global.set $left (i32.const 40)) (call $again (i32.const 0)))
            (func $busy (global.set $left (i32.const 0x7fffffff)) (call $again (i32.const 0)))
            (func (export "canister_init") (drop (call $grow (i64.const 1))))
            (func (export "canister_post_upgrade") {upgraded})
            (func (export "canister_update increment")
                (call $load)
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                (call $write (i64.const 0) (i64.const 0) (i64.const 4))
                (call $append (i32.const 0) (i32.const 4))
                (call $reply))
            (func (export "canister_query count")
                (call $load)
                (call $append (i32.const 0) (i32.const 4))
                (call $reply))
            (func (export "canister_query version")
                (call $append (i32.const 16) (i32.const 1))
                (call $reply))
            (func (export "canister_update slow") (call $slow))
            (func (export "canister_update long") (call $long))
            (func (export "canister_update busy") (call $busy))
            (func (export "canister_update health") {health}))"#
    );
    wat::parse_str(text).unwrap()
}

pub(crate) fn good(version: u8) -> Vec<u8> {
    counter(version, "", "(call $reply)")
}

/// Takes its time until it says that it is well.
pub(crate) fn thorough(version: u8) -> Vec<u8> {
    counter(version, "", "(call $slow)")
}

/// Overwrites the count, comes up, and is not well.
fn unwell(version: u8) -> Vec<u8> {
    let forgets = "(i32.store (i32.const 0) (i32.const 9999))
        (call $write (i64.const 0) (i64.const 0) (i64.const 4))";
    counter(version, forgets, "unreachable")
}

pub(crate) fn proposal(canister: Principal, module: &[u8]) -> ProposeReleaseArgs {
    ProposeReleaseArgs {
        canister,
        module_hash: hash(module),
        argument: ByteBuf::from(Encode!().unwrap()),
        health: HealthCheck::Method("health".into()),
        keep_memory: false,
    }
}

pub(crate) fn live(release: &Release) -> bool {
    ended(release) == Ended::Live
}

pub(crate) fn ended(release: &Release) -> Ended {
    match release.state {
        ReleaseState::Ended { how, .. } => how,
        ref other => panic!("{other:?}"),
    }
}

impl Host {
    fn upload(&self, caller: Principal, of: ReleaseOf, module: &[u8]) {
        for (index, chunk) in (0..).zip(module.chunks(CHUNK)) {
            let args = UploadArgs {
                of,
                module_hash: hash(module),
                index,
                chunk: ByteBuf::from(chunk),
            };
            let uploaded: Result<Uploaded, Error> = self
                .update(self.canister, caller, "upload_chunk", (args,))
                .unwrap();
            uploaded.unwrap();
        }
    }

    pub(crate) fn propose(&self, caller: &str, module: &[u8], canister: Principal) -> Release {
        let app = self.hosted(canister).app;
        self.upload(key(caller), ReleaseOf::App(app), module);
        let args = proposal(canister, module);
        let proposed: Result<Release, Error> =
            self.hosting(caller, "propose_release", (args,)).unwrap();
        proposed.unwrap()
    }

    /// A release as it is certified.
    pub(crate) fn release(&self, id: u64) -> Release {
        let path = path(RELEASES, &release_key(id));
        let witness = self.certified(self.canister, vec![path.clone()]);
        let ReleaseRecord::V1(release) = witness.value(&path).unwrap();
        release
    }

    pub(crate) fn is_running(&self, id: u64) -> bool {
        matches!(self.release(id).state, ReleaseState::Running { .. })
    }

    /// Has a canister pay for nothing more but what it is, or again for all that it does.
    pub(crate) fn frozen(&self, canister: Principal, controller: Principal, frozen: bool) {
        let seconds: u64 = if frozen {
            50_000_000_000_000_000
        } else {
            2_592_000
        };
        let settings = pocket_ic::CanisterSettings {
            freezing_threshold: Some(seconds.into()),
            ..Default::default()
        };
        self.pic
            .update_canister_settings(canister, Some(controller), settings)
            .unwrap();
    }

    /// Lets time pass until a release has ended.
    pub(crate) fn settled(&self, id: u64) -> Release {
        let began = Instant::now();
        loop {
            let release = self.release(id);
            if !matches!(release.state, ReleaseState::Running { .. }) {
                return release;
            }
            assert!(began.elapsed() < PATIENCE, "{release:?}");
            self.pass(Duration::from_secs(2));
        }
    }

    pub(crate) fn released(&self, caller: &str, module: &[u8], canister: Principal) -> Release {
        let release = self.propose(caller, module, canister);
        self.settled(release.id)
    }

    /// An app of Ayesha's with a canister that runs a counter of version 1, at 3.
    pub(crate) fn with_counter() -> (Self, Principal) {
        let host = Self::new();
        host.create_app("ayesha", "kisan").unwrap();
        let canister = host.create("ayesha").unwrap().canister_id;
        assert!(live(&host.released("ayesha", &good(1), canister)));
        for _ in 0..3 {
            host.increment(canister);
        }
        (host, canister)
    }

    fn increment(&self, canister: Principal) {
        let anybody = Principal::anonymous();
        self.pic
            .update_call(canister, anybody, "increment", vec![])
            .unwrap();
    }

    /// Has it keep a call open for some rounds, so that it does not stop at once.
    pub(crate) fn occupied(&self, canister: Principal) {
        let anybody = Principal::anonymous();
        self.pic
            .submit_call(canister, anybody, "slow", vec![])
            .unwrap();
        self.pic.tick();
    }

    /// Version and count.
    pub(crate) fn counts(&self, canister: Principal) -> (u8, u32) {
        let anybody = Principal::anonymous();
        let query = |method| {
            self.pic
                .query_call(canister, anybody, method, vec![])
                .unwrap()
        };
        let count = query("count").try_into().unwrap();
        (query("version")[0], u32::from_le_bytes(count))
    }

    fn snapshots(&self, canister: Principal) -> usize {
        let sender = Some(self.canister);
        let listed = self.pic.list_canister_snapshots(canister, sender);
        listed.unwrap().len()
    }

    pub(crate) fn upgrade_hosting(&self, module: Vec<u8>) {
        self.stop(self.canister);
        let args = Encode!().unwrap();
        self.pic
            .upgrade_canister(self.canister, module, args, Some(CONTROLLER))
            .unwrap();
        self.start(self.canister);
        self.confirm(self.canister);
    }
}

#[test]
fn releases_go_live_undo_themselves_and_are_rolled_back() {
    let (host, canister) = Host::with_counter();
    assert_eq!(host.counts(canister), (1, 3));

    // Its installation traps.
    let refused = host.released("ayesha", &counter(2, "unreachable", ""), canister);
    assert_eq!(ended(&refused), Ended::Refused(Failure::NotInstalled));
    assert_eq!(host.counts(canister), (1, 3));
    // It comes up, has lost the count, and is not well.
    let restored = host.released("ayesha", &unwell(3), canister);
    assert_eq!(ended(&restored), Ended::Restored(Failure::Unhealthy));
    assert_eq!(host.counts(canister), (1, 3));
    // It is no module at all.
    let nonsense = host.released("ayesha", b"not a module", canister);
    assert_eq!(ended(&nonsense), Ended::Refused(Failure::NotInstalled));
    let said: Result<Option<String>, Error> = host.query(
        host.canister,
        key("ayesha"),
        "release_message",
        (nonsense.id,),
    );
    assert!(said.unwrap().is_some());

    let second = host.released("ayesha", &good(4), canister);
    assert!(live(&second));
    assert_eq!(second.replaced, Some(hash(&good(1))));
    host.increment(canister);
    assert_eq!(host.counts(canister), (4, 4));
    let args = RollBackArgs { canister, to: None };
    let back: Result<Release, Error> = host.hosting("ayesha", "roll_back", (args,)).unwrap();
    assert!(live(&host.settled(back.unwrap().id)));
    // The module of before, the memory of today.
    assert_eq!(host.counts(canister), (1, 4));

    let hosted = host.hosted(canister);
    assert_eq!(hosted.module_hash, Some(hash(&good(1))));
    assert_eq!(hosted.release_before, Some(second.id));
    assert_eq!(host.snapshots(canister), 0);
}

/// A price of the example app.
#[derive(candid::CandidType, serde::Deserialize, Debug, PartialEq)]
struct Price {
    crop: String,
    price_pkr: u64,
}

#[test]
fn memory_of_a_motoko_app_survives_its_releases() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    let canister = host.create("ayesha").unwrap().canister_id;
    let first = example_module("kisan_motoko");
    let release = host.released("ayesha", &first, canister);
    assert_eq!(ended(&release), Ended::Live);
    let wheat = || Price {
        crop: "Wheat".into(),
        price_pkr: 3_950,
    };
    let set: Result<(), String> = host
        .update(canister, key("ayesha"), "set_price", (wheat(),))
        .unwrap();
    set.unwrap();

    // Without its memory it can't go on: the subnet refuses it, and nothing has changed.
    let next = [&first[..], &[0, 3, 1, b'v', 1]].concat();
    let forgetful = host.released("ayesha", &next, canister);
    assert_eq!(ended(&forgetful), Ended::Refused(Failure::NotInstalled));
    let args = ProposeReleaseArgs {
        keep_memory: true,
        ..proposal(canister, &next)
    };
    let proposed: Result<Release, Error> =
        host.hosting("ayesha", "propose_release", (args,)).unwrap();
    assert!(live(&host.settled(proposed.unwrap().id)));
    let prices: Vec<Price> = host.query(canister, Principal::anonymous(), "prices", ());
    assert_eq!(prices, [wheat()]);
}

#[test]
fn an_agency_releases_with_two_persons_and_nobody_passes_them_over() {
    let host = Host::new();
    let tax = host.create_app("bilal", "tax").unwrap();
    let chosen: Result<indus_api::hosting::App, Error> =
        host.hosting("bilal", "choose_app", (tax.id,)).unwrap();
    chosen.unwrap();
    let canister = host.create("bilal").unwrap().canister_id;
    host.official(key("sana"), APP_APPROVER);
    let module = good(1);
    let directly =
        host.pic
            .reinstall_canister(canister, module.clone(), vec![], Some(key("bilal")));
    assert!(directly.is_err());

    let proposed = host.propose("bilal", &module, canister);
    assert_eq!(proposed.state, ReleaseState::Proposed);
    let approval = ApproveReleaseArgs {
        release: proposed.id,
        module_hash: proposed.module_hash.clone(),
        argument_hash: proposed.argument_hash.clone(),
    };
    let approve = |caller: &str| -> Result<Release, Error> {
        host.hosting(caller, "approve_release", (approval.clone(),))
            .unwrap()
    };
    assert!(matches!(approve("bilal"), Err(Error::Unauthorized { .. })));
    assert!(matches!(approve("ayesha"), Err(Error::Unauthorized { .. })));
    approve("sana").unwrap();
    let release = host.settled(proposed.id);
    assert!(live(&release));
    assert_eq!(release.approved_by, Some(host.person(key("sana"))));
    assert_eq!(host.counts(canister), (1, 0));

    // Somebody else controls it: nothing is installed.
    let both = vec![host.canister, key("bilal")];
    host.pic
        .set_controllers(canister, Some(host.canister), both)
        .unwrap();
    let proposed = host.propose("bilal", &good(2), canister);
    let approval = ApproveReleaseArgs {
        release: proposed.id,
        module_hash: proposed.module_hash,
        argument_hash: proposed.argument_hash,
    };
    let approved: Result<Release, Error> = host
        .hosting("sana", "approve_release", (approval,))
        .unwrap();
    let release = host.settled(approved.unwrap().id);
    assert_eq!(ended(&release), Ended::Refused(Failure::ForeignControllers));
    assert_eq!(host.counts(canister), (1, 0));
}

#[test]
fn a_canister_that_cant_be_released_to_is_left_alone() {
    let (host, canister) = Host::with_counter();
    // It keeps calls open.
    host.pic
        .submit_call(canister, Principal::anonymous(), "busy", vec![])
        .unwrap();
    host.pic.tick();
    let busy = host.released("ayesha", &good(2), canister);
    assert_eq!(ended(&busy), Ended::Refused(Failure::NotStopped));
    assert_eq!(host.counts(canister), (1, 3));

    // It is not ours any more.
    let other = host.create("ayesha").unwrap().canister_id;
    host.pic
        .set_controllers(other, Some(host.canister), vec![key("ayesha")])
        .unwrap();
    let foreign = host.released("ayesha", &good(1), other);
    assert_eq!(ended(&foreign), Ended::Refused(Failure::NotControlled));

    // It is no more.
    let gone = host.create("ayesha").unwrap().canister_id;
    host.pic.stop_canister(gone, Some(host.canister)).unwrap();
    host.pic.delete_canister(gone, Some(host.canister)).unwrap();
    let deleted = host.released("ayesha", &good(1), gone);
    assert_eq!(ended(&deleted), Ended::Refused(Failure::NotControlled));
}

#[test]
fn a_stopped_canister_comes_up_with_its_release_and_stays_stopped_without() {
    let (host, canister) = Host::with_counter();
    host.pic
        .stop_canister(canister, Some(host.canister))
        .unwrap();
    let restored = host.released("ayesha", &unwell(2), canister);
    assert_eq!(ended(&restored), Ended::Restored(Failure::Unhealthy));
    let status = host.pic.canister_status(canister, Some(host.canister));
    let status = status.unwrap().status;
    assert_eq!(format!("{status:?}"), "Stopped");
    assert!(live(&host.released("ayesha", &good(3), canister)));
    assert_eq!(host.counts(canister), (3, 3));
}

#[test]
fn a_new_module_that_never_answers_is_put_back() {
    let (host, canister) = Host::with_counter();
    // Its check keeps itself busy for ever, so that it can't be stopped either.
    let busy = counter(2, "", "(call $busy)");
    let restored = host.released("ayesha", &busy, canister);
    assert_eq!(ended(&restored), Ended::Restored(Failure::Unhealthy));
    assert_eq!(host.counts(canister), (1, 3));
    host.increment(canister);
    assert_eq!(host.counts(canister), (1, 4));
    assert_eq!(host.snapshots(canister), 0);
}

#[test]
fn a_canister_without_cycles_for_it_goes_on_as_it_is() {
    let (host, canister) = Host::with_counter();
    host.frozen(canister, host.canister, true);
    let refused = host.released("ayesha", &good(2), canister);
    assert_eq!(ended(&refused), Ended::Refused(Failure::NotUploaded));
    host.frozen(canister, host.canister, false);
    assert_eq!(host.counts(canister), (1, 3));
}

#[test]
fn app_hosting_is_upgraded_while_it_waits_for_any_step() {
    let (host, canister) = Host::with_counter();
    let mut interrupted = 0;
    for rounds in 0..12 {
        let version = 10 + rounds;
        let bad = rounds % 3 == 2;
        let module = if bad {
            unwell(version)
        } else {
            thorough(version)
        };
        let before = host.counts(canister);
        host.occupied(canister);
        let release = host.propose("ayesha", &module, canister);
        for _ in 0..rounds {
            host.pic.tick();
        }
        interrupted += u32::from(host.is_running(release.id));
        host.upgrade_hosting(app_hosting_module());
        let release = host.settled(release.id);
        if bad {
            assert_eq!(ended(&release), Ended::Restored(Failure::Unhealthy));
            assert_eq!(host.counts(canister), before);
        } else {
            assert!(live(&release), "{rounds}: {release:?}");
            assert_eq!(host.counts(canister), (version, before.1));
        }
        assert_eq!(host.snapshots(canister), 0);
    }
    assert!(interrupted > 3, "only {interrupted} were under way");
}

#[test]
fn whatever_answer_app_hosting_loses_the_release_ends_well() {
    let (host, canister) = Host::with_counter();
    let mut went_live = 0;
    to_hour(&host, false);
    host.upgrade_hosting(trapping(&app_hosting_module(), TrapsAt::Answer));
    for rounds in 0..8 {
        let version = 20 + rounds;
        let before = host.counts(canister);
        host.occupied(canister);
        let release = host.propose("ayesha", &thorough(version), canister);
        for _ in 0..rounds {
            host.pic.tick();
        }
        // What is answered now is lost.
        to_hour(&host, true);
        to_hour(&host, false);
        let release = host.settled(release.id);
        match ended(&release) {
            Ended::Live => {
                assert_eq!(host.counts(canister), (version, before.1));
                went_live += 1;
            }
            // Hours pass here: its check was not answered in time.
            Ended::Restored(Failure::Unhealthy) => assert_eq!(host.counts(canister), before),
            other => panic!("{rounds}: {other:?}"),
        }
        assert_eq!(host.snapshots(canister), 0);
    }
    assert!(went_live > 0);
}

#[test]
fn a_module_that_lies_about_its_hash_or_is_too_large_is_not_taken() {
    let (host, canister) = Host::with_counter();
    let (module, of) = (good(2), ReleaseOf::App(host.hosted(canister).app));
    let before = host.roots(host.canister);
    let upload = |index, module_hash: &ByteBuf, chunk: &[u8]| {
        let args = UploadArgs {
            of,
            module_hash: module_hash.clone(),
            index,
            chunk: ByteBuf::from(chunk),
        };
        let uploaded: Result<Uploaded, Error> =
            host.hosting("ayesha", "upload_chunk", (args,)).unwrap();
        uploaded
    };
    // It says that it is another one.
    let lied = hash(&good(3));
    upload(0, &lied, &module).unwrap();
    let args = proposal(canister, &good(3));
    let refused: Result<Release, Error> =
        host.hosting("ayesha", "propose_release", (args,)).unwrap();
    assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "module_hash"));

    let large = hash(b"a large one");
    for index in 0..MAX_CHUNKS {
        upload(index, &large, b"x").unwrap();
    }
    let more = upload(MAX_CHUNKS, &large, b"x");
    assert!(matches!(more, Err(Error::Invalid { field, .. }) if field == "index"));
    let long = vec![7; MAX_CHUNK_BYTES + 1];
    let long = upload(0, &hash(&long), &long);
    assert!(matches!(long, Err(Error::Invalid { field, .. }) if field == "chunk"));
    assert_eq!(host.roots(host.canister), before);
    assert_eq!(host.counts(canister), (1, 3));
    assert!(live(&host.released("ayesha", &module, canister)));
}

#[test]
fn an_empty_canister_takes_no_module_that_traps_at_its_beginning() {
    let host = Host::new();
    host.create_app("ayesha", "kisan").unwrap();
    let canister = host.create("ayesha").unwrap().canister_id;
    let traps = br#"(module (func (export "canister_init") unreachable))"#;
    let traps = wat::parse_bytes(traps).unwrap().into_owned();
    let refused = host.released("ayesha", &traps, canister);
    assert_eq!(ended(&refused), Ended::Refused(Failure::NotInstalled));
    let status = host.pic.canister_status(canister, Some(host.canister));
    assert_eq!(status.unwrap().module_hash, None);
    assert!(live(&host.released("ayesha", &good(1), canister)));
    assert_eq!(host.counts(canister), (1, 0));
}

#[test]
fn a_founder_who_installs_during_a_release_keeps_what_they_installed() {
    let (host, canister) = Host::with_counter();
    let sender = Some(key("ayesha"));
    let mut noticed = 0;
    for rounds in 1..8 {
        // It stops only when this call is over.
        host.pic
            .submit_call(canister, Principal::anonymous(), "long", vec![])
            .unwrap();
        host.pic.tick();
        let release = host.propose("ayesha", &thorough(10 + rounds), canister);
        for _ in 0..6 * rounds {
            host.pic.tick();
        }
        // While app_hosting stands still, their own tools don't.
        host.stop(host.canister);
        let (theirs, args) = (good(30 + rounds), Encode!().unwrap());
        host.pic
            .upgrade_canister(canister, theirs.clone(), args, sender)
            .unwrap();
        host.start(host.canister);
        let release = host.settled(release.id);
        let status = host.pic.canister_status(canister, sender).unwrap();
        let runs = status.module_hash.map(ByteBuf::from);
        match ended(&release) {
            // It had not begun, or was over.
            Ended::Live => {
                let ours_first = runs == Some(hash(&theirs));
                assert!(ours_first || release.replaced == Some(hash(&theirs)));
            }
            Ended::Refused(Failure::OtherModule) | Ended::Broken(Failure::OtherModule) => {
                assert_eq!(runs, Some(hash(&theirs)));
                let said: Result<Option<String>, Error> = host.query(
                    host.canister,
                    key("ayesha"),
                    "release_message",
                    (release.id,),
                );
                assert!(said.unwrap().unwrap().contains("somebody else"));
                noticed += 1;
            }
            other => panic!("{rounds}: {other:?}"),
        }
        host.pic.start_canister(canister, sender).unwrap();
        assert_eq!(host.counts(canister).1, 3);
        let left = host.pic.list_canister_snapshots(canister, sender).unwrap();
        for snapshot in left {
            host.pic
                .delete_canister_snapshot(canister, sender, snapshot.id)
                .unwrap();
        }
    }
    assert!(noticed > 2, "{noticed}");
}

/// What a suite canister's `service_info` says, as far as it is looked at.
#[derive(candid::CandidType)]
struct Info {
    name: &'static str,
    maintenance: bool,
    blocks: u64,
}

#[test]
fn a_module_that_never_leaves_maintenance_is_put_back() {
    let (host, canister) = Host::with_counter();
    // It says so again and again, and does not go on when it is told to.
    let info = candid::encode_one(Info {
        name: "it",
        maintenance: true,
        blocks: 1,
    });
    let info: String = info
        .unwrap()
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let stubborn = wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (memory 1)
            (data (i32.const 0) "{info}")
            (func (export "canister_query service_info")
                (call $append (i32.const 0) (i32.const {})) (call $reply))
            (func (export "canister_update confirm_upgrade") (call $reply)))"#,
        info.len() / 3,
    ));
    let module = stubborn.unwrap();
    let app = host.hosted(canister).app;
    host.upload(key("ayesha"), ReleaseOf::App(app), &module);
    let args = ProposeReleaseArgs {
        health: HealthCheck::Maintenance,
        ..proposal(canister, &module)
    };
    let before = host.pic.cycle_balance(host.canister);
    let proposed: Result<Release, Error> =
        host.hosting("ayesha", "propose_release", (args,)).unwrap();
    let release = host.settled(proposed.unwrap().id);
    assert_eq!(ended(&release), Ended::Restored(Failure::Unhealthy));
    assert_eq!(host.counts(canister), (1, 3));
    // It was not worth much of the treasury.
    assert!(before - host.pic.cycle_balance(host.canister) < 50_000_000_000);
}

/// The same code (not compressed) under another hash.
pub(crate) fn labelled(module: &[u8], label: u8) -> Vec<u8> {
    let mut wasm = Vec::new();
    GzDecoder::new(module).read_to_end(&mut wasm).unwrap();
    // WebAssembly core specification, "Custom Section": id 0, size, name.
    wasm.extend([0, 3, 1, b'v', label]);
    wasm
}

impl Host {
    /// Has the suite declared, and controlled by app_hosting too.
    pub(crate) fn orchestrates(&self) {
        recorded(self);
        self.decided(Action::RecordCanister(CanisterProfile {
            canister: self.registry,
            organisation: self.organisation,
            name: "registry".into(),
            module_hash: None,
            data_class: DataClass::Official,
        }));
        for canister in self.canisters() {
            let both = vec![CONTROLLER, self.canister];
            self.pic
                .set_controllers(canister, Some(CONTROLLER), both)
                .unwrap();
        }
    }

    /// An upgrade of a canister that the governors decided, uploaded.
    pub(crate) fn ordered(&self, canister: Principal, from: &[u8], to: &[u8]) -> u64 {
        let order = UpgradeOrder {
            canister,
            module_hash: hash(to),
            argument_hash: hash(&Encode!().unwrap()),
            previous_hash: hash(from),
            source_commit: "0".repeat(40),
            version: "0.1.0".into(),
        };
        let proposal = self.decided(Action::Upgrade(order)).id;
        self.upload(governor(2), ReleaseOf::Upgrade { proposal }, to);
        proposal
    }

    pub(crate) fn carry_out(&self, caller: Principal, proposal: u64) -> Result<Release, Error> {
        let args = CarryOutArgs {
            proposal,
            argument: ByteBuf::from(Encode!().unwrap()),
        };
        self.update(self.canister, caller, "carry_out", (args,))
            .unwrap()
    }
}

#[test]
fn the_suite_upgrades_itself_under_load_and_loses_nothing() {
    let host = Host::far();
    host.orchestrates();
    let opened: Result<indus_api::licences::Round, Error> =
        host.licences(key("officer"), "open_round", (round(&host),));
    opened.unwrap();
    let applicants: Vec<String> = (0..40).map(|n| format!("applicant {n}")).collect();
    for name in &applicants {
        host.person(key(name));
    }

    let running = host.module(host.license_manager);
    let next = labelled(&running, 1);
    let proposal = host.ordered(host.license_manager, &running, &next);
    assert!(matches!(
        host.carry_out(key("anybody"), proposal),
        Err(Error::Unauthorized { .. })
    ));
    // People apply before it, after it, and one a round meanwhile: some are refused then, while it is stopped or in maintenance.
    let apply = |name: &str| {
        let args = Encode!(&application(name)).unwrap();
        host.pic
            .submit_call(host.license_manager, key(name), "apply", args)
    };
    let answered = |call| {
        let reply = host.pic.await_call(call).ok()?;
        let answer: Result<Application, Error> = decode_one(&reply).unwrap();
        answer.ok()
    };
    let (before, others) = applicants.split_at(10);
    let (meanwhile, after) = others.split_at(20);
    let mut acknowledged: Vec<(&String, Application)> = Vec::new();
    for name in before {
        acknowledged.push((name, answered(apply(name).unwrap()).unwrap()));
    }
    let release = host.carry_out(governor(1), proposal).unwrap();
    let mut calls = Vec::new();
    for name in meanwhile {
        calls.push((name, apply(name)));
        host.pic.tick();
    }
    let release = host.settled(release.id);
    assert!(live(&release));
    let mut refused = 0;
    for (name, call) in calls {
        match call.ok().and_then(answered) {
            Some(applied) => acknowledged.push((name, applied)),
            None => refused += 1,
        }
    }
    assert!(refused > 0, "nothing came while it was stopped");
    for name in after {
        acknowledged.push((name, answered(apply(name).unwrap()).unwrap()));
    }
    assert_eq!(host.carry_out(governor(2), proposal).unwrap(), release);
    assert!(!host.service_info(host.license_manager).maintenance);
    for (name, applied) in &acknowledged {
        let again: Application = host
            .licences(key(name), "apply", (application(name),))
            .unwrap();
        assert_eq!(&again, applied);
    }

    // One that takes the state and answers nothing is put back.
    let before = host.roots(host.license_manager);
    let bad = wat::parse_str(BAD).unwrap();
    let proposal = host.ordered(host.license_manager, &next, &bad);
    let release = host.carry_out(governor(1), proposal).unwrap();
    let release = host.settled(release.id);
    assert_eq!(ended(&release), Ended::Restored(Failure::Unhealthy));
    assert_eq!(host.roots(host.license_manager), before);
    // And may be tried again, with the same end.
    let again = host.carry_out(governor(1), proposal).unwrap();
    assert_ne!(again.id, release.id);
    let again = host.settled(again.id);
    assert_eq!(ended(&again), Ended::Restored(Failure::Unhealthy));
}

#[test]
fn whom_app_hosting_asks_and_messaging_are_upgraded_as_it_was_decided() {
    let host = Host::new();
    let args = messaging::InitArgs {
        identity: host.identity,
        registry: host.registry,
        configuration: messaging::Configuration::default(),
    };
    let subnet = host.pic.get_subnet(host.identity).unwrap();
    let named = ("messaging", DataClass::Confidential);
    let messaging = host.join(subnet, named, messaging_module(), &args);
    let asking = [host.license_manager, host.canister, messaging];
    let asking = configure(host.identity, &suite_canisters(asking.to_vec()));
    let decided = host.decided(asking).id;
    let applied: Result<(), Error> = host.identity(key("anybody"), "apply_decision", (decided,));
    applied.unwrap();
    host.orchestrates();
    let both = vec![CONTROLLER, host.canister];
    host.pic
        .set_controllers(messaging, Some(CONTROLLER), both)
        .unwrap();
    for (canister, running) in [
        (host.registry, registry_module()),
        (host.identity, identity_module()),
        (messaging, messaging_module()),
    ] {
        let next = labelled(&running, 1);
        let before = host.service_info(canister).blocks;
        let proposal = host.ordered(canister, &running, &next);
        let release = host.carry_out(governor(1), proposal).unwrap();
        assert!(live(&host.settled(release.id)));
        let info = host.service_info(canister);
        assert!(!info.maintenance && info.blocks > before);
        let status = host.pic.canister_status(canister, Some(host.canister));
        assert_eq!(status.unwrap().module_hash, Some(hash(&next).into_vec()));
    }
    // And they are asked again.
    host.create_app("ayesha", "kisan").unwrap();
    host.create("ayesha").unwrap();
}

#[test]
fn an_order_for_another_module_or_for_app_hosting_itself_is_not_carried_out() {
    let host = Host::new();
    host.orchestrates();
    let running = host.module(host.license_manager);
    let next = labelled(&running, 1);
    // The governors had another one in mind.
    let proposal = host.ordered(host.license_manager, &next, &labelled(&running, 2));
    let release = host.carry_out(governor(1), proposal).unwrap();
    let release = host.settled(release.id);
    assert_eq!(ended(&release), Ended::Refused(Failure::OtherModule));

    let order = UpgradeOrder {
        canister: host.canister,
        module_hash: hash(&next),
        argument_hash: hash(&Encode!().unwrap()),
        previous_hash: hash(&app_hosting_module()),
        source_commit: "0".repeat(40),
        version: "0.1.0".into(),
    };
    let proposal = host.decided(Action::Upgrade(order)).id;
    assert!(matches!(
        host.carry_out(governor(1), proposal),
        Err(Error::Invalid { .. })
    ));
    // What is no upgrade is none.
    assert!(matches!(
        host.carry_out(governor(1), 1),
        Err(Error::NotFound { .. })
    ));
}
