//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0 | B-tree | slug → id, of active organisations |
//! | 1 | B-tree | (applicant, id) → (), of pending applications |
//! | 2, 3 | collection `organisations` | id (u64, big-endian) → exact Candid bytes of an `OrganisationRecord` |
//! | 4, 5 | collection `governors` | SHA-256 of the principal → exact Candid bytes of a `GovernorRecord` |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - An organisation is never removed and its id never used again, so the ids are 1 to n without a gap.
//! - Memories 0 and 1 follow from memory 2; `State::put` alone writes all three.
//! - A refused change has changed nothing.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    registry::{
        GOVERNORS, GovernorRecord, InitArgs, ORGANISATIONS, Organisation, OrganisationRecord,
        OrganisationState, governor_key, organisation_key,
    },
};
use indus_kit::{
    Change, CollectionId, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError,
    codes, subjects::ReadRule,
};
use sha2::{Digest as _, Sha256};

use crate::governors;

/// Version of the layout above. A change of the table, or of what it names, is a new version.
pub const LAYOUT: u32 = 1;

const ACTIVE_SLUGS: u8 = 0;
const PENDING: u8 = 1;

const ORGANISATION: CollectionId = CollectionId(0);
const GOVERNOR: CollectionId = CollectionId(1);

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "registry",
    about: "Who and what is on the subnet, and who decided it.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: ORGANISATIONS,
            key_bytes: 8,
            records: 2,
            trie: 3,
            rule: ReadRule::Public,
            owner: |_| None,
        },
        CollectionSpec {
            name: GOVERNORS,
            key_bytes: 32,
            records: 4,
            trie: 5,
            rule: ReadRule::Public,
            owner: |_| None,
        },
    ],
    block_types: &[APPLIED, APPROVED, REJECTED, WITHDRAWN],
};

/// An organisation was applied for.
pub const APPLIED: &str = "organisation.applied";
/// A governor approved an application.
pub const APPROVED: &str = "organisation.approved";
/// A governor rejected an application.
pub const REJECTED: &str = "organisation.rejected";
/// An applicant took an application back.
pub const WITHDRAWN: &str = "organisation.withdrawn";

/// Code of [`Error::Internal`]: a record could not be encoded.
const RECORD_NOT_ENCODED: u32 = 1_000;
/// Code of [`Error::Internal`]: a stored record is not one.
const RECORD_NOT_DECODED: u32 = 1_001;

/// Everything that the registry knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    active_slugs: StableBTreeMap<String, u64, VirtualMemory<M>>,
    pending: StableBTreeMap<(Principal, u64), (), VirtualMemory<M>>,
}

