//! Each canister traps, in each of its callbacks and at each of its replies: the call is answered with an error and has changed
//! nothing, in any canister; the same call succeeds afterwards.

use std::{collections::BTreeMap, time::Duration};

use candid::{Encode, Principal};
use end_to_end::{TrapsAt, trapping};
use indus_api::registry::CANISTERS;
use indus_verify::Hash;

use crate::{
    steps::{STEPS, prepared},
    suite::{CONTROLLER, Suite},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Waits until a minute after the beginning of an odd, or even, hour.
pub(crate) fn to_hour(suite: &Suite, odd: bool) {
    let hour_ns = u64::try_from(HOUR.as_nanos()).unwrap();
    loop {
        let now_ns = suite.now_ns();
        let rest_ns = hour_ns - now_ns % hour_ns;
        suite.pass(Duration::from_nanos(rest_ns) + Duration::from_secs(60));
        if (suite.now_ns() / hour_ns % 2 == 1) == odd {
            return;
        }
    }
}

/// The certified roots of all collections, of all canisters; but of what the registry looks at every hour.
fn roots(suite: &Suite) -> Vec<BTreeMap<String, Hash>> {
    let mut roots = suite.canisters().map(|canister| suite.roots(canister).1);
    roots[0].remove(CANISTERS);
    roots.to_vec()
}

fn every_step_survives(which: fn(&Suite) -> Principal, at: TrapsAt) {
    let suite = prepared();
    let canister = which(&suite);
    to_hour(&suite, false);
    let module = trapping(&suite.module(canister), at);
    suite.stop(canister);
    suite
        .pic
        .upgrade_canister(canister, module, Encode!().unwrap(), Some(CONTROLLER))
        .unwrap();
    suite.start(canister);
    suite.confirm(canister);

    let mut trapped = 0;
    for step in &STEPS {
        suite.pass(step.after);
        to_hour(&suite, false);
        let args = (step.args)(&suite);
        let before = roots(&suite);
        to_hour(&suite, true);
        let refused = !matches!(step.take_with(&suite, args), Ok(Ok(_)));
        to_hour(&suite, false);
        if refused {
            assert_eq!(
                roots(&suite),
                before,
                "{} has changed something",
                step.method
            );
            let again = step.take(&suite);
            assert!(matches!(again, Ok(Ok(_))), "{}: {again:?}", step.method);
            trapped += 1;
        }
    }
    // Nothing is tried that would not be hit.
    assert!(trapped > 0);
}

#[test]
fn the_registry_traps_in_its_callbacks() {
    every_step_survives(|suite| suite.registry, TrapsAt::CallbackStart);
}

#[test]
fn the_registry_traps_at_its_replies() {
    every_step_survives(|suite| suite.registry, TrapsAt::Reply);
}

#[test]
fn identity_traps_in_its_callbacks() {
    every_step_survives(|suite| suite.identity, TrapsAt::CallbackStart);
}

#[test]
fn identity_traps_at_its_replies() {
    every_step_survives(|suite| suite.identity, TrapsAt::Reply);
}

#[test]
fn the_license_manager_traps_in_its_callbacks() {
    every_step_survives(|suite| suite.license_manager, TrapsAt::CallbackStart);
}

#[test]
fn the_license_manager_traps_at_its_replies() {
    every_step_survives(|suite| suite.license_manager, TrapsAt::Reply);
}
