//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `conversations` | id (u64, big-endian) → exact Candid bytes of a `ConversationRecord` |
//! | 2, 3 | collection `key_packages` | KeyPackageRef → exact Candid bytes of a `KeyPackageRecord` |
//! | 4, 5 | collection `inboxes` | secret hash of the device's key → exact Candid bytes of an `InboxRecord` |
//! | 6, 7 | collection `configuration` | 0 (u64) → exact Candid bytes of a `ConfigurationRecord` |
//! | 8, 9 | logs | of conversations by their ids: entries ([`crate::history`]); of inboxes by `inbox_log`: welcomes ([`crate::inboxes`]) |
//! | 10, 21 | fingerprints | of (conversation, message id) → index ([`Fingerprints`]) |
//! | 11 | B-tree | (conversation, epoch) → index of the commit that ended it |
//! | 12 | B-tree | conversation → Candid bytes of its `Group` |
//! | 13 | B-tree | (conversation, node) → tree hash, and the node unless it is blank (`groups.rs`) |
//! | 14 | B-tree | conversation → tags of its nodes (`groups.rs`) |
//! | 15 | B-tree | (conversation, leaf) → person, messaging key |
//! | 16 | B-tree | (person, conversation) → leaves that are theirs |
//! | 17 | B-tree | SHA-256 of the group's id → conversation |
//! | 18 | B-tree | (person, messaging key) → device |
//! | 19 | B-tree | device → key of its inbox |
//! | 20 | B-tree | (device, last resort, expiry, KeyPackageRef) → (), of packages in store |
//! | 22 | B-tree | (claimer, claimed person) → since when, how often |
//! | 23, 24 | cells | seed, and how often it was drawn from |
//! | 25 | B-tree | (conversation, epoch) → what the welcomes into it have in common ([`crate::inboxes`]) |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - Conversations are never removed and their ids never used again: 1 to n without a gap. So are devices.
//! - What is certified of a conversation is what its log, its group and its tree say: all change in one message.
//! - Memories 10, 11 and 14 to 21 follow from the rest.
//! - The actor of every event is the canister: the public log tells of nobody that they wrote to somebody.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use candid::{CandidType, Principal};
use ic_stable_structures::{Memory, StableBTreeMap, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    messaging::{
        CONFIGURATION, CONFIGURATION_KEY, CONVERSATIONS, ConfigurationRecord, Conversation,
        ConversationRecord, INBOXES, InForce, InboxRecord, InitArgs, KEY_PACKAGES,
        KeyPackageRecord, Label,
    },
};
use indus_certified::SharedLogs;
pub(crate) use indus_kit::refusals::{conflict, not_found, unauthorized};
use indus_kit::{
    Change, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError, Table,
    codes::{MEMORY_FULL, internal},
    encoding,
    fingerprints::Fingerprints,
    idempotency::Idempotency,
    memories::KitMemory,
    randomness::Randomness,
    rate_limit::{Limit, RateLimits},
    subjects::{Owner, ReadRule},
    timers::Progress,
};
use indus_mls::group::GroupState;
use serde::{Deserialize, Serialize};

use crate::configuration;

/// Version of the layout above. A change of the table, or of what it names, is a new version.
pub const LAYOUT: u32 = 1;

pub(crate) const CONVERSATION: Table<ConversationRecord> = Table::new(0);
pub(crate) const PACKAGE: Table<KeyPackageRecord> = Table::new(1);
pub(crate) const INBOX: Table<InboxRecord> = Table::new(2);
pub(crate) const IN_FORCE: Table<ConfigurationRecord> = Table::new(3);

/// A device put key packages into store.
pub const PACKAGES_UPLOADED: &str = "key_packages.uploaded";
/// Key packages were handed out.
pub const PACKAGES_CLAIMED: &str = "key_packages.claimed";
/// Somebody created a conversation.
pub const CREATED: &str = "conversation.created";
/// A commit led to the next epoch.
pub const COMMITTED: &str = "conversation.committed";
/// A member sent a message.
pub const POSTED: &str = "message.posted";
/// A decision of the governors about this canister was applied.
pub const CONFIGURED: &str = "configuration.applied";

