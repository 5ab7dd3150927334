//! The chunk store of a canister: parts of a module that is too long for one message, by their hashes.
//!
//! Every chunk counts as the longest one, as on the Internet Computer.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest as _, Sha256};

/// SHA-256 of a chunk.
pub(crate) type ChunkHash = [u8; 32];

/// Longest chunk, in bytes.
pub(crate) const CHUNK_BYTES: u64 = 1024 * 1024;
/// What a store holds, in bytes.
pub(crate) const STORE_BYTES: u64 = 100 * 1024 * 1024;

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkStore {
    chunks: BTreeMap<ChunkHash, Arc<[u8]>>,
}

impl ChunkStore {
    /// Keeps a chunk; says why it can't.
    pub(crate) fn insert(&mut self, chunk: &[u8]) -> Result<ChunkHash, String> {
        let hash = self.check(chunk)?;
        self.chunks.entry(hash).or_insert_with(|| chunk.into());
        Ok(hash)
    }

    /// Whether a chunk could be kept.
    pub(crate) fn check(&self, chunk: &[u8]) -> Result<ChunkHash, String> {
        let hash = Sha256::digest(chunk).into();
        if self.chunks.contains_key(&hash) {
            return Ok(hash);
        }
        if chunk.len() as u64 > CHUNK_BYTES {
            return Err(format!(
                "Wasm chunk size {} exceeds the maximum chunk size of {CHUNK_BYTES}",
                chunk.len()
            ));
        }
        if self.bytes() >= STORE_BYTES {
            return Err(format!(
                "Wasm chunk store has already reached maximum capacity of {STORE_BYTES} bytes or the maximum number of entries, {}",
                STORE_BYTES / CHUNK_BYTES
            ));
        }
        Ok(hash)
    }

    pub(crate) fn contains(&self, hash: &ChunkHash) -> bool {
        self.chunks.contains_key(hash)
    }

    pub(crate) fn get(&self, hash: &ChunkHash) -> Option<&[u8]> {
        self.chunks.get(hash).map(AsRef::as_ref)
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = &ChunkHash> {
        self.chunks.keys()
    }

    /// Bytes that it counts as.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.len() as u64 * CHUNK_BYTES
    }

    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_holds_a_hundred_chunks_and_each_once() {
        let mut store = ChunkStore::default();
        for n in 0..100_u8 {
            store.insert(&[n]).unwrap();
        }
        assert_eq!(store.bytes(), STORE_BYTES);
        let known = store.insert(&[7]).unwrap();
        assert_eq!(store.get(&known), Some(&[7][..]));
        assert!(store.insert(&[100]).unwrap_err().contains("capacity"));
        store.clear();
        store.insert(&[100]).unwrap();
        assert_eq!(store.hashes().count(), 1);
    }

    #[test]
    fn a_chunk_has_a_mebibyte_at_most() {
        let mut store = ChunkStore::default();
        store.insert(&[0; 1 << 20]).unwrap();
        let error = store.insert(&[0; (1 << 20) + 1]).unwrap_err();
        assert!(error.contains("exceeds the maximum chunk size"), "{error}");
    }
}
