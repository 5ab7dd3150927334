//! Snapshots: taken and loaded, moved in parts to another canister, and refused.

use candid::{CandidType, Nat, Principal};
use engine::{ErrorCode, Reject};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, CanisterTimer, ChangeDetails,
    DeleteCanisterSnapshotArgs, LoadCanisterSnapshotArgs, OnLowWasmMemoryHookStatus,
    ReadCanisterSnapshotDataArgs, ReadCanisterSnapshotDataResult, ReadCanisterSnapshotMetadataArgs,
    ReadCanisterSnapshotMetadataResult, Snapshot, SnapshotDataKind, SnapshotDataOffset,
    SnapshotMetadataGlobal, SnapshotSource, SnapshotVisibility, TakeCanisterSnapshotArgs,
    UploadCanisterSnapshotDataArgs, UploadCanisterSnapshotMetadataArgs,
    UploadCanisterSnapshotMetadataResult, UploadChunkArgs,
};

use crate::{
    harness::{Net, alice, bob, module, number, wasm},
    management::{FORWARDER, record, refused},
};

/// Keeps a number in a global, in the heap, in stable memory and as certified data.
fn keeper() -> String {
    module(
        r#"
        (global $number (mut i32) (i32.const 0))
        (func (export "canister_init") (drop (call $stable_grow (i64.const 1))))
        (func (export "canister_update set")
            (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 4))
            (global.set $number (i32.load (i32.const 0)))
            (call $stable_write (i64.const 100) (i64.const 0) (i64.const 4))
            (call $certify (i32.const 0) (i32.const 4))
            (call $reply))
        (func (export "canister_query global") (call $answer32 (global.get $number)))
        (func (export "canister_query heap") (call $answer32 (i32.load (i32.const 0))))
        (func (export "canister_query stable")
            (call $stable_read (i64.const 8) (i64.const 100) (i64.const 4))
            (call $answer32 (i32.load (i32.const 8))))
        "#,
    )
}

fn keep(net: &mut Net, id: Principal, number: u32) {
    net.call(id, "set", &number.to_le_bytes()).unwrap();
}

/// That every part of the state holds this number.
#[track_caller]
fn holds(net: &mut Net, id: Principal, wanted: u32) {
    for method in ["global", "heap", "stable"] {
        assert_eq!(number(net.query(id, method, &[])), wanted, "{method}");
    }
    let path = vec![
        b"canister".to_vec(),
        id.as_slice().to_vec(),
        b"certified_data".to_vec(),
    ];
    let tree = net.read_state(std::slice::from_ref(&path)).tree;
    let ic_certification::LookupResult::Found(data) = tree.lookup_path(path.iter()) else {
        panic!("nothing is certified");
    };
    assert_eq!(data, wanted.to_le_bytes());
}

fn take_args(canister_id: Principal) -> TakeCanisterSnapshotArgs {
    TakeCanisterSnapshotArgs {
        canister_id,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    }
}

fn take(net: &mut Net, id: Principal) -> Result<Snapshot, Reject> {
    net.ask("take_canister_snapshot", &take_args(id))
}

fn load(net: &mut Net, canister_id: Principal, snapshot_id: &[u8]) -> Result<(), Reject> {
    let args = LoadCanisterSnapshotArgs {
        canister_id,
        snapshot_id: snapshot_id.to_vec(),
        sender_canister_version: None,
    };
    net.management("load_canister_snapshot", &args).map(|_| ())
}

fn list(net: &mut Net, id: Principal) -> Vec<Snapshot> {
    net.ask("list_canister_snapshots", &record(id)).unwrap()
}

fn metadata(
    net: &mut Net,
    canister_id: Principal,
    snapshot_id: &[u8],
) -> ReadCanisterSnapshotMetadataResult {
    let args = ReadCanisterSnapshotMetadataArgs {
        canister_id,
        snapshot_id: snapshot_id.to_vec(),
    };
    net.ask("read_canister_snapshot_metadata", &args).unwrap()
}