/// Calls of one person: sixty at once, then one a second. Uploads, claims and commits take more than one.
const PERSON_LIMIT: Limit = Limit {
    burst: 60,
    interval_ns: 1_000_000_000,
};
/// Commits of one conversation, each of which takes two: ten at once, then one each six seconds.
const CONVERSATION_LIMIT: Limit = Limit {
    burst: 20,
    interval_ns: 3_000_000_000,
};

/// Code of [`Error::Internal`]: there is no configuration.
const NO_CONFIGURATION: u32 = 1_000;
/// Code of [`Error::Internal`]: what is kept can't be read, or does not fit together.
pub(crate) const DAMAGED: u32 = 1_001;

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "messaging",
    about: "Official communication, end to end encrypted, whose log can be verified.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: CONVERSATIONS,
            key_bytes: 8,
            records: 0,
            trie: 1,
            rule: ReadRule::Public,
            owner: |_| None,
        },
        CollectionSpec {
            name: KEY_PACKAGES,
            key_bytes: 32,
            records: 2,
            trie: 3,
            rule: ReadRule::Owner,
            owner: |record| {
                let KeyPackageRecord::V1(package) = encoding::decode(record).ok()?;
                Some(owned_by(package.person))
            },
        },
        CollectionSpec {
            name: INBOXES,
            key_bytes: 32,
            records: 4,
            trie: 5,
            rule: ReadRule::Owner,
            owner: |record| {
                let InboxRecord::V1(inbox) = encoding::decode(record).ok()?;
                Some(owned_by(inbox.person))
            },
        },
        CollectionSpec {
            name: CONFIGURATION,
            key_bytes: 8,
            records: 6,
            trie: 7,
            rule: ReadRule::Public,
            owner: |_| None,
        },
    ],
    block_types: &[
        PACKAGES_UPLOADED,
        PACKAGES_CLAIMED,
        CREATED,
        COMMITTED,
        POSTED,
        CONFIGURED,
    ],
};

/// A record that its person alone may read.
fn owned_by(person: Principal) -> Owner {
    Owner {
        person,
        organisation: None,
    }
}

/// What is kept of a conversation's group besides its tree, and is not public.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) mls: GroupState,
    /// Leaves of the tree, blank ones included.
    pub(crate) width: u32,
    /// Those that are not.
    pub(crate) leaves: u32,
    pub(crate) label: Label,
    pub(crate) owner: Principal,
    pub(crate) created_at_ns: u64,
}

pub(crate) type Map<K, V, M> = StableBTreeMap<K, V, VirtualMemory<M>>;
/// A person, and the messaging key of a device.
pub(crate) type DeviceKey = (Principal, [u8; 32]);
/// Device, whether it is for the last resort, expiry, reference: what is first expires first.
pub(crate) type InStore = (u64, (u8, u64), [u8; 32]);

/// Everything that messaging knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    /// Keys of calls that were made.
    pub idempotency: Idempotency<VirtualMemory<M>>,
    /// Who may call how often.
    pub limits: RateLimits<VirtualMemory<M>>,
    /// Where salts and keys of inboxes come from.
    pub randomness: Randomness<VirtualMemory<M>>,
    /// The canister's own id.
    pub(crate) own: Principal,
    pub(crate) logs: SharedLogs<VirtualMemory<M>>,
    pub(crate) message_ids: Fingerprints<VirtualMemory<M>>,
    pub(crate) commits: Map<(u64, u64), u64, M>,
    pub(crate) groups: Map<u64, Vec<u8>, M>,
    pub(crate) nodes: Map<(u64, u32), Vec<u8>, M>,
    pub(crate) tags: Map<u64, Vec<u8>, M>,
    pub(crate) members: Map<(u64, u32), DeviceKey, M>,
    pub(crate) conversations_of: Map<(Principal, u64), u32, M>,
    pub(crate) group_ids: Map<[u8; 32], u64, M>,
    pub(crate) devices: Map<DeviceKey, u64, M>,
    pub(crate) inbox_keys: Map<u64, [u8; 32], M>,
    pub(crate) in_store: Map<InStore, (), M>,
    pub(crate) claims: Map<(Principal, Principal), (u64, u32), M>,
    pub(crate) shared_welcomes: Map<(u64, u64), Vec<u8>, M>,
}

