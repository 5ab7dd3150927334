//! Creating and deleting canisters, and giving them cycles.

use candid::{Decode, Encode, Nat};
use engine::{ErrorCode, Principal, RejectCode};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, CreateCanisterArgs,
    ProvisionalCreateCanisterWithCyclesArgs, ProvisionalTopUpCanisterArgs,
};

use crate::{
    harness::{Net, alice, bob},
    management::{FORWARDER, passed_on, record, refused},
};

const T: u64 = 1_000_000_000_000;

#[test]
fn a_canister_creates_another_for_the_fee_and_gives_it_the_rest() {
    let mut net = Net::at_prices();
    let creator = net.install(FORWARDER);
    let args = CreateCanisterArgs::default();
    let reply = net
        .forward(creator, "create_canister", 2 * T, (&args,))
        .unwrap();
    let created = Decode!(&reply, CanisterIdRecord).unwrap().canister_id;
    net.forward(creator, "update_settings", 0, (&alice_controls(created),))
        .unwrap();
    let status = net.canister_status(created);
    let paid = Nat::from(2 * T) - status.cycles;
    assert!((T / 2..T / 2 + T / 1_000).contains(&paid));
    assert_eq!(status.settings.controllers, [alice()]);

    let too_little = net.forward(creator, "create_canister", T / 4, (&args,));
    passed_on(
        too_little,
        RejectCode::CanisterReject,
        "Creating a canister requires a fee of 500_000_000_000",
    );
    let bad = CreateCanisterArgs {
        settings: Some(CanisterSettings {
            compute_allocation: Some(101_u8.into()),
            ..Default::default()
        }),
        sender_canister_version: None,
    };
    let before = net.canister_status(creator).cycles;
    let refused = net.forward(creator, "create_canister", 2 * T, (&bad,));
    passed_on(
        refused,
        RejectCode::CanisterError,
        "ComputeAllocation expected",
    );
    // What came with the refused call went back.
    assert!(before - net.canister_status(creator).cycles < T);
}

fn alice_controls(canister_id: Principal) -> ic_management_canister_types::UpdateSettingsArgs {
    ic_management_canister_types::UpdateSettingsArgs {
        canister_id,
        settings: CanisterSettings {
            controllers: Some(vec![alice()]),
            ..Default::default()
        },
        sender_canister_version: None,
    }
}

#[test]
fn an_id_of_choice_is_one_that_the_subnet_has_and_does_not_give_out() {
    let mut net = Net::new();
    let given_out = net.create();
    let wish = |specified_id| ProvisionalCreateCanisterWithCyclesArgs {
        specified_id: Some(specified_id),
        ..Default::default()
    };
    let method = "provisional_create_canister_with_cycles";
    refused(
        net.management(method, &wish(given_out)),
        ErrorCode::InvalidManagementPayload,
        "belongs to the canister allocation ranges",
    );
    let of_nns = Principal::from_text("rkp4c-7iaaa-aaaaa-aaaca-cai").unwrap();
    refused(
        net.management(method, &wish(of_nns)),
        ErrorCode::NotHostedBySubnet,
        "is not hosted by subnet",
    );
    let on_root = |net: &mut Net, id| {
        let management = Principal::management_canister();
        let arg = Encode!(&wish(id)).unwrap();
        let ingress = net.ingress(alice(), management, method, &arg);
        let id = ingress.id;
        let root = net.network.root_subnet();
        net.network.submit(root, ingress).unwrap();
        net.run();
        net.network.status(root, &id)
    };
    assert!(matches!(
        on_root(&mut net, of_nns),
        engine::RequestStatus::Replied(_)
    ));
    let engine::RequestStatus::Rejected(again) = on_root(&mut net, of_nns) else {
        panic!("created twice");
    };
    assert_eq!(again.error_code, Some(ErrorCode::AlreadyInstalled));
}

#[test]
fn cycles_can_be_given_to_any_canister() {
    let mut net = Net::new();
    let giver = net.install(FORWARDER);
    let receiver = net.create();
    let before = net.canister_status(receiver).cycles;
    net.forward(giver, "deposit_cycles", 5 * T, (&record(receiver),))
        .unwrap();
    let deposited = net.canister_status(receiver).cycles - before.clone();
    assert!(deposited > 4 * T && deposited <= 5 * T);
    let nobody = Principal::from_slice(&[7; 10]);
    let lost = net.forward(giver, "deposit_cycles", T, (&record(nobody),));
    passed_on(lost, RejectCode::DestinationInvalid, "not found");

    let top_up = ProvisionalTopUpCanisterArgs {
        canister_id: receiver,
        amount: T.into(),
    };
    let before = net.canister_status(receiver).cycles;
    net.call_as(
        bob(),
        Principal::management_canister(),
        "provisional_top_up_canister",
        &Encode!(&top_up).unwrap(),
    )
    .unwrap();
    let added = net.canister_status(receiver).cycles - before;
    assert!(added > T - T / 100 && added <= T);
}

#[test]
fn a_canister_is_deleted_when_stopped_and_not_by_itself() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    refused(
        net.management("delete_canister", &record(id)),
        ErrorCode::NotStopped,
        "must be stopped before it is deleted.",
    );
    let settings = CanisterSettings {
        controllers: Some(vec![alice(), id]),
        ..Default::default()
    };
    net.set(id, settings).unwrap();
    passed_on(
        net.forward(id, "delete_canister", 0, (&record(id),)),
        RejectCode::CanisterError,
        "cannot delete itself",
    );
    net.management("stop_canister", &record(id)).unwrap();
    net.management("delete_canister", &record(id)).unwrap();
    refused(
        net.management("canister_status", &record(id)),
        ErrorCode::CanisterNotFound,
        "not found",
    );
    let path = vec![b"canister".to_vec(), id.as_slice().to_vec()];
    let tree = net.read_state(std::slice::from_ref(&path)).tree;
    let ic_certification::LookupResult::Absent = tree.lookup_path(path.iter()) else {
        panic!("the canister is still certified");
    };
}