fn data(
    net: &mut Net,
    canister_id: Principal,
    snapshot_id: &[u8],
    kind: SnapshotDataKind,
) -> Result<Vec<u8>, Reject> {
    let args = ReadCanisterSnapshotDataArgs {
        canister_id,
        snapshot_id: snapshot_id.to_vec(),
        kind,
    };
    let result: ReadCanisterSnapshotDataResult = net.ask("read_canister_snapshot_data", &args)?;
    Ok(result.chunk)
}

fn upload(
    net: &mut Net,
    canister_id: Principal,
    snapshot_id: &[u8],
    kind: SnapshotDataOffset,
    chunk: Vec<u8>,
) -> Result<(), Reject> {
    let args = UploadCanisterSnapshotDataArgs {
        canister_id,
        snapshot_id: snapshot_id.to_vec(),
        kind,
        chunk,
    };
    net.management("upload_canister_snapshot_data", &args)
        .map(|_| ())
}

#[test]
fn a_snapshot_brings_everything_back() {
    let mut net = Net::new();
    let id = net.install(&keeper());
    let chunk = UploadChunkArgs {
        canister_id: id,
        chunk: b"chunk".to_vec(),
    };
    net.management("upload_chunk", &chunk).unwrap();
    keep(&mut net, id, 7);
    let version = net.canister_status(id).version;
    let snapshot = take(&mut net, id).unwrap();
    assert_eq!(snapshot.taken_at_timestamp, net.network.time().0);
    // Taking it changes no version, and it takes memory.
    let status = net.canister_status(id);
    assert_eq!(status.version, version);
    assert_eq!(
        status.memory_metrics.snapshots_size,
        Nat::from(snapshot.total_size)
    );
    assert!(snapshot.total_size > (2 << 16) + (1 << 20));

    keep(&mut net, id, 8);
    net.management("clear_chunk_store", &record(id)).unwrap();
    net.install_code(id, CanisterInstallMode::Reinstall, &wasm(FORWARDER), &[])
        .unwrap();
    load(&mut net, id, &snapshot.id).unwrap();
    holds(&mut net, id, 7);
    let chunks: Vec<ic_management_canister_types::ChunkHash> =
        net.ask("stored_chunks", &record(id)).unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(list(&mut net, id), std::slice::from_ref(&snapshot));

    let info = net.info(id);
    let change = info.recent_changes.last().unwrap();
    assert_eq!(change.canister_version, version + 3);
    let Some(ChangeDetails::LoadSnapshot(loaded)) = &change.details else {
        panic!("{:?}", change.details);
    };
    assert_eq!(loaded.snapshot_id, snapshot.id);
    assert_eq!(loaded.canister_version, version);
    assert_eq!(loaded.from_canister_id, None);
    assert!(matches!(
        loaded.source,
        SnapshotSource::TakenFromCanister(_)
    ));
    // It stays as it is, whatever the canister does then.
    keep(&mut net, id, 9);
    load(&mut net, id, &snapshot.id).unwrap();
    holds(&mut net, id, 7);
}

#[test]
fn a_snapshot_may_replace_another_and_take_the_code_away() {
    let mut net = Net::new();
    let id = net.install(&keeper());
    keep(&mut net, id, 1);
    let first = take(&mut net, id).unwrap();
    keep(&mut net, id, 2);
    let args = TakeCanisterSnapshotArgs {
        replace_snapshot: Some(first.id.clone()),
        uninstall_code: Some(true),
        ..take_args(id)
    };
    let second: Snapshot = net.ask("take_canister_snapshot", &args).unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(list(&mut net, id), std::slice::from_ref(&second));
    assert_eq!(net.canister_status(id).module_hash, None);
    let last = net.info(id).recent_changes.last().unwrap().details.clone();
    assert_eq!(last, Some(ChangeDetails::CodeUninstall));
    load(&mut net, id, &second.id).unwrap();
    holds(&mut net, id, 2);
    refused(
        load(&mut net, id, &first.id),
        ErrorCode::SnapshotNotFound,
        "Could not find the snapshot ID",
    );
}

