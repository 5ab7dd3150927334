//! The durable state, and where it lies in stable memory.
//!
//! | memory | structure | key → value |
//! | --- | --- | --- |
//! | 0 | B-tree | slug → id, of organisations that are active or suspended |
//! | 1 | B-tree | (applicant, id) → (), of organisations that are applied for |
//! | 2, 3 | collection `organisations` | id → `OrganisationRecord` |
//! | 4, 5 | collection `governors` | SHA-256 of the principal → `GovernorRecord` |
//! | 6, 7 | collection `policies` | see [`indus_api::registry::governance`] → `PolicyRecord` |
//! | 8, 9 | collection `proposals` | id → `ProposalRecord` |
//! | 10, 11 | collection `services` | id → `ServiceRecord` |
//! | 12, 13 | collection `grants` | ids of service and organisation → `GrantRecord` |
//! | 14, 15 | collection `canisters` | SHA-256 of the principal → `CanisterRecord` |
//! | 16, 17 | collection `sites` | SHA-256 of the slug → `SiteRecord` |
//! | 18, 19 | collection `nodes` | SHA-256 of the principal → `NodeRecord` |
//! | 20 | B-tree | SHA-256 of proposer and payload hash → id, of open proposals |
//! | 21 | B-tree | (time, id) → (), when an open proposal expires, or an approved one may be executed |
//! | 22 | B-tree | (proposer, id) → (), of open proposals |
//! | 23 | B-tree | SHA-256 of organisation and slug → id, of published services |
//! | 200 on | the kit's | see [`indus_kit::memories`] |
//!
//! Ids are u64, in keys of collections big-endian; records are exact Candid bytes. Ids of memories are never used for
//! anything else; none is retired so far. Layout 1 had the memories 0 to 5 only, and version 1 of their records, which is
//! read for ever and replaced when the record changes.
//!
//! Invariants:
//! - Organisations, proposals and services are never removed and their ids never used again, so they are 1 to n.
//! - The B-trees follow from the collections; `State::record` alone writes both.
//! - Every governor's organisation is active, but for those of layout 1, which have none.
//! - A refused change has changed nothing.
//!
//! Cost: each access is O(log n); opening reads the headers of the structures.

use std::cell::{Cell, OnceCell};

use candid::Principal;
use ic_stable_structures::{Memory, StableBTreeMap, memory_manager::VirtualMemory};
use indus_api::{
    Error,
    registry::{
        CANISTERS, CanisterRecord, GOVERNORS, GRANTS, Governor, GovernorRecord, GrantRecord,
        InitArgs, NODES, NodeRecord, ORGANISATIONS, Organisation, OrganisationRecord, POLICIES,
        PROPOSALS, PolicyRecord, Proposal, ProposalRecord, ProposalState, SERVICES, SITES,
        ServiceRecord, SiteRecord, id_key,
    },
};
use indus_certified::{Hash, sha256};
pub(crate) use indus_kit::refusals::{conflict, not_found, unauthorized};
use indus_kit::{
    Change, CollectionSpec, Context, Definition, Event, Kit, Memories, OpenError, Table, codes,
    encoding, subjects::ReadRule,
};

use crate::governance::{self, Governance};

/// Version of the layout above. A change of the table, or of what it names, is a new version.
///
/// 2: proposals of m of n. 3: blocks without their types.
pub const LAYOUT: u32 = 3;
/// The oldest layout that is understood.
const OLDEST_LAYOUT: u32 = 1;

const ACTIVE_SLUGS: u8 = 0;
const PENDING: u8 = 1;
const OPEN: u8 = 20;
const DUE: u8 = 21;
const OPEN_OF: u8 = 22;
const SERVICE_SLUGS: u8 = 23;

/// The organisations.
pub const ORGANISATION: Table<OrganisationRecord> = Table::new(0);
pub(crate) const GOVERNOR: Table<GovernorRecord> = Table::new(1);
pub(crate) const POLICY: Table<PolicyRecord> = Table::new(2);
pub(crate) const PROPOSAL: Table<ProposalRecord> = Table::new(3);
/// The services.
pub const SERVICE: Table<ServiceRecord> = Table::new(4);
/// The access grants.
pub const GRANT: Table<GrantRecord> = Table::new(5);
pub(crate) const CANISTER: Table<CanisterRecord> = Table::new(6);
pub(crate) const SITE: Table<SiteRecord> = Table::new(7);
pub(crate) const NODE: Table<NodeRecord> = Table::new(8);

