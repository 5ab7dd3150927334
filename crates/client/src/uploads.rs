//! Modules that are uploaded in chunks: to app_hosting, and to the lifeline, in the same way.

use candid::CandidType;
use indus_api::hosting::{MAX_CHUNK_BYTES, Uploaded};
use serde_bytes::ByteBuf;

use crate::deployment::ModuleHash;
use crate::error::ClientError;
use crate::suite::SuiteCanister;

#[derive(CandidType)]
struct ModuleArgs<O> {
    of: O,
    module_hash: ByteBuf,
}

#[derive(CandidType)]
struct UploadArgs<'a, O> {
    of: O,
    module_hash: ByteBuf,
    index: u32,
    chunk: &'a serde_bytes::Bytes,
}

/// Uploads a module for `of`, but for the chunks that are there: its hash.
pub(crate) async fn upload<O: CandidType + Copy>(
    canister: &SuiteCanister,
    of: O,
    module: &[u8],
) -> Result<ByteBuf, ClientError> {
    let module_hash = ByteBuf::from(ModuleHash::of(module).as_bytes().to_vec());
    let args = ModuleArgs {
        of,
        module_hash: module_hash.clone(),
    };
    let kept: Result<Uploaded, ClientError> = canister.query_unverified("get_module", &args).await;
    let first = match kept {
        Ok(kept) if kept.complete => return Ok(module_hash),
        // All are there, and may be others than these: each that is the same is not written again.
        Ok(kept) if kept.bytes >= module.len() as u64 => 0,
        Ok(kept) => kept.chunks,
        Err(ClientError::Refused { .. }) => 0,
        Err(error) => return Err(error),
    };
    for (index, chunk) in (0..).zip(module.chunks(MAX_CHUNK_BYTES)) {
        if index < first {
            continue;
        }
        let args = UploadArgs {
            of,
            module_hash: module_hash.clone(),
            index,
            chunk: serde_bytes::Bytes::new(chunk),
        };
        let _: Uploaded = canister.update("upload_chunk", &args).await?;
    }
    Ok(module_hash)
}
