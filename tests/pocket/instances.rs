//! Instances: made as configured, apart from each other, and gone when dropped.

use candid::Principal;
use end_to_end::{application, pocket_ic};
use pocket_ic::{
    CreateCanisterParams, CreateCanisterPlacement, PocketIc, Time,
    common::rest::{
        CanisterCyclesCostSchedule, ExtendedSubnetConfigSet, IcpFeatures, IcpFeaturesConfig,
        SubnetInstructionConfig, SubnetKind, SubnetSpec,
    },
};

use crate::canisters::{counter, counter_module, get, large_counter_module, update};

fn id(text: &str) -> Principal {
    Principal::from_text(text).unwrap()
}

#[test]
fn a_canister_is_created_installed_called_and_queried() {
    let pic = application();
    let canister = counter(&pic);
    assert_eq!(canister, id("lxzze-o7777-77777-aaaaa-cai"));
    for count in 1..=3_u32 {
        assert_eq!(update(&pic, canister, "inc"), count.to_le_bytes());
        assert_eq!(get(&pic, canister, "get"), count);
    }
}

#[test]
fn an_upgrade_keeps_stable_memory_and_a_reinstallation_nothing() {
    let pic = application();
    let canister = counter(&pic);
    update(&pic, canister, "inc");
    pic.upgrade_canister(canister, counter_module(), vec![], None)
        .unwrap();
    assert_eq!(get(&pic, canister, "get"), 0);
    assert_eq!(get(&pic, canister, "get_stable"), 1);
    pic.reinstall_canister(canister, counter_module(), vec![], None)
        .unwrap();
    assert_eq!(get(&pic, canister, "get_stable"), 0);
}

#[test]
fn a_module_that_is_larger_than_a_message_is_installed_in_chunks() {
    let pic = application();
    let canister = pic.create_canister();
    pic.install_canister(canister, large_counter_module(3_000_000), vec![], None);
    update(&pic, canister, "inc");
    assert_eq!(get(&pic, canister, "get"), 1);
}

#[test]
fn instances_know_nothing_of_each_other() {
    let (one, other) = (application(), application());
    assert_ne!(one.instance_id(), other.instance_id());
    assert_eq!(one.get_server_url(), other.get_server_url());
    let (canister, same_id) = (counter(&one), counter(&other));
    assert_eq!(canister, same_id);
    update(&one, canister, "inc");
    assert_eq!(
        (get(&one, canister, "get"), get(&other, canister, "get")),
        (1, 0)
    );
    let later = Time::from_nanos_since_unix_epoch(2_000_000_000_000_000_000);
    one.set_time(later);
    assert!(other.get_time() < later);
}

#[test]
fn a_dropped_instance_is_gone() {
    let pic = application();
    let (server, instance) = (pic.get_server_url(), pic.instance_id());
    let time = server
        .join(&format!("instances/{instance}/read/get_time"))
        .unwrap();
    assert!(
        reqwest::blocking::get(time.clone())
            .unwrap()
            .status()
            .is_success()
    );
    drop(pic);
    let gone = reqwest::blocking::get(time).unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(
        gone.text().unwrap(),
        r#"{"message":"Instance was deleted"}"#
    );
    let states: Vec<String> = reqwest::blocking::get(server.join("instances").unwrap())
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(states[instance], "Deleted");
}

#[test]
fn another_client_uses_the_same_instance_without_owning_it() {
    let owner = application();
    let canister = counter(&owner);
    let guest =
        PocketIc::new_from_existing_instance(owner.get_server_url(), owner.instance_id(), None);
    update(&guest, canister, "inc");
    drop(guest);
    assert_eq!(get(&owner, canister, "get"), 1);
}

