//! The blob store: bytes that a client uploads once and names by their SHA-256 in later requests.
//!
//! It holds at most [`MAX_HELD`] bytes; the oldest blobs go first.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Read as _,
    sync::Arc,
};

use axum::{
    body::Bytes,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{Pocket, answer::Failure};
use crate::http::whole_body;

/// Largest blob, packed and unpacked.
pub(super) const MAX_BLOB: usize = 1 << 30;
/// Most that is held.
const MAX_HELD: usize = 2 << 30;

/// Bytes as they were uploaded.
#[derive(Clone)]
struct Blob {
    bytes: Bytes,
    gzip: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Blobs(Mutex<Held>);

#[derive(Default)]
struct Held {
    blobs: BTreeMap<[u8; 32], Blob>,
    by_age: VecDeque<[u8; 32]>,
    bytes: usize,
}

impl Blobs {
    fn store(&self, bytes: Bytes, gzip: bool) -> [u8; 32] {
        let id = Sha256::digest(&bytes).into();
        let mut held = self.0.lock();
        held.bytes += bytes.len();
        if let Some(before) = held.blobs.insert(id, Blob { bytes, gzip }) {
            held.bytes -= before.bytes.len();
        } else {
            held.by_age.push_back(id);
        }
        while held.bytes > MAX_HELD {
            let Some(oldest) = held.by_age.pop_front() else {
                break;
            };
            if let Some(gone) = held.blobs.remove(&oldest) {
                held.bytes -= gone.bytes.len();
            }
        }
        id
    }

    fn get(&self, id: &[u8]) -> Option<Blob> {
        let id = <[u8; 32]>::try_from(id).ok()?;
        self.0.lock().blobs.get(&id).cloned()
    }

    /// The bytes of a blob, unpacked.
    ///
    /// # Errors
    /// There is no such blob, or it can't be unpacked.
    pub(super) fn unpacked(&self, id: &[u8]) -> Result<Vec<u8>, Failure> {
        let blob = self.get(id).ok_or_else(|| Failure::bad("Bad blob id"))?;
        if !blob.gzip {
            return Ok(blob.bytes.to_vec());
        }
        let mut unpacked = Vec::new();
        let limit = u64::try_from(MAX_BLOB).unwrap_or(u64::MAX);
        let read = GzDecoder::new(&blob.bytes[..])
            .take(limit + 1)
            .read_to_end(&mut unpacked);
        if read.is_err() || unpacked.len() > MAX_BLOB {
            return Err(Failure::bad("Decompression failed"));
        }
        Ok(unpacked)
    }
}

/// `POST /blobstore`: answers the id in hexadecimal digits, without quotes.
pub(super) async fn upload(
    State(pocket): State<Arc<Pocket>>,
    request: Request,
) -> Result<String, Failure> {
    let (head, body) = request.into_parts();
    let gzip = match head.headers.get(header::CONTENT_ENCODING) {
        None => false,
        Some(encoding) if encoding == "gzip" => true,
        Some(_) => {
            return Err(Failure::bad(
                "Bad encoding: Only 'gzip' content encoding is supported",
            ));
        }
    };
    let bytes = whole_body(body, MAX_BLOB).await?;
    Ok(hex::encode(pocket.blobs.store(bytes, gzip)))
}

/// `GET /blobstore/{id}`.
pub(super) async fn download(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<String>,
) -> Response {
    let Ok(id) = hex::decode(&id) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match pocket.blobs.get(&id) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(blob) if blob.gzip => {
            ([(header::CONTENT_ENCODING, "gzip")], blob.bytes).into_response()
        }
        Some(blob) => blob.bytes.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_blob_is_found_by_its_hash_and_unpacked() {
        let blobs = Blobs::default();
        let plain = blobs.store(Bytes::from_static(b"plain"), false);
        assert_eq!(blobs.unpacked(&plain).unwrap(), b"plain");

        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"packed").unwrap();
        let packed = blobs.store(encoder.finish().unwrap().into(), true);
        assert_eq!(blobs.unpacked(&packed).unwrap(), b"packed");

        let broken = blobs.store(Bytes::from_static(b"no gzip"), true);
        assert!(blobs.unpacked(&broken).is_err());
        assert!(blobs.unpacked(&[7; 32]).is_err());
        assert!(blobs.unpacked(&[7; 31]).is_err());
    }

    #[test]
    fn storing_the_same_twice_holds_it_once() {
        let blobs = Blobs::default();
        for _ in 0..3 {
            blobs.store(Bytes::from_static(b"same"), false);
        }
        let held = blobs.0.lock();
        assert_eq!((held.bytes, held.by_age.len()), (4, 1));
    }
}