const fn public(name: &'static str, key_bytes: usize, records: u8) -> CollectionSpec {
    CollectionSpec {
        name,
        key_bytes,
        records,
        trie: records + 1,
        rule: ReadRule::Public,
        owner: |_| None,
    }
}

/// What this canister is.
pub static DEFINITION: Definition = Definition {
    kind: "registry",
    about: "Who and what is on the subnet, and who decided it.",
    version: env!("CARGO_PKG_VERSION"),
    layout: LAYOUT,
    collections: &[
        public(ORGANISATIONS, 8, 2),
        public(GOVERNORS, 32, 4),
        public(POLICIES, 8, 6),
        public(PROPOSALS, 8, 8),
        public(SERVICES, 8, 10),
        public(GRANTS, 16, 12),
        public(CANISTERS, 32, 14),
        public(SITES, 32, 16),
        public(NODES, 32, 18),
    ],
    block_types: &[
        APPLIED, OPENED, APPROVED, REFUSED, EXECUTED, FAILED, REJECTED, CANCELLED, EXPIRED,
        OBSERVED,
    ],
};

/// An organisation was applied for, which opened a proposal.
pub const APPLIED: &str = "organisation.applied";
/// A proposal was opened.
pub const OPENED: &str = "proposal.opened";
/// A governor agreed to a proposal.
pub const APPROVED: &str = "proposal.approved";
/// A governor refused a proposal.
pub const REFUSED: &str = "proposal.refused";
/// A proposal was carried out.
pub const EXECUTED: &str = "proposal.executed";
/// An approved proposal could not be carried out any more.
pub const FAILED: &str = "proposal.failed";
/// A proposal's quorum can't be met any more.
pub const REJECTED: &str = "proposal.rejected";
/// A proposal was taken back.
pub const CANCELLED: &str = "proposal.cancelled";
/// A proposal's time was over.
pub const EXPIRED: &str = "proposal.expired";
/// The subnet was asked about a canister.
pub const OBSERVED: &str = "canister.observed";

/// What follows in the indexes from a change of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An application is pending.
    AppliedFor { applicant: Principal, id: u64 },
    /// It is not any more.
    Decided { applicant: Principal, id: u64 },
    /// An organisation has a slug.
    SlugTaken { slug: String, id: u64 },
    /// Nobody has it any more.
    SlugFree { slug: String },
    /// A service of an organisation has a slug.
    ServiceTaken {
        organisation: u64,
        slug: String,
        id: u64,
    },
    /// None of its services has it any more.
    ServiceFree { organisation: u64, slug: String },
    /// Who decides is to be read again.
    GovernanceChanged,
}

/// Changes of records, and what follows from them: what an action comes to, if it is carried out now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of records.
    pub changes: Vec<Change>,
    /// In the indexes.
    pub effects: Vec<Effect>,
}

/// Everything that the registry knows, over any stable memory.
pub struct State<M: Memory> {
    /// The kit's part: records, log, certified tree.
    pub kit: Kit<M>,
    active_slugs: StableBTreeMap<String, u64, VirtualMemory<M>>,
    pending: StableBTreeMap<(Principal, u64), (), VirtualMemory<M>>,
    open: StableBTreeMap<[u8; 32], u64, VirtualMemory<M>>,
    due: StableBTreeMap<(u64, u64), (), VirtualMemory<M>>,
    open_of: StableBTreeMap<(Principal, u64), (), VirtualMemory<M>>,
    service_slugs: StableBTreeMap<[u8; 32], u64, VirtualMemory<M>>,
    /// Read once after a start and after a change.
    governance: OnceCell<Governance>,
    /// The hash of a payload that was hashed last, with the id of its proposal: a payload never changes, and is hashed to be
    /// named and to be found among the open ones.
    hashed: Cell<Option<(u64, Hash)>>,
}

impl<M: Memory> State<M> {
    /// Lays out a registry with these founders and governors in `memory`; whatever was there is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::QuorumNotMet`] for arguments that can't be; nothing is written then.
    pub fn create(memory: M, context: &Context, args: InitArgs) -> Result<Self, Error> {
        let Plan { changes, effects } = governance::founded(context, args)?;
        let memories = Memories::create(memory);
        let mut kit = Kit::create(&memories, &DEFINITION)?;
        kit.installed(context, changes)?;
        let mut state = Self::with(kit, &memories);
        state.follow(effects);
        Ok(state)
    }

