//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `apps` | id (u64, big-endian) → exact Candid bytes of an `AppRecord` |
//! | 2, 3 | collection `canisters` | canister id → exact Candid bytes of a `HostedCanisterRecord` |
//! | 4, 5 | collection `configuration` | 0 (u64) → exact Candid bytes of a `ConfigurationRecord` |
//! | 6 | B-tree | (owner, app) → (): `owner_key` |
//! | 7 | B-tree | owner, name (`name_key`) → app |
//! | 8 | B-tree | (app, canister) → () |
//! | 9 | B-tree | number → a canister that is being created ([`crate::creations`]) |
//! | 10 | B-tree | person → the app that they create canisters for |
//! | 11 | cell | the number of the last creation |
//! | 12, 13 | collection `releases` | id (u64, big-endian) → exact Candid bytes of a `ReleaseRecord` |
//! | 14 | B-tree | canister → its release that is proposed or running |
//! | 15 | B-tree | release → how far it is ([`indus_orchestrator::works`]) |
//! | 16 | B-tree | release → its module's argument: of those that are open, or went live |
//! | 17, 18 | B-trees | modules ([`indus_orchestrator::modules`]) |
//! | 19 | B-tree | release → what was said of its failure |
//! | 20 | B-tree | (canister, release) → () |
//! | 21 | B-tree | canister → its releases so far |
//! | 22 | B-tree | proposal of the registry → the release that carried it out, or tried to |
//! | 23 | B-tree | (time of the next reading, canister) → () |
//! | 24, 25 | collection `readings` | canister id → exact Candid bytes of a `ReadingRecord` |
//! | 26, 27 | collection `costs` | app (u64), month (u32), big-endian → exact Candid bytes of a `CostRecord` |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - Apps are never removed and their ids never used again: 1 to n without a gap.
//! - The certified counts of an app are its canisters (memory 8) and its creations (memory 9).
//! - Memories 6 to 8, 20 and 21 follow from the records. Releases outlive the canister that they were of.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, memory_manager::VirtualMemory};
use indus_api::{
    Error, Subject,
    hosting::{
        APPS, App, AppOwner, AppRecord, CANISTER_ID_BYTES, CANISTERS, CONFIGURATION,
        CONFIGURATION_KEY, COST_KEY_BYTES, COSTS, ConfigurationRecord, CostRecord,
        HostedCanisterRecord, InForce, InitArgs, READINGS, RELEASES, ReadingRecord, ReleaseRecord,
        app_key,
    },
};
pub(crate) use indus_kit::refusals::{conflict, limit_reached, not_found, unauthorized};
use indus_kit::{
    Change, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError, Table,
    calls::pending::Pending,
    codes::internal,
    memories::KitMemory,
    rate_limit::{Limit, RateLimits},
    subjects::ReadRule,
    timers::Progress,
};
use indus_orchestrator::{Modules, Works};

use crate::configuration;

/// Version of the layout above. A change of the table, or of what it names, is a new version.
pub const LAYOUT: u32 = 1;

/// The apps.
pub const APP: Table<AppRecord> = Table::new(0);
/// Their canisters.
pub const CANISTER: Table<HostedCanisterRecord> = Table::new(1);
pub(crate) const IN_FORCE: Table<ConfigurationRecord> = Table::new(2);
/// Releases.
pub const RELEASE: Table<ReleaseRecord> = Table::new(3);
pub(crate) const READING: Table<ReadingRecord> = Table::new(4);
pub(crate) const COST: Table<CostRecord> = Table::new(5);

