//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `interventions` | id (u64, big-endian) → exact Candid bytes of an `InterventionRecord` |
//! | 2, 3 | collection `keepers` | 0 (u64) → exact Candid bytes of a `KeepersRecord` |
//! | 4 | B-tree | intervention that is open or running → () |
//! | 5 | B-tree | proposal of the registry → the intervention that carried it out, or tried to |
//! | 6 | B-tree | intervention → how far its installation is ([`indus_orchestrator::works`]) |
//! | 7 | B-tree | intervention that is open → its module's argument |
//! | 8, 9 | B-trees | modules ([`indus_orchestrator::modules`]) |
//! | 10 | B-tree | intervention → what was said of its failure |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - Interventions are never removed and their ids never used again: 1 to n without a gap.
//! - Memory 4 follows from the records. It holds [`MAX_OPEN`](indus_api::lifeline::MAX_OPEN) that are open at most, and one that runs for
//!   each canister.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    lifeline::{INTERVENTIONS, InitArgs, InterventionRecord, KEEPERS, KEEPERS_KEY, KeepersRecord},
};
use indus_kit::{
    Change, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError, Table,
    calls::pending::Pending,
    memories::KitMemory,
    rate_limit::{Limit, RateLimits},
    subjects::ReadRule,
    timers::Progress,
};
use indus_orchestrator::{Modules, Works};

use crate::keepers;

/// Version of the layout above. A change of the table, or of what it names, is a new version.
pub const LAYOUT: u32 = 1;

/// The interventions.
pub const INTERVENTION: Table<InterventionRecord> = Table::new(0);
pub(crate) const KEEPER: Table<KeepersRecord> = Table::new(1);

/// A keeper proposed something, and approves it.
pub const PROPOSED: &str = "intervention.proposed";
/// One more keeper approves it.
pub const APPROVED: &str = "intervention.approved";
/// It is being carried out: enough keepers approved it, or the governors decided it.
pub const STARTED: &str = "intervention.started";
/// Its proposer took it back.
pub const WITHDRAWN: &str = "intervention.withdrawn";
/// Too few keepers approved it in time.
pub const EXPIRED: &str = "intervention.expired";
/// It is over, one way or another.
pub const ENDED: &str = "intervention.ended";
/// Enough keepers approved others. What those proposed who are no keepers any more is taken back, and what they approved is not counted.
pub const KEEPERS_SET: &str = "keepers.set";

/// What one keeper proposes, or one governor has carried out: twenty at once, then one a minute.
const LIMIT: Limit = Limit {
    burst: 20,
    interval_ns: 60_000_000_000,
};

/// Code of [`Error::Internal`]: there are no keepers.
pub(crate) const NO_KEEPERS: u32 = 1_000;
/// Code of [`Error::Internal`]: what is kept does not fit together.
pub(crate) const DAMAGED: u32 = 1_001;
/// Code of [`Error::Internal`]: an action can't be encoded.
pub(crate) const ACTION_NOT_ENCODED: u32 = 1_002;

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
    kind: "lifeline",
    about: "The way into registry and app_hosting when they don't work.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: INTERVENTIONS,
            records: 0,
            trie: 1,
            ..PUBLIC
        },
        CollectionSpec {
            name: KEEPERS,
            records: 2,
            trie: 3,
            ..PUBLIC
        },
    ],
    block_types: &[
        PROPOSED,
        APPROVED,
        STARTED,
        WITHDRAWN,
        EXPIRED,
        ENDED,
        KEEPERS_SET,
    ],
};

pub(crate) type Map<K, V, M> = StableBTreeMap<K, V, VirtualMemory<M>>;

/// Everything that the lifeline knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    /// Who may call how often.
    pub limits: RateLimits<VirtualMemory<M>>,
    /// The canister's own id.
    pub(crate) own: Principal,
    /// Interventions that are carried out.
    pub pending: Pending<VirtualMemory<M>>,
    pub(crate) active: Map<u64, (), M>,
    pub(crate) upgrades: Map<u64, u64, M>,
    pub(crate) works: Works<VirtualMemory<M>>,
    pub(crate) arguments: Map<u64, Vec<u8>, M>,
    pub(crate) modules: Modules<VirtualMemory<M>>,
    pub(crate) messages: Map<u64, String, M>,
}

impl<M: Memory> State<M> {
    /// Lays out a lifeline with the id `own` in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for canisters and keepers that can't be; nothing is written then.
    pub fn create(
        memory: M,
        context: &Context,
        own: Principal,
        args: InitArgs,
    ) -> Result<Self, Error> {
        let record = KeepersRecord::V1(keepers::initial(own, args)?);
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, vec![KEEPER.put(&KEEPERS_KEY, &record)?])?;
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
            limits: RateLimits::open(memories.kit(KitMemory::RateLimits), LIMIT, LIMIT),
            own,
            pending: Pending::open(
                memories.kit(KitMemory::PendingCalls),
                memories.kit(KitMemory::PendingCallsDue),
            ),
            active: Map::init(memories.get(4)),
            upgrades: Map::init(memories.get(5)),
            works: Works::open(memories.get(6)),
            arguments: Map::init(memories.get(7)),
            modules: Modules::open(memories.get(8), memories.get(9)),
            messages: Map::init(memories.get(10)),
        }
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
