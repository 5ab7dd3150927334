//! `update_settings` and what `canister_status` shows of it.

use candid::Nat;
use engine::{ErrorCode, RejectCode};
use ic_management_canister_types::{
    CanisterSettings, CanisterStatusType, EnvironmentVariable, LogVisibility, SnapshotVisibility,
    StatusVisibility,
};

use crate::{
    harness::{Net, alice, bob, module},
    management::{FORWARDER, forwarded, passed_on, refused},
};

fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn all_settings_are_taken_and_shown() {
    let mut net = Net::at_prices();
    let id = net.create();
    let defaults = net.canister_status(id).settings;
    assert_eq!(defaults.freezing_threshold, Nat::from(2_592_000_u32));
    assert_eq!(defaults.log_memory_limit, Nat::from(4_096_u32));
    assert_eq!(defaults.wasm_memory_limit, Nat::from(3_u64 << 30));
    assert_eq!(defaults.status_visibility, StatusVisibility::Controllers);

    let settings = CanisterSettings {
        controllers: Some(vec![bob(), alice(), alice()]),
        compute_allocation: Some(10_u8.into()),
        memory_allocation: Some((1_u64 << 30).into()),
        freezing_threshold: Some(1_000_u32.into()),
        reserved_cycles_limit: Some(7_u8.into()),
        minimum_incoming_canister_call_cycles: Some(9_u8.into()),
        log_visibility: Some(LogVisibility::Public),
        log_memory_limit: Some(8_192_u32.into()),
        snapshot_visibility: Some(SnapshotVisibility::AllowedViewers(vec![bob()])),
        status_visibility: Some(StatusVisibility::Public),
        wasm_memory_limit: Some((1_u64 << 31).into()),
        wasm_memory_threshold: Some(5_u8.into()),
        environment_variables: Some(vec![variable("B", "2"), variable("A", "1")]),
    };
    net.set(id, settings).unwrap();
    let status = net.canister_status(id);
    assert_eq!(status.version, 1);
    assert_eq!(status.status, CanisterStatusType::Running);
    let set = status.settings;
    let mut controllers = vec![alice(), bob()];
    controllers.sort();
    assert_eq!(set.controllers, controllers);
    assert_eq!(set.compute_allocation, Nat::from(10_u8));
    assert_eq!(set.memory_allocation, Nat::from(1_u64 << 30));
    assert_eq!(set.freezing_threshold, Nat::from(1_000_u32));
    assert_eq!(set.reserved_cycles_limit, Nat::from(7_u8));
    assert_eq!(set.minimum_incoming_canister_call_cycles, Nat::from(9_u8));
    assert_eq!(set.log_visibility, LogVisibility::Public);
    assert_eq!(set.log_memory_limit, Nat::from(8_192_u32));
    assert_eq!(
        set.snapshot_visibility,
        SnapshotVisibility::AllowedViewers(vec![bob()])
    );
    assert_eq!(set.status_visibility, StatusVisibility::Public);
    assert_eq!(set.wasm_memory_limit, Nat::from(1_u64 << 31));
    assert_eq!(set.wasm_memory_threshold, Nat::from(5_u8));
    assert_eq!(
        set.environment_variables,
        [variable("A", "1"), variable("B", "2")]
    );
    // One day of ten percents of a core and of a GiB.
    let a_day = 86_400_u64 * (10 * 10_000_000 + 127_000);
    assert_eq!(status.idle_cycles_burned_per_day, Nat::from(a_day));
}

