//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0 | cell | layout version (u32, little-endian), then Candid of [`Config`] |
//! | 1 | B-tree | organisation id (u64) → exact Candid bytes of its `OrganisationRecord` |
//! | 2 | B-tree | slug → id, of active organisations |
//! | 3 | B-tree | (applicant, id) → (), of pending applications |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - An organisation is never removed and its id never used again, so the ids are 1 to n without a gap.
//! - Memories 2 and 3 and the certified tree follow from memory 1; `State::put` alone writes all four.
//! - Nothing here can fail after the first write: the logic checks first, then puts.
//!
//! Cost: each access is O(log n). Opening is O(n), because of the certified tree (see [`crate::certified`]).

use std::borrow::Cow;

use candid::{CandidType, Principal};
use ic_stable_structures::{
    Cell, Memory, StableBTreeMap, Storable,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
    storable::Bound,
};
use indus_api::{
    Error,
    registry::{InitArgs, Organisation, OrganisationRecord, OrganisationState, ServiceInfo},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error as ThisError;

use crate::{
    certified::{CertifiedRecords, RootHash},
    governors,
};

/// Version of the layout above. A change of the table, or of what its cells hold, is a new version.
pub const SCHEMA_VERSION: u32 = 1;

const CONFIG: MemoryId = MemoryId::new(0);
const ORGANISATIONS: MemoryId = MemoryId::new(1);
const ACTIVE_SLUGS: MemoryId = MemoryId::new(2);
const PENDING: MemoryId = MemoryId::new(3);

/// First bytes of a memory that a memory manager has laid out.
const MANAGED: &[u8; 3] = b"MGR";

/// Code of [`Error::Internal`]: a record could not be encoded.
const RECORD_NOT_ENCODED: u32 = 2;
/// Code of [`Error::Internal`]: a stored record is not one.
const RECORD_NOT_DECODED: u32 = 3;

/// Why a memory can't be opened. Nothing was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum OpenError {
    /// The memory is not one that a registry has written.
    #[error("stable memory holds no registry: install, don't upgrade")]
    NotARegistry,
    /// The layout is of another version, most likely a newer one.
    #[error("stable memory has layout {found}, and this module knows layout {known} only")]
    UnknownLayout { found: u32, known: u32 },
    /// What should be there is not readable.
    #[error("stable memory is damaged: {0}")]
    Damaged(&'static str),
}

/// What the installation decided on.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may decide on applications; sorted.
    pub governors: Vec<Principal>,
}

/// The bytes of memory 0: read before anything is known about the layout, so plain bytes.
struct ConfigBytes(Vec<u8>);

impl Storable for ConfigBytes {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(bytes.into_owned())
    }
}

/// Everything that the registry knows, over any stable memory.
pub struct State<M: Memory> {
    config: Config,
    organisations: StableBTreeMap<u64, Vec<u8>, VirtualMemory<M>>,
    active_slugs: StableBTreeMap<String, u64, VirtualMemory<M>>,
    pending: StableBTreeMap<(Principal, u64), (), VirtualMemory<M>>,
    certified: CertifiedRecords,
}

impl<M: Memory> State<M> {
    /// Lays out an empty registry in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for governors that can't be; nothing is written then.
    pub fn create(memory: M, args: InitArgs) -> Result<Self, Error> {
        let config = Config {
            governors: governors::checked(args.governors)?,
        };
        let encoded = candid::encode_one(&config).map_err(|_| Error::Internal {
            code: RECORD_NOT_ENCODED,
        })?;
        let memories = MemoryManager::init(memory);
        Cell::new(
            memories.get(CONFIG),
            ConfigBytes([&SCHEMA_VERSION.to_le_bytes()[..], &encoded].concat()),
        );
        Ok(Self {
            config,
            organisations: StableBTreeMap::new(memories.get(ORGANISATIONS)),
            active_slugs: StableBTreeMap::new(memories.get(ACTIVE_SLUGS)),
            pending: StableBTreeMap::new(memories.get(PENDING)),
            certified: CertifiedRecords::new(),
        })
    }

