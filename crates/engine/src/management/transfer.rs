//! Reading snapshots in parts, and making them from parts: to move a canister, or to keep it elsewhere.
//!
//! Metadata first, which gives the sizes; then slices of the module and of the memories, and chunks. What is not uploaded
//! reads as zeros.

use candid::Nat;
use ic_management_canister_types::{
    CanisterTimer, OnLowWasmMemoryHookStatus, ReadCanisterSnapshotDataArgs,
    ReadCanisterSnapshotDataResult, ReadCanisterSnapshotMetadataArgs,
    ReadCanisterSnapshotMetadataResult, SnapshotDataKind, SnapshotDataOffset,
    SnapshotMetadataGlobal, UploadCanisterSnapshotDataArgs, UploadCanisterSnapshotMetadataArgs,
    UploadCanisterSnapshotMetadataResult,
};

use super::{
    Call, Outcome, chunks, decode, done, invalid, reply,
    snapshots::{own, pay, room, source},
};
use crate::{
    ErrorCode, Reject, Time,
    canister::{
        chunks::{CHUNK_BYTES, ChunkStore},
        snapshots::{HookStatus, Snapshot},
    },
    memory::{GlobalValue, Image, StableError, WASM_PAGE},
    subnet::Subnet,
};

/// Longest slice that is read at once, in bytes.
const MAX_SLICE: u64 = 2_000_000;
/// Longest module of a snapshot, in bytes.
const MAX_MODULE: u64 = 100 * 1024 * 1024;
/// Longest heap, in bytes: that of 64-bit modules.
const MAX_HEAP: u64 = 6 << 30;
/// Longest stable memory, in bytes.
const MAX_STABLE: u64 = 500 << 30;
/// Most globals of a module.
const MAX_GLOBALS: usize = 1_000;
/// Longest certified data, in bytes.
const MAX_CERTIFIED_DATA: usize = 32;
/// Instructions that working on a part counts as, besides one for each byte.
const PART_INSTRUCTIONS: u64 = 2_000_000;
/// The same for making a snapshot.
const CREATE_INSTRUCTIONS: u64 = 2_000_000_000;

fn bad_slice(offset: u64, size: u64) -> Reject {
    invalid(format!(
        "Invalid subslice into wasm module / main memory / stable memory: offset: {offset}, size: {size}"
    ))
}

fn global(value: GlobalValue) -> SnapshotMetadataGlobal {
    match value {
        GlobalValue::I32(value) => SnapshotMetadataGlobal::I32(value),
        GlobalValue::I64(value) => SnapshotMetadataGlobal::I64(value),
        GlobalValue::F32(bits) => SnapshotMetadataGlobal::F32(f32::from_bits(bits)),
        GlobalValue::F64(bits) => SnapshotMetadataGlobal::F64(f64::from_bits(bits)),
        GlobalValue::V128(value) => SnapshotMetadataGlobal::V128(Nat::from(value)),
    }
}

fn global_value(global: &SnapshotMetadataGlobal) -> Option<GlobalValue> {
    Some(match global {
        SnapshotMetadataGlobal::I32(value) => GlobalValue::I32(*value),
        SnapshotMetadataGlobal::I64(value) => GlobalValue::I64(*value),
        SnapshotMetadataGlobal::F32(value) => GlobalValue::F32(value.to_bits()),
        SnapshotMetadataGlobal::F64(value) => GlobalValue::F64(value.to_bits()),
        SnapshotMetadataGlobal::V128(value) => GlobalValue::V128(u128::try_from(&value.0).ok()?),
    })
}

pub(super) fn read_metadata(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (ReadCanisterSnapshotMetadataArgs,) = decode(arg)?;
    let canister = call.canister(subnet, args.canister_id)?;
    let id = own(subnet, canister, &args.snapshot_id)?;
    let Some(snapshot) = canister.snapshots.get(&id) else {
        return Err(Reject::not_found(canister.id));
    };
    let globals = snapshot.image.globals.iter();
    reply(&ReadCanisterSnapshotMetadataResult {
        source: Some(source(snapshot)),
        taken_at_timestamp: snapshot.taken_at.0,
        wasm_module_size: snapshot.module.len() as u64,
        globals: globals.map(|value| Some(global(*value))).collect(),
        wasm_memory_size: snapshot.image.heap_len(),
        stable_memory_size: snapshot.image.stable_len(),
        wasm_chunk_store: chunks::hashes(&snapshot.chunks),
        canister_version: snapshot.canister_version,
        certified_data: snapshot.certified_data.clone(),
        global_timer: snapshot.timer.map(|timer| match timer {
            Some(time) => CanisterTimer::Active(time.0),
            None => CanisterTimer::Inactive,
        }),
        on_low_wasm_memory_hook_status: snapshot.hook.map(|hook| match hook {
            HookStatus::NotSatisfied => OnLowWasmMemoryHookStatus::ConditionNotSatisfied,
            HookStatus::Ready => OnLowWasmMemoryHookStatus::Ready,
            HookStatus::Executed => OnLowWasmMemoryHookStatus::Executed,
        }),
    })
}

