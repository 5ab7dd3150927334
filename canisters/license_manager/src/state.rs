//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0, 1 | collection `seats` | seat (u64, big-endian) → exact Candid bytes of a `SeatRecord`; free seats have none |
//! | 2, 3 | collection `applications` | id (u64, big-endian) → exact Candid bytes of an `ApplicationRecord` |
//! | 4, 5 | collection `quotas` | audience (u8), sector (u8) → exact Candid bytes of a `LedgerRecord` |
//! | 6, 7 | collection `rounds` | id (u64, big-endian) → exact Candid bytes of a `RoundRecord` |
//! | 8, 9 | collection `settings` | 0 (u8) → exact Candid bytes of the `SettingsRecord` |
//! | 10 | B-tree | (applicant, application) → (), of open applications |
//! | 11 | B-tree | application → (), of open applications of the open round that lack reviews |
//! | 12 | B-tree | [order key](crate::order) → (), of the other open applications |
//! | 13 | B-tree | holder → seat |
//! | 14 | B-tree | (time (u64), seat) → (): when a seat has to be looked at next |
//! | 15 | cell | the desk (`desk.rs`) |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids of memories are never used for anything else; none is retired so far.
//!
//! Invariants:
//! - Memories 10 to 15 follow from the collections (but for seed and day on the desk): [`crate::step`] alone writes them,
//!   with the event that changes the records.
//! - Settings and ledgers are kept in the heap too, as they are certified; both are of bounded size.
//! - Applications and rounds are never removed, so their ids are 1 to n without a gap.
//!
//! Cost: each access is O(log n). Opening reads the headers of the structures, the settings and the 15 ledgers.

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    licences::{
        APPLICATION_COLLECTION, Application, ApplicationRecord, InitArgs, Ledger, LedgerRecord,
        OFFICER, QUOTA_COLLECTION, QueueKey, ROUND_COLLECTION, Round, RoundRecord, SEAT_COLLECTION,
        SETTINGS_COLLECTION, SETTINGS_KEY, Seat, SeatRecord, Settings, SettingsRecord, id_key,
        ledger_key,
    },
};
use indus_kit::{
    CollectionSpec, Context, Definition, Kit, Memories, OpenError, Table,
    guard::Guards,
    idempotency::Idempotency,
    memories::KitMemory,
    rate_limit::{Limit, RateLimits},
    subjects::ReadRule,
    timers::Progress,
};
use sha2::{Digest as _, Sha256};

use crate::{
    applications, configuration,
    desk::{Desk, place, queues},
    order::OrderKey,
    refusals::not_found,
    step,
};

/// Version of the layout above. A change of the table, or of what it names, is a new version.
///
/// 2: blocks without their types.
pub const LAYOUT: u32 = 2;
/// The oldest layout that is understood.
const OLDEST_LAYOUT: u32 = 1;

pub(crate) const SEATS: Table<SeatRecord> = Table::new(0);
pub(crate) const APPLICATIONS: Table<ApplicationRecord> = Table::new(1);
pub(crate) const LEDGERS: Table<LedgerRecord> = Table::new(2);
pub(crate) const ROUNDS: Table<RoundRecord> = Table::new(3);
pub(crate) const SETTINGS: Table<SettingsRecord> = Table::new(4);

const OPEN: u8 = 10;
const TO_REVIEW: u8 = 11;
const ORDER: u8 = 12;
const HOLDERS: u8 = 13;
const DUE: u8 = 14;
const DESK: u8 = 15;

/// Applications of one person: as many as may be open at once, and one more in 2.4 hours, so that nobody uses up a day's
/// applications alone by taking theirs back.
const APPLY_LIMIT: Limit = Limit {
    burst: 10,
    interval_ns: 8_640_000_000_000,
};
/// Decisions that are fetched at once.
const MAX_UNDER_WAY: usize = 10;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

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
    kind: "license_manager",
    about: "The 1,500 seats of the app builder: who may have one, who has one, and the proof.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        CollectionSpec {
            name: SEAT_COLLECTION,
            records: 0,
            trie: 1,
            ..PUBLIC
        },
        CollectionSpec {
            name: APPLICATION_COLLECTION,
            records: 2,
            trie: 3,
            rule: ReadRule::OwnerOrRole(OFFICER),
            owner: applications::owner,
            ..PUBLIC
        },
        CollectionSpec {
            name: QUOTA_COLLECTION,
            key_bytes: 2,
            records: 4,
            trie: 5,
            ..PUBLIC
        },
        CollectionSpec {
            name: ROUND_COLLECTION,
            records: 6,
            trie: 7,
            ..PUBLIC
        },
        CollectionSpec {
            name: SETTINGS_COLLECTION,
            key_bytes: 1,
            records: 8,
            trie: 9,
            ..PUBLIC
        },
    ],
    block_types: &step::KINDS,
};

