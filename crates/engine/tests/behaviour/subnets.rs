//! Several subnets: calls between them, their ids, and what they certify.

use crate::harness::{Net, START, alice, scripts};
use candid::{Decode, Encode, Principal};
use engine::{CostSchedule, NetworkConfig, Path, RequestStatus, SubnetConfig, SubnetKind, Time};
use ic_management_canister_types::{CanisterIdRecord, ProvisionalCreateCanisterWithCyclesArgs};

const SECOND: u64 = 1_000_000_000;

fn of(kinds: &[SubnetKind]) -> Net {
    let mut config = NetworkConfig::new(START, [1; 32]);
    config.subnets = kinds
        .iter()
        .map(|kind| SubnetConfig {
            cost_schedule: CostSchedule::Free,
            ..SubnetConfig::of(*kind)
        })
        .collect();
    Net::with(&config)
}

/// Runs a script on a canister, until it has ended.
fn act(net: &mut Net, canister: Principal, script: &scripts::Script) -> RequestStatus {
    let id = net
        .submit_anywhere(alice(), canister, "act", &script.bytes())
        .unwrap();
    net.run();
    let subnet = net.network.subnet_of(&canister).unwrap();
    net.network.status(subnet, &id)
}

#[test]
fn a_call_to_another_subnet_arrives_and_its_answer_comes_back_with_the_rest_of_the_cycles() {
    let mut net = of(&[SubnetKind::Application, SubnetKind::Application]);
    let subnets: Vec<Principal> = net.network.topology().iter().map(|s| s.id).collect();
    let a = net.install_on(subnets[0], scripts::CANISTER);
    let b = net.install_on(subnets[1], scripts::CANISTER);
    assert_eq!(net.network.subnet_of(&b), Some(subnets[1]));
    let before = [a, b].map(|id| net.network.cycles(&id).unwrap());
    let inner = scripts::Script::default().accept(300).reply();
    let script = scripts::Script::default().call(b, 1_000, 0, 1, inner);
    assert!(matches!(
        act(&mut net, a, &script),
        RequestStatus::Replied(_)
    ));
    let after = [a, b].map(|id| net.network.cycles(&id).unwrap());
    assert_eq!(after, [before[0] - 300, before[1] + 300]);
}

/// a on the first subnet calls b on the second, best-effort for two seconds, which calls c on the third.
fn chain() -> (Net, [Principal; 3], scripts::Script) {
    let mut net = of(&[SubnetKind::Application; 3]);
    let subnets: Vec<Principal> = net.network.topology().iter().map(|s| s.id).collect();
    let [a, b, c] = [0, 1, 2].map(|n: usize| net.install_on(subnets[n], scripts::CANISTER));
    let last = scripts::Script::default().reply();
    let inner = scripts::Script::default()
        .accept(300)
        .call(c, 0, 0, 1, last);
    let script = scripts::Script::default().call(b, 500, 2, 1, inner);
    (net, [a, b, c], script)
}

#[test]
fn a_best_effort_call_that_is_answered_too_late_is_rejected_and_what_was_left_comes_back() {
    let (mut net, [a, b, _], script) = chain();
    let before = [a, b].map(|id| net.network.cycles(&id).unwrap());
    let id = net
        .submit_anywhere(alice(), a, "act", &script.bytes())
        .unwrap();
    // a sends; b executes, and waits for c.
    net.network.run();
    net.network.run();
    net.network.advance_time(Time(START.0 + 10 * SECOND));
    // a is told that the time is over, before b can have answered.
    net.network.run();
    let subnet = net.network.subnet_of(&a).unwrap();
    assert!(matches!(
        net.network.status(subnet, &id),
        RequestStatus::Replied(_)
    ));
    assert_eq!(net.network.cycles(&a), Some(before[0] - 500));
    net.run();
    let after = [a, b].map(|id| net.network.cycles(&id).unwrap());
    assert_eq!(after, [before[0] - 300, before[1] + 300]);
}

#[test]
fn a_best_effort_call_whose_time_is_over_is_not_executed_any_more() {
    let (mut net, [a, b, _], script) = chain();
    let before = [a, b].map(|id| net.network.cycles(&id).unwrap());
    net.submit_anywhere(alice(), a, "act", &script.bytes())
        .unwrap();
    net.network.run();
    net.network.advance_time(Time(START.0 + 10 * SECOND));
    net.run();
    let after = [a, b].map(|id| net.network.cycles(&id).unwrap());
    assert_eq!(after, before);
}

#[test]
fn named_subnets_take_canisters_at_the_ids_they_have_on_the_internet_computer() {
    let mut net = of(&[SubnetKind::Nns, SubnetKind::Ii, SubnetKind::Application]);
    let ledger = Principal::from_text("ryjl3-tyaaa-aaaaa-aaaba-cai").unwrap();
    let identity = Principal::from_text("rdmx6-jaaaa-aaaaa-aaadq-cai").unwrap();
    for wanted in [ledger, identity] {
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            specified_id: Some(wanted),
            ..ProvisionalCreateCanisterWithCyclesArgs::default()
        };
        let id = net
            .submit_management(
                "provisional_create_canister_with_cycles",
                wanted,
                &Encode!(&args).unwrap(),
            )
            .unwrap();
        net.run();
        let subnet = net.network.subnet_of(&wanted).unwrap();
        let RequestStatus::Replied(reply) = net.network.status(subnet, &id) else {
            panic!("not created");
        };
        assert_eq!(
            Decode!(&reply, CanisterIdRecord).unwrap().canister_id,
            wanted
        );
    }
    let kinds = net.network.topology();
    assert_eq!(net.network.subnet_of(&ledger), Some(kinds[0].id));
    assert_eq!(net.network.subnet_of(&identity), Some(kinds[1].id));
}

#[test]
fn the_first_subnet_is_the_root_where_there_is_no_nns() {
    let net = of(&[SubnetKind::Application, SubnetKind::System]);
    let subnets = net.network.topology();
    assert_eq!(net.network.root_subnet(), subnets[0].id);
    let certificate = |subnet| -> ic_certification::Certificate {
        let path: Path = vec![b"time".to_vec()];
        serde_cbor::from_slice(&net.network.read_state(subnet, &[path])).unwrap()
    };
    assert!(certificate(subnets[0].id).delegation.is_none());
    let delegation = certificate(subnets[1].id).delegation.unwrap();
    assert_eq!(delegation.subnet_id.as_slice(), subnets[1].id.as_slice());
    let of_root: ic_certification::Certificate =
        serde_cbor::from_slice(&delegation.certificate).unwrap();
    let path = [
        b"subnet".as_slice(),
        subnets[1].id.as_slice(),
        b"public_key",
    ];
    assert_eq!(
        of_root.tree.lookup_path(path),
        ic_certification::LookupResult::Found(net.network.subnet_key(subnets[1].id).unwrap())
    );
}