    /// Opens the registry that is in `memory`.
    ///
    /// # Errors
    /// [`OpenError`] if there is none, or none that this module understands; nothing is written then.
    pub fn open(memory: M) -> Result<Self, OpenError> {
        let memories = Memories::open(memory)?;
        let kit = Kit::open_since(&memories, &DEFINITION, OLDEST_LAYOUT)?;
        Ok(Self::with(kit, &memories))
    }

    fn with(kit: Kit<M>, memories: &Memories<M>) -> Self {
        Self {
            kit,
            active_slugs: StableBTreeMap::init(memories.get(ACTIVE_SLUGS)),
            pending: StableBTreeMap::init(memories.get(PENDING)),
            open: StableBTreeMap::init(memories.get(OPEN)),
            due: StableBTreeMap::init(memories.get(DUE)),
            open_of: StableBTreeMap::init(memories.get(OPEN_OF)),
            service_slugs: StableBTreeMap::init(memories.get(SERVICE_SLUGS)),
            governance: OnceCell::new(),
            hashed: Cell::new(None),
        }
    }

    /// Who decides, and how many of them have to agree.
    ///
    /// # Errors
    /// [`Error::Internal`] if stored bytes are not a record.
    pub(crate) fn governance(&self) -> Result<&Governance, Error> {
        if let Some(known) = self.governance.get() {
            return Ok(known);
        }
        let read = Governance::read(&self.kit.certified)?;
        Ok(self.governance.get_or_init(|| read))
    }

    /// The governors, sorted.
    ///
    /// # Errors
    /// [`Error::Internal`] if stored bytes are not a record.
    pub fn governors(&self) -> Result<Vec<Governor>, Error> {
        Ok(self.governance()?.governors())
    }

    /// The id of the next organisation.
    #[must_use]
    pub fn next_organisation(&self) -> u64 {
        ORGANISATION.len(&self.kit.certified) + 1
    }

    /// The id of the next proposal.
    #[must_use]
    pub fn next_proposal(&self) -> u64 {
        PROPOSAL.len(&self.kit.certified) + 1
    }

    /// The id of the next service.
    pub(crate) fn next_service(&self) -> u64 {
        SERVICE.len(&self.kit.certified) + 1
    }

    /// An organisation.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Internal`] if the stored bytes are not a record.
    pub fn organisation(&self, id: u64) -> Result<Organisation, Error> {
        let record = ORGANISATION.get(&self.kit.certified, &id_key(id))?;
        record
            .map(OrganisationRecord::into_current)
            .ok_or_else(|| not_found("organisation", id))
    }

    /// A proposal.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Internal`] if the stored bytes are not a record.
    pub fn proposal(&self, id: u64) -> Result<Proposal, Error> {
        let record = PROPOSAL.get(&self.kit.certified, &id_key(id))?;
        record
            .map(|ProposalRecord::V1(proposal)| proposal)
            .ok_or_else(|| not_found("proposal", id))
    }

    /// The hash of a stored proposal's payload, as [`payload_hash`](indus_api::registry::payload_hash) has it.
    pub(crate) fn payload_hash(&self, stored: &Proposal) -> Hash {
        match self.hashed.get() {
            Some((id, hash)) if id == stored.id => hash,
            _ => {
                let hash = sha256::digest(&stored.payload);
                self.hashed.set(Some((stored.id, hash)));
                hash
            }
        }
    }

    /// The id of the organisation that has this slug.
    pub(crate) fn by_slug(&self, slug: &str) -> Option<u64> {
        self.active_slugs.get(&slug.to_owned())
    }

    /// The id of an organisation's published service with this slug.
    pub(crate) fn service_by_slug(&self, organisation: u64, slug: &str) -> Option<u64> {
        self.service_slugs.get(&service_name(organisation, slug))
    }

    /// Ids of the organisations that `applicant` has applied for.
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

    /// How many proposals are open or wait for their execution.
    #[must_use]
    pub fn open_count(&self) -> u64 {
        self.due.len()
    }

    /// Whether `proposer` has at least `limit` proposals open.
    pub(crate) fn has_open(&self, proposer: Principal, limit: usize) -> bool {
        let mut open = self
            .open_of
            .keys_range((proposer, 0)..=(proposer, u64::MAX));
        open.nth(limit - 1).is_some()
    }

