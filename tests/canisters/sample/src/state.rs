//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `notes` | id (u64, big-endian) → exact Candid bytes of a `NoteRecord` |
//! | 2, 3 | collection `letters` | id (u64, big-endian) → exact Candid bytes of a `LetterRecord` |
//! | 4, 5 | collection `stamps` | SHA-256 of canister and operation → exact Candid bytes of a `StampRecord` |
//! | 6 | B-tree | title (text) → id, of notes |
//! | 7 | B-tree | principal → Candid of a `Subject` |
//! | 8 | cell | the peer |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Invariant: nothing is removed from a collection, so ids are 1 to n without a gap.

use candid::{CandidType, Principal};
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, memory_manager::VirtualMemory};
use indus_api::{Error, Subject};
use indus_kit::{
    Change, CollectionId, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError,
    calls::pending::Pending,
    codes,
    guard::{Guard, Guards},
    idempotency::Idempotency,
    memories::KitMemory,
    rate_limit::{Limit, RateLimits},
    subjects::ReadRule,
};
use serde::de::DeserializeOwned;

use crate::{
    interface::{CLERK, InitArgs, LETTERS, NOTES, STAMPS},
    letters, notes, stamps,
};

pub(crate) const NOTE: CollectionId = CollectionId(0);
pub(crate) const LETTER: CollectionId = CollectionId(1);
pub(crate) const STAMP: CollectionId = CollectionId(2);

const TITLES: u8 = 6;
const PERSONS: u8 = 7;
const PEER: u8 = 8;

/// Calls of one person: ten at once, one more each minute.
const PERSON_LIMIT: Limit = Limit {
    burst: 10,
    interval_ns: 60_000_000_000,
};
/// Calls of all that act for one organisation.
const ORGANISATION_LIMIT: Limit = Limit {
    burst: 100,
    interval_ns: 6_000_000_000,
};
/// Most calls under way at once.
const MAX_UNDER_WAY: usize = 100;

/// Code of [`Error::Internal`]: a record could not be encoded.
const RECORD_NOT_ENCODED: u32 = 1_000;
/// Code of [`Error::Internal`]: stored bytes are no record.
const RECORD_NOT_DECODED: u32 = 1_001;

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "sample",
    about: "A desk that uses all of the kit.",
    version: env!("CARGO_PKG_VERSION"),
    layout: 1,
    collections: &[
        CollectionSpec {
            name: NOTES,
            key_bytes: 8,
            records: 0,
            trie: 1,
            rule: ReadRule::Public,
            owner: |_| None,
        },
        CollectionSpec {
            name: LETTERS,
            key_bytes: 8,
            records: 2,
            trie: 3,
            rule: ReadRule::OwnerOrRole(CLERK),
            owner: letters::owner,
        },
        CollectionSpec {
            name: STAMPS,
            key_bytes: 32,
            records: 4,
            trie: 5,
            rule: ReadRule::Public,
            owner: |_| None,
        },
    ],
    block_types: &[notes::WRITTEN, notes::STAMPED, letters::KEPT, stamps::GIVEN],
};

/// Says of a call that it is under way: its caller and idempotency key.
pub type UnderWay = Guard<(Principal, Vec<u8>)>;

/// All that the desk knows.
pub struct State<M: Memory> {
    /// The kit's part.
    pub kit: Kit<M>,
    /// Keys of calls that were made.
    pub idempotency: Idempotency<VirtualMemory<M>>,
    /// Who may call how often.
    pub limits: RateLimits<VirtualMemory<M>>,
    /// Stamps that are still to be asked for.
    pub pending: Pending<VirtualMemory<M>>,
    /// Calls that await something.
    pub under_way: Guards<(Principal, Vec<u8>)>,
    pub(crate) titles: StableBTreeMap<String, u64, VirtualMemory<M>>,
    persons: StableBTreeMap<Principal, Vec<u8>, VirtualMemory<M>>,
    peer: StableCell<Principal, VirtualMemory<M>>,
}

impl<M: Memory> State<M> {
    /// Lays out an empty desk; whatever was in `memory` is lost.
    ///
    /// # Errors
    /// [`Error::Internal`] if stable memory can't grow.
    pub fn create(memory: M, context: &Context, args: InitArgs) -> Result<Self, Error> {
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, Vec::new())?;
        Ok(Self::with(kit, &memories, args.peer))
    }

    /// Opens the desk that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none that this module understands.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open(&memories, &DEFINITION)?;
        Ok(Self::with(kit, &memories, Principal::management_canister()))
    }

    /// Everything besides the kit's part: what is there, or what is laid out empty. `peer` is for a new one.
    fn with(kit: Kit<M>, memories: &Memories<M>, peer: Principal) -> Self {
        Self {
            kit,
            idempotency: Idempotency::open(
                memories.kit(KitMemory::IdempotencyRecords),
                memories.kit(KitMemory::IdempotencyIndex),
                memories.kit(KitMemory::IdempotencyCounts),
            ),
            limits: RateLimits::open(
                memories.kit(KitMemory::RateLimits),
                PERSON_LIMIT,
                ORGANISATION_LIMIT,
            ),
            pending: Pending::open(
                memories.kit(KitMemory::PendingCalls),
                memories.kit(KitMemory::PendingCallsDue),
            ),
            under_way: Guards::new("calls under way at once", MAX_UNDER_WAY),
            titles: StableBTreeMap::init(memories.get(TITLES)),
            persons: StableBTreeMap::init(memories.get(PERSONS)),
            peer: StableCell::init(memories.get(PEER), peer),
        }
    }

    /// Who gives stamps, and knows who callers are.
    #[must_use]
    pub fn peer(&self) -> Principal {
        *self.peer.get()
    }

    /// Who `caller` is, to canisters that have this one as their peer.
    #[must_use]
    pub fn person(&self, caller: Principal) -> Option<Subject> {
        decoded(&self.persons.get(&caller)?).ok()
    }

    /// Says who `caller` is.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be encoded.
    pub fn set_person(
        &mut self,
        caller: Principal,
        subject: Option<&Subject>,
    ) -> Result<(), Error> {
        match subject {
            Some(subject) => drop(self.persons.insert(caller, encoded(subject)?)),
            None => drop(self.persons.remove(&caller)),
        }
        Ok(())
    }

    /// Records an event that puts one record.
    ///
    /// # Errors
    /// [`Error::Internal`]; nothing has changed then.
    pub(crate) fn put(
        &mut self,
        context: &Context,
        kind: &'static str,
        collection: CollectionId,
        key: Vec<u8>,
        record: &impl CandidType,
    ) -> Result<(), Error> {
        let change = Change {
            collection,
            key,
            record: Some(encoded(record)?),
        };
        self.kit.certified.record(Event {
            kind,
            actor: context.caller,
            time_ns: context.time_ns,
            changes: vec![change],
            details: Vec::new(),
        })?;
        Ok(())
    }

    /// The id of the next record of a collection.
    pub(crate) fn next_id(&self, collection: CollectionId) -> u64 {
        self.kit.certified.collection(collection).len() + 1
    }
}

pub(crate) fn encoded(value: &impl CandidType) -> Result<Vec<u8>, Error> {
    candid::encode_one(value).map_err(|_| codes::internal(RECORD_NOT_ENCODED))
}

pub(crate) fn decoded<T: CandidType + DeserializeOwned + 'static>(
    bytes: &[u8],
) -> Result<T, Error> {
    candid::decode_one(bytes).map_err(|_| codes::internal(RECORD_NOT_DECODED))
}
