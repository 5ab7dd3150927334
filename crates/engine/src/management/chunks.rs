//! The chunk store, and installing from it.

use ic_management_canister_types::{
    CanisterIdRecord, ChunkHash, InstallChunkedCodeArgs, UploadChunkArgs,
};
use sha2::{Digest as _, Sha256};

use super::{Call, Outcome, code, decode, done, method::controls, reply, settings::check_growth};
use crate::{
    ErrorCode, Reject,
    canister::chunks::{self, ChunkStore},
    subnet::{Held, Subnet},
};

/// Instructions that keeping a chunk counts as.
const UPLOAD_INSTRUCTIONS: u64 = 2 * chunks::CHUNK_BYTES;
/// Longest module that is put together, in bytes.
const MAX_MODULE: usize = 100 * 1024 * 1024;

pub(super) fn failed(message: impl std::fmt::Display) -> Reject {
    let message = format!("Error from Wasm chunk store: {message}.");
    Reject::new(ErrorCode::ContractViolation, message)
}

pub(super) fn upload(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (UploadChunkArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let hash = canister.chunks.check(&args.chunk).map_err(failed)?;
    let fee = subnet.prices.execution(UPLOAD_INSTRUCTIONS, false);
    let grows = !canister.chunks.contains(&hash);
    if grows {
        check_growth(subnet, canister, chunks::CHUNK_BYTES, fee)?;
    }
    let prices = subnet.prices;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        canister
            .withdraw(fee, prices, &call.sender)
            .map_err(|error| {
                failed(format!(
                    "Error charging for 'upload_chunk': {}",
                    error.message
                ))
            })?;
        canister.chunks.insert(&args.chunk).map_err(failed)?;
        subnet.ledger.burned += fee;
    }
    reply(&ChunkHash {
        hash: hash.to_vec(),
    })
}

pub(super) fn stored(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (CanisterIdRecord { canister_id },) = decode(arg)?;
    let canister = call.canister(subnet, canister_id)?;
    reply(&hashes(&canister.chunks))
}

pub(super) fn hashes(store: &ChunkStore) -> Vec<ChunkHash> {
    let hashes = store.hashes();
    hashes
        .map(|hash| ChunkHash {
            hash: hash.to_vec(),
        })
        .collect()
}

pub(super) fn clear(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (CanisterIdRecord { canister_id },) = decode(arg)?;
    call.canister_mut(subnet, canister_id)?.chunks.clear();
    done()
}

pub(super) fn install(subnet: &mut Held<'_>, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (InstallChunkedCodeArgs,) = decode(arg)?;
    let id = args.target_canister;
    call.canister(subnet, id)?;
    let module = assemble(subnet, call, &args)?;
    code::deploy(
        subnet,
        call,
        code::Deployment {
            id,
            mode: args.mode,
            module,
            arg: args.arg,
            sender_canister_version: args.sender_canister_version,
        },
    )
}

/// Puts a module together from the chunks of a canister on this subnet, which the caller controls, or is.
fn assemble(
    subnet: &Subnet,
    call: &Call,
    args: &InstallChunkedCodeArgs,
) -> Result<Vec<u8>, Reject> {
    let id = args.store_canister.unwrap_or(args.target_canister);
    let store = subnet.canisters.get(&id).ok_or_else(|| {
        let message = format!(
            "InstallChunkedCode Error: Store canister {id} was not found on subnet {} of target canister {}",
            subnet.id, args.target_canister
        );
        Reject::new(ErrorCode::CanisterNotFound, message)
    })?;
    if call.sender != id {
        controls(store, &call.sender)?;
    }
    let wanted: [u8; 32] = args.wasm_module_hash.as_slice().try_into().map_err(|_| {
        let message = format!("Invalid wasm hash {:?}", args.wasm_module_hash);
        Reject::new(ErrorCode::ContractViolation, message)
    })?;
    let mut module = Vec::new();
    for ChunkHash { hash } in &args.chunk_hashes_list {
        let hash: [u8; 32] = hash
            .as_slice()
            .try_into()
            .map_err(|_| failed("Chunk hash is invalid. The length is not 32"))?;
        let chunk = store
            .chunks
            .get(&hash)
            .ok_or_else(|| failed(format!("Chunk hash {hash:?} was not found")))?;
        if module.len() + chunk.len() > MAX_MODULE {
            return Err(failed(format!(
                "The module is longer than {MAX_MODULE} bytes"
            )));
        }
        module.extend_from_slice(chunk);
    }
    let hash: [u8; 32] = Sha256::digest(&module).into();
    if hash != wanted {
        return Err(failed(format!(
            "Wasm module hash {hash:?} does not match given hash {wanted:?}"
        )));
    }
    Ok(module)
}
