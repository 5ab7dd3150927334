//! Snapshots of canisters, written into a folder and read from one.
//!
//! ```text
//!   metadata.json  wasm_module.bin  wasm_memory.bin  stable_memory.bin  wasm_chunk_store/<hash>.bin
//! ```
//!
//! Both go through the management canister in the name of a controller, piece by piece, as the tools do with a canister on
//! the Internet Computer. The folder is on the machine of the server, and the server's user must be allowed to use it.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
    sync::Arc,
};

use axum::{
    Json,
    extract::{Path as At, State},
};
use candid::{CandidType, Principal, decode_one, encode_one};
use ic_management_canister_types::{
    ReadCanisterSnapshotDataArgs, ReadCanisterSnapshotDataResult, ReadCanisterSnapshotMetadataArgs,
    ReadCanisterSnapshotMetadataResult, SnapshotDataKind, SnapshotDataOffset,
    UploadCanisterSnapshotDataArgs, UploadCanisterSnapshotMetadataArgs,
    UploadCanisterSnapshotMetadataResult,
};
use pocket_ic::common::rest::{
    InstanceId, RawCanisterSnapshotDownload, RawCanisterSnapshotId, RawCanisterSnapshotUpload,
};
use serde::de::DeserializeOwned;

use super::{
    Pocket,
    answer::{Answer, Body, Failure, principal},
    ingress::manage,
    instances::Instance,
};

/// Longest piece that is read or written at once.
const PIECE: u64 = 2_000_000;
/// Longest piece that fits into a message with what is around it.
const UPLOAD: usize = 1 << 20;

const METADATA: &str = "metadata.json";
const MODULE: &str = "wasm_module.bin";
const HEAP: &str = "wasm_memory.bin";
const STABLE: &str = "stable_memory.bin";
const CHUNKS: &str = "wasm_chunk_store";

/// A canister of an instance, and who does something with its snapshots.
struct Subject<'a> {
    instance: &'a Instance,
    sender: Principal,
    canister: Principal,
}

impl Subject<'_> {
    async fn call<T: DeserializeOwned + CandidType>(
        &self,
        method: &str,
        arg: impl CandidType,
    ) -> Result<T, Failure> {
        let reply = self.send(method, arg).await?;
        decode_one(&reply).map_err(|error| Failure::bad(format!("{method}: {error}")))
    }

    async fn send(&self, method: &str, arg: impl CandidType) -> Result<Vec<u8>, Failure> {
        let arg = encode_one(arg).map_err(|error| Failure::bad(error.to_string()))?;
        manage(self.instance, self.sender, self.canister, method, arg).await
    }
}

fn on_disk(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::bad(format!("{}: {error}", path.display()))
}

