//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `persons` | SHA-256 of the person → exact Candid bytes of a `PersonRecord` |
//! | 2, 3 | collection `methods` | secret hash of the principal → exact Candid bytes of a `MethodRecord` |
//! | 4, 5 | collection `roles` | id (u64, big-endian) → exact Candid bytes of a `RoleRecord` |
//! | 6, 7 | collection `recoveries` | id (u64, big-endian) → exact Candid bytes of a `RecoveryRecord` |
//! | 8, 9 | collection `credentials` | id (u64, big-endian) → exact Candid bytes of a `CredentialRecord` |
//! | 10, 11 | collection `revoked_credentials` | id of the credential → exact Candid bytes of a `RevokedCredentialRecord` |
//! | 12, 13 | collection `configuration` | 0 (u64) → exact Candid bytes of a `ConfigurationRecord` |
//! | 14 | B-tree | (person, key of a method) → (), of their methods |
//! | 15 | B-tree | (organisation, person, id) → (), of roles that may still be held |
//! | 16 | B-tree | (person, organisation, id) → (), of those of them that were accepted |
//! | 17 | B-tree | person → id of their last recovery |
//! | 18 | B-tree | (holder, id) → (), of credentials |
//! | 19, 20 | cells | seed, and how often it was drawn from ([`Randomness`]) |
//! | 21, 22 | collection `signatures` | SHA-256 of what is signed → empty ([`indus_api::signatures`]) |
//! | 23, 24 | collection `messaging_keys` | SHA-256 of the key → exact Candid bytes of a `MessagingKeyRecord` |
//! | 25 | B-tree | key of a method → key of its messaging key, of those that hold |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far. Pairings and what the registry said about
//! organisations are in the heap: an upgrade ends the former, and costs one question each of the latter.
//!
//! Invariants:
//! - Roles, recoveries and credentials are never removed and their ids never used again: 1 to n without a gap.
//! - Memories 14 to 18 and 25 follow from the collections, but that 15 and 16 may hold roles whose time is over: those are taken
//!   out when the next role of the same person is put in.
//! - Whatever is signed is a credential that is not revoked. Those issued before layout 2 are signed when their holder asks.
//! - The key of a method is a hash that takes the seed to make, and the actor of what a person does is the person's id. So
//!   the public log tells of nobody's principal whose it is.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    identity::{
        CONFIGURATION, CONFIGURATION_KEY, CREDENTIALS, ConfigurationRecord, CredentialRecord,
        InForce, InitArgs, MESSAGING_KEYS, METHODS, MessagingKeyRecord, MethodRecord, PERSONS,
        PersonRecord, RECOVERIES, RECOVERY_OFFICER, REVOKED_CREDENTIALS, ROLES, RecoveryRecord,
        RevokedCredentialRecord, RoleRecord,
    },
};
pub(crate) use indus_kit::refusals::{conflict, not_found, unauthorized};
use indus_kit::{
    Change, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError, Signatures,
    Table,
    codes::internal,
    encoding,
    idempotency::Idempotency,
    memories::KitMemory,
    randomness::Randomness,
    rate_limit::{Limit, RateLimits},
    subjects::{Owner, ReadRule},
};

use crate::{configuration, pairing::Pairings, standings::Standings};

/// Version of the layout above. A change of the table, or of what it names, is a new version.
///
/// 2: signatures, messaging keys. 3: blocks without their types.
pub const LAYOUT: u32 = 3;
/// The oldest layout that is understood.
const OLDEST_LAYOUT: u32 = 1;

pub(crate) const PERSON: Table<PersonRecord> = Table::new(0);
pub(crate) const METHOD: Table<MethodRecord> = Table::new(1);
pub(crate) const ROLE: Table<RoleRecord> = Table::new(2);
pub(crate) const RECOVERY: Table<RecoveryRecord> = Table::new(3);
pub(crate) const CREDENTIAL: Table<CredentialRecord> = Table::new(4);
pub(crate) const REVOKED_CREDENTIAL: Table<RevokedCredentialRecord> = Table::new(5);
pub(crate) const IN_FORCE: Table<ConfigurationRecord> = Table::new(6);
pub(crate) const SIGNATURES: Signatures = Signatures::new(7);
pub(crate) const MESSAGING_KEY: Table<MessagingKeyRecord> = Table::new(8);

const METHODS_OF: u8 = 14;
const ROLES_IN: u8 = 15;
const OFFICES_OF: u8 = 16;
const RECOVERY_OF: u8 = 17;
const CREDENTIALS_OF: u8 = 18;
const SEED: u8 = 19;
const DRAWN: u8 = 20;
const MESSAGING_KEY_OF: u8 = 25;

