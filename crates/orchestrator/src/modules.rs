//! Modules in stable memory: uploaded in chunks, checked by their hash, kept as long as somebody may install them again.
//!
//! | memory | key → value |
//! | --- | --- |
//! | headers | owner ([`Owner::key`]), module hash → version (u8), complete (u8), uploaded at (u64 nanoseconds), chunks (u32), bytes (u64) |
//! | chunks | owner, module hash, index (u32) → the chunk |
//!
//! Numbers in keys are big-endian, in values little-endian.
//!
//! Invariants:
//! - A module that is complete has the hash under which it is kept. It does not change any more.
//! - An owner has at most so many modules and bytes; what is least needed makes room, the oldest first.
//!
//! Cost: a chunk is written once, beside at most ten others that lie in the same node; completing a module reads and hashes all of it
//! (some 20 million instructions a MiB).

use ic_stable_structures::{Memory, StableBTreeMap};
use indus_api::{
    Error,
    hosting::{MAX_CHUNK_BYTES, MAX_CHUNKS, ReleaseOf, Uploaded},
};
use indus_kit::{
    codes::internal,
    refusals::{conflict, limit_reached, not_found},
    text::invalid,
};
use sha2::{Digest as _, Sha256};

/// Most modules of one owner: three of each canister that an app may have.
pub const MAX_MODULES: usize = 300;
/// Code of [`Error::Internal`]: a header can't be read.
const HEADER_UNREADABLE: u32 = 900;

const VERSION: u8 = 1;
/// Bytes of an owner's key.
pub const OWNER: usize = 9;
const HASH: usize = 32;
const HEADER_KEY: usize = OWNER + HASH;
const CHUNK_KEY: usize = HEADER_KEY + 4;

/// SHA-256 of a module.
pub type ModuleHash = [u8; HASH];
type HeaderKey = [u8; HEADER_KEY];

/// A module hash from bytes of an argument.
///
/// # Errors
/// [`Error::Invalid`] unless there are 32.
pub fn module_hash(bytes: &[u8]) -> Result<ModuleHash, Error> {
    bytes
        .try_into()
        .map_err(|_| invalid("module_hash", "must be 32 bytes long"))
}

/// The modules.
pub struct Modules<M: Memory> {
    headers: StableBTreeMap<HeaderKey, Vec<u8>, M>,
    chunks: StableBTreeMap<[u8; CHUNK_KEY], Vec<u8>, M>,
}

#[derive(Clone, Copy)]
struct Header {
    complete: bool,
    uploaded_at_ns: u64,
    chunks: u32,
    bytes: u64,
}

impl Header {
    fn encode(self) -> Vec<u8> {
        [
            &[VERSION, u8::from(self.complete)][..],
            &self.uploaded_at_ns.to_le_bytes(),
            &self.chunks.to_le_bytes(),
            &self.bytes.to_le_bytes(),
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let read = || {
            let (&[version, complete], bytes) = bytes.split_first_chunk()?;
            let (&uploaded_at_ns, bytes) = bytes.split_first_chunk()?;
            let (&chunks, bytes) = bytes.split_first_chunk()?;
            let (&length, rest) = bytes.split_first_chunk()?;
            (version == VERSION && rest.is_empty()).then(|| Self {
                complete: complete != 0,
                uploaded_at_ns: u64::from_le_bytes(uploaded_at_ns),
                chunks: u32::from_le_bytes(chunks),
                bytes: u64::from_le_bytes(length),
            })
        };
        read().ok_or_else(|| internal(HEADER_UNREADABLE))
    }

    fn told(self) -> Uploaded {
        Uploaded {
            chunks: self.chunks,
            bytes: self.bytes,
            complete: self.complete,
        }
    }
}

/// How much a module is needed that has no room beside a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It goes first.
    None,
    /// It goes if nothing else does: only a way back is lost.
    Spare,
    /// It stays.
    All,
}

/// Whose modules they are.
pub trait Owner {
    /// Its key: a kind of owners, and which one.
    fn key(self) -> [u8; OWNER];
}