    /// The open proposal of `proposer` with this payload.
    pub(crate) fn open_with(&self, proposer: Principal, payload: &[u8]) -> Option<u64> {
        self.open.get(&identity(proposer, &sha256::digest(payload)))
    }

    /// Ids of proposals whose time has come, at most `limit`.
    pub(crate) fn due(&self, now_ns: u64, limit: usize) -> Vec<u64> {
        self.due
            .keys_range(..=(now_ns, u64::MAX))
            .take(limit)
            .map(|(_, id)| id)
            .collect()
    }

    /// Stores a proposal, new or changed, and a plan with it, as one event. What may happen to it is the matter of
    /// [`proposals`](crate::proposals).
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be encoded or stored; nothing is written then.
    pub fn record(
        &mut self,
        context: &Context,
        kind: &'static str,
        before: Option<&Proposal>,
        proposal: Proposal,
        plan: Plan,
    ) -> Result<Proposal, Error> {
        let Plan {
            mut changes,
            effects,
        } = plan;
        let id = proposal.id;
        let record = ProposalRecord::V1(proposal);
        changes.push(PROPOSAL.put(&id_key(id), &record)?);
        self.append(context, kind, changes)?;
        let ProposalRecord::V1(proposal) = record;
        let (was, is) = (before.and_then(due_at), due_at(&proposal));
        if was != is {
            if let Some(at) = was {
                self.due.remove(&(at, id));
            }
            if let Some(at) = is {
                self.due.insert((at, id), ());
            }
        }
        let was_open = before.is_some_and(is_open);
        if was_open != is_open(&proposal) {
            // Stored by now.
            let identity = identity(proposal.proposer, &self.payload_hash(&proposal));
            if was_open {
                self.open.remove(&identity);
                self.open_of.remove(&(proposal.proposer, id));
            } else {
                self.open.insert(identity, id);
                self.open_of.insert((proposal.proposer, id), ());
            }
        }
        self.follow(effects);
        Ok(proposal)
    }

    /// Writes an event without a proposal.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be stored; nothing is written then.
    pub(crate) fn append(
        &mut self,
        context: &Context,
        kind: &'static str,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        let event = Event {
            kind,
            actor: context.caller,
            time_ns: context.time_ns,
            changes,
            details: Vec::new(),
        };
        self.kit.certified.record(event).map(|_| ())
    }

    fn follow(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::AppliedFor { applicant, id } => {
                    self.pending.insert((applicant, id), ());
                }
                Effect::Decided { applicant, id } => {
                    self.pending.remove(&(applicant, id));
                }
                Effect::SlugTaken { slug, id } => {
                    self.active_slugs.insert(slug, id);
                }
                Effect::SlugFree { slug } => {
                    self.active_slugs.remove(&slug);
                }
                Effect::ServiceTaken {
                    organisation,
                    slug,
                    id,
                } => {
                    self.service_slugs
                        .insert(service_name(organisation, &slug), id);
                }
                Effect::ServiceFree { organisation, slug } => {
                    self.service_slugs
                        .remove(&service_name(organisation, &slug));
                }
                Effect::GovernanceChanged => self.governance = OnceCell::new(),
            }
        }
    }
}

/// When something happens to a proposal by itself.
fn due_at(proposal: &Proposal) -> Option<u64> {
    match proposal.state {
        ProposalState::Open => Some(proposal.expires_at_ns),
        ProposalState::Approved { .. } => proposal.not_before_ns,
        _ => None,
    }
}

fn is_open(proposal: &Proposal) -> bool {
    proposal.state == ProposalState::Open
}

/// Tells open proposals apart: a proposer's second one with the same payload is the first one again.
fn identity(proposer: Principal, payload_hash: &Hash) -> Hash {
    sha256::digest(&[payload_hash, proposer.as_slice()].concat())
}

fn service_name(organisation: u64, slug: &str) -> Hash {
    sha256::digest(&[&organisation.to_be_bytes(), slug.as_bytes()].concat())
}

/// Candid of something that is stored.
pub(crate) fn encoded<T: candid::CandidType + 'static>(value: &T) -> Result<Vec<u8>, Error> {
    encoding::encode(value).map_err(|_| codes::internal(codes::RECORD_NOT_ENCODED))
}