/// Somebody registered.
pub const REGISTERED: &str = "person.registered";
/// A person has a method more.
pub const METHOD_ADDED: &str = "method.added";
/// A person has a method less.
pub const METHOD_REMOVED: &str = "method.removed";
/// A method acts for another office.
pub const OFFICE_CHOSEN: &str = "method.office_chosen";
/// An administrator offered a role.
pub const ROLE_GRANTED: &str = "role.granted";
/// Its person accepted a role.
pub const ROLE_ACCEPTED: &str = "role.accepted";
/// An administrator took a role back, or its person gave it up.
pub const ROLE_REVOKED: &str = "role.revoked";
/// An official opened a recovery.
pub const RECOVERY_OPENED: &str = "recovery.opened";
/// Another official agreed.
pub const RECOVERY_APPROVED: &str = "recovery.approved";
/// The person refused.
pub const RECOVERY_VETOED: &str = "recovery.vetoed";
/// The person has the new method.
pub const RECOVERY_FINISHED: &str = "recovery.finished";
/// A credential was issued.
pub const CREDENTIAL_ISSUED: &str = "credential.issued";
/// A credential of before layout 2 was signed.
pub const CREDENTIAL_SIGNED: &str = "credential.signed";
/// A credential was taken back.
pub const CREDENTIAL_REVOKED: &str = "credential.revoked";
/// A device has a messaging key.
pub const MESSAGING_KEY_BOUND: &str = "messaging_key.bound";
/// A person ended a messaging key.
pub const MESSAGING_KEY_ENDED: &str = "messaging_key.ended";
/// A decision of the governors about this canister was applied.
pub const CONFIGURED: &str = "configuration.applied";

/// Registrations and questions to the registry of one caller: thirty at once, then one each two seconds, so that an
/// administrator can go through a list.
const CALLER_LIMIT: Limit = Limit {
    burst: 30,
    interval_ns: 2_000_000_000,
};
/// Registrations of all: three thousand at once (a programme's applicants on its first day), then ten a second.
const REGISTRATION_LIMIT: Limit = Limit {
    burst: 3_000,
    interval_ns: 100_000_000,
};

/// Code of [`Error::Internal`]: there is no configuration.
const NO_CONFIGURATION: u32 = 1_000;

/// A collection of records with ids, which everybody may read.
const fn public(name: &'static str, records: u8) -> CollectionSpec {
    CollectionSpec {
        name,
        key_bytes: 8,
        records,
        trie: records + 1,
        rule: ReadRule::Public,
        owner: |_| None,
    }
}

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "identity",
    about: "Who is calling: persons, their keys, their roles, and what they achieved.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: PERSONS,
            key_bytes: 32,
            records: 0,
            trie: 1,
            rule: ReadRule::Owner,
            owner: |record| {
                let PersonRecord::V1(person) = encoding::decode(record).ok()?;
                Some(owned_by(person.id))
            },
        },
        CollectionSpec {
            name: METHODS,
            key_bytes: 32,
            records: 2,
            trie: 3,
            rule: ReadRule::Owner,
            owner: |record| {
                let MethodRecord::V1(method) = encoding::decode(record).ok()?;
                Some(owned_by(method.person))
            },
        },
        public(ROLES, 4),
        CollectionSpec {
            rule: ReadRule::OwnerOrRole(RECOVERY_OFFICER),
            owner: |record| {
                let RecoveryRecord::V1(recovery) = encoding::decode(record).ok()?;
                Some(owned_by(recovery.person))
            },
            ..public(RECOVERIES, 6)
        },
        CollectionSpec {
            rule: ReadRule::Owner,
            owner: |record| {
                let CredentialRecord::V1(credential) = encoding::decode(record).ok()?;
                Some(owned_by(credential.holder))
            },
            ..public(CREDENTIALS, 8)
        },
        public(REVOKED_CREDENTIALS, 10),
        public(CONFIGURATION, 12),
        Signatures::spec(21, 22),
        CollectionSpec {
            name: MESSAGING_KEYS,
            key_bytes: 32,
            records: 23,
            trie: 24,
            rule: ReadRule::Persons,
            owner: |record| {
                let MessagingKeyRecord::V1(key) = encoding::decode(record).ok()?;
                Some(owned_by(key.person))
            },
        },
    ],
    block_types: &[
        REGISTERED,
        METHOD_ADDED,
        METHOD_REMOVED,
        OFFICE_CHOSEN,
        ROLE_GRANTED,
        ROLE_ACCEPTED,
        ROLE_REVOKED,
        RECOVERY_OPENED,
        RECOVERY_APPROVED,
        RECOVERY_VETOED,
        RECOVERY_FINISHED,
        CREDENTIAL_ISSUED,
        CREDENTIAL_SIGNED,
        CREDENTIAL_REVOKED,
        MESSAGING_KEY_BOUND,
        MESSAGING_KEY_ENDED,
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

type Index<K, V, M> = StableBTreeMap<K, V, VirtualMemory<M>>;

/// Everything that identity knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    /// Keys of calls that were made.
    pub idempotency: Idempotency<VirtualMemory<M>>,
    /// Who may register, and ask the registry, how often.
    pub limits: RateLimits<VirtualMemory<M>>,
    /// Where ids, salts and codes come from.
    pub randomness: Randomness<VirtualMemory<M>>,
    /// Pairings that are open.
    pub pairings: Pairings,
    /// What the registry said in the last minute.
    pub standings: Standings,
    /// The canister's own id.
    pub(crate) own: Principal,
    pub(crate) methods_of: Index<(Principal, [u8; 32]), (), M>,
    pub(crate) roles_in: Index<(u64, Principal, u64), (), M>,
    pub(crate) offices_of: Index<(Principal, u64, u64), (), M>,
    pub(crate) recovery_of: Index<Principal, u64, M>,
    pub(crate) credentials_of: Index<(Principal, u64), (), M>,
    pub(crate) messaging_key_of: Index<[u8; 32], [u8; 32], M>,
}

