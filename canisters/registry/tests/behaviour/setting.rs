//! A registry in a plain memory, people who call it, and a client that believes a witness only.

use std::collections::BTreeMap;

use candid::{Decode, Principal};
use ic_certification::{HashTree, LookupResult};
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    audit::AuditEvent,
    icrc3::{GetBlocksArgs, Value},
    registry::{
        Action, ApproveArgs, CancelArgs, Governor, InitArgs, Organisation, OrganisationKind,
        OrganisationProfile, OrganisationRecord, Proposal, ProposalState, ProposeArgs, Quorum,
        Quorums, RejectArgs, payload_hash,
    },
};
use indus_certified::sha256;
use indus_kit::Context;
use registry::{State, organisations, proposals};
use serde_bytes::ByteBuf;

pub(crate) const ANONYMOUS: u8 = 0;
pub(crate) const INSTALLER: u8 = 99;
/// Governors, each of the founder with the same number.
pub(crate) const GOVERNORS: [u8; 5] = [1, 2, 3, 4, 5];
/// Founding organisations.
pub(crate) const FOUNDERS: u64 = 5;
pub(crate) const APPLICANT: u8 = 10;
pub(crate) const OTHER_APPLICANT: u8 = 11;
/// The first id of an organisation that is applied for.
pub(crate) const FIRST: u64 = FOUNDERS + 1;

pub(crate) fn person(n: u8) -> Principal {
    if n == ANONYMOUS {
        Principal::anonymous()
    } else {
        Principal::from_slice(&[n, 1])
    }
}

pub(crate) fn profile(slug: &str) -> OrganisationProfile {
    OrganisationProfile {
        slug: slug.into(),
        name: format!("Office of {slug}"),
        kind: OrganisationKind::Agency,
        parent: None,
        sector: "government".into(),
        seat: "Islamabad".into(),
    }
}

pub(crate) fn init() -> InitArgs {
    InitArgs {
        founders: (1..=FOUNDERS)
            .map(|n| profile(&format!("council-{n}")))
            .collect(),
        governors: GOVERNORS
            .into_iter()
            .map(|n| Governor {
                principal: person(n),
                organisation: n.into(),
            })
            .collect(),
        quorums: Quorums {
            ordinary: Quorum {
                approvals: 3,
                organisations: 3,
            },
            constitutional: Quorum {
                approvals: 4,
                organisations: 3,
            },
        },
    }
}

