//! The chunk store, and installing from it.

use candid::{Decode, Nat, Principal};
use engine::{ErrorCode, RejectCode};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, ChunkHash, InstallChunkedCodeArgs, UploadChunkArgs,
};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Net, alice, bob, wasm},
    management::{FORWARDER, passed_on, record, refused},
};

fn upload(
    net: &mut Net,
    canister_id: Principal,
    chunk: &[u8],
) -> Result<ChunkHash, engine::Reject> {
    let args = UploadChunkArgs {
        canister_id,
        chunk: chunk.to_vec(),
    };
    net.ask("upload_chunk", &args)
}

fn stored(net: &mut Net, id: Principal) -> Vec<ChunkHash> {
    net.ask("stored_chunks", &record(id)).unwrap()
}

fn chunked(
    target: Principal,
    store: Option<Principal>,
    chunks: &[ChunkHash],
    module: &[u8],
) -> InstallChunkedCodeArgs {
    InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Install,
        target_canister: target,
        store_canister: store,
        chunk_hashes_list: chunks.to_vec(),
        wasm_module_hash: Sha256::digest(module).to_vec(),
        arg: vec![],
        sender_canister_version: None,
    }
}

#[test]
fn chunks_are_kept_by_their_hashes_until_they_are_cleared() {
    let mut net = Net::new();
    let id = net.create();
    let one = upload(&mut net, id, b"one").unwrap();
    assert_eq!(one.hash, Sha256::digest(b"one").to_vec());
    assert_eq!(upload(&mut net, id, b"one").unwrap(), one);
    let two = upload(&mut net, id, b"two").unwrap();
    let mut all = vec![one, two];
    all.sort();
    assert_eq!(stored(&mut net, id), all);
    let size = |net: &mut Net| net.canister_status(id).memory_metrics.wasm_chunk_store_size;
    assert_eq!(size(&mut net), Nat::from(2_u64 << 20));
    refused(
        upload(&mut net, id, &vec![0; (1 << 20) + 1]),
        ErrorCode::ContractViolation,
        "Error from Wasm chunk store: Wasm chunk size 1048577 exceeds the maximum chunk size of 1048576.",
    );
    net.management("clear_chunk_store", &record(id)).unwrap();
    assert!(stored(&mut net, id).is_empty());
    assert_eq!(size(&mut net), Nat::from(0_u8));
    // Chunks don't change the version.
    assert_eq!(net.canister_status(id).version, 0);
}

#[test]
fn a_store_has_room_for_a_hundred_chunks() {
    let mut net = Net::new();
    let id = net.create();
    for n in 0..100_u8 {
        upload(&mut net, id, &[n]).unwrap();
    }
    refused(
        upload(&mut net, id, &[100]),
        ErrorCode::ContractViolation,
        "has already reached maximum capacity of 104857600 bytes or the maximum number of entries, 100",
    );
    assert_eq!(stored(&mut net, id).len(), 100);
}

#[test]
fn a_module_is_installed_from_the_chunks_of_a_store() {
    let mut net = Net::new();
    let module = wasm(FORWARDER);
    let store = net.create();
    let parts: Vec<_> = module.chunks(300).map(<[u8]>::to_vec).collect();
    let hashes: Vec<_> = parts
        .iter()
        .map(|part| upload(&mut net, store, part).unwrap())
        .collect();
    let target = net.create();
    let args = chunked(target, Some(store), &hashes, &module);
    net.management("install_chunked_code", &args).unwrap();
    let hash = Sha256::digest(&module).to_vec();
    assert_eq!(net.canister_status(target).module_hash, Some(hash));
    net.call(target, "take", &[]).unwrap();
    // Into the store itself, which keeps its chunks over installation and upgrade.
    net.management(
        "install_chunked_code",
        &chunked(store, None, &hashes, &module),
    )
    .unwrap();
    net.upgrade(store, FORWARDER).unwrap();
    assert_eq!(stored(&mut net, store).len(), parts.len());
    net.management("uninstall_code", &record(store)).unwrap();
    assert!(stored(&mut net, store).is_empty());
}

#[test]
fn what_does_not_make_the_module_is_refused() {
    let mut net = Net::new();
    let module = wasm(FORWARDER);
    let id = net.create();
    let hash = upload(&mut net, id, &module).unwrap();
    let other = ChunkHash { hash: vec![1; 32] };
    let short = ChunkHash { hash: vec![1; 31] };
    let violation = ErrorCode::ContractViolation;
    let good = chunked(id, None, std::slice::from_ref(&hash), &module);
    let method = "install_chunked_code";
    let mut bad = good.clone();
    bad.wasm_module_hash = vec![0; 32];
    refused(
        net.management(method, &bad),
        violation,
        "does not match given hash",
    );
    bad.wasm_module_hash = vec![0; 31];
    refused(net.management(method, &bad), violation, "Invalid wasm hash");
    bad.clone_from(&good);
    bad.chunk_hashes_list = vec![hash, other];
    refused(net.management(method, &bad), violation, "was not found");
    bad.chunk_hashes_list = vec![short];
    refused(
        net.management(method, &bad),
        violation,
        "Chunk hash is invalid. The length is not 32",
    );
    bad.clone_from(&good);
    bad.store_canister = Some(Principal::from_slice(&[7; 10]));
    refused(
        net.management(method, &bad),
        ErrorCode::CanisterNotFound,
        "Store canister",
    );
    assert_eq!(net.canister_status(id).module_hash, None);
    net.management(method, &good).unwrap();
}

#[test]
fn a_store_is_for_its_controllers_and_for_itself() {
    let mut net = Net::new();
    let store = net.create();
    let module = wasm(FORWARDER);
    let hash = upload(&mut net, store, &module).unwrap();
    // Bob controls the target, but not the store.
    let target = net.create();
    let both = CanisterSettings {
        controllers: Some(vec![alice(), bob()]),
        ..Default::default()
    };
    net.set(target, both).unwrap();
    let args = chunked(target, Some(store), std::slice::from_ref(&hash), &module);
    refused(
        net.ask_as::<_, ()>(bob(), "install_chunked_code", &args),
        ErrorCode::InvalidController,
        "Only the controllers of the canister",
    );
    let itself = net.install(FORWARDER);
    let chunk = UploadChunkArgs {
        canister_id: itself,
        chunk: b"mine".to_vec(),
    };
    net.forward(itself, "upload_chunk", 0, (&chunk,)).unwrap();
    let reply = net
        .forward(itself, "stored_chunks", 0, (&record(itself),))
        .unwrap();
    assert_eq!(Decode!(&reply, Vec<ChunkHash>).unwrap().len(), 1);
    net.forward(itself, "clear_chunk_store", 0, (&record(itself),))
        .unwrap();
    passed_on(
        net.forward(itself, "stored_chunks", 0, (&record(store),)),
        RejectCode::CanisterError,
        "Only the controllers of the canister",
    );
}