impl<M: Memory> State<M> {
    /// Lays out an identity canister with the id `own` in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a configuration that can't be; nothing is written then.
    pub fn create(
        memory: M,
        context: &Context,
        own: Principal,
        args: InitArgs,
    ) -> Result<Self, Error> {
        configuration::check(&args.configuration)?;
        let record = ConfigurationRecord::V1(InForce {
            registry: args.registry,
            configuration: args.configuration,
            decision: None,
        });
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, vec![IN_FORCE.put(&CONFIGURATION_KEY, &record)?])?;
        Ok(Self::with(kit, &memories, own))
    }

    /// Opens what is in `memory`, of the canister with the id `own`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M, own: Principal) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open_since(&memories, &DEFINITION, OLDEST_LAYOUT)?;
        Ok(Self::with(kit, &memories, own))
    }

    /// Everything besides the kit's part: what is there, or what is laid out empty.
    fn with(kit: Kit<M>, memories: &Memories<M>, own: Principal) -> Self {
        Self {
            kit,
            idempotency: Idempotency::open(
                memories.kit(KitMemory::IdempotencyRecords),
                memories.kit(KitMemory::IdempotencyIndex),
                memories.kit(KitMemory::IdempotencyCounts),
            ),
            limits: RateLimits::open(
                memories.kit(KitMemory::RateLimits),
                CALLER_LIMIT,
                REGISTRATION_LIMIT,
            ),
            randomness: Randomness::open(memories.get(SEED), memories.get(DRAWN)),
            pairings: Pairings::default(),
            standings: Standings::default(),
            own,
            methods_of: StableBTreeMap::init(memories.get(METHODS_OF)),
            roles_in: StableBTreeMap::init(memories.get(ROLES_IN)),
            offices_of: StableBTreeMap::init(memories.get(OFFICES_OF)),
            recovery_of: StableBTreeMap::init(memories.get(RECOVERY_OF)),
            credentials_of: StableBTreeMap::init(memories.get(CREDENTIALS_OF)),
            messaging_key_of: StableBTreeMap::init(memories.get(MESSAGING_KEY_OF)),
        }
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

    /// Records an event. `actor` is the person who did it, or the caller who is none.
    ///
    /// # Errors
    /// [`Error::Internal`]; nothing has changed then.
    pub(crate) fn record(
        &mut self,
        context: &Context,
        actor: Principal,
        kind: &'static str,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        self.kit.certified.record(Event {
            kind,
            actor,
            time_ns: context.time_ns,
            changes,
            details: Vec::new(),
        })?;
        Ok(())
    }

    /// The id of the next record of a table from which nothing is removed.
    pub(crate) fn next_id<R: candid::CandidType + serde::de::DeserializeOwned + 'static>(
        &self,
        table: Table<R>,
    ) -> u64 {
        table.len(&self.kit.certified) + 1
    }
}

pub(crate) fn limit(limit: usize, what: &str) -> Error {
    Error::LimitReached {
        limit: limit as u64,
        what: what.into(),
    }
}
