//! Settings and status of a canister.

use std::{collections::BTreeMap, sync::Arc};

use candid::{Nat, Principal};
use ic_management_canister_types::{
    CanisterSettings, CanisterStatusArgs, CanisterStatusResult, CanisterStatusType,
    DefiniteCanisterSettings, EnvironmentVariable, LogVisibility, MemoryMetrics, QueryStats,
    SnapshotVisibility, StatusVisibility, UpdateSettingsArgs,
};
use num_bigint::BigUint;

use super::{Outcome, controlled, controlled_mut, decode, done, reply};
use crate::{
    ErrorCode, Reject,
    canister::{Settings, Status},
    subnet::Subnet,
};

/// Most controllers of a canister.
const MAX_CONTROLLERS: usize = 10;
/// Most environment variables of a canister.
const MAX_VARIABLES: usize = 20;
/// Longest name, and longest value, of an environment variable, in bytes.
const MAX_VARIABLE_BYTES: usize = 128;
/// Bounds of 48 bits: memory sizes.
const MAX_MEMORY: u64 = 1 << 48;

fn invalid(message: String) -> Reject {
    Reject::new(ErrorCode::InvalidManagementPayload, message)
}

/// A Candid number that fits.
pub(super) fn number<T: TryFrom<BigUint>>(field: &str, value: &Nat) -> Result<T, Reject> {
    T::try_from(value.0.clone()).map_err(|_| invalid(format!("{field}: {value} is too large")))
}

/// Puts changes into effect, all or none.
pub(super) fn apply(settings: &mut Settings, changes: &CanisterSettings) -> Result<(), Reject> {
    let mut new = settings.clone();
    if let Some(controllers) = &changes.controllers {
        if controllers.len() > MAX_CONTROLLERS {
            return Err(invalid(format!(
                "controllers: {}, at most {MAX_CONTROLLERS}",
                controllers.len()
            )));
        }
        let mut controllers = controllers.clone();
        controllers.sort_unstable();
        controllers.dedup();
        new.controllers = controllers.into();
    }
    let bounded = |field: &'static str, value: &Option<Nat>, limit: u64, into: &mut u64| match value
    {
        None => Ok(()),
        Some(value) => {
            let value: u64 = number(field, value)?;
            if value > limit {
                return Err(invalid(format!("{field}: {value}, at most {limit}")));
            }
            *into = value;
            Ok(())
        }
    };
    bounded(
        "compute_allocation",
        &changes.compute_allocation,
        100,
        &mut new.compute_allocation,
    )?;
    bounded(
        "memory_allocation",
        &changes.memory_allocation,
        MAX_MEMORY,
        &mut new.memory_allocation,
    )?;
    bounded(
        "freezing_threshold",
        &changes.freezing_threshold,
        u64::MAX,
        &mut new.freezing_threshold,
    )?;
    bounded(
        "wasm_memory_limit",
        &changes.wasm_memory_limit,
        MAX_MEMORY - 1,
        &mut new.wasm_memory_limit,
    )?;
    bounded(
        "wasm_memory_threshold",
        &changes.wasm_memory_threshold,
        u64::MAX,
        &mut new.wasm_memory_threshold,
    )?;
    if let Some(limit) = &changes.reserved_cycles_limit {
        new.reserved_cycles_limit = number("reserved_cycles_limit", limit)?;
    }
    if let Some(variables) = &changes.environment_variables {
        new.variables = Arc::new(checked(variables)?);
    }
    *settings = new;
    Ok(())
}