impl<M: Memory> State<M> {
    /// Lays out a messaging canister with the id `own` in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a configuration that can't be; nothing is written then.
    pub fn create(
        memory: M,
        context: &Context,
        own: Principal,
        args: InitArgs,
    ) -> Result<Self, Error> {
        let in_force = configuration::initial(args)?;
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        let record = ConfigurationRecord::V1(in_force);
        kit.installed(context, vec![IN_FORCE.put(&CONFIGURATION_KEY, &record)?])?;
        Self::with(kit, &memories, own).map_err(|_| internal(MEMORY_FULL))
    }

    /// Opens what is in `memory`, of the canister with the id `own`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M, own: Principal) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open(&memories, &DEFINITION)?;
        Self::with(kit, &memories, own)
    }

    /// Everything besides the kit's part: what is there, or what is laid out empty.
    fn with(kit: Kit<M>, memories: &Memories<M>, own: Principal) -> Result<Self, OpenError> {
        let logs = SharedLogs::open(memories.get(8), memories.get(9))
            .map_err(|_| OpenError::Damaged("the logs of conversations"))?;
        let message_ids = Fingerprints::open(memories.get(10), memories.get(21))?;
        Ok(Self {
            kit,
            idempotency: Idempotency::open(
                memories.kit(KitMemory::IdempotencyRecords),
                memories.kit(KitMemory::IdempotencyIndex),
                memories.kit(KitMemory::IdempotencyCounts),
            ),
            limits: RateLimits::open(
                memories.kit(KitMemory::RateLimits),
                PERSON_LIMIT,
                CONVERSATION_LIMIT,
            ),
            randomness: Randomness::open(memories.get(23), memories.get(24)),
            own,
            logs,
            message_ids,
            commits: Map::init(memories.get(11)),
            groups: Map::init(memories.get(12)),
            nodes: Map::init(memories.get(13)),
            tags: Map::init(memories.get(14)),
            members: Map::init(memories.get(15)),
            conversations_of: Map::init(memories.get(16)),
            group_ids: Map::init(memories.get(17)),
            devices: Map::init(memories.get(18)),
            inbox_keys: Map::init(memories.get(19)),
            in_store: Map::init(memories.get(20)),
            claims: Map::init(memories.get(22)),
            shared_welcomes: Map::init(memories.get(25)),
        })
    }

    /// The configuration in force.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored bytes are not one.
    pub fn in_force(&self) -> Result<InForce, Error> {
        let ConfigurationRecord::V1(in_force) = IN_FORCE
            .get(&self.kit.certified, &CONFIGURATION_KEY)?
            .ok_or_else(|| internal(NO_CONFIGURATION))?;
        Ok(in_force)
    }

    /// Drops at most `slice` keys and buckets that are over.
    pub fn prune(&mut self, context: &Context, slice: usize) -> Progress {
        let buckets = self.limits.prune(context.time_ns, slice);
        let keys = self.idempotency.prune(context.time_ns, slice);
        if buckets || keys.unwrap_or(false) {
            Progress::More
        } else {
            Progress::Done
        }
    }

    /// What everybody may know of a conversation.
    pub(crate) fn conversation(&self, id: u64) -> Result<Conversation, Error> {
        let record = CONVERSATION.get(&self.kit.certified, &id.to_be_bytes())?;
        let ConversationRecord::V1(conversation) =
            record.ok_or_else(|| not_found("conversation", id))?;
        Ok(conversation)
    }

    pub(crate) fn group(&self, id: u64) -> Result<Group, Error> {
        let bytes = self
            .groups
            .get(&id)
            .ok_or_else(|| not_found("conversation", id))?;
        encoding::decode(&bytes).map_err(|_| internal(DAMAGED))
    }

    /// Records an event, whose actor is the canister.
    pub(crate) fn record(
        &mut self,
        context: &Context,
        kind: &'static str,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        self.kit.certified.record(Event {
            kind,
            actor: self.own,
            time_ns: context.time_ns,
            changes,
            details: Vec::new(),
        })?;
        Ok(())
    }
}

/// The number of an inbox's log: numbers of conversations never come so far.
pub(crate) fn inbox_log(device: u64) -> u64 {
    device | 1 << 63
}