/// The key of an owner of a kind.
#[must_use]
pub fn owner_key(kind: u8, id: [u8; 8]) -> [u8; OWNER] {
    let mut key = [kind; OWNER];
    key[1..].copy_from_slice(&id);
    key
}

impl Owner for ReleaseOf {
    fn key(self) -> [u8; OWNER] {
        match self {
            Self::App(id) => owner_key(0, id.to_be_bytes()),
            Self::Upgrade { proposal } => owner_key(1, proposal.to_be_bytes()),
        }
    }
}

fn header_key(owner: impl Owner, hash: &ModuleHash) -> HeaderKey {
    let mut key = [0; HEADER_KEY];
    key[..OWNER].copy_from_slice(&owner.key());
    key[OWNER..].copy_from_slice(hash);
    key
}

/// The first key, and the last one, that the owner of this one may have.
fn all_of(key: HeaderKey) -> (HeaderKey, HeaderKey) {
    let (mut first, mut last) = (key, key);
    first[OWNER..].fill(0);
    last[OWNER..].fill(u8::MAX);
    (first, last)
}

fn chunk_key(header: &HeaderKey, index: u32) -> [u8; CHUNK_KEY] {
    let mut key = [0; CHUNK_KEY];
    key[..HEADER_KEY].copy_from_slice(header);
    key[HEADER_KEY..].copy_from_slice(&index.to_be_bytes());
    key
}

impl<M: Memory> Modules<M> {
    /// Those that are kept in these memories.
    #[must_use]
    pub fn open(headers: M, chunks: M) -> Self {
        Self {
            headers: StableBTreeMap::init(headers),
            chunks: StableBTreeMap::init(chunks),
        }
    }

    /// Takes a chunk in: one that is there, again, or the next one; index 0 of an incomplete module begins it anew. The owner has at most
    /// `limit` bytes, for which modules that are not needed make room.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the index or the chunk; [`Error::Conflict`] for another chunk of a complete module; [`Error::LimitReached`].
    pub fn upload(
        &mut self,
        now_ns: u64,
        (owner, hash): (impl Owner, &ModuleHash),
        (index, chunk): (u32, Vec<u8>),
        limit: u64,
        need: impl Fn(&ModuleHash) -> Need,
    ) -> Result<Uploaded, Error> {
        if chunk.is_empty() || chunk.len() > MAX_CHUNK_BYTES {
            let reason = format!("must be 1 to {MAX_CHUNK_BYTES} bytes long");
            return Err(invalid("chunk", reason));
        }
        let key = header_key(owner, hash);
        let header = self.header(&key)?;
        let there = header.map_or(0, |header| header.chunks);
        if index > there || index >= MAX_CHUNKS {
            let reason = format!("must be at most {}", there.min(MAX_CHUNKS - 1));
            return Err(invalid("index", reason));
        }
        let at = chunk_key(&key, index);
        let kept = self.chunks.get(&at);
        if let Some(header) = header.filter(|_| kept.as_ref() == Some(&chunk)) {
            return Ok(header.told());
        }
        if header.is_some_and(|header| header.complete) {
            return Err(conflict("the module is complete, and has another chunk"));
        }
        let begun = Header {
            complete: false,
            uploaded_at_ns: now_ns,
            chunks: 0,
            bytes: 0,
        };
        // What comes behind the first one, if that is another than before, is not of this module.
        let header = header.filter(|_| index > 0).unwrap_or(begun);
        let replaced = kept
            .filter(|_| index > 0)
            .map_or(0, |kept| kept.len() as u64);
        let header = Header {
            chunks: header.chunks.max(index + 1),
            bytes: header.bytes - replaced + chunk.len() as u64,
            ..header
        };
        self.make_room(&key, header.bytes, limit, need)?;
        if index == 0 {
            self.remove_chunks(&key, there);
        }
        self.chunks.insert(at, chunk);
        self.headers.insert(key, header.encode());
        Ok(header.told())
    }