/// Somebody made an app.
pub const APP_CREATED: &str = "app.created";
/// Somebody asked for a canister, whose slot is taken from now on.
pub const CANISTER_REQUESTED: &str = "canister.requested";
/// The canister is there.
pub const CANISTER_CREATED: &str = "canister.created";
/// The subnet refused it; the slot is free again.
pub const CANISTER_REFUSED: &str = "canister.refused";
/// Nobody knows any more what the subnet answered, 30 days after it was asked; the slot is free again.
pub const CANISTER_LOST: &str = "canister.lost";
/// Its owner deleted it, and had it forgotten.
pub const CANISTER_FORGOTTEN: &str = "canister.forgotten";
/// A release was proposed; it waits for another person.
pub const RELEASE_PROPOSED: &str = "release.proposed";
/// A release is being carried out, by who asked for it or approved it.
pub const RELEASE_STARTED: &str = "release.started";
/// A release was taken back.
pub const RELEASE_WITHDRAWN: &str = "release.withdrawn";
/// A release is over, one way or another.
pub const RELEASE_ENDED: &str = "release.ended";
/// A canister's cycles were read; a top-up of it may be booked with that.
pub const CYCLES_READ: &str = "cycles.read";
/// A top-up that was booked was not given.
pub const CYCLES_BOOKED_BACK: &str = "cycles.booked_back";
/// A decision of the governors about this canister was applied.
pub const CONFIGURED: &str = "configuration.applied";

/// Apps and canisters that one person asks for: twenty at once, then one a minute.
const PERSON_LIMIT: Limit = Limit {
    burst: 20,
    interval_ns: 60_000_000_000,
};

/// Code of [`Error::Internal`]: there is no configuration.
const NO_CONFIGURATION: u32 = 1_000;
/// Code of [`Error::Internal`]: what is kept can't be read, or does not fit together.
pub(crate) const DAMAGED: u32 = 1_001;

const PUBLIC: CollectionSpec = CollectionSpec {
    name: "",
    key_bytes: 8,
    records: 0,
    trie: 0,
    rule: ReadRule::Public,
    owner: |_| None,
};

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "app_hosting",
    about: "Canisters for startups and agencies, from a seat to a live application.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: APPS,
            records: 0,
            trie: 1,
            ..PUBLIC
        },
        CollectionSpec {
            name: CANISTERS,
            key_bytes: CANISTER_ID_BYTES,
            records: 2,
            trie: 3,
            ..PUBLIC
        },
        CollectionSpec {
            name: CONFIGURATION,
            records: 4,
            trie: 5,
            ..PUBLIC
        },
        CollectionSpec {
            name: RELEASES,
            records: 12,
            trie: 13,
            ..PUBLIC
        },
        CollectionSpec {
            name: READINGS,
            key_bytes: CANISTER_ID_BYTES,
            records: 24,
            trie: 25,
            ..PUBLIC
        },
        CollectionSpec {
            name: COSTS,
            key_bytes: COST_KEY_BYTES,
            records: 26,
            trie: 27,
            ..PUBLIC
        },
    ],
    block_types: &[
        APP_CREATED,
        CANISTER_REQUESTED,
        CANISTER_CREATED,
        CANISTER_REFUSED,
        CANISTER_LOST,
        CANISTER_FORGOTTEN,
        RELEASE_PROPOSED,
        RELEASE_STARTED,
        RELEASE_WITHDRAWN,
        RELEASE_ENDED,
        CYCLES_READ,
        CYCLES_BOOKED_BACK,
        CONFIGURED,
    ],
};

pub(crate) type Map<K, V, M> = StableBTreeMap<K, V, VirtualMemory<M>>;
/// A person or an organisation, as bytes of one order.
pub(crate) type OwnerKey = (Principal, u64);

/// An owner's key: a person, or the organisation behind the principal that nobody has.
pub(crate) fn owner_key(owner: AppOwner) -> OwnerKey {
    match owner {
        AppOwner::Person(person) => (person, 0),
        AppOwner::Organisation(organisation) => (Principal::management_canister(), organisation),
    }
}

/// The key of a name among those of its owner: length and bytes of the person, the organisation, the name.
pub(crate) fn name_key((person, organisation): OwnerKey, name: &str) -> Vec<u8> {
    let person = person.as_slice();
    // A principal has at most 29 bytes.
    let length = u8::try_from(person.len()).unwrap_or(u8::MAX);
    [
        &[length],
        person,
        &organisation.to_be_bytes(),
        name.as_bytes(),
    ]
    .concat()
}