#[test]
fn a_snapshot_moves_to_another_canister_in_parts() {
    let mut net = Net::new();
    let from = net.install(&keeper());
    let chunk = UploadChunkArgs {
        canister_id: from,
        chunk: b"chunk".to_vec(),
    };
    net.management("upload_chunk", &chunk).unwrap();
    keep(&mut net, from, 77);
    let taken = take(&mut net, from).unwrap();
    let described = metadata(&mut net, from, &taken.id);
    assert!(matches!(
        described.source,
        Some(SnapshotSource::TakenFromCanister(_))
    ));
    assert_eq!(described.wasm_memory_size, 1 << 16);
    assert_eq!(described.stable_memory_size, 1 << 16);
    assert_eq!(described.wasm_module_size, wasm(&keeper()).len() as u64);
    assert_eq!(described.wasm_chunk_store.len(), 1);
    assert_eq!(described.certified_data, 77_u32.to_le_bytes());
    assert!(matches!(
        described.global_timer,
        Some(CanisterTimer::Inactive)
    ));

    let to = net.create();
    let later = net.network.time().0 + 1_000;
    let args = UploadCanisterSnapshotMetadataArgs {
        canister_id: to,
        replace_snapshot: None,
        wasm_module_size: described.wasm_module_size,
        globals: described
            .globals
            .iter()
            .cloned()
            .map(Option::unwrap)
            .collect(),
        wasm_memory_size: described.wasm_memory_size,
        stable_memory_size: described.stable_memory_size,
        certified_data: described.certified_data.clone(),
        global_timer: Some(CanisterTimer::Active(later)),
        on_low_wasm_memory_hook_status: Some(OnLowWasmMemoryHookStatus::ConditionNotSatisfied),
    };
    let made: UploadCanisterSnapshotMetadataResult =
        net.ask("upload_canister_snapshot_metadata", &args).unwrap();
    let size = described.wasm_module_size;
    let half = size / 2;
    for (offset, size) in [(0, half), (half, size - half)] {
        let part = SnapshotDataKind::WasmModule { offset, size };
        let bytes = data(&mut net, from, &taken.id, part).unwrap();
        let place = SnapshotDataOffset::WasmModule { offset };
        upload(&mut net, to, &made.snapshot_id, place, bytes).unwrap();
    }
    let (offset, size) = (0, 1 << 16);
    let heap = data(
        &mut net,
        from,
        &taken.id,
        SnapshotDataKind::WasmMemory { offset, size },
    );
    let place = SnapshotDataOffset::WasmMemory { offset };
    upload(&mut net, to, &made.snapshot_id, place, heap.unwrap()).unwrap();
    let stable = data(
        &mut net,
        from,
        &taken.id,
        SnapshotDataKind::StableMemory { offset, size },
    );
    let place = SnapshotDataOffset::StableMemory { offset };
    upload(&mut net, to, &made.snapshot_id, place, stable.unwrap()).unwrap();
    let hash = described.wasm_chunk_store[0].hash.clone();
    let chunk = data(
        &mut net,
        from,
        &taken.id,
        SnapshotDataKind::WasmChunk { hash },
    )
    .unwrap();
    assert_eq!(chunk, b"chunk");
    upload(
        &mut net,
        to,
        &made.snapshot_id,
        SnapshotDataOffset::WasmChunk,
        chunk,
    )
    .unwrap();

    load(&mut net, to, &made.snapshot_id).unwrap();
    holds(&mut net, to, 77);
    keep(&mut net, to, 78);
    holds(&mut net, from, 77);
    let again = take(&mut net, to).unwrap();
    let CanisterTimer::Active(at) = metadata(&mut net, to, &again.id).global_timer.unwrap() else {
        panic!("the timer was lost");
    };
    assert_eq!(at, later);
    let info = net.info(to);
    let Some(ChangeDetails::LoadSnapshot(loaded)) = &info.recent_changes[1].details else {
        panic!("not loaded");
    };
    assert!(matches!(loaded.source, SnapshotSource::MetadataUpload(_)));
}

