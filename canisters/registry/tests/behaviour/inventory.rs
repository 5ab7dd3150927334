//! What is certain about the canisters on the subnet.

use crate::setting::{INSTALLER, Setting, conflict, invalid_field, not_found, person};
use candid::Principal;
use indus_api::{
    Error,
    paging::PageArgs,
    registry::{
        Action, CanisterEntry, CanisterProfile, DataClass, Drift, UpgradeOrder,
        inventory::OBSERVATION_INTERVAL_NS,
    },
};
use registry::inventory;

fn canister(n: u8) -> Principal {
    Principal::from_slice(&[n; 10])
}

fn profile(n: u8, hash: Option<u8>) -> CanisterProfile {
    CanisterProfile {
        canister: canister(n),
        organisation: 1,
        name: format!("canister-{n}"),
        module_hash: hash.map(|byte| vec![byte; 32].into()),
        data_class: DataClass::Official,
    }
}

fn order(n: u8, previous: u8, next: u8) -> UpgradeOrder {
    UpgradeOrder {
        canister: canister(n),
        module_hash: vec![next; 32].into(),
        argument_hash: vec![0; 32].into(),
        previous_hash: vec![previous; 32].into(),
        source_commit: "ab".repeat(20),
        version: "0.2.0".into(),
    }
}

fn observe(s: &mut Setting, n: u8, hash: u8) -> Result<CanisterEntry, Error> {
    s.message(INSTALLER, |state, context| {
        let hash = Some(vec![hash; 32]);
        inventory::observed(
            state,
            context,
            canister(n),
            hash,
            vec![person(2), person(1)],
        )
    })
}

#[test]
fn what_runs_is_compared_with_what_is_declared() {
    let mut s = Setting::new();
    let error = s.refused(|s| observe(s, 1, 7));
    assert_eq!(error, not_found("canister", canister(1)));
    s.decided(Action::RecordCanister(profile(1, Some(7))));
    assert_eq!(
        inventory::get(&s.state, canister(1)).unwrap().drift,
        Drift::Unknown
    );
    let seen = observe(&mut s, 1, 7).unwrap();
    assert_eq!(seen.drift, Drift::Match);
    let observation = seen.observation.unwrap();
    assert_eq!(observation.controllers, [person(1), person(2)]);
    assert_eq!(observation.since_ns, s.time_ns);
    assert_eq!(observe(&mut s, 1, 8).unwrap().drift, Drift::Drift);
    s.decided(Action::RecordCanister(profile(1, Some(8))));
    assert_eq!(
        inventory::get(&s.state, canister(1)).unwrap().drift,
        Drift::Match
    );
    s.decided(Action::RecordCanister(profile(1, None)));
    assert_eq!(
        inventory::get(&s.state, canister(1)).unwrap().drift,
        Drift::Unknown
    );
    s.assert_explained();
}

#[test]
fn what_is_no_news_is_recorded_once_an_hour() {
    let mut s = Setting::new();
    s.decided(Action::RecordCanister(profile(1, Some(7))));
    let first = observe(&mut s, 1, 7).unwrap();
    let blocks = s.state.kit.certified.log_len();
    assert_eq!(observe(&mut s, 1, 7).unwrap(), first);
    assert_eq!(s.state.kit.certified.log_len(), blocks);
    s.time_ns += OBSERVATION_INTERVAL_NS;
    let later = observe(&mut s, 1, 7).unwrap().observation.unwrap();
    assert_eq!(later.since_ns, first.observation.unwrap().since_ns);
    assert_eq!(later.at_ns, s.time_ns);
    assert_eq!(s.state.kit.certified.log_len(), blocks + 1);
}

#[test]
fn an_upgrade_replaces_the_module_that_is_declared() {
    let mut s = Setting::new();
    let error = s.refused(|s| s.propose(1, Action::Upgrade(order(1, 7, 8))));
    assert_eq!(error, not_found("canister", canister(1)));
    s.decided(Action::RecordCanister(profile(1, Some(7))));
    let error = s.refused(|s| s.propose(1, Action::Upgrade(order(1, 9, 8))));
    assert_eq!(
        conflict(error),
        "another module than the previous one is declared"
    );
    s.decided(Action::Upgrade(order(1, 7, 8)));
    let declared = inventory::get(&s.state, canister(1))
        .unwrap()
        .profile
        .module_hash;
    assert_eq!(declared, Some(vec![8; 32].into()));
    for (field, change) in [
        (
            "module_hash",
            (|o| o.module_hash = vec![].into()) as fn(&mut UpgradeOrder),
        ),
        ("argument_hash", |o| o.argument_hash = vec![1].into()),
        ("previous_hash", |o| o.previous_hash = vec![1; 33].into()),
        ("source_commit", |o| o.source_commit = "main".into()),
        ("source_commit", |o| o.source_commit = "x".repeat(40)),
        ("version", |o| o.version.clear()),
    ] {
        let mut bad = order(1, 8, 9);
        change(&mut bad);
        let error = s.refused(|s| s.propose(1, Action::Upgrade(bad)));
        assert_eq!(invalid_field::<()>(Err(error)), field);
    }
}

#[test]
fn a_configuration_is_decided_for_a_canister_of_the_inventory_and_pulled_when_it_is() {
    let mut s = Setting::new();
    let configure = |bytes: usize| Action::Configure {
        canister: canister(1),
        configuration: vec![3; bytes].into(),
    };
    let error = s.refused(|s| s.propose(1, configure(1)));
    assert_eq!(error, not_found("canister", canister(1)));
    s.decided(Action::RecordCanister(profile(1, None)));
    let error = s.refused(|s| s.propose(1, configure(8_193)));
    assert_eq!(invalid_field::<()>(Err(error)), "configuration");
    let id = s.propose(5, configure(8_192)).unwrap().id;
    let none = not_found("decision", id);
    assert_eq!(registry::proposals::decision(&s.state, id), Err(none));
    s.carried(id);
    let decision = registry::proposals::decision(&s.state, id).unwrap();
    assert_eq!(
        (
            decision.proposal,
            decision.canister,
            decision.configuration.len()
        ),
        (id, canister(1), 8_192)
    );
    assert_eq!(decision.executed_at_ns, s.time_ns);
    // Another decision is none about a configuration.
    assert_eq!(
        registry::proposals::decision(&s.state, 1),
        Err(not_found("decision", 1))
    );
}

#[test]
fn the_inventory_is_listed_in_pages_and_shrinks() {
    let mut s = Setting::new();
    for n in 1..=3 {
        s.decided(Action::RecordCanister(profile(n, None)));
    }
    let page = |s: &Setting, after, limit| inventory::list(&s.state, PageArgs { after, limit });
    let first = page(&s, None, 2).unwrap();
    let second = page(&s, first.next.clone(), 2).unwrap();
    assert_eq!(
        (first.items.len(), second.items.len(), second.next),
        (2, 1, None)
    );
    assert_eq!(
        invalid_field(page(&s, Some(vec![1; 31].into()), 1)),
        "after"
    );
    s.decided(Action::RemoveCanister {
        canister: canister(2),
        reason: "gone".into(),
    });
    assert_eq!(page(&s, None, 100).unwrap().items.len(), 2);
    assert_eq!(
        inventory::get(&s.state, canister(2)),
        Err(not_found("canister", canister(2)))
    );
}