#[test]
fn subnets_are_as_the_configuration_asks() {
    let admin = Principal::from_slice(&[7; 29]);
    let free = SubnetSpec::default().with_cost_schedule(CanisterCyclesCostSchedule::Free);
    let config = ExtendedSubnetConfigSet {
        nns: Some(SubnetSpec::default()),
        sns: Some(SubnetSpec::default()),
        ii: Some(SubnetSpec::default()),
        fiduciary: Some(SubnetSpec::default()),
        bitcoin: Some(SubnetSpec::default()),
        system: vec![SubnetSpec::default()],
        application: vec![
            SubnetSpec::default().with_benchmarking_instruction_config(),
            free.clone().with_subnet_admins(vec![admin]),
        ],
        cloud_engine: vec![free],
        verified_application: vec![SubnetSpec::default()],
        ..ExtendedSubnetConfigSet::default()
    };
    let pic = pocket_ic::PocketIcBuilder::new_with_config(config)
        .with_server_url(end_to_end::server_url())
        .build();
    let topology = pic.topology();
    let mut kinds: Vec<SubnetKind> = topology
        .subnet_configs
        .values()
        .map(|subnet| subnet.subnet_kind)
        .collect();
    kinds.sort();
    let expected = [
        SubnetKind::Application,
        SubnetKind::Application,
        SubnetKind::Bitcoin,
        SubnetKind::CloudEngine,
        SubnetKind::Fiduciary,
        SubnetKind::II,
        SubnetKind::NNS,
        SubnetKind::SNS,
        SubnetKind::System,
        SubnetKind::VerifiedApplication,
    ];
    assert_eq!(kinds, expected);

    let of = |text| topology.subnet_configs[&topology.get_subnet(id(text)).unwrap()].clone();
    assert_eq!(
        of("ryjl3-tyaaa-aaaaa-aaaba-cai").subnet_kind,
        SubnetKind::NNS
    );
    assert_eq!(
        of("rdmx6-jaaaa-aaaaa-aaadq-cai").subnet_kind,
        SubnetKind::II
    );
    assert_eq!(
        of("g4xu7-jiaaa-aaaan-aaaaq-cai").subnet_kind,
        SubnetKind::Bitcoin
    );

    let applications = topology.get_app_subnets();
    let with_admins = applications
        .iter()
        .map(|subnet| &topology.subnet_configs[subnet])
        .find(|subnet| subnet.subnet_admins.is_some())
        .unwrap();
    assert_eq!(with_admins.cost_schedule, CanisterCyclesCostSchedule::Free);
    assert_eq!(with_admins.subnet_admins, Some(vec![admin.into()]));
    let benchmarking = topology
        .subnet_configs
        .values()
        .filter(|subnet| subnet.instruction_config == SubnetInstructionConfig::Benchmarking);
    assert_eq!(benchmarking.count(), 1);
    let default = Principal::from_slice(&topology.default_effective_canister_id.canister_id);
    assert!(applications.contains(&topology.get_subnet(default).unwrap()));
}

#[test]
fn canisters_are_placed_where_they_should_be_and_call_each_other_across_subnets() {
    let pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .with_application_subnet()
        .build();
    let applications = pic.topology().get_app_subnets();
    let place = |placement| {
        let params = CreateCanisterParams {
            placement: Some(placement),
            ..CreateCanisterParams::default()
        };
        let canister = pic.create_canister_with_params(None, params).unwrap();
        pic.install_canister(canister, counter_module(), vec![], None);
        canister
    };
    let one = place(CreateCanisterPlacement::SubnetId(applications[0]));
    let other = place(CreateCanisterPlacement::SubnetId(applications[1]));
    let ledger = id("ryjl3-tyaaa-aaaaa-aaaba-cai");
    assert_eq!(place(CreateCanisterPlacement::CanisterId(ledger)), ledger);
    assert_eq!(pic.get_subnet(one), Some(applications[0]));
    assert_eq!(pic.get_subnet(other), Some(applications[1]));
    assert_eq!(pic.get_subnet(ledger), pic.topology().get_nns());
    for callee in [other, ledger] {
        let reply = pic.update_call(
            one,
            Principal::anonymous(),
            "forward",
            callee.as_slice().to_vec(),
        );
        assert_eq!(reply.unwrap(), 1_u32.to_le_bytes());
        assert_eq!(get(&pic, callee, "get"), 1);
    }
    let taken = pic.create_canister_with_id(None, None, ledger).unwrap_err();
    assert!(taken.contains("already"), "{taken}");
}

#[test]
fn an_instance_begins_when_it_should() {
    let start = Time::from_nanos_since_unix_epoch(1_700_000_000_000_000_000);
    let pic = pocket_ic()
        .with_application_subnet()
        .with_initial_time(start)
        .build();
    assert_eq!(
        pic.get_time().as_nanos_since_unix_epoch(),
        1_700_000_000_000_000_000
    );
}

#[test]
#[should_panic(expected = "state_dir is not supported")]
fn state_on_disk_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    pocket_ic()
        .with_application_subnet()
        .with_state_dir(folder.path().to_owned())
        .build();
}

#[test]
#[should_panic(expected = "icp_features.icp_token")]
fn system_canisters_are_refused_in_words() {
    pocket_ic()
        .with_icp_features(IcpFeatures {
            icp_token: Some(IcpFeaturesConfig::DefaultConfig),
            ..IcpFeatures::default()
        })
        .build();
}

#[test]
#[should_panic(expected = "at least one subnet")]
fn an_instance_has_a_subnet() {
    pocket_ic().build();
}