#[test]
fn a_controller_of_both_loads_the_snapshot_of_another_canister() {
    let mut net = Net::new();
    let owner = net.install(&keeper());
    keep(&mut net, owner, 5);
    let snapshot = take(&mut net, owner).unwrap();
    let target = net.create();
    load(&mut net, target, &snapshot.id).unwrap();
    holds(&mut net, target, 5);
    let info = net.info(target);
    let Some(ChangeDetails::LoadSnapshot(loaded)) = &info.recent_changes[1].details else {
        panic!("not loaded");
    };
    assert_eq!(loaded.from_canister_id, Some(owner));

    let both = CanisterSettings {
        controllers: Some(vec![alice(), bob()]),
        ..Default::default()
    };
    net.set(target, both).unwrap();
    let args = LoadCanisterSnapshotArgs {
        canister_id: target,
        snapshot_id: snapshot.id.clone(),
        sender_canister_version: None,
    };
    refused(
        net.ask_as::<_, ()>(bob(), "load_canister_snapshot", &args),
        ErrorCode::CanisterRejectedMessage,
        "Only a controller of the canister that snapshot",
    );
    // Everything but loading is for snapshots of the canister itself.
    let args = DeleteCanisterSnapshotArgs {
        canister_id: target,
        snapshot_id: snapshot.id,
    };
    refused(
        net.management("delete_canister_snapshot", &args),
        ErrorCode::CanisterRejectedMessage,
        "does not belong to canister",
    );
}

#[test]
fn what_makes_no_snapshot_is_refused_and_changes_nothing() {
    let mut net = Net::new();
    let empty = net.create();
    refused(
        take(&mut net, empty),
        ErrorCode::CanisterRejectedMessage,
        "Failed to create snapshot for empty canister",
    );
    let id = net.install(&keeper());
    keep(&mut net, id, 3);
    for _ in 0..10 {
        take(&mut net, id).unwrap();
    }
    refused(
        take(&mut net, id),
        ErrorCode::CanisterRejectedMessage,
        "has reached the maximum number of snapshots allowed: 10.",
    );
    let all = list(&mut net, id);
    assert_eq!(all.len(), 10);
    let first = all[0].id.clone();
    let unknown = |id: &[u8]| TakeCanisterSnapshotArgs {
        replace_snapshot: Some(id.to_vec()),
        ..take_args(empty)
    };
    for bad in [&b"short"[..], &[0; 18], &[9; 60]] {
        refused(
            net.management("take_canister_snapshot", &unknown(bad)),
            ErrorCode::SnapshotNotFound,
            "Could not find the snapshot ID",
        );
    }
    refused(
        upload(
            &mut net,
            id,
            &first,
            SnapshotDataOffset::WasmModule { offset: 0 },
            vec![0],
        ),
        ErrorCode::SnapshotImmutable,
        "Only canister snapshots created by metadata upload can be mutated.",
    );
    let payload = ErrorCode::InvalidManagementPayload;
    let slice = |offset, size| SnapshotDataKind::StableMemory { offset, size };
    for (kind, text) in [
        (
            slice(0, 2_000_001),
            "Requested slice too large: 2000001 > 2000000",
        ),
        (
            slice(1 << 16, 1),
            "Invalid subslice into wasm module / main memory / stable memory: offset: 65536, size: 1",
        ),
        (slice(u64::MAX, 1), "Invalid subslice"),
        (
            SnapshotDataKind::WasmModule {
                offset: u64::MAX,
                size: 2,
            },
            "Invalid subslice",
        ),
    ] {
        refused(data(&mut net, id, &first, kind), payload, text);
    }
    for hash in [vec![0; 32], vec![0; 3]] {
        refused(
            data(&mut net, id, &first, SnapshotDataKind::WasmChunk { hash }),
            ErrorCode::ContractViolation,
            "WasmChunkHash",
        );
    }
    let args = DeleteCanisterSnapshotArgs {
        canister_id: id,
        snapshot_id: first,
    };
    net.management("delete_canister_snapshot", &args).unwrap();
    assert_eq!(list(&mut net, id).len(), 9);
    holds(&mut net, id, 3);
}

