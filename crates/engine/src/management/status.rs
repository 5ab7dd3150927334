//! What the management canister tells of a canister: status, history, metadata.

use ic_management_canister_types::{
    CanisterIdRecord, CanisterInfoArgs, CanisterInfoResult, CanisterMetadataArgs,
    CanisterMetadataResult, CanisterStatusResult, CanisterStatusType, DefiniteCanisterSettings,
    EnvironmentVariable, MemoryMetrics, QueryStats,
};

use super::{Call, Outcome, decode, reply};
use crate::{
    ErrorCode, Reject,
    canister::{Canister, Settings, Status},
    subnet::Subnet,
};
use canister_module::Visibility;

pub(super) fn status(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (CanisterIdRecord { canister_id },) = decode(arg)?;
    let canister = call.canister(subnet, canister_id)?;
    let memory = canister.memory();
    let queries = canister.query_stats;
    reply(&CanisterStatusResult {
        status: match canister.status {
            Status::Running => CanisterStatusType::Running,
            Status::Stopping(_) => CanisterStatusType::Stopping,
            Status::Stopped => CanisterStatusType::Stopped,
        },
        ready_for_migration: matches!(canister.status, Status::Stopped)
            && canister.outgoing.is_empty(),
        version: canister.version,
        settings: definite(&canister.settings),
        module_hash: module_hash(canister),
        memory_size: memory.total().into(),
        memory_metrics: MemoryMetrics {
            wasm_memory_size: memory.heap.into(),
            stable_memory_size: memory.stable.into(),
            global_memory_size: memory.globals.into(),
            wasm_binary_size: memory.module.into(),
            custom_sections_size: memory.sections.into(),
            canister_history_size: memory.history.into(),
            wasm_chunk_store_size: memory.chunks.into(),
            snapshots_size: memory.snapshots.into(),
            log_memory_store_size: memory.log.into(),
        },
        cycles: canister.balance.into(),
        // Nothing is reserved: the price of storage does not depend on how full the subnet is.
        reserved_cycles: 0_u8.into(),
        idle_cycles_burned_per_day: subnet.prices.occupation_per_day(canister.occupied()).into(),
        query_stats: QueryStats {
            num_calls_total: queries.calls.into(),
            num_instructions_total: queries.instructions.into(),
            request_payload_bytes_total: queries.request_bytes.into(),
            response_payload_bytes_total: queries.response_bytes.into(),
        },
    })
}

fn module_hash(canister: &Canister) -> Option<Vec<u8>> {
    canister
        .program()
        .map(|program| program.module.hash.to_vec())
}

fn definite(settings: &Settings) -> DefiniteCanisterSettings {
    let variables = settings.variables.iter();
    DefiniteCanisterSettings {
        controllers: settings.controllers.to_vec(),
        compute_allocation: settings.compute_allocation.into(),
        memory_allocation: settings.memory_allocation.into(),
        freezing_threshold: settings.freezing_threshold.into(),
        reserved_cycles_limit: settings.reserved_cycles_limit.into(),
        minimum_incoming_canister_call_cycles: settings.minimum_incoming_cycles.into(),
        log_visibility: (&settings.log_visibility).into(),
        log_memory_limit: settings.log_memory_limit.into(),
        snapshot_visibility: (&settings.snapshot_visibility).into(),
        status_visibility: (&settings.status_visibility).into(),
        wasm_memory_limit: settings.wasm_memory_limit.into(),
        wasm_memory_threshold: settings.wasm_memory_threshold.into(),
        environment_variables: variables
            .map(|(name, value)| EnvironmentVariable {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
    }
}

pub(super) fn info(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (CanisterInfoArgs,) = decode(arg)?;
    let canister = call.canister(subnet, args.canister_id)?;
    reply(&CanisterInfoResult {
        total_num_changes: canister.history.total(),
        recent_changes: canister
            .history
            .latest(args.num_requested_changes.unwrap_or(0)),
        module_hash: module_hash(canister),
        controllers: canister.settings.controllers.to_vec(),
    })
}

/// A metadata section of the module. A private one is for controllers.
pub(super) fn metadata(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (CanisterMetadataArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let rejected = |message| Reject::new(ErrorCode::CanisterRejectedMessage, message);
    let program = canister.program().ok_or_else(|| {
        rejected(format!(
            "The canister {id} has no Wasm module and hence no metadata is available."
        ))
    })?;
    let section = program.module.metadata.get(&args.name).filter(|section| {
        section.visibility == Visibility::Public || canister.is_controlled_by(&call.sender)
    });
    // Whether there is a private section is private, too.
    let section = section.ok_or_else(|| {
        rejected(format!(
            "The canister {id} has no metadata section with the name {}.",
            args.name
        ))
    })?;
    reply(&CanisterMetadataResult {
        value: section.content.clone(),
    })
}