pub(crate) struct Setting {
    pub(crate) memory: VectorMemory,
    pub(crate) state: State<VectorMemory>,
    pub(crate) time_ns: u64,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(init()).unwrap()
    }

    pub(crate) fn with(args: InitArgs) -> Result<Self, Error> {
        let memory = VectorMemory::default();
        let installer = Context {
            caller: person(INSTALLER),
            time_ns: 1_000,
        };
        let mut state = State::create(memory.clone(), &installer, args)?;
        state.kit.certified.commit();
        Ok(Self {
            memory,
            state,
            time_ns: 1_000,
        })
    }

    /// Runs the next message, of `caller`.
    pub(crate) fn message<T>(
        &mut self,
        caller: u8,
        logic: impl FnOnce(&mut State<VectorMemory>, &Context) -> T,
    ) -> T {
        self.time_ns += 1;
        let context = Context {
            caller: person(caller),
            time_ns: self.time_ns,
        };
        let reply = logic(&mut self.state, &context);
        self.state.kit.certified.commit();
        reply
    }

    pub(crate) fn apply(
        &mut self,
        caller: u8,
        profile: OrganisationProfile,
    ) -> Result<Organisation, Error> {
        self.message(caller, |state, context| {
            organisations::apply(state, context, profile)
        })
    }

    pub(crate) fn propose(&mut self, caller: u8, action: Action) -> Result<Proposal, Error> {
        let args = ProposeArgs {
            action,
            lifetime_ns: None,
            not_before_ns: None,
        };
        self.message(caller, |state, context| {
            proposals::propose(state, context, args)
        })
    }

    pub(crate) fn approve(&mut self, caller: u8, id: u64, hash: &[u8]) -> Result<Proposal, Error> {
        let args = ApproveArgs {
            id,
            payload_hash: ByteBuf::from(hash),
        };
        self.message(caller, |state, context| {
            proposals::approve(state, context, args)
        })
    }

    /// An approval of what the proposal says.
    pub(crate) fn agree(&mut self, caller: u8, id: u64) -> Result<Proposal, Error> {
        let hash = self.hash(id);
        self.approve(caller, id, &hash)
    }

    pub(crate) fn reject(&mut self, caller: u8, id: u64, reason: &str) -> Result<Proposal, Error> {
        let args = RejectArgs {
            id,
            payload_hash: ByteBuf::from(self.hash(id).to_vec()),
            reason: reason.into(),
        };
        self.message(caller, |state, context| {
            proposals::reject(state, context, args)
        })
    }

    pub(crate) fn cancel(&mut self, caller: u8, id: u64, reason: &str) -> Result<Proposal, Error> {
        let reason = reason.into();
        self.message(caller, |state, context| {
            proposals::cancel(state, context, CancelArgs { id, reason })
        })
    }

    /// The hash of what a proposal does; of nothing, if there is none.
    pub(crate) fn hash(&self, id: u64) -> [u8; 32] {
        let proposal = self.state.proposal(id);
        proposal.map_or([0; 32], |proposal| payload_hash(&proposal.payload))
    }

    /// Has as many governors agree as the proposal needs.
    pub(crate) fn carried(&mut self, id: u64) -> Proposal {
        let proposer = self.state.proposal(id).unwrap().proposer;
        let mut proposal = None;
        for governor in GOVERNORS {
            if person(governor) == proposer {
                continue;
            }
            let agreed = self.agree(governor, id).unwrap();
            let open = agreed.state == ProposalState::Open;
            proposal = Some(agreed);
            if !open {
                break;
            }
        }
        proposal.unwrap()
    }

    /// Decides an action, which must succeed.
    pub(crate) fn decided(&mut self, action: Action) -> Proposal {
        let id = self.propose(GOVERNORS[4], action).unwrap().id;
        let proposal = self.carried(id);
        assert!(
            matches!(proposal.state, ProposalState::Executed { .. }),
            "{:?}",
            proposal.state
        );
        proposal
    }

    /// An active organisation with this slug.
    pub(crate) fn active(&mut self, slug: &str) -> Organisation {
        let pending = self.apply(APPLICANT, profile(slug)).unwrap();
        self.carried(pending.application.unwrap());
        self.state.organisation(pending.id).unwrap()
    }

    /// What the subnet would certify that there is at `path`, if anything.
    pub(crate) fn certified(&self, path: &[ByteBuf]) -> Option<Vec<u8>> {
        let certified = &self.state.kit.certified;
        let witness = certified
            .witness_of_paths(&[path.to_vec()], None)
            .expect("a witness");
        let witness: HashTree = serde_cbor::from_slice(&witness).expect("CBOR of a hash tree");
        assert_eq!(
            witness.digest(),
            self.state.kit.certified.root_hash(),
            "the witness is of another tree"
        );
        match witness.lookup_path(path) {
            LookupResult::Found(leaf) => Some(leaf.to_vec()),
            LookupResult::Absent => None,
            other => panic!("the witness proves nothing: {other:?}"),
        }
    }

    /// Runs `call`, which must be refused and leave every byte as it was.
    pub(crate) fn refused<T: std::fmt::Debug>(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Error {
        let (bytes, root) = (
            self.memory.borrow().clone(),
            self.state.kit.certified.root_hash(),
        );
        let error = call(self).expect_err("refused");
        assert!(
            *self.memory.borrow() == bytes,
            "a refused call has written to stable memory"
        );
        assert_eq!(
            self.state.kit.certified.root_hash(),
            root,
            "a refused call has changed what is certified"
        );
        error
    }

    /// The log, replayed: the leaves that it leads to are those that there are.
    pub(crate) fn assert_explained(&self) {
        let certified = &self.state.kit.certified;
        let mut replayed: BTreeMap<(String, Vec<u8>), Vec<u8>> = BTreeMap::new();
        let mut index = 0;
        while index < certified.log_len() {
            let page = GetBlocksArgs {
                start: index.into(),
                length: 100_u64.into(),
            };
            for block in certified.blocks(&[page]).unwrap().blocks {
                index += 1;
                for change in event(&block.block) {
                    let key = (change.collection, change.key.into_vec());
                    match change.leaf {
                        Some(leaf) => replayed.insert(key, leaf.into_vec()),
                        None => replayed.remove(&key),
                    };
                }
            }
        }
        let mut stored = BTreeMap::new();
        for collection in certified.collections() {
            for (key, record) in collection.after(None) {
                let leaf = sha256::leaf(&record).to_vec();
                stored.insert((collection.spec().name.to_owned(), key), leaf);
            }
        }
        assert!(replayed == stored, "the log does not explain the records");
    }
}

fn event(block: &Value) -> Vec<indus_api::audit::LeafChange> {
    let Value::Map(fields) = block else {
        panic!("no block: {block:?}");
    };
    let tx = fields.iter().find_map(|(name, value)| match value {
        Value::Blob(bytes) if name == "tx" => Some(bytes),
        _ => None,
    });
    let AuditEvent::V1(event) = Decode!(tx.unwrap(), AuditEvent).unwrap();
    event.changes
}

pub(crate) fn record(organisation: &Organisation) -> Vec<u8> {
    candid::encode_one(OrganisationRecord::V2(organisation.clone())).expect("Candid")
}

pub(crate) fn invalid_field<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused for a field: {other:?}"),
    }
}

pub(crate) fn needs(error: Error) -> String {
    match error {
        Error::Unauthorized { needs } => needs,
        other => panic!("not unauthorized: {other:?}"),
    }
}

pub(crate) fn conflict(error: Error) -> String {
    match error {
        Error::Conflict { reason } => reason,
        other => panic!("no conflict: {other:?}"),
    }
}

pub(crate) fn not_found(what: &str, id: impl ToString) -> Error {
    Error::NotFound {
        what: what.into(),
        id: id.to_string(),
    }
}