#[test]
fn settings_out_of_range_are_refused_and_change_nothing() {
    let mut net = Net::new();
    let id = net.create();
    let before = net.canister_status(id);
    let base = CanisterSettings {
        freezing_threshold: Some(1_u8.into()),
        ..Default::default()
    };
    let too_large: Nat = (num_bigint::BigUint::from(1_u8) << 128_usize).into();
    let many = |count: usize| (0..count).map(|n| variable(&n.to_string(), "")).collect();
    let viewers: Vec<_> = (0..11_u8)
        .map(|n| candid::Principal::self_authenticating([n]))
        .collect();
    let violation = ErrorCode::ContractViolation;
    let payload = ErrorCode::InvalidManagementPayload;
    let rejected = ErrorCode::CanisterRejectedMessage;
    let cases: Vec<(CanisterSettings, ErrorCode, &str)> = vec![
        (
            CanisterSettings {
                compute_allocation: Some(101_u8.into()),
                ..base.clone()
            },
            violation,
            "ComputeAllocation expected to be in the range [0..100], got 101",
        ),
        (
            CanisterSettings {
                memory_allocation: Some(((1_u64 << 48) + 1).into()),
                ..base.clone()
            },
            violation,
            "MemoryAllocation expected to be in the range [0..281474976710656], got 281474976710657",
        ),
        (
            CanisterSettings {
                memory_allocation: Some((3_u64 << 40).into()),
                ..base.clone()
            },
            ErrorCode::SubnetOversubscribed,
            "Canister requested 3072.00 GiB of memory",
        ),
        (
            CanisterSettings {
                freezing_threshold: Some((1_u128 << 64).into()),
                ..base.clone()
            },
            violation,
            "Freezing threshold expected to be in the range of [0..2^64-1]",
        ),
        (
            CanisterSettings {
                reserved_cycles_limit: Some(too_large.clone()),
                ..base.clone()
            },
            violation,
            "Reserved cycles limit expected to be in the range of [0..2^128-1]",
        ),
        (
            CanisterSettings {
                minimum_incoming_canister_call_cycles: Some(too_large),
                ..base.clone()
            },
            violation,
            "expected to be in the range of [0..2^128-1]",
        ),
        (
            CanisterSettings {
                wasm_memory_limit: Some(((1_u64 << 48) + 1).into()),
                ..base.clone()
            },
            violation,
            "Wasm memory limit expected to be in the range",
        ),
        (
            CanisterSettings {
                wasm_memory_threshold: Some((1_u128 << 64).into()),
                ..base.clone()
            },
            violation,
            "Wasm memory threshold expected to be in the range",
        ),
        (
            CanisterSettings {
                log_memory_limit: Some(1_u8.into()),
                ..base.clone()
            },
            rejected,
            "The canister log memory limit 1 is too low. It must be at least 4096.",
        ),
        (
            CanisterSettings {
                log_memory_limit: Some(((2_u64 << 20) + 1).into()),
                ..base.clone()
            },
            rejected,
            "is too high. It must be at most 2097152.",
        ),
        (
            CanisterSettings {
                controllers: Some(viewers.clone()),
                ..base.clone()
            },
            payload,
            "exceeds maximum allowed 10",
        ),
        (
            CanisterSettings {
                status_visibility: Some(StatusVisibility::AllowedViewers(viewers)),
                ..base.clone()
            },
            payload,
            "exceeds maximum allowed 10",
        ),
        (
            CanisterSettings {
                environment_variables: Some(many(21)),
                ..base.clone()
            },
            payload,
            "Too many environment variables: 21 (max: 20)",
        ),
        (
            CanisterSettings {
                environment_variables: Some(vec![variable("A", "1"), variable("A", "2")]),
                ..base.clone()
            },
            payload,
            "Duplicate environment variables are not allowed",
        ),
        (
            CanisterSettings {
                environment_variables: Some(vec![variable(&"n".repeat(129), "")]),
                ..base.clone()
            },
            payload,
            "exceeds the maximum allowed length of 128",
        ),
        (
            CanisterSettings {
                environment_variables: Some(vec![variable("n", &"v".repeat(129))]),
                ..base.clone()
            },
            payload,
            "Environment variable value",
        ),
    ];
    for (settings, code, text) in cases {
        refused(net.set(id, settings), code, text);
    }
    let after = net.canister_status(id);
    assert_eq!(after.settings, before.settings);
    assert_eq!(after.version, before.version);
}