/// `POST update/canister_snapshot_download`: into a folder that is empty or isn't there.
pub(super) async fn download(
    State(pocket): State<Arc<Pocket>>,
    At(id): At<InstanceId>,
    Body(download): Body<RawCanisterSnapshotDownload>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let subject = Subject {
        instance: &instance,
        sender: principal(&download.sender.principal_id, "sender")?,
        canister: principal(&download.canister_id.canister_id, "canister id")?,
    };
    let folder = &download.snapshot_dir;
    // Looked at before the canister is, and made after: a request that is refused leaves nothing behind.
    if fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) {
        let text = format!("The snapshot directory {} is not empty.", folder.display());
        return Err(Failure::bad(text));
    }
    let snapshot_id = download.snapshot_id;
    let metadata: ReadCanisterSnapshotMetadataResult = subject
        .call(
            "read_canister_snapshot_metadata",
            ReadCanisterSnapshotMetadataArgs {
                canister_id: subject.canister,
                snapshot_id: snapshot_id.clone(),
            },
        )
        .await?;
    let text =
        serde_json::to_vec_pretty(&metadata).map_err(|error| Failure::bad(error.to_string()))?;
    fs::create_dir_all(folder).map_err(on_disk(folder))?;
    write(&folder.join(METADATA), &text)?;
    type Kind = fn(u64, u64) -> SnapshotDataKind;
    let memories: [(&str, u64, Kind); 3] = [
        (MODULE, metadata.wasm_module_size, |offset, size| {
            SnapshotDataKind::WasmModule { offset, size }
        }),
        (HEAP, metadata.wasm_memory_size, |offset, size| {
            SnapshotDataKind::WasmMemory { offset, size }
        }),
        (STABLE, metadata.stable_memory_size, |offset, size| {
            SnapshotDataKind::StableMemory { offset, size }
        }),
    ];
    let read = async |kind| {
        let arg = ReadCanisterSnapshotDataArgs {
            canister_id: subject.canister,
            snapshot_id: snapshot_id.clone(),
            kind,
        };
        let read = subject.call("read_canister_snapshot_data", arg).await;
        read.map(|read: ReadCanisterSnapshotDataResult| read.chunk)
    };
    for (name, len, kind) in memories {
        let path = folder.join(name);
        let mut file = File::create_new(&path).map_err(on_disk(&path))?;
        let mut offset = 0;
        while offset < len {
            let size = PIECE.min(len - offset);
            let piece = read(kind(offset, size)).await?;
            file.write_all(&piece).map_err(on_disk(&path))?;
            offset += size;
        }
    }
    let chunks = folder.join(CHUNKS);
    fs::create_dir_all(&chunks).map_err(on_disk(&chunks))?;
    for chunk in metadata.wasm_chunk_store {
        let hash = chunk.hash;
        let path = chunks.join(format!("{}.bin", hex::encode(&hash)));
        write(&path, &read(SnapshotDataKind::WasmChunk { hash }).await?)?;
    }
    Ok(Json(()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(on_disk(path))
}

/// `POST update/canister_snapshot_upload`: answers the id of the new snapshot.
pub(super) async fn upload(
    State(pocket): State<Arc<Pocket>>,
    At(id): At<InstanceId>,
    Body(upload): Body<RawCanisterSnapshotUpload>,
) -> Answer<RawCanisterSnapshotId> {
    let instance = pocket.instances.get(id)?;
    let subject = Subject {
        instance: &instance,
        sender: principal(&upload.sender.principal_id, "sender")?,
        canister: principal(&upload.canister_id.canister_id, "canister id")?,
    };
    let folder = &upload.snapshot_dir;
    let path = folder.join(METADATA);
    let text = fs::read(&path).map_err(on_disk(&path))?;
    let metadata: ReadCanisterSnapshotMetadataResult = serde_json::from_slice(&text)
        .map_err(|error| Failure::bad(format!("{}: {error}", path.display())))?;
    let globals: Option<Vec<_>> = metadata.globals.into_iter().collect();
    let globals = globals.ok_or_else(|| Failure::bad("a global of a type that is not known"))?;
    let begun: UploadCanisterSnapshotMetadataResult = subject
        .call(
            "upload_canister_snapshot_metadata",
            UploadCanisterSnapshotMetadataArgs {
                canister_id: subject.canister,
                replace_snapshot: upload.replace_snapshot.map(|id| id.snapshot_id),
                wasm_module_size: metadata.wasm_module_size,
                globals,
                wasm_memory_size: metadata.wasm_memory_size,
                stable_memory_size: metadata.stable_memory_size,
                certified_data: metadata.certified_data,
                global_timer: metadata.global_timer,
                on_low_wasm_memory_hook_status: metadata.on_low_wasm_memory_hook_status,
            },
        )
        .await?;
    let snapshot_id = begun.snapshot_id;
    let send = async |kind, chunk| {
        let arg = UploadCanisterSnapshotDataArgs {
            canister_id: subject.canister,
            snapshot_id: snapshot_id.clone(),
            kind,
            chunk,
        };
        subject.send("upload_canister_snapshot_data", arg).await
    };
    type Kind = fn(u64) -> SnapshotDataOffset;
    let memories: [(&str, Kind); 3] = [
        (MODULE, |offset| SnapshotDataOffset::WasmModule { offset }),
        (HEAP, |offset| SnapshotDataOffset::WasmMemory { offset }),
        (STABLE, |offset| SnapshotDataOffset::StableMemory { offset }),
    ];
    for (name, kind) in memories {
        let path = folder.join(name);
        let mut file = File::open(&path).map_err(on_disk(&path))?;
        let mut offset = 0;
        loop {
            let mut piece = vec![0; UPLOAD];
            let len = fill(&mut file, &mut piece).map_err(on_disk(&path))?;
            if len == 0 {
                break;
            }
            piece.truncate(len);
            send(kind(offset), piece).await?;
            offset += len as u64;
        }
    }
    for chunk in metadata.wasm_chunk_store {
        let path = folder
            .join(CHUNKS)
            .join(format!("{}.bin", hex::encode(chunk.hash)));
        let bytes = fs::read(&path).map_err(on_disk(&path))?;
        send(SnapshotDataOffset::WasmChunk, bytes).await?;
    }
    Ok(Json(RawCanisterSnapshotId { snapshot_id }))
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}
