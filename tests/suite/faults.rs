//! A canister that others ask does not answer: whoever asks it refuses, changes nothing, and works again afterwards.

use std::time::Duration;

use candid::{CandidType, Encode, Principal, decode_one};
use indus_api::{
    Error,
    identity::{GrantArgs, LICENCE_REVIEWER, Role},
    licences::{Application, Round},
};
use pocket_ic::common::rest::{RawEffectivePrincipal, RawMessageId};

use crate::{
    licences::{application, round},
    suite::{CONTROLLER, Suite, key},
};

fn is_unavailable<T>(answer: &Result<T, Error>, who: &str) -> bool {
    matches!(answer, Err(Error::Unavailable { canister, .. }) if canister == who)
}

/// What may be wrong with a canister, and how it ends.
type Fault = (fn(&Suite, Principal), fn(&Suite, Principal));

const STOPPED: Fault = (Suite::stop, Suite::start);
const IN_MAINTENANCE: Fault = (Suite::upgrade, Suite::confirm);

#[test]
fn while_the_registry_does_not_answer_nobody_gets_or_uses_a_role() {
    let suite = Suite::new();
    suite.with_officials();
    let (administrator, officer) = (key("administrator"), key("officer"));
    let args: GrantArgs = suite.offer(suite.person(key("new")), LICENCE_REVIEWER);
    let open = round(&suite);
    let grant =
        || -> Result<Role, Error> { suite.identity(administrator, "grant_role", (args.clone(),)) };
    let open =
        || -> Result<Round, Error> { suite.licences(officer, "open_round", (open.clone(),)) };
    for (begins, ends) in [STOPPED, IN_MAINTENANCE] {
        begins(&suite, suite.registry);
        let before = suite.canisters()[1..].to_vec();
        let roots = || {
            before
                .iter()
                .map(|one| suite.roots(*one))
                .collect::<Vec<_>>()
        };
        let known = roots();
        for _ in 0..2 {
            assert!(is_unavailable(&grant(), "registry"));
            assert!(is_unavailable(&open(), "identity"));
        }
        let rejected = suite.subject_of(suite.license_manager, officer);
        let rejected = rejected.unwrap_err().reject_message;
        assert!(rejected.contains("registry"), "{rejected}");
        assert_eq!(roots(), known);
        // Who is nobody's official can be known without the registry.
        let told = suite.subject_of(suite.license_manager, key("new")).unwrap();
        assert_eq!(told.unwrap().organisation, None);

        ends(&suite, suite.registry);
        // As long as it may take the license manager to know it again: not at all.
        let told = suite.subject_of(suite.license_manager, officer).unwrap();
        assert_eq!(told.unwrap().organisation, Some(suite.organisation));
    }
    let granted = grant().unwrap();
    assert_eq!(grant(), Ok(granted));
    assert_eq!(open().unwrap().id, 1);
}

#[test]
fn while_identity_does_not_answer_the_license_manager_refuses() {
    let suite = Suite::new();
    suite.with_officials();
    let officer = key("officer");
    let opened: Result<Round, Error> = suite.licences(officer, "open_round", (round(&suite),));
    opened.unwrap();
    suite.person(key("ayesha"));
    let close = || -> Result<Round, Error> { suite.licences(officer, "close_round", (1_u64,)) };
    let apply = || -> Result<Application, Error> {
        suite.licences(key("ayesha"), "apply", (application("ayesha"),))
    };
    for (begins, ends) in [STOPPED, IN_MAINTENANCE] {
        begins(&suite, suite.identity);
        // Whatever was known is over.
        suite.pass(Duration::from_secs(60));
        let known = suite.roots(suite.license_manager);
        assert!(is_unavailable(&close(), "identity"));
        assert!(is_unavailable(&apply(), "identity"));
        assert_eq!(suite.roots(suite.license_manager), known);
        ends(&suite, suite.identity);
    }
    assert_eq!(apply().unwrap().content.id, 1);
    let early = close();
    assert!(matches!(early, Err(Error::Conflict { .. })), "{early:?}");
}

/// A canister stops when no call of its own is open: what was begun comes to its end, and says which.
#[test]
fn what_is_under_way_when_a_canister_stops_comes_to_its_end() {
    let suite = Suite::new();
    suite.with_officials();
    let args = suite.offer(suite.person(key("new")), LICENCE_REVIEWER);
    for stopped in suite.canisters() {
        let submit = |canister, caller, method: &str, args| {
            suite
                .pic
                .submit_call(canister, caller, method, args)
                .unwrap()
        };
        let (administrator, officer) = (key("administrator"), key("officer"));
        let grant = Encode!(&args).unwrap();
        let open = Encode!(&round(&suite)).unwrap();
        let grant = submit(suite.identity, administrator, "grant_role", grant);
        let open = submit(suite.license_manager, officer, "open_round", open);
        let stop = submit_stop(&suite, stopped);
        let grant = suite.pic.await_call(grant);
        let open = suite.pic.await_call(open);
        suite.pic.await_call(stop).unwrap();
        suite.start(stopped);

        // What was answered is what is there.
        let roles = suite.service_info(suite.identity).collections;
        let roles = roles.iter().find(|found| found.name == "roles").unwrap();
        if let Ok(reply) = grant
            && let Ok(granted) = decode_one::<Result<Role, Error>>(&reply).unwrap()
        {
            assert_eq!(roles.records, granted.id);
        }
        if let Ok(reply) = open
            && let Ok(opened) = decode_one::<Result<Round, Error>>(&reply).unwrap()
        {
            assert_eq!(opened.id, 1);
        }
        for canister in suite.canisters() {
            suite.audited(canister);
        }
    }
    // And both can be asked for again, to the same end.
    let granted: Result<Role, Error> =
        suite.identity(key("administrator"), "grant_role", (args.clone(),));
    assert_eq!(granted.unwrap().id, 3);
}

/// Asks the subnet to stop a canister, which it does when no call of the canister's is open.
pub(crate) fn submit_stop(suite: &Suite, canister_id: Principal) -> RawMessageId {
    #[derive(CandidType)]
    struct Args {
        canister_id: Principal,
    }
    let effective = RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec());
    let management = Principal::management_canister();
    let args = Encode!(&Args { canister_id }).unwrap();
    suite
        .pic
        .submit_call_with_effective_principal(
            management,
            effective,
            CONTROLLER,
            "stop_canister",
            args,
        )
        .unwrap()
}