    /// Opens the registry that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let memories = managed(memory)?;
        let config = read_config(memories.get(CONFIG))?;
        let organisations: StableBTreeMap<u64, Vec<u8>, _> =
            StableBTreeMap::load(memories.get(ORGANISATIONS));
        let mut certified = CertifiedRecords::new();
        for entry in organisations.iter() {
            certified.set(*entry.key(), &entry.value());
        }
        Ok(Self {
            config,
            organisations,
            active_slugs: StableBTreeMap::load(memories.get(ACTIVE_SLUGS)),
            pending: StableBTreeMap::load(memories.get(PENDING)),
            certified,
        })
    }

    /// The governors, sorted.
    #[must_use]
    pub fn governors(&self) -> &[Principal] {
        &self.config.governors
    }

    /// What an operator wants to know about this installation.
    #[must_use]
    pub fn service_info(&self) -> ServiceInfo {
        ServiceInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            schema_version: SCHEMA_VERSION,
            governors: self.config.governors.clone(),
            organisations: self.organisations.len(),
            pending: self.pending.len(),
        }
    }

    /// What the subnet has to certify for this state.
    #[must_use]
    pub fn certified_root(&self) -> RootHash {
        self.certified.root()
    }

    /// The certified tree.
    pub(crate) fn certified(&self) -> &CertifiedRecords {
        &self.certified
    }

    /// The id of the next organisation.
    pub(crate) fn next_id(&self) -> u64 {
        self.organisations.len() + 1
    }

    /// The exact stored bytes of an organisation.
    pub(crate) fn record(&self, id: u64) -> Option<Vec<u8>> {
        self.organisations.get(&id)
    }

    /// An organisation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored bytes are not a record.
    pub(crate) fn organisation(&self, id: u64) -> Result<Option<Organisation>, Error> {
        self.record(id).map(|bytes| decode(&bytes)).transpose()
    }

    /// The organisations behind `after` in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Internal`] if stored bytes are not a record.
    pub(crate) fn organisations_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Organisation>, Error> {
        let Some(first) = after.checked_add(1) else {
            return Ok(Vec::new());
        };
        self.organisations
            .values_range(first..)
            .take(limit)
            .map(|bytes| decode(&bytes))
            .collect()
    }

    /// The id of the active organisation with this slug.
    pub(crate) fn active(&self, slug: &str) -> Option<u64> {
        self.active_slugs.get(&slug.to_owned())
    }

    /// Ids of the applications that `applicant` has pending.
    pub(crate) fn pending_of(&self, applicant: Principal) -> impl Iterator<Item = u64> {
        self.pending
            .keys_range((applicant, 0)..=(applicant, u64::MAX))
            .map(|(_, id)| id)
    }

    /// How many applications are pending in all.
    pub(crate) fn pending_count(&self) -> u64 {
        self.pending.len()
    }

    /// Stores and certifies an organisation, new or changed. Its id is [`State::next_id`] or in use.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be encoded; nothing is written then.
    pub(crate) fn put(&mut self, organisation: Organisation) -> Result<Organisation, Error> {
        let Organisation { id, applicant, .. } = organisation;
        let record = OrganisationRecord::V1(organisation);
        let bytes = candid::encode_one(&record).map_err(|_| Error::Internal {
            code: RECORD_NOT_ENCODED,
        })?;
        let OrganisationRecord::V1(organisation) = record;

        if organisation.state == OrganisationState::Pending {
            self.pending.insert((applicant, id), ());
        } else {
            self.pending.remove(&(applicant, id));
        }
        if matches!(organisation.state, OrganisationState::Active { .. }) {
            self.active_slugs
                .insert(organisation.profile.slug.clone(), id);
        }
        self.certified.set(id, &bytes);
        self.organisations.insert(id, bytes);
        Ok(organisation)
    }
}

/// SHA-256 of a stored record: what a governor approves.
#[must_use]
pub(crate) fn record_hash(record: &[u8]) -> [u8; 32] {
    Sha256::digest(record).into()
}

