//! Methods about the subnet itself.

use candid::{Decode, Encode, Principal};
use engine::{CostSchedule, ErrorCode, NetworkConfig, RejectCode, RequestStatus};
use ic_management_canister_types::{
    CanisterIdRecord, CreateCanisterArgs, ListCanistersResult, NodeMetricsHistoryArgs,
    NodeMetricsHistoryResult, SubnetInfoArgs, SubnetInfoResult,
};

use crate::{
    harness::{Net, START, alice, bob},
    management::{FORWARDER, forwarded, passed_on, record, refused},
};

#[test]
fn randomness_comes_in_a_later_round_than_it_was_asked_for_and_from_the_seed() {
    let random = |net: &mut Net| {
        let id = net.install(FORWARDER);
        let management = Principal::management_canister();
        let arg = forwarded(management, "raw_rand", 0, b"DIDL\0\0");
        let asked = net.submit(alice(), id, "forward", &arg);
        assert!(net.network.run());
        assert_eq!(net.status(&asked), RequestStatus::Processing);
        net.run();
        let RequestStatus::Replied(reply) = net.status(&asked) else {
            panic!("no randomness");
        };
        Decode!(&reply, serde_bytes::ByteBuf).unwrap().into_vec()
    };
    let mut net = Net::new();
    let first = random(&mut net);
    assert_eq!(first.len(), 32);
    assert_ne!(first, random(&mut net));
    assert_eq!(first, random(&mut Net::new()));
    refused(
        net.call(Principal::management_canister(), "raw_rand", b"DIDL\0\0"),
        ErrorCode::CanisterRejectedMessage,
        "can not be called via ingress messages",
    );
}

#[test]
fn a_subnet_tells_its_version_and_what_its_node_did() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    let subnet_id = net.network.application_subnet();
    let reply = net
        .forward(id, "subnet_info", 0, (&SubnetInfoArgs { subnet_id },))
        .unwrap();
    let info = Decode!(&reply, SubnetInfoResult).unwrap();
    assert!(info.replica_version.contains("localnet"));

    let args = |start_at_timestamp_nanos| NodeMetricsHistoryArgs {
        subnet_id,
        start_at_timestamp_nanos,
    };
    let history = |net: &mut Net, start| {
        let reply = net
            .forward(id, "node_metrics_history", 0, (&args(start),))
            .unwrap();
        Decode!(&reply, NodeMetricsHistoryResult).unwrap()
    };
    let first = history(&mut net, 0);
    assert_eq!(first.len(), 1);
    let tomorrow = net.network.time().plus(86_400_000_000_000);
    net.network.advance_time(tomorrow);
    let second = history(&mut net, 0);
    assert_eq!(second.len(), 2);
    let blocks = |day: &ic_management_canister_types::NodeMetricsHistoryRecord| {
        day.node_metrics[0].num_blocks_proposed_total
    };
    assert!(blocks(&second[1]) > blocks(&second[0]) && blocks(&second[0]) > 0);
    assert_eq!(history(&mut net, tomorrow.0).len(), 1);
    let elsewhere = NodeMetricsHistoryArgs {
        subnet_id: Principal::from_slice(&[9; 29]),
        start_at_timestamp_nanos: 0,
    };
    passed_on(
        net.forward(id, "node_metrics_history", 0, (&elsewhere,)),
        RejectCode::CanisterReject,
        "does not match",
    );
}

#[test]
fn threshold_signatures_and_unknown_methods_are_refused_by_name() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    for method in [
        "ecdsa_public_key",
        "sign_with_ecdsa",
        "schnorr_public_key",
        "sign_with_schnorr",
        "vetkd_public_key",
        "vetkd_derive_key",
    ] {
        passed_on(
            net.forward(id, method, 0, ()),
            RejectCode::CanisterReject,
            &format!("{method} is not available on this subnet"),
        );
    }
    passed_on(
        net.forward(id, "no_such_method", 0, ()),
        RejectCode::CanisterError,
        "Management canister has no method 'no_such_method'",
    );
    let arg = Encode!().unwrap();
    refused(
        net.call(Principal::management_canister(), "no_such_method", &arg),
        ErrorCode::MethodNotFound,
        "ic00 interface does not expose method no_such_method",
    );
    refused(
        net.ask_query::<_, ()>(alice(), "install_code", &()),
        ErrorCode::MethodNotFound,
        "Query method install_code not found.",
    );
}

#[test]
fn admins_of_a_subnet_list_its_canisters_and_create_stop_and_delete_them() {
    let mut config = NetworkConfig::new(START, [1; 32]);
    for subnet in &mut config.subnets {
        subnet.cost_schedule = CostSchedule::Free;
        subnet.admins = vec![bob()];
    }
    let mut net = Net::with(&config);
    let ids: Vec<_> = (0..3).map(|_| net.create()).collect();
    net.management("stop_canister", &record(ids[1])).unwrap();
    net.management("delete_canister", &record(ids[1])).unwrap();
    let list = |net: &mut Net, who| -> Result<Vec<u8>, engine::Reject> {
        net.call_as(
            who,
            Principal::management_canister(),
            "list_canisters",
            b"DIDL\0\0",
        )
    };
    let reply = list(&mut net, bob()).unwrap();
    let ranges = Decode!(&reply, ListCanistersResult).unwrap().canisters;
    let ranges: Vec<_> = ranges
        .into_iter()
        .map(|range| (range.start, range.end))
        .collect();
    assert_eq!(ranges, [(ids[0], ids[0]), (ids[2], ids[2])]);
    refused(
        list(&mut net, alice()),
        ErrorCode::CanisterRejectedMessage,
        "can not be called via ingress messages",
    );
    let created: CanisterIdRecord = net
        .ask_as(bob(), "create_canister", &CreateCanisterArgs::default())
        .unwrap();
    assert_eq!(net.info(created.canister_id).controllers, [bob()]);
    for method in [
        "canister_status",
        "stop_canister",
        "start_canister",
        "stop_canister",
    ] {
        let arg = Encode!(&record(ids[0])).unwrap();
        net.call_as(bob(), Principal::management_canister(), method, &arg)
            .unwrap();
    }
    // An admin is no controller.
    let arg = Encode!(&record(ids[0])).unwrap();
    refused(
        net.call_as(
            bob(),
            Principal::management_canister(),
            "stored_chunks",
            &arg,
        ),
        ErrorCode::InvalidController,
        "Only controllers of canister",
    );
}

#[test]
fn canisters_are_listed_only_where_there_are_admins() {
    let mut net = Net::new();
    refused(
        net.ask_query::<_, ()>(alice(), "list_canisters", &()),
        ErrorCode::CanisterRejectedMessage,
        "only available on subnets with subnet admins",
    );
}