type Stable<M> = VirtualMemory<M>;

/// All that the license manager knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    /// Keys of applications that were made.
    pub idempotency: Idempotency<Stable<M>>,
    /// How often a person may apply.
    pub limits: RateLimits<Stable<M>>,
    /// Decisions that are being fetched.
    pub under_way: Guards<u64>,
    pub(crate) settings: Settings,
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) open: StableBTreeMap<(Principal, u64), (), Stable<M>>,
    pub(crate) to_review: StableBTreeMap<u64, (), Stable<M>>,
    pub(crate) order: StableBTreeMap<OrderKey, (), Stable<M>>,
    pub(crate) holders: StableBTreeMap<Principal, u64, Stable<M>>,
    pub(crate) due: StableBTreeMap<(u64, u64), (), Stable<M>>,
    pub(crate) desk: StableCell<Desk, Stable<M>>,
}

impl<M: Memory> State<M> {
    /// Lays out a license manager in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a configuration that can't be; nothing is written then.
    pub fn create(memory: M, context: &Context, args: InitArgs) -> Result<Self, Error> {
        let (settings, ledgers) = configuration::initial(args)?;
        let mut changes = Vec::with_capacity(1 + ledgers.len());
        let record = SettingsRecord::V1(settings.clone());
        changes.push(SETTINGS.put(&SETTINGS_KEY, &record)?);
        for ledger in &ledgers {
            let key = ledger_key(ledger.audience, ledger.sector);
            changes.push(LEDGERS.put(&key, &LedgerRecord::V1(*ledger))?);
        }
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, changes)?;
        Ok(Self::with(kit, &memories, settings, ledgers))
    }

    /// Opens the license manager that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open_since(&memories, &DEFINITION, OLDEST_LAYOUT)?;
        let Ok(Some(SettingsRecord::V1(settings))) = SETTINGS.get(&kit.certified, &SETTINGS_KEY)
        else {
            return Err(OpenError::Damaged("the settings"));
        };
        let ledgers = queues().map(|queue| {
            let key = ledger_key(queue.audience, queue.sector);
            match LEDGERS.get(&kit.certified, &key) {
                Ok(Some(LedgerRecord::V1(ledger))) => Ok(ledger),
                _ => Err(OpenError::Damaged("the quotas")),
            }
        });
        let ledgers = ledgers.collect::<Result<_, _>>()?;
        Ok(Self::with(kit, &memories, settings, ledgers))
    }

    /// Everything besides the collections: what is there, or what is laid out empty.
    fn with(kit: Kit<M>, memories: &Memories<M>, settings: Settings, ledgers: Vec<Ledger>) -> Self {
        Self {
            kit,
            idempotency: Idempotency::open(
                memories.kit(KitMemory::IdempotencyRecords),
                memories.kit(KitMemory::IdempotencyIndex),
                memories.kit(KitMemory::IdempotencyCounts),
            ),
            // Many may act for one organisation: nothing of it is limited.
            limits: RateLimits::open(
                memories.kit(KitMemory::RateLimits),
                APPLY_LIMIT,
                APPLY_LIMIT,
            ),
            under_way: Guards::new("decisions under way", MAX_UNDER_WAY),
            settings,
            ledgers,
            open: StableBTreeMap::init(memories.get(OPEN)),
            to_review: StableBTreeMap::init(memories.get(TO_REVIEW)),
            order: StableBTreeMap::init(memories.get(ORDER)),
            holders: StableBTreeMap::init(memories.get(HOLDERS)),
            due: StableBTreeMap::init(memories.get(DUE)),
            desk: StableCell::init(memories.get(DESK), Desk::default()),
        }
    }

    /// What holds now.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The quotas and what is used of them, in the order of their keys.
    #[must_use]
    pub fn ledgers(&self) -> &[Ledger] {
        &self.ledgers
    }

    /// Whether there is randomness for salts.
    #[must_use]
    pub fn is_seeded(&self) -> bool {
        self.desk.get().seed.is_some()
    }

    /// Takes the randomness in that salts are made of, once.
    pub fn seed(&mut self, seed: [u8; 32]) {
        if !self.is_seeded() {
            let mut desk = self.desk.get().clone();
            desk.seed = Some(seed);
            self.desk.set(desk);
        }
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

    /// A salt for a leaf of the next event: SHA-256 of the seed and the number of blocks, which counts on with it.
    pub(crate) fn salt(&self) -> Result<[u8; SALT_BYTES], Error> {
        let seed = self.desk.get().seed.ok_or_else(|| Error::Unavailable {
            canister: DEFINITION.kind.into(),
            reason: "it has no randomness yet".into(),
        })?;
        let hash: [u8; 32] = Sha256::new()
            .chain_update(seed)
            .chain_update(self.kit.certified.log_len().to_be_bytes())
            .finalize()
            .into();
        Ok(std::array::from_fn(|place| hash[place]))
    }

    pub(crate) fn ledger(&self, queue: QueueKey) -> &Ledger {
        &self.ledgers[place(queue)]
    }

    /// The id of the next application.
    pub(crate) fn next_application(&self) -> u64 {
        APPLICATIONS.len(&self.kit.certified) + 1
    }

    pub(crate) fn application(&self, id: u64) -> Result<Application, Error> {
        match APPLICATIONS.get(&self.kit.certified, &id_key(id))? {
            Some(ApplicationRecord::V1(application)) => Ok(application),
            None => Err(not_found("application", id)),
        }
    }

    pub(crate) fn find_seat(&self, seat: u64) -> Result<Option<Seat>, Error> {
        let record = SEATS.get(&self.kit.certified, &id_key(seat))?;
        Ok(record.map(|SeatRecord::V1(seat)| seat))
    }

    pub(crate) fn seat(&self, seat: u64) -> Result<Seat, Error> {
        self.find_seat(seat)?
            .ok_or_else(|| not_found("seat in use", seat))
    }

    pub(crate) fn round(&self, id: u64) -> Result<Round, Error> {
        match ROUNDS.get(&self.kit.certified, &id_key(id))? {
            Some(RoundRecord::V1(round)) => Ok(round),
            None => Err(not_found("round", id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;
    use indus_api::licences::Configuration;

    use super::*;

    const CONTEXT: Context = Context {
        caller: Principal::management_canister(),
        time_ns: 1,
    };

    fn init(configuration: Option<Configuration>) -> InitArgs {
        InitArgs {
            identity: Principal::from_slice(&[1, 1]),
            registry: Principal::from_slice(&[2, 1]),
            configuration,
        }
    }

    #[test]
    fn a_state_opens_as_it_was_created() {
        let memory = VectorMemory::default();
        let mut created = State::create(memory.clone(), &CONTEXT, init(None)).unwrap();
        created.seed([7; 32]);
        created.seed([8; 32]);
        let root = created.kit.certified.commit();
        let mut opened = State::open(memory).unwrap();
        assert_eq!(opened.settings(), created.settings());
        assert_eq!(opened.ledgers(), created.ledgers());
        assert_eq!(opened.desk.get(), created.desk.get());
        assert_eq!(opened.desk.get().seed, Some([7; 32]));
        assert_eq!(opened.kit.certified.commit(), root);
    }

    #[test]
    fn a_memory_that_no_license_manager_has_written_is_refused() {
        assert!(matches!(
            State::open(VectorMemory::default()),
            Err(OpenError::NotManaged(_))
        ));
    }

    #[test]
    fn an_unacceptable_configuration_writes_nothing() {
        let memory = VectorMemory::default();
        let mut configuration = Configuration::default();
        configuration.quotas[0].seats += 1;
        assert!(State::create(memory.clone(), &CONTEXT, init(Some(configuration))).is_err());
        assert!(memory.borrow().is_empty());
    }
}