fn checked(variables: &[EnvironmentVariable]) -> Result<BTreeMap<String, String>, Reject> {
    if variables.len() > MAX_VARIABLES {
        return Err(invalid(format!(
            "environment_variables: {}, at most {MAX_VARIABLES}",
            variables.len()
        )));
    }
    let mut by_name = BTreeMap::new();
    for EnvironmentVariable { name, value } in variables {
        if name.is_empty() || name.len() > MAX_VARIABLE_BYTES || value.len() > MAX_VARIABLE_BYTES {
            return Err(invalid(format!(
                "environment_variables: {name:?} is empty or too long"
            )));
        }
        if by_name.insert(name.clone(), value.clone()).is_some() {
            return Err(invalid(format!("environment_variables: {name:?} twice")));
        }
    }
    Ok(by_name)
}

pub(super) fn update(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let (args,): (UpdateSettingsArgs,) = decode(arg)?;
    let canister = controlled_mut(subnet, args.canister_id, &sender)?;
    apply(&mut canister.settings, &args.settings)?;
    canister.version += 1;
    if let Some(canister) = subnet.canisters.get(&args.canister_id) {
        canister.certify(&mut subnet.tree);
    }
    done()
}

pub(super) fn status(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let (CanisterStatusArgs { canister_id },) = decode(arg)?;
    // A canister may ask for its own.
    let canister = match subnet.canisters.get(&canister_id) {
        Some(canister) if canister_id == sender => canister,
        _ => controlled(subnet, canister_id, &sender)?,
    };
    let instance = canister.instance.as_ref();
    let (heap, stable) = instance.map_or((0, 0), |instance| instance.memory_size());
    let module = instance.map(|instance| &instance.program().module);
    let binary = module.map_or(0, |module| module.wasm.len());
    let sections = module.map_or(0, |module| {
        module.metadata.values().map(|m| m.content.len()).sum()
    });
    let settings = &canister.settings;
    let variables = settings.variables.iter();
    reply(&CanisterStatusResult {
        status: match canister.status {
            Status::Running => CanisterStatusType::Running,
            Status::Stopping(_) => CanisterStatusType::Stopping,
            Status::Stopped => CanisterStatusType::Stopped,
        },
        ready_for_migration: matches!(canister.status, Status::Stopped)
            && canister.outgoing.is_empty(),
        version: canister.version,
        settings: DefiniteCanisterSettings {
            controllers: settings.controllers.to_vec(),
            compute_allocation: settings.compute_allocation.into(),
            memory_allocation: settings.memory_allocation.into(),
            freezing_threshold: settings.freezing_threshold.into(),
            reserved_cycles_limit: settings.reserved_cycles_limit.into(),
            minimum_incoming_canister_call_cycles: 0_u8.into(),
            log_visibility: LogVisibility::Controllers,
            log_memory_limit: 4_096_u32.into(),
            snapshot_visibility: SnapshotVisibility::Controllers,
            status_visibility: StatusVisibility::Controllers,
            wasm_memory_limit: settings.wasm_memory_limit.into(),
            wasm_memory_threshold: settings.wasm_memory_threshold.into(),
            environment_variables: variables
                .map(|(name, value)| EnvironmentVariable {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
        },
        module_hash: module.map(|module| module.hash.to_vec()),
        memory_size: (heap + stable + binary as u64).into(),
        memory_metrics: MemoryMetrics {
            wasm_memory_size: heap.into(),
            stable_memory_size: stable.into(),
            global_memory_size: 0_u8.into(),
            wasm_binary_size: binary.into(),
            custom_sections_size: Nat::from(sections),
            canister_history_size: 0_u8.into(),
            wasm_chunk_store_size: 0_u8.into(),
            snapshots_size: 0_u8.into(),
            log_memory_store_size: canister
                .log
                .iter()
                .map(|line| line.content.len())
                .sum::<usize>()
                .into(),
        },
        cycles: canister.balance.into(),
        reserved_cycles: 0_u8.into(),
        idle_cycles_burned_per_day: 0_u8.into(),
        query_stats: QueryStats {
            num_calls_total: 0_u8.into(),
            num_instructions_total: 0_u8.into(),
            request_payload_bytes_total: 0_u8.into(),
            response_payload_bytes_total: 0_u8.into(),
        },
    })
}
