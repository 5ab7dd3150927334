//! What governors decide about a canister, and the canister applies.

use candid::{CandidType, Encode, Principal};
use indus_api::{
    Error,
    identity::{self, InForce},
    licences::{self, Audience, Ledger, Quota, Round, Sector, Settings},
    registry::{Action, CanisterProfile, DataClass, Proposal, ProposeArgs},
};
use serde_bytes::ByteBuf;

use crate::{
    licences::round,
    suite::{Suite, governor, key},
};

pub(crate) fn configure(canister: Principal, configuration: &impl CandidType) -> Action {
    Action::Configure {
        canister,
        configuration: ByteBuf::from(Encode!(configuration).unwrap()),
    }
}

/// Puts the canisters into the inventory.
pub(crate) fn recorded(suite: &Suite) {
    for (canister, name) in [
        (suite.identity, "identity"),
        (suite.license_manager, "license-manager"),
    ] {
        suite.decided(Action::RecordCanister(CanisterProfile {
            canister,
            organisation: suite.organisation,
            name: name.into(),
            module_hash: None,
            data_class: DataClass::Official,
        }));
    }
}

pub(crate) fn suite_canisters(canisters: Vec<Principal>) -> identity::Configuration {
    identity::Configuration {
        suite_canisters: canisters,
        recovery_delay_ns: None,
    }
}

fn seats(seats: u32) -> licences::Configuration {
    licences::Configuration {
        quotas: vec![Quota {
            audience: Audience::Government,
            sector: Sector::Health,
            seats,
        }],
        ..Default::default()
    }
}

pub(crate) fn apply(suite: &Suite, canister: Principal, decision: u64) -> Result<(), Error> {
    suite
        .update(canister, key("anybody"), "apply_decision", (decision,))
        .unwrap()
}

fn in_force(suite: &Suite) -> InForce {
    let anybody = Principal::anonymous();
    let answer: Result<InForce, Error> =
        suite.query(suite.identity, anybody, "get_configuration", ());
    answer.unwrap()
}

fn settings(suite: &Suite) -> Settings {
    let anybody = Principal::anonymous();
    let answer: Result<Settings, Error> =
        suite.query(suite.license_manager, anybody, "get_settings", ());
    answer.unwrap()
}

#[test]
fn a_canister_is_in_the_inventory_before_it_is_configured() {
    let suite = Suite::new();
    let args = ProposeArgs {
        action: configure(suite.license_manager, &seats(1)),
        lifetime_ns: None,
        not_before_ns: None,
    };
    let refused: Result<Proposal, Error> = suite.registry(governor(1), "propose", (args.clone(),));
    assert!(
        matches!(refused, Err(Error::NotFound { .. })),
        "{refused:?}"
    );
    recorded(&suite);
    let proposed: Proposal = suite.registry(governor(1), "propose", (args,)).unwrap();
    // It isn't decided yet.
    let early = apply(&suite, suite.license_manager, proposed.id);
    assert!(matches!(early, Err(Error::NotFound { .. })), "{early:?}");
    assert_eq!(settings(&suite).decision, 0);
}

#[test]
fn the_license_manager_applies_what_was_decided_about_it() {
    let suite = Suite::new();
    recorded(&suite);
    let manager = suite.license_manager;
    let first = suite.decided(configure(manager, &seats(7))).id;
    let second = suite.decided(configure(manager, &seats(9))).id;
    apply(&suite, manager, second).unwrap();
    let roots = suite.roots(manager);
    assert_eq!(settings(&suite).configuration, seats(9));
    assert_eq!(settings(&suite).decision, second);
    let ledgers: Result<Vec<Ledger>, Error> =
        suite.query(manager, Principal::anonymous(), "list_quotas", ());
    let quotas: Vec<_> = ledgers.unwrap().iter().map(|one| one.quota).collect();
    assert_eq!((quotas[0], quotas.iter().sum::<u32>()), (9, 9));

    apply(&suite, manager, second).unwrap();
    let older = apply(&suite, manager, first);
    assert!(matches!(older, Err(Error::Conflict { .. })), "{older:?}");
    let none = apply(&suite, manager, second + 100);
    assert!(matches!(none, Err(Error::NotFound { .. })), "{none:?}");
    assert_eq!(suite.roots(manager), roots);

    // Neither another canister's, nor what is no configuration of this one.
    let others = suite.decided(configure(suite.identity, &suite_canisters(vec![manager])));
    let refused = apply(&suite, manager, others.id);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    for wrong in [
        configure(manager, &suite_canisters(vec![])),
        configure(manager, &seats(1_501)),
    ] {
        let decision = suite.decided(wrong).id;
        let refused = apply(&suite, manager, decision);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(suite.roots(manager), roots);
}

#[test]
fn identity_tells_whom_the_governors_name() {
    let suite = Suite::new();
    recorded(&suite);
    suite.with_officials();
    let (officer, manager) = (key("officer"), suite.license_manager);
    let first = suite
        .decided(configure(suite.identity, &suite_canisters(vec![])))
        .id;
    // Decided, and in force when it is applied.
    assert!(suite.subject_of(manager, officer).unwrap().is_some());
    apply(&suite, suite.identity, first).unwrap();
    apply(&suite, suite.identity, first).unwrap();
    assert_eq!(in_force(&suite).decision, Some(first));
    assert_eq!(suite.subject_of(manager, officer).unwrap(), None);
    let refused: Result<Round, Error> = suite.licences(officer, "open_round", (round(&suite),));
    assert!(
        matches!(refused, Err(Error::Unauthorized { .. })),
        "{refused:?}"
    );

    let named = suite_canisters(vec![manager]);
    let second = suite.decided(configure(suite.identity, &named)).id;
    apply(&suite, suite.identity, second).unwrap();
    let older = apply(&suite, suite.identity, first);
    assert!(matches!(older, Err(Error::Conflict { .. })), "{older:?}");
    assert!(suite.subject_of(manager, officer).unwrap().is_some());
    let opened: Result<Round, Error> = suite.licences(officer, "open_round", (round(&suite),));
    opened.unwrap();

    let roots = suite.roots(suite.identity);
    let others = suite.decided(configure(manager, &seats(1))).id;
    let twice = suite_canisters(vec![manager, manager]);
    let wrong = suite.decided(configure(suite.identity, &twice)).id;
    for refused in [others, wrong, wrong + 100] {
        let refused = apply(&suite, suite.identity, refused);
        assert!(
            matches!(refused, Err(Error::Invalid { .. } | Error::NotFound { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(suite.roots(suite.identity), roots);
    assert_eq!(in_force(&suite).configuration, named);
}

#[test]
fn a_decision_waits_while_the_registry_does_not_answer() {
    let suite = Suite::new();
    recorded(&suite);
    let manager = suite.license_manager;
    let decision = suite.decided(configure(manager, &seats(3))).id;
    suite.stop(suite.registry);
    let waits = apply(&suite, manager, decision);
    assert!(matches!(waits, Err(Error::Unavailable { .. })), "{waits:?}");
    assert_eq!(settings(&suite).decision, 0);
    suite.start(suite.registry);
    apply(&suite, manager, decision).unwrap();
    assert_eq!(settings(&suite).configuration, seats(3));
}