#[test]
fn an_allocation_that_would_freeze_the_canister_is_refused() {
    let mut net = Net::at_prices();
    let id = net.create();
    let allocation = |compute: u8, memory: u64, threshold: u64| CanisterSettings {
        compute_allocation: Some(compute.into()),
        memory_allocation: Some(memory.into()),
        freezing_threshold: Some(threshold.into()),
        ..Default::default()
    };
    let year = 365 * 86_400;
    refused(
        net.set(id, allocation(100, 0, year)),
        ErrorCode::InsufficientCyclesInComputeAllocation,
        "Cannot increase compute allocation to 100% due to insufficient cycles.",
    );
    refused(
        net.set(id, allocation(0, 1 << 40, year)),
        ErrorCode::InsufficientCyclesInMemoryAllocation,
        "Cannot increase memory allocation to 1024.00 GiB due to insufficient cycles.",
    );
    // A longer freezing threshold alone may freeze it.
    net.set(id, allocation(1, 0, 86_400)).unwrap();
    net.set(id, allocation(1, 0, 100 * year)).unwrap();
}

#[test]
fn a_subnet_does_not_promise_more_compute_than_it_has() {
    let mut net = Net::new();
    let allocation = |percent: u8| CanisterSettings {
        compute_allocation: Some(percent.into()),
        freezing_threshold: Some(0_u8.into()),
        ..Default::default()
    };
    let (first, second) = (net.create(), net.create());
    net.set(first, allocation(100)).unwrap();
    refused(
        net.set(second, allocation(100)),
        ErrorCode::SubnetOversubscribed,
        "Canister requested a compute allocation of 100% which cannot be satisfied because the Subnet's remaining compute capacity is 99%.",
    );
    net.set(second, allocation(99)).unwrap();
}

#[test]
fn calls_of_other_canisters_bring_the_cycles_that_are_asked_for() {
    let mut net = Net::new();
    let caller = net.install(FORWARDER);
    let callee = net.install(FORWARDER);
    let minimum = CanisterSettings {
        minimum_incoming_canister_call_cycles: Some(1_000_u32.into()),
        ..Default::default()
    };
    net.set(callee, minimum).unwrap();
    let take = |cycles| forwarded(callee, "take", cycles, &[]);
    net.call(caller, "forward", &take(1_000)).unwrap();
    passed_on(
        net.call(caller, "forward", &take(999)),
        RejectCode::CanisterError,
        "requires at least 1000 transferred cycles",
    );
    // Neither users nor the canister itself are affected.
    net.call(callee, "take", &[]).unwrap();
    net.call(callee, "forward", &take(0)).unwrap();
}

#[test]
fn the_status_says_where_the_memory_goes() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(@custom "icp:public kind" "12345678")
        (func (export "canister_init") (drop (call $stable_grow (i64.const 2))))
        (func (export "canister_query q") (call $answer32 (i32.const 1)))"#,
    ));
    let status = net.canister_status(id);
    let metrics = status.memory_metrics;
    assert_eq!(metrics.wasm_memory_size, Nat::from(65_536_u32));
    assert_eq!(metrics.stable_memory_size, Nat::from(131_072_u32));
    assert_eq!(metrics.custom_sections_size, Nat::from(12_u8));
    assert!(metrics.wasm_binary_size > 500_u32);
    assert!(metrics.canister_history_size > 0_u8);
    let sum = metrics.wasm_memory_size
        + metrics.stable_memory_size
        + metrics.global_memory_size
        + metrics.wasm_binary_size
        + metrics.custom_sections_size
        + metrics.canister_history_size
        + metrics.wasm_chunk_store_size
        + metrics.snapshots_size
        + metrics.log_memory_store_size;
    assert_eq!(status.memory_size, sum);

    net.query(id, "q", b"abc").unwrap();
    net.query(id, "q", b"").unwrap();
    let stats = net.canister_status(id).query_stats;
    assert_eq!(stats.num_calls_total, Nat::from(2_u8));
    assert_eq!(stats.request_payload_bytes_total, Nat::from(3_u8));
    assert_eq!(stats.response_payload_bytes_total, Nat::from(8_u8));
    assert!(stats.num_instructions_total > 10_u8);
}
