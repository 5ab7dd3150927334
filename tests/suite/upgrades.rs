//! Each canister is upgraded between the steps of a round: nothing is lost, and what was certified stays so.

use std::time::Duration;

use end_to_end::{identity_module, registry_module};
use indus_api::{
    Error,
    licences::{Application, Round, Seat, SeatState},
};

use crate::{
    licences::{application, certified_seat, closed_round, review, round},
    steps::{STEPS, prepared},
    suite::{CONTROLLER, Suite, key},
};

/// Upgrades all three, and confirms each.
fn upgraded(suite: &Suite) {
    for canister in suite.canisters() {
        let (head, roots) = suite.roots(canister);
        suite.upgrade(canister);
        let (upgraded, certified) = suite.roots(canister);
        assert_eq!((upgraded.size, &certified), (head.size + 1, &roots));
        assert!(suite.service_info(canister).maintenance);
        suite.confirm(canister);
        let (confirmed, certified) = suite.roots(canister);
        assert_eq!((confirmed.size, &certified), (head.size + 2, &roots));
        assert!(!suite.service_info(canister).maintenance);
        suite.audited(canister);
    }
}

#[test]
fn a_round_goes_on_over_upgrades_of_all_canisters() {
    let suite = Suite::new();
    upgraded(&suite);
    suite.with_officials();
    upgraded(&suite);
    let officer = key("officer");
    let opened: Result<Round, Error> = suite.licences(officer, "open_round", (round(&suite),));
    opened.unwrap();
    let person = suite.person(key("ayesha"));
    let apply = || -> Result<Application, Error> {
        suite.licences(key("ayesha"), "apply", (application("ayesha"),))
    };
    let applied = apply().unwrap();
    upgraded(&suite);
    assert_eq!(suite.person(key("ayesha")), person);
    assert_eq!(apply().unwrap(), applied, "repeated after an upgrade");
    let args = (review(&applied, 80),);
    let reviewed: Result<Application, Error> = suite.licences(key("reviewer"), "review", args);
    reviewed.unwrap();
    upgraded(&suite);
    let closed: Result<Round, Error> = suite.licences(officer, "close_round", (1_u64,));
    closed.unwrap();
    upgraded(&suite);
    let granted: Seat = suite.licences(officer, "grant", (1_u64,)).unwrap();
    upgraded(&suite);
    assert_eq!(certified_seat(&suite, 1), Some(granted));
    let claimed: Seat = suite.licences(key("ayesha"), "claim", (1_u64,)).unwrap();
    upgraded(&suite);
    assert!(matches!(claimed.state, SeatState::Active(_)));
    assert_eq!(certified_seat(&suite, 1), Some(claimed));
}

#[test]
fn all_flows_go_on_over_upgrades_between_any_two_steps() {
    let suite = prepared();
    for step in &STEPS {
        upgraded(&suite);
        suite.pass(step.after);
        let taken = step.take(&suite);
        assert!(matches!(taken, Ok(Ok(_))), "{}: {taken:?}", step.method);
    }
}

#[test]
fn no_canister_takes_the_module_of_another() {
    let suite = Suite::new();
    for canister in suite.canisters() {
        let roots = suite.roots(canister);
        let other = if canister == suite.registry {
            identity_module()
        } else {
            registry_module()
        };
        let refused = suite
            .pic
            .upgrade_canister(canister, other, vec![], Some(CONTROLLER));
        assert!(refused.is_err());
        assert_eq!(suite.roots(canister), roots);
    }
}

#[test]
fn a_bad_module_is_put_back_from_a_snapshot_and_timers_go_on() {
    let suite = Suite::new();
    suite.with_officials();
    closed_round(&suite, "ayesha");
    let granted: Seat = suite.licences(key("officer"), "grant", (1_u64,)).unwrap();
    let canister = suite.license_manager;
    let before = suite.roots(canister);

    suite.stop(canister);
    let snapshot = suite
        .pic
        .take_canister_snapshot(canister, Some(CONTROLLER), None)
        .unwrap();
    // A module that installs, writes over the state, and answers nothing.
    let bad = wat::parse_str(
        r#"(module
            (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
            (memory 1)
            (func (export "canister_post_upgrade")
                (call $write (i64.const 0) (i64.const 0) (i64.const 65536))))"#,
    )
    .unwrap();
    suite
        .pic
        .upgrade_canister(canister, bad, vec![], Some(CONTROLLER))
        .unwrap();
    suite.start(canister);
    let silent = suite.update::<Result<(), Error>>(canister, CONTROLLER, "confirm_upgrade", ());
    silent.unwrap_err();

    suite.stop(canister);
    suite
        .pic
        .load_canister_snapshot(canister, Some(CONTROLLER), snapshot.id)
        .unwrap();
    suite.start(canister);
    suite.confirm(canister);
    assert_eq!(suite.roots(canister), before);
    assert_eq!(certified_seat(&suite, 1), Some(granted));
    // Nobody claims the seat: the timers, which the subnet had forgotten, take it back.
    suite.pass(Duration::from_secs(14 * 24 * 60 * 60 + 120));
    assert_eq!(certified_seat(&suite, 1), None);
}