impl<M: Memory> State<M> {
    /// Lays out a registry with these governors in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for governors that can't be; nothing is written then.
    pub fn create(memory: M, context: &Context, args: InitArgs) -> Result<Self, Error> {
        let governors = governors::checked(args.governors)?;
        let governors = governors.into_iter().map(|principal| {
            let record = GovernorRecord::V1 { principal };
            Ok(Change {
                collection: GOVERNOR,
                key: governor_key(principal).to_vec(),
                record: Some(encoded(&record)?),
            })
        });
        let governors = governors.collect::<Result<_, Error>>()?;
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, governors)?;
        Ok(Self {
            kit,
            active_slugs: StableBTreeMap::new(memories.get(ACTIVE_SLUGS)),
            pending: StableBTreeMap::new(memories.get(PENDING)),
        })
    }

    /// Opens the registry that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        Ok(Self {
            kit: Kit::open(&memories, &DEFINITION)?,
            active_slugs: StableBTreeMap::load(memories.get(ACTIVE_SLUGS)),
            pending: StableBTreeMap::load(memories.get(PENDING)),
        })
    }

    /// Whether this is a governor.
    #[must_use]
    pub fn is_governor(&self, principal: Principal) -> bool {
        let key = governor_key(principal);
        self.kit.certified.get(GOVERNOR, &key).is_some()
    }

    /// The governors, sorted.
    ///
    /// # Errors
    /// [`Error::Internal`] if stored bytes are not a record.
    pub fn governors(&self) -> Result<Vec<Principal>, Error> {
        let stored = self.kit.certified.collection(GOVERNOR).after(None);
        let mut governors = stored
            .map(|(_, record)| match candid::decode_one(&record) {
                Ok(GovernorRecord::V1 { principal }) => Ok(principal),
                Err(_) => Err(codes::internal(RECORD_NOT_DECODED)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        governors.sort_unstable();
        Ok(governors)
    }

    /// The id of the next organisation.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.kit.certified.collection(ORGANISATION).len() + 1
    }

    /// The exact stored bytes of an organisation.
    pub(crate) fn record(&self, id: u64) -> Option<Vec<u8>> {
        self.kit.certified.get(ORGANISATION, &organisation_key(id))
    }

    /// An organisation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored bytes are not a record.
    pub(crate) fn organisation(&self, id: u64) -> Result<Option<Organisation>, Error> {
        self.record(id).map(|bytes| decode(&bytes)).transpose()
    }

    /// Keys and stored bytes of the organisations behind `after`, in the order of their ids.
    pub(crate) fn organisations_after(
        &self,
        after: u64,
    ) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let organisations = self.kit.certified.collection(ORGANISATION);
        organisations.after(Some(&organisation_key(after)))
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
    #[must_use]
    pub fn pending_count(&self) -> u64 {
        self.pending.len()
    }

    /// Stores an organisation, new or changed, as the event `kind`. Its id is [`State::next_id`] or in use.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be encoded or stored; nothing is written then.
    pub(crate) fn put(
        &mut self,
        context: &Context,
        kind: &'static str,
        organisation: Organisation,
    ) -> Result<Organisation, Error> {
        let Organisation { id, applicant, .. } = organisation;
        let record = OrganisationRecord::V1(organisation);
        self.kit.certified.record(Event {
            kind,
            actor: context.caller,
            time_ns: context.time_ns,
            changes: vec![Change {
                collection: ORGANISATION,
                key: organisation_key(id).to_vec(),
                record: Some(encoded(&record)?),
            }],
            details: Vec::new(),
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
        Ok(organisation)
    }
}

/// The id in the key of an organisation.
pub(crate) fn organisation_id(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// SHA-256 of a stored record: what a governor approves.
#[must_use]
pub(crate) fn record_hash(record: &[u8]) -> [u8; 32] {
    Sha256::digest(record).into()
}

pub(crate) fn decode(record: &[u8]) -> Result<Organisation, Error> {
    match candid::decode_one(record) {
        Ok(OrganisationRecord::V1(organisation)) => Ok(organisation),
        Err(_) => Err(codes::internal(RECORD_NOT_DECODED)),
    }
}

fn encoded(record: &impl candid::CandidType) -> Result<Vec<u8>, Error> {
    candid::encode_one(record).map_err(|_| codes::internal(RECORD_NOT_ENCODED))
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;

    use super::*;

    const CONTEXT: Context = Context {
        caller: Principal::management_canister(),
        time_ns: 1,
    };

    fn init() -> InitArgs {
        InitArgs {
            governors: vec![Principal::from_slice(&[1])],
        }
    }

    fn refusal(memory: VectorMemory) -> OpenError {
        let before = memory.borrow().clone();
        let refusal = State::open(memory.clone()).err().expect("refused");
        assert!(
            *memory.borrow() == before,
            "opening wrote into a memory that it refused"
        );
        refusal
    }

    #[test]
    fn a_state_opens_as_it_was_created() {
        let memory = VectorMemory::default();
        let mut created = State::create(memory.clone(), &CONTEXT, init()).unwrap();
        let root = created.kit.certified.commit();
        let mut opened = State::open(memory).unwrap();
        assert_eq!(opened.governors(), Ok(init().governors));
        assert_eq!(opened.kit.certified.tip(), created.kit.certified.tip());
        assert_eq!(opened.kit.certified.commit(), root);
    }

    #[test]
    fn a_memory_that_no_registry_has_written_is_refused_and_left_alone() {
        let not_managed = |memory| matches!(refusal(memory), OpenError::NotManaged(_));
        assert!(not_managed(VectorMemory::default()));

        let foreign = VectorMemory::default();
        foreign.grow(1);
        foreign.write(0, b"somebody else's");
        assert!(not_managed(foreign));

        let managed_only = VectorMemory::default();
        drop(Memories::create(managed_only.clone()));
        assert_eq!(refusal(managed_only), OpenError::NotInstalled);
    }

    #[test]
    fn unacceptable_governors_write_nothing() {
        let memory = VectorMemory::default();
        let none = InitArgs { governors: vec![] };
        assert!(State::create(memory.clone(), &CONTEXT, none).is_err());
        assert!(memory.borrow().is_empty());
    }
}