    /// Checks that what was uploaded has its hash.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for the hash.
    pub fn complete(&mut self, owner: impl Owner, hash: &ModuleHash) -> Result<Uploaded, Error> {
        let key = header_key(owner, hash);
        let header = self.header(&key)?;
        let header = header.ok_or_else(|| not_found("module", hex::encode(hash)))?;
        if header.complete {
            return Ok(header.told());
        }
        let mut hasher = Sha256::new();
        for index in 0..header.chunks {
            let chunk = self.chunks.get(&chunk_key(&key, index));
            hasher.update(chunk.ok_or_else(|| internal(HEADER_UNREADABLE))?);
        }
        if hasher.finalize()[..] != hash[..] {
            return Err(invalid("module_hash", "is not that of what was uploaded"));
        }
        let header = Header {
            complete: true,
            ..header
        };
        self.headers.insert(key, header.encode());
        Ok(header.told())
    }

    /// What there is of a module.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, owner: impl Owner, hash: &ModuleHash) -> Result<Uploaded, Error> {
        let header = self.header(&header_key(owner, hash))?;
        let header = header.ok_or_else(|| not_found("module", hex::encode(hash)))?;
        Ok(header.told())
    }

    /// A chunk.
    #[must_use]
    pub fn chunk(&self, owner: impl Owner, hash: &ModuleHash, index: u32) -> Option<Vec<u8>> {
        self.chunks.get(&chunk_key(&header_key(owner, hash), index))
    }

    /// Drops a module, if it is there.
    pub fn drop_module(&mut self, owner: impl Owner, hash: &ModuleHash) {
        let key = header_key(owner, hash);
        if let Ok(Some(header)) = self.header(&key) {
            self.remove(&key, header);
        }
    }

    /// Drops all modules of an owner.
    pub fn drop_all(&mut self, owner: impl Owner) {
        let (first, last) = all_of(header_key(owner, &[0; HASH]));
        let headers = self.headers.range(first..=last);
        let all: Vec<_> = headers
            .filter_map(|entry| Some((*entry.key(), Header::decode(&entry.value()).ok()?)))
            .collect();
        for (key, header) in all {
            self.remove(&key, header);
        }
    }

    /// How many modules there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.headers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Drops what is least needed, the oldest first, until a module of so many bytes has room.
    fn make_room(
        &mut self,
        own: &HeaderKey,
        bytes: u64,
        limit: u64,
        need: impl Fn(&ModuleHash) -> Need,
    ) -> Result<(), Error> {
        let (first, last) = all_of(*own);
        let mut all = Vec::new();
        for entry in self.headers.range(first..=last) {
            if entry.key() != own {
                all.push((*entry.key(), Header::decode(&entry.value())?));
            }
        }
        let mut total = bytes + all.iter().map(|(_, header)| header.bytes).sum::<u64>();
        let mut count = all.len() + 1;
        all.sort_unstable_by_key(|(_, header)| header.uploaded_at_ns);
        let needs = |(key, _): &(HeaderKey, Header)| key.last_chunk().map_or(Need::All, &need);
        let (spare, free): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|one| needs(one) != Need::All)
            .partition(|one| needs(one) == Need::Spare);
        let mut dropped = Vec::new();
        for (key, header) in free.into_iter().chain(spare) {
            if total <= limit && count <= MAX_MODULES {
                break;
            }
            total -= header.bytes;
            count -= 1;
            dropped.push((key, header));
        }
        if total > limit {
            return Err(limit_reached(limit, "bytes of modules"));
        }
        if count > MAX_MODULES {
            return Err(limit_reached(MAX_MODULES as u64, "modules"));
        }
        for (key, header) in dropped {
            self.remove(&key, header);
        }
        Ok(())
    }

    fn header(&self, key: &HeaderKey) -> Result<Option<Header>, Error> {
        let stored = self.headers.get(key);
        stored.map(|bytes| Header::decode(&bytes)).transpose()
    }

    fn remove(&mut self, key: &HeaderKey, header: Header) {
        self.remove_chunks(key, header.chunks);
        self.headers.remove(key);
    }

    fn remove_chunks(&mut self, key: &HeaderKey, chunks: u32) {
        for index in 0..chunks {
            self.chunks.remove(&chunk_key(key, index));
        }
    }
}