/// Everything that app_hosting knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    /// Who may call how often.
    pub limits: RateLimits<VirtualMemory<M>>,
    /// The canister's own id.
    pub(crate) own: Principal,
    pub(crate) apps_of: Map<(OwnerKey, u64), (), M>,
    pub(crate) names: Map<Vec<u8>, u64, M>,
    pub(crate) canisters_of: Map<(u64, Principal), (), M>,
    pub(crate) creations: Map<u64, Vec<u8>, M>,
    pub(crate) chosen: Map<Principal, u64, M>,
    pub(crate) last_creation: StableCell<u64, VirtualMemory<M>>,
    /// Releases that are carried out.
    pub pending: Pending<VirtualMemory<M>>,
    pub(crate) open_releases: Map<Principal, u64, M>,
    pub(crate) works: Works<VirtualMemory<M>>,
    pub(crate) arguments: Map<u64, Vec<u8>, M>,
    pub(crate) modules: Modules<VirtualMemory<M>>,
    pub(crate) messages: Map<u64, String, M>,
    pub(crate) releases_of: Map<(Principal, u64), (), M>,
    pub(crate) release_counts: Map<Principal, u64, M>,
    pub(crate) upgrades: Map<u64, u64, M>,
    pub(crate) readings_due: Map<(u64, Principal), (), M>,
}

impl<M: Memory> State<M> {
    /// Lays out an app_hosting with the id `own` in `memory`; whatever was there is lost.
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
        Ok(Self::with(kit, &memories, own))
    }

    /// Opens what is in `memory`, of the canister with the id `own`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M, own: Principal) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open(&memories, &DEFINITION)?;
        Ok(Self::with(kit, &memories, own))
    }

    /// Everything besides the kit's part: what is there, or what is laid out empty.
    fn with(kit: Kit<M>, memories: &Memories<M>, own: Principal) -> Self {
        Self {
            kit,
            limits: RateLimits::open(
                memories.kit(KitMemory::RateLimits),
                PERSON_LIMIT,
                PERSON_LIMIT,
            ),
            own,
            apps_of: Map::init(memories.get(6)),
            names: Map::init(memories.get(7)),
            canisters_of: Map::init(memories.get(8)),
            creations: Map::init(memories.get(9)),
            chosen: Map::init(memories.get(10)),
            last_creation: StableCell::init(memories.get(11), 0),
            pending: Pending::open(
                memories.kit(KitMemory::PendingCalls),
                memories.kit(KitMemory::PendingCallsDue),
            ),
            open_releases: Map::init(memories.get(14)),
            works: Works::open(memories.get(15)),
            arguments: Map::init(memories.get(16)),
            modules: Modules::open(memories.get(17), memories.get(18)),
            messages: Map::init(memories.get(19)),
            releases_of: Map::init(memories.get(20)),
            release_counts: Map::init(memories.get(21)),
            upgrades: Map::init(memories.get(22)),
            readings_due: Map::init(memories.get(23)),
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

    /// An app.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn app(&self, id: u64) -> Result<App, Error> {
        let record = APP.get(&self.kit.certified, &app_key(id))?;
        let AppRecord::V1(app) = record.ok_or_else(|| not_found("app", id))?;
        Ok(app)
    }

    /// Takes tokens of a person's rate, with whichever of their keys they call.
    pub(crate) fn take_tokens(
        &mut self,
        context: &Context,
        subject: &Subject,
        tokens: u32,
    ) -> Result<(), Error> {
        self.limits
            .take_of(subject.person, context.time_ns, None, tokens)
    }

    /// Drops at most `slice` buckets that are full again.
    pub fn prune(&mut self, context: &Context, slice: usize) -> Progress {
        if self.limits.prune(context.time_ns, slice) {
            Progress::More
        } else {
            Progress::Done
        }
    }

    /// Records an event.
    pub(crate) fn record(
        &mut self,
        context: &Context,
        kind: &'static str,
        actor: Principal,
        changes: Vec<Change>,
    ) -> Result<u64, Error> {
        self.kit.certified.record(Event {
            kind,
            actor,
            time_ns: context.time_ns,
            changes,
            details: Vec::new(),
        })
    }
}
