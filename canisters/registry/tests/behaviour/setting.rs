//! A registry in a plain memory, people who call it, and a client that believes a witness only.

use candid::Principal;
use ic_certification::{HashTree, LookupResult};
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    registry::{
        ApproveArgs, CloseArgs, InitArgs, Organisation, OrganisationKind, OrganisationProfile,
        OrganisationRecord, organisation_path,
    },
};
use indus_kit::Context;
use registry::{State, organisations};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

pub(crate) const ANONYMOUS: u8 = 0;
const INSTALLER: u8 = 99;
pub(crate) const GOVERNOR: u8 = 1;
pub(crate) const OTHER_GOVERNOR: u8 = 2;
pub(crate) const APPLICANT: u8 = 10;
pub(crate) const OTHER_APPLICANT: u8 = 11;

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

pub(crate) struct Setting {
    pub(crate) memory: VectorMemory,
    pub(crate) state: State<VectorMemory>,
    pub(crate) time_ns: u64,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let memory = VectorMemory::default();
        let governors = vec![person(GOVERNOR), person(OTHER_GOVERNOR)];
        let installer = Context {
            caller: person(INSTALLER),
            time_ns: 1_000,
        };
        let mut state =
            State::create(memory.clone(), &installer, InitArgs { governors }).expect("a registry");
        state.kit.certified.commit();
        Self {
            memory,
            state,
            time_ns: 1_000,
        }
    }

    /// The next message, of `caller`.
    pub(crate) fn context(&mut self, caller: u8) -> Context {
        self.time_ns += 1;
        Context {
            caller: person(caller),
            time_ns: self.time_ns,
        }
    }

    pub(crate) fn apply(
        &mut self,
        caller: u8,
        profile: OrganisationProfile,
    ) -> Result<Organisation, Error> {
        let context = self.context(caller);
        let reply = organisations::apply(&mut self.state, &context, profile);
        self.state.kit.certified.commit();
        reply
    }

    pub(crate) fn approve(
        &mut self,
        caller: u8,
        id: u64,
        hash: &[u8],
    ) -> Result<Organisation, Error> {
        let context = self.context(caller);
        let args = ApproveArgs {
            id,
            application_hash: ByteBuf::from(hash),
        };
        let reply = organisations::approve(&mut self.state, &context, args);
        self.state.kit.certified.commit();
        reply
    }

    pub(crate) fn close(
        &mut self,
        caller: u8,
        id: u64,
        reason: &str,
    ) -> Result<Organisation, Error> {
        let context = self.context(caller);
        let args = CloseArgs {
            id,
            reason: reason.into(),
        };
        let reply = organisations::close(&mut self.state, &context, args);
        self.state.kit.certified.commit();
        reply
    }

    /// An active organisation with this slug.
    pub(crate) fn active(&mut self, slug: &str) -> Organisation {
        let pending = self.apply(APPLICANT, profile(slug)).expect("applied");
        let hash = self.hash(pending.id);
        self.approve(GOVERNOR, pending.id, &hash).expect("approved")
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

    /// SHA-256 of the certified bytes of an organisation.
    pub(crate) fn hash(&self, id: u64) -> [u8; 32] {
        Sha256::digest(self.certified(&organisation_path(id)).expect("certified")).into()
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
}

pub(crate) fn record(organisation: &Organisation) -> Vec<u8> {
    candid::encode_one(OrganisationRecord::V1(organisation.clone())).expect("Candid")
}

pub(crate) fn invalid_field<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused for a field: {other:?}"),
    }
}