pub(super) fn read_data(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (ReadCanisterSnapshotDataArgs,) = decode(arg)?;
    let canister = call.canister(subnet, args.canister_id)?;
    let id = own(subnet, canister, &args.snapshot_id)?;
    let bytes = match args.kind {
        SnapshotDataKind::WasmModule { size, .. }
        | SnapshotDataKind::WasmMemory { size, .. }
        | SnapshotDataKind::StableMemory { size, .. } => size,
        SnapshotDataKind::WasmChunk { .. } => CHUNK_BYTES,
    };
    if bytes > MAX_SLICE {
        let message = format!("Requested slice too large: {bytes} > {MAX_SLICE}");
        return Err(invalid(message));
    }
    let Some(snapshot) = canister.snapshots.get(&id) else {
        return Err(Reject::not_found(canister.id));
    };
    let chunk = slice(snapshot, &args.kind)?;
    let price = (PART_INSTRUCTIONS, bytes);
    pay(subnet, args.canister_id, &call.sender, price, 0)?;
    reply(&ReadCanisterSnapshotDataResult { chunk })
}

fn slice(snapshot: &Snapshot, kind: &SnapshotDataKind) -> Result<Vec<u8>, Reject> {
    let outside = |offset, size| move |_: StableError| bad_slice(offset, size);
    let len = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    match kind {
        SnapshotDataKind::WasmModule { offset, size } => {
            let end = offset.checked_add(*size).map(len);
            end.and_then(|end| snapshot.module.get(len(*offset)..end))
                .map(<[u8]>::to_vec)
                .ok_or_else(|| bad_slice(*offset, *size))
        }
        SnapshotDataKind::WasmMemory { offset, size } => snapshot
            .image
            .read_heap(*offset, len(*size))
            .map_err(outside(*offset, *size)),
        SnapshotDataKind::StableMemory { offset, size } => snapshot
            .image
            .read_stable(*offset, len(*size))
            .map_err(outside(*offset, *size)),
        SnapshotDataKind::WasmChunk { hash } => {
            let key: [u8; 32] = hash.as_slice().try_into().map_err(|_| {
                chunks::failed(format!("Bytes {hash:02x?} are not a valid WasmChunkHash."))
            })?;
            let chunk = snapshot.chunks.get(&key);
            let missing = || chunks::failed(format!("WasmChunkHash {hash:02x?} not found."));
            chunk.map(<[u8]>::to_vec).ok_or_else(missing)
        }
    }
}