#[test]
fn an_upload_is_held_to_its_sizes_and_to_its_module() {
    let mut net = Net::new();
    let id = net.install(&keeper());
    keep(&mut net, id, 4);
    let module = wasm(&keeper());
    let good = UploadCanisterSnapshotMetadataArgs {
        canister_id: id,
        replace_snapshot: None,
        wasm_module_size: module.len() as u64,
        globals: vec![SnapshotMetadataGlobal::I64(1)],
        wasm_memory_size: 1 << 16,
        stable_memory_size: 0,
        certified_data: vec![],
        global_timer: None,
        on_low_wasm_memory_hook_status: None,
    };
    let method = "upload_canister_snapshot_metadata";
    for bad in [
        UploadCanisterSnapshotMetadataArgs {
            wasm_memory_size: 5,
            ..good.clone()
        },
        UploadCanisterSnapshotMetadataArgs {
            wasm_memory_size: 7 << 30,
            ..good.clone()
        },
        UploadCanisterSnapshotMetadataArgs {
            stable_memory_size: 501 << 30,
            ..good.clone()
        },
        UploadCanisterSnapshotMetadataArgs {
            wasm_module_size: u64::MAX,
            ..good.clone()
        },
        UploadCanisterSnapshotMetadataArgs {
            certified_data: vec![0; 33],
            ..good.clone()
        },
    ] {
        refused(
            net.management(method, &bad),
            ErrorCode::InvalidManagementPayload,
            "Snapshot Metadata contains invalid data",
        );
    }
    assert!(list(&mut net, id).is_empty());
    let made: UploadCanisterSnapshotMetadataResult = net.ask(method, &good).unwrap();
    let snapshot = made.snapshot_id;
    refused(
        upload(
            &mut net,
            id,
            &snapshot,
            SnapshotDataOffset::WasmMemory { offset: 65_535 },
            vec![1, 2],
        ),
        ErrorCode::InvalidManagementPayload,
        "Invalid subslice",
    );
    // Nothing but zeros is no module.
    refused(
        load(&mut net, id, &snapshot),
        ErrorCode::InvalidWasm,
        "is not valid",
    );
    upload(
        &mut net,
        id,
        &snapshot,
        SnapshotDataOffset::WasmModule { offset: 0 },
        module,
    )
    .unwrap();
    // The module's global is of another type.
    refused(
        load(&mut net, id, &snapshot),
        ErrorCode::InvalidManagementPayload,
        "Wasm exported globals of canister module and snapshot metadata do not match.",
    );
    holds(&mut net, id, 4);
}

#[test]
fn the_visibility_says_who_reads_snapshots() {
    let mut net = Net::new();
    let id = net.install(&keeper());
    let snapshot = take(&mut net, id).unwrap();
    fn ask(net: &mut Net, method: &str, arg: &impl CandidType) -> Result<Vec<u8>, Reject> {
        let management = Principal::management_canister();
        net.call_as(bob(), management, method, &candid::encode_one(arg).unwrap())
    }
    let read = ReadCanisterSnapshotMetadataArgs {
        canister_id: id,
        snapshot_id: snapshot.id.clone(),
    };
    refused(
        ask(&mut net, "list_canister_snapshots", &record(id)),
        ErrorCode::CanisterRejectedMessage,
        "is not allowed to call list_canister_snapshots",
    );
    let visible = CanisterSettings {
        snapshot_visibility: Some(SnapshotVisibility::AllowedViewers(vec![bob()])),
        ..Default::default()
    };
    net.set(id, visible).unwrap();
    ask(&mut net, "list_canister_snapshots", &record(id)).unwrap();
    ask(&mut net, "read_canister_snapshot_metadata", &read).unwrap();
    // Looking is not changing.
    let delete = DeleteCanisterSnapshotArgs {
        canister_id: id,
        snapshot_id: snapshot.id,
    };
    refused(
        ask(&mut net, "delete_canister_snapshot", &delete),
        ErrorCode::InvalidController,
        "Only controllers of canister",
    );
}