pub(crate) fn decode(record: &[u8]) -> Result<Organisation, Error> {
    match candid::decode_one(record) {
        Ok(OrganisationRecord::V1(organisation)) => Ok(organisation),
        Err(_) => Err(Error::Internal {
            code: RECORD_NOT_DECODED,
        }),
    }
}

/// The memories in `memory`. The memory manager would lay out anew what it doesn't recognise; this refuses it.
fn managed<M: Memory>(memory: M) -> Result<MemoryManager<M>, OpenError> {
    let mut magic = [0; MANAGED.len()];
    if memory.size() == 0 {
        return Err(OpenError::NotARegistry);
    }
    memory.read(0, &mut magic);
    if &magic != MANAGED {
        return Err(OpenError::NotARegistry);
    }
    Ok(MemoryManager::init(memory))
}

fn read_config<M: Memory>(memory: VirtualMemory<M>) -> Result<Config, OpenError> {
    if memory.size() == 0 {
        return Err(OpenError::NotARegistry);
    }
    let cell = Cell::init(memory, ConfigBytes(Vec::new()));
    let Some((version, config)) = cell.get().0.split_first_chunk::<4>() else {
        return Err(OpenError::NotARegistry);
    };
    let found = u32::from_le_bytes(*version);
    if found != SCHEMA_VERSION {
        return Err(OpenError::UnknownLayout {
            found,
            known: SCHEMA_VERSION,
        });
    }
    candid::decode_one(config).map_err(|_| OpenError::Damaged("its configuration"))
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;

    use super::*;

    fn init() -> InitArgs {
        InitArgs {
            governors: vec![Principal::from_slice(&[1])],
        }
    }

    fn refusal(memory: VectorMemory) -> OpenError {
        let before = memory.borrow().clone();
        let refusal = State::open(memory.clone()).err().expect("refused");
        assert_eq!(
            *memory.borrow(),
            before,
            "opening wrote into a memory that it refused"
        );
        refusal
    }

    #[test]
    fn a_state_opens_as_it_was_created() {
        let memory = VectorMemory::default();
        let created = State::create(memory.clone(), init()).unwrap();
        let opened = State::open(memory).unwrap();
        assert_eq!(opened.service_info(), created.service_info());
        assert_eq!(opened.certified_root(), created.certified_root());
    }

    #[test]
    fn a_memory_that_no_registry_has_written_is_refused_and_left_alone() {
        assert_eq!(refusal(VectorMemory::default()), OpenError::NotARegistry);

        let foreign = VectorMemory::default();
        foreign.grow(1);
        foreign.write(0, b"somebody else's");
        assert_eq!(refusal(foreign), OpenError::NotARegistry);

        let managed_only = VectorMemory::default();
        drop(MemoryManager::init(managed_only.clone()));
        assert_eq!(refusal(managed_only), OpenError::NotARegistry);
    }

    #[test]
    fn an_unknown_layout_is_refused_and_left_alone() {
        let memory = VectorMemory::default();
        State::create(memory.clone(), init()).unwrap();
        let newer = (SCHEMA_VERSION + 1).to_le_bytes().to_vec();
        Cell::new(
            MemoryManager::init(memory.clone()).get(CONFIG),
            ConfigBytes(newer),
        );
        assert_eq!(
            refusal(memory),
            OpenError::UnknownLayout { found: 2, known: 1 }
        );
    }

    #[test]
    fn a_damaged_configuration_is_refused_and_left_alone() {
        let memory = VectorMemory::default();
        State::create(memory.clone(), init()).unwrap();
        let damaged = [&SCHEMA_VERSION.to_le_bytes()[..], b"DIDx"].concat();
        Cell::new(
            MemoryManager::init(memory.clone()).get(CONFIG),
            ConfigBytes(damaged),
        );
        assert_eq!(refusal(memory), OpenError::Damaged("its configuration"));
    }

    #[test]
    fn unacceptable_governors_write_nothing() {
        let memory = VectorMemory::default();
        assert!(State::create(memory.clone(), InitArgs { governors: vec![] }).is_err());
        assert!(memory.borrow().is_empty());
    }
}
