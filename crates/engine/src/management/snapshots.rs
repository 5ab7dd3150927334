//! Taking, loading, listing and deleting snapshots. Reading and writing their parts is in [`super::transfer`].

use candid::Principal;
use ic_management_canister_types::{
    CanisterIdRecord, ChangeDetails, DeleteCanisterSnapshotArgs, LoadCanisterSnapshotArgs,
    LoadSnapshotRecord, SnapshotSource, TakeCanisterSnapshotArgs,
};

use super::{Call, Outcome, code, decode, done, invalid, reply, settings::check_growth};
use crate::{
    ErrorCode, Reject,
    calls::Work,
    canister::{
        Canister,
        snapshots::{HookStatus, MAX_SNAPSHOTS, Snapshot, SnapshotId},
    },
    subnet::Subnet,
    wasm::{Instance, Program},
};

/// Instructions that taking or loading a snapshot counts as, besides one for each byte.
const BASE_INSTRUCTIONS: u64 = 2_000_000_000;

fn rejected(message: impl Into<String>) -> Reject {
    Reject::new(ErrorCode::CanisterRejectedMessage, message)
}

fn not_found(canister: Principal, id: impl std::fmt::Display) -> Reject {
    let message = format!("Could not find the snapshot ID {id} for canister {canister}.");
    Reject::new(ErrorCode::SnapshotNotFound, message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn source(snapshot: &Snapshot) -> SnapshotSource {
    if snapshot.is_uploaded {
        SnapshotSource::MetadataUpload(candid::Reserved)
    } else {
        SnapshotSource::TakenFromCanister(candid::Reserved)
    }
}

fn shown(id: &SnapshotId, snapshot: &Snapshot) -> ic_management_canister_types::Snapshot {
    ic_management_canister_types::Snapshot {
        id: id.bytes(),
        taken_at_timestamp: snapshot.taken_at.0,
        total_size: snapshot.bytes(),
    }
}

/// The id of a snapshot that exists, of whichever canister.
fn existing(subnet: &Subnet, canister: Principal, bytes: &[u8]) -> Result<SnapshotId, Reject> {
    let id = SnapshotId::parse(bytes).ok_or_else(|| not_found(canister, hex(bytes)))?;
    let owner = subnet.canisters.get(&id.owner());
    if owner.is_none_or(|owner| owner.snapshots.get(&id).is_none()) {
        return Err(not_found(canister, id));
    }
    Ok(id)
}

/// The same, of this canister.
pub(super) fn own(
    subnet: &Subnet,
    canister: &Canister,
    bytes: &[u8],
) -> Result<SnapshotId, Reject> {
    let id = existing(subnet, canister.id, bytes)?;
    if id.owner() != canister.id {
        let canister = canister.id;
        return Err(rejected(format!(
            "The snapshot {id} does not belong to canister {canister}."
        )));
    }
    Ok(id)
}

/// A place for a new snapshot: the one that it replaces, and how many bytes that has; else there must be room.
pub(super) fn room(
    subnet: &Subnet,
    canister: &Canister,
    replace: Option<&[u8]>,
) -> Result<(Option<SnapshotId>, u64), Reject> {
    if let Some(replace) = replace {
        let id = own(subnet, canister, replace)?;
        let bytes = canister.snapshots.get(&id).map_or(0, Snapshot::bytes);
        return Ok((Some(id), bytes));
    }
    if canister.snapshots.len() >= MAX_SNAPSHOTS {
        let message = format!(
            "Canister {} has reached the maximum number of snapshots allowed: {MAX_SNAPSHOTS}.",
            canister.id
        );
        return Err(rejected(message));
    }
    Ok((None, 0))
}

/// Takes the price of working on so many bytes of a snapshot from its canister, which may grow by `growth`.
pub(super) fn pay(
    subnet: &mut Subnet,
    id: Principal,
    caller: &Principal,
    (base, bytes): (u64, u64),
    growth: u64,
) -> Result<(), Reject> {
    let prices = subnet.prices;
    let canister = subnet
        .canisters
        .get(&id)
        .ok_or_else(|| Reject::not_found(id))?;
    let fee = prices.execution(base.saturating_add(bytes), canister.is_memory64());
    if growth > 0 {
        check_growth(subnet, canister, growth, fee)?;
    }
    let canister = subnet
        .canisters
        .get_mut(&id)
        .ok_or_else(|| Reject::not_found(id))?;
    canister.withdraw(fee, prices, caller).map_err(|reject| {
        let message = format!("Canister snapshotting failed with: `{}`", reject.message);
        Reject::new(ErrorCode::OutOfCycles, message)
    })?;
    subnet.ledger.burned += fee;
    Ok(())
}

/// Whether the heap of a canister has less room left than it wants to be warned at, and it has a hook to be told by.
fn is_low_on_memory(canister: &Canister, program: &Program, heap: u64) -> bool {
    let settings = &canister.settings;
    let limit = match settings.wasm_memory_limit {
        0 => u64::MAX,
        limit => limit,
    };
    let left = limit.min(4 << 30).saturating_sub(heap);
    let entry_points = &program.module.entry_points;
    entry_points.has_hook("canister_on_low_wasm_memory") && left < settings.wasm_memory_threshold
}

pub(super) fn take(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (TakeCanisterSnapshotArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let (replaced, replaced_bytes) = room(subnet, canister, args.replace_snapshot.as_deref())?;
    let (Some(instance), Some(module)) = (&canister.instance, &canister.uploaded) else {
        let message = format!("Failed to create snapshot for empty canister {id}:");
        return Err(rejected(message));
    };
    let image = instance
        .image()
        .map_err(|error| Reject::new(ErrorCode::SubnetOversubscribed, error.to_string()))?;
    let low = is_low_on_memory(canister, instance.program(), image.heap_len());
    let snapshot = Snapshot {
        is_uploaded: false,
        taken_at: subnet.time,
        canister_version: canister.version,
        module: module.to_vec(),
        image,
        chunks: canister.chunks.clone(),
        certified_data: canister.certified_data.clone(),
        timer: Some(canister.timer),
        hook: Some(if low {
            HookStatus::Executed
        } else {
            HookStatus::NotSatisfied
        }),
    };
    let bytes = snapshot.bytes();
    let growth = bytes.saturating_sub(replaced_bytes);
    pay(subnet, id, &call.sender, (BASE_INSTRUCTIONS, bytes), growth)?;
    let canister = call.canister_mut(subnet, id)?;
    if let Some(replaced) = replaced {
        canister.snapshots.remove(&replaced);
    }
    let snapshot_id = canister.snapshots.insert(id, snapshot);
    let taken = canister.snapshots.get(&snapshot_id);
    let answer = taken.map(|snapshot| shown(&snapshot_id, snapshot));
    if args.uninstall_code == Some(true) {
        code::remove_code(subnet, id);
        let origin = call.change_origin(args.sender_canister_version);
        code::record_uninstall(subnet, id, origin);
    }
    match answer {
        Some(answer) => reply(&answer),
        None => Err(not_found(id, snapshot_id)),
    }
}

pub(super) fn load(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (LoadCanisterSnapshotArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let snapshot_id = existing(subnet, id, &args.snapshot_id)?;
    let owner = subnet
        .canisters
        .get(&snapshot_id.owner())
        .ok_or_else(|| Reject::not_found(snapshot_id.owner()))?;
    if owner.id != id && !owner.is_controlled_by(&call.sender) {
        let sender = call.sender;
        return Err(rejected(format!(
            "Only a controller of the canister that snapshot {snapshot_id} belongs to can load it on canister {id}. Sender: {sender}."
        )));
    }
    let snapshot = owner
        .snapshots
        .get(&snapshot_id)
        .ok_or_else(|| not_found(id, &snapshot_id))?;
    let program = subnet.runtime.load(&snapshot.module).map_err(|error| {
        let message = format!("Canister's Wasm module is not valid: {error}");
        Reject::of(id, ErrorCode::InvalidWasm, &message)
    })?;
    let mut instance = Instance::from_image(&subnet.runtime, program, &snapshot.image)
        .map_err(|error| inconsistent(snapshot, &error.to_string()))?;
    let low = is_low_on_memory(canister, instance.program(), snapshot.image.heap_len());
    let hook = snapshot.hook.filter(|_| snapshot.is_uploaded);
    if hook.is_some_and(|hook| (hook != HookStatus::NotSatisfied) != low) {
        return Err(invalid(format!(
            "Hook status ({hook:?}) of uploaded snapshot is inconsistent with the canister's state (hook condition satisfied: {low})."
        )));
    }
    let details = ChangeDetails::LoadSnapshot(LoadSnapshotRecord {
        from_canister_id: (owner.id != id).then_some(owner.id),
        snapshot_id: snapshot_id.bytes(),
        canister_version: snapshot.canister_version,
        taken_at_timestamp: snapshot.taken_at.0,
        source: source(snapshot),
    });
    let module: std::sync::Arc<[u8]> = snapshot.module.as_slice().into();
    let chunks = snapshot.chunks.clone();
    let certified_data = snapshot.certified_data.clone();
    // Only uploads say what becomes of the timer.
    let timer = snapshot.timer.filter(|_| snapshot.is_uploaded);
    let bytes = snapshot.bytes();
    let before = canister.memory();
    let (heap, stable) = instance.memory_size();
    let before_bytes = before.heap + before.stable + before.module + before.chunks;
    let after_bytes = heap + stable + module.len() as u64 + chunks.bytes();
    let growth = after_bytes.saturating_sub(before_bytes);
    pay(subnet, id, &call.sender, (BASE_INSTRUCTIONS, bytes), growth)?;
    instance.commit();
    let origin = call.change_origin(args.sender_canister_version);
    let now = subnet.time;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        canister.instance = Some(instance);
        canister.uploaded = Some(module);
        canister.chunks = chunks;
        canister.certified_data = certified_data;
        if let Some(timer) = timer {
            canister.timer = timer;
        }
        canister.version += 1;
        let version = canister.version;
        canister.history.record(now, version, origin, details);
        canister.certify(&mut subnet.tree);
    }
    if hook == Some(HookStatus::Ready) {
        subnet.calls.queue.push_back(Work::LowMemory(id));
    }
    done()
}

/// Why memories and globals do not go with a module.
fn inconsistent(snapshot: &Snapshot, error: &str) -> Reject {
    if snapshot.is_uploaded && error.contains("globals") {
        return invalid(
            "Wasm exported globals of canister module and snapshot metadata do not match.",
        );
    }
    invalid(format!("The snapshot can't be loaded: {error}"))
}

pub(super) fn list(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (CanisterIdRecord { canister_id },) = decode(arg)?;
    let canister = call.canister(subnet, canister_id)?;
    let snapshots = canister.snapshots.iter();
    let all: Vec<_> = snapshots
        .map(|(id, snapshot)| shown(id, snapshot))
        .collect();
    reply(&all)
}

pub(super) fn delete(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (DeleteCanisterSnapshotArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let snapshot = own(subnet, canister, &args.snapshot_id)?;
    call.canister_mut(subnet, id)?.snapshots.remove(&snapshot);
    done()
}