pub(super) fn upload_metadata(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (UploadCanisterSnapshotMetadataArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let snapshot = empty(&args, subnet.time, canister.version)
        .map_err(|reason| invalid(format!("Snapshot Metadata contains invalid data: {reason}")))?;
    let (replaced, replaced_bytes) = room(subnet, canister, args.replace_snapshot.as_deref())?;
    let bytes = snapshot.bytes();
    let growth = bytes.saturating_sub(replaced_bytes);
    pay(
        subnet,
        id,
        &call.sender,
        (CREATE_INSTRUCTIONS, bytes),
        growth,
    )?;
    let canister = call.canister_mut(subnet, id)?;
    if let Some(replaced) = replaced {
        canister.snapshots.remove(&replaced);
    }
    let snapshot_id = canister.snapshots.insert(id, snapshot).bytes();
    reply(&UploadCanisterSnapshotMetadataResult { snapshot_id })
}

/// A snapshot of these sizes, all zeros.
fn empty(
    args: &UploadCanisterSnapshotMetadataArgs,
    now: Time,
    canister_version: u64,
) -> Result<Snapshot, String> {
    let page = WASM_PAGE as u64;
    for (what, size, limit, unit) in [
        ("wasm_module_size", args.wasm_module_size, MAX_MODULE, 1),
        ("wasm_memory_size", args.wasm_memory_size, MAX_HEAP, page),
        (
            "stable_memory_size",
            args.stable_memory_size,
            MAX_STABLE,
            page,
        ),
    ] {
        if size > limit || !size.is_multiple_of(unit) {
            return Err(format!(
                "{what} is {size}, at most {limit}, a multiple of {unit}"
            ));
        }
    }
    if args.certified_data.len() > MAX_CERTIFIED_DATA {
        return Err(format!(
            "certified_data has more than {MAX_CERTIFIED_DATA} bytes"
        ));
    }
    if args.globals.len() > MAX_GLOBALS {
        return Err(format!("more than {MAX_GLOBALS} globals"));
    }
    let globals = args.globals.iter().map(global_value);
    let globals = globals.collect::<Option<Vec<_>>>();
    let mut image = Image::default();
    image.globals = globals.ok_or("a global does not fit into 128 bits")?;
    image
        .resize_heap(args.wasm_memory_size)
        .and_then(|()| image.resize_stable(args.stable_memory_size))
        .map_err(|error| format!("{error:?}"))?;
    let module = usize::try_from(args.wasm_module_size).map_err(|error| error.to_string())?;
    Ok(Snapshot {
        is_uploaded: true,
        taken_at: now,
        canister_version,
        module: vec![0; module],
        image,
        chunks: ChunkStore::default(),
        certified_data: args.certified_data.clone(),
        timer: args.global_timer.as_ref().map(|timer| match timer {
            CanisterTimer::Inactive | CanisterTimer::Active(0) => None,
            CanisterTimer::Active(time) => Some(Time(*time)),
        }),
        hook: args
            .on_low_wasm_memory_hook_status
            .as_ref()
            .map(|status| match status {
                OnLowWasmMemoryHookStatus::ConditionNotSatisfied => HookStatus::NotSatisfied,
                OnLowWasmMemoryHookStatus::Ready => HookStatus::Ready,
                OnLowWasmMemoryHookStatus::Executed => HookStatus::Executed,
            }),
    })
}

pub(super) fn upload_data(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (UploadCanisterSnapshotDataArgs,) = decode(arg)?;
    let canister_id = args.canister_id;
    let canister = call.canister(subnet, canister_id)?;
    let id = own(subnet, canister, &args.snapshot_id)?;
    let Some(snapshot) = canister.snapshots.get(&id).filter(|s| s.is_uploaded) else {
        let message = "Only canister snapshots created by metadata upload can be mutated.";
        return Err(Reject::new(ErrorCode::SnapshotImmutable, message));
    };
    let size = args.chunk.len() as u64;
    let mut growth = 0;
    let within = match args.kind {
        SnapshotDataOffset::WasmModule { offset } => Some((offset, snapshot.module.len() as u64)),
        SnapshotDataOffset::WasmMemory { offset } => Some((offset, snapshot.image.heap_len())),
        SnapshotDataOffset::StableMemory { offset } => Some((offset, snapshot.image.stable_len())),
        SnapshotDataOffset::WasmChunk => {
            let hash = snapshot.chunks.check(&args.chunk).map_err(chunks::failed)?;
            if !snapshot.chunks.contains(&hash) {
                growth = CHUNK_BYTES;
            }
            None
        }
    };
    if let Some((offset, len)) = within
        && offset.checked_add(size).is_none_or(|end| end > len)
    {
        return Err(bad_slice(offset, size));
    }
    let price = (PART_INSTRUCTIONS, size);
    pay(subnet, canister_id, &call.sender, price, growth)?;
    let canister = call.canister_mut(subnet, canister_id)?;
    let Some(snapshot) = canister.snapshots.get_mut(&id) else {
        return Err(Reject::not_found(canister_id));
    };
    write(snapshot, &args)?;
    done()
}

fn write(snapshot: &mut Snapshot, args: &UploadCanisterSnapshotDataArgs) -> Result<(), Reject> {
    let bytes = &args.chunk;
    let failed = |offset| {
        move |error: StableError| match error {
            StableError::OutOfMemory => {
                let message = "The machine has no memory left for the snapshot";
                Reject::new(ErrorCode::SubnetOversubscribed, message)
            }
            StableError::OutOfBounds => bad_slice(offset, bytes.len() as u64),
        }
    };
    match args.kind {
        SnapshotDataOffset::WasmModule { offset } => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let target = snapshot.module.get_mut(start..);
            let target = target.and_then(|rest| rest.get_mut(..bytes.len()));
            match target {
                Some(target) => target.copy_from_slice(bytes),
                None => return Err(bad_slice(offset, bytes.len() as u64)),
            }
        }
        SnapshotDataOffset::WasmMemory { offset } => {
            let written = snapshot.image.write_heap(offset, bytes);
            written.map_err(failed(offset))?;
        }
        SnapshotDataOffset::StableMemory { offset } => {
            let written = snapshot.image.write_stable(offset, bytes);
            written.map_err(failed(offset))?;
        }
        SnapshotDataOffset::WasmChunk => {
            snapshot.chunks.insert(bytes).map_err(chunks::failed)?;
        }
    }
    Ok(())
}
