//! An identity canister in a plain memory, a registry that says what it is told to, and people who call.

use std::collections::BTreeMap;

use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use identity::{
    State, configuration, credentials, messaging_keys, methods, pairing, persons, recoveries,
    roles,
    subjects::{self, Found},
};
use indus_api::{
    Error, Subject,
    decision::Decision,
    identity::*,
    registry::{OrganisationKind, OrganisationStatus, Standing},
};
use indus_kit::Context;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use testnet::Subnet;

use crate::sparse::SparseMemory;

/// What certifies the canister.
pub(crate) const SUBNET: Subnet = Subnet::new(1);
pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const DAY: u64 = 86_400 * SECOND;
pub(crate) const START: u64 = 1_795_000_000 * SECOND;
/// A role that means nothing here.
pub(crate) const CLERK: &str = "clerk";

/// The principal of a key.
pub(crate) fn key(n: u8) -> Principal {
    let mut bytes = [n; 29];
    bytes[28] = 2;
    Principal::from_slice(&bytes)
}

/// A canister's principal.
pub(crate) fn canister(n: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1])
}

pub(crate) fn own() -> Principal {
    canister(1)
}

pub(crate) fn registry() -> Principal {
    canister(2)
}

/// A canister of the suite.
pub(crate) fn suite() -> Principal {
    canister(3)
}

/// The administrator of an organisation.
pub(crate) fn administrator(organisation: u64) -> Principal {
    key(200 + u8::try_from(organisation).unwrap())
}

/// The messaging key with this seed.
pub(crate) fn messaging_key(seed: u8) -> ByteBuf {
    let key = SigningKey::from_bytes(&[seed; 32]);
    ByteBuf::from(key.verifying_key().to_bytes())
}

pub(crate) fn new_method(n: u8) -> NewMethod {
    NewMethod {
        principal: key(n),
        kind: MethodKind::Ed25519,
        alias_commitment: None,
    }
}

pub(crate) fn achievement() -> Achievement {
    Achievement {
        programme: "rust-2026".into(),
        name: "Rust foundations".into(),
        description: "Six weeks of Rust.".into(),
        criteria: "Attends, and passes.".into(),
    }
}

pub(crate) fn init() -> InitArgs {
    InitArgs {
        registry: registry(),
        configuration: Configuration {
            suite_canisters: vec![suite()],
            recovery_delay_ns: None,
        },
    }
}

pub(crate) type Identity = State<SparseMemory>;

pub(crate) struct Setting {
    pub(crate) memory: SparseMemory,
    pub(crate) state: Identity,
    pub(crate) time_ns: u64,
    /// What the registry says.
    pub(crate) organisations: BTreeMap<u64, Standing>,
}

impl Setting {
    /// With the active organisations 1 and 2, and nobody.
    pub(crate) fn new() -> Self {
        let memory = SparseMemory::default();
        let installer = Context {
            caller: canister(9),
            time_ns: START,
        };
        let mut state = State::create(memory.clone(), &installer, own(), init()).unwrap();
        state.randomness.seed([7; 32]);
        state.kit.certified.commit();
        let organisation = |organisation| {
            let standing = Standing {
                organisation,
                status: OrganisationStatus::Active,
                kind: OrganisationKind::Agency,
                sector: "health".into(),
                administrators: vec![administrator(organisation)],
            };
            (organisation, standing)
        };
        Self {
            memory,
            state,
            time_ns: START,
            organisations: [1, 2].map(organisation).into(),
        }
    }

    /// One message of `caller`. One that is refused has written nothing.
    pub(crate) fn update<T>(
        &mut self,
        caller: Principal,
        logic: impl FnOnce(&mut Identity, &Context) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.time_ns += 1;
        let context = self.at(caller);
        let (writes, root) = (self.memory.writes(), self.state.kit.certified.root_hash());
        let reply = logic(&mut self.state, &context);
        self.state.kit.certified.commit();
        if reply.is_err() {
            assert_eq!(self.memory.writes(), writes, "a refused call has written");
            assert_eq!(self.state.kit.certified.root_hash(), root);
        }
        reply
    }

    pub(crate) fn at(&self, caller: Principal) -> Context {
        Context {
            caller,
            time_ns: self.time_ns,
        }
    }

    pub(crate) fn wait(&mut self, time_ns: u64) {
        self.time_ns += time_ns;
    }

    /// As after an upgrade: the heap is gone.
    pub(crate) fn reopen(&mut self) {
        let root = self.state.kit.certified.root_hash();
        self.state = State::open(self.memory.clone(), own()).unwrap();
        assert_eq!(self.state.kit.certified.root_hash(), root);
    }

    pub(crate) fn set_status(&mut self, organisation: u64, status: OrganisationStatus) {
        self.organisations.get_mut(&organisation).unwrap().status = status;
    }

    /// What the registry answers now; remembered as the shell does it.
    fn ask(&mut self, organisation: u64) -> Option<Standing> {
        let standing = self.organisations.get(&organisation).cloned();
        let asked_at_ns = self.time_ns;
        self.state
            .standings
            .keep(organisation, standing.clone(), asked_at_ns);
        standing
    }

    /// What the registry says about the organisation that `find` names, as the shell asks for it.
    fn standing(
        &mut self,
        caller: Principal,
        find: impl FnOnce(&Identity, &Context) -> Result<Option<u64>, Error>,
    ) -> Result<Option<Standing>, Error> {
        let organisation = find(&self.state, &self.at(caller))?;
        Ok(organisation.and_then(|organisation| self.ask(organisation)))
    }

    fn of_office(&mut self, caller: Principal) -> Result<Option<Standing>, Error> {
        self.standing(caller, |state, context| {
            subjects::office(state, context).map(Some)
        })
    }

    pub(crate) fn register(&mut self, caller: Principal) -> Result<Person, Error> {
        let args = RegisterArgs {
            kind: MethodKind::Passkey,
            alias_commitment: None,
        };
        self.update(caller, |state, context| {
            persons::register(state, context, args)
        })
    }

    pub(crate) fn open_pairing(&mut self, caller: Principal) -> Result<Pairing, Error> {
        self.update(caller, pairing::open)
    }

    pub(crate) fn offer(
        &mut self,
        caller: Principal,
        person: Principal,
        code: &str,
    ) -> Result<(), Error> {
        let args = OfferArgs {
            person,
            code: code.into(),
            kind: MethodKind::P256,
            alias_commitment: None,
        };
        self.update(caller, |state, context| {
            pairing::offer(state, context, args)
        })
    }

    pub(crate) fn confirm(
        &mut self,
        caller: Principal,
        offered: Principal,
    ) -> Result<Method, Error> {
        self.update(caller, |state, context| {
            pairing::confirm(state, context, offered)
        })
    }

    pub(crate) fn remove(&mut self, caller: Principal, method: Principal) -> Result<(), Error> {
        self.update(caller, |state, context| {
            methods::remove(state, context, method)
        })
    }

    pub(crate) fn choose(
        &mut self,
        caller: Principal,
        office: Option<u64>,
    ) -> Result<Method, Error> {
        self.update(caller, |state, context| {
            methods::choose_office(state, context, office)
        })
    }

    pub(crate) fn grant(&mut self, caller: Principal, args: GrantArgs) -> Result<Role, Error> {
        let organisation = args.organisation;
        let standing = self.standing(caller, |_, context| {
            roles::check(context, &args).map(|()| Some(organisation))
        })?;
        self.update(caller, |state, context| {
            roles::grant(state, context, args, standing.as_ref())
        })
    }

    pub(crate) fn accept(&mut self, caller: Principal, id: u64) -> Result<Role, Error> {
        self.update(caller, |state, context| roles::accept(state, context, id))
    }

    pub(crate) fn revoke_role(&mut self, caller: Principal, id: u64) -> Result<Role, Error> {
        let args = RevokeRoleArgs {
            id,
            reason: RevocationReason::Ended,
        };
        let standing = self.standing(caller, |state, context| {
            roles::revocation_asks(state, context, id)
        })?;
        self.update(caller, |state, context| {
            roles::revoke(state, context, args, standing.as_ref())
        })
    }

    pub(crate) fn open_recovery(
        &mut self,
        caller: Principal,
        args: OpenRecoveryArgs,
    ) -> Result<Recovery, Error> {
        let standing = self.of_office(caller)?;
        self.update(caller, |state, context| {
            recoveries::open(state, context, args, standing.as_ref())
        })
    }

    pub(crate) fn approve_recovery(
        &mut self,
        caller: Principal,
        id: u64,
        hash: [u8; 32],
    ) -> Result<Recovery, Error> {
        let recovery_hash = ByteBuf::from(hash);
        let args = ApproveRecoveryArgs { id, recovery_hash };
        let standing = self.of_office(caller)?;
        self.update(caller, |state, context| {
            recoveries::approve(state, context, args, standing.as_ref())
        })
    }

    pub(crate) fn veto(&mut self, caller: Principal, id: u64) -> Result<Recovery, Error> {
        self.update(caller, |state, context| {
            recoveries::veto(state, context, id)
        })
    }

    pub(crate) fn finish(&mut self, caller: Principal, id: u64) -> Result<Recovery, Error> {
        let standing = self.standing(caller, |state, context| {
            recoveries::asks(state, context, id).map(Some)
        })?;
        self.update(caller, |state, context| {
            recoveries::finish(state, context, id, standing.as_ref())
        })
    }

    pub(crate) fn issue(
        &mut self,
        caller: Principal,
        args: IssueArgs,
    ) -> Result<CredentialView, Error> {
        let bytes = candid::encode_one(&args).unwrap();
        let standing = self.of_office(caller)?;
        self.update(caller, |state, context| {
            credentials::issue(state, context, args, &bytes, standing.as_ref())
        })
    }

    /// Binds the messaging key with this seed to a device of the caller's, with a proof for `person`.
    pub(crate) fn bind_for(
        &mut self,
        caller: Principal,
        seed: u8,
        person: Principal,
    ) -> Result<MessagingKey, Error> {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let proof = key.sign(&to_prove(own(), person));
        let args = BindMessagingKeyArgs {
            signature_key: messaging_key(seed),
            proof: ByteBuf::from(proof.to_bytes()),
        };
        self.bind_with(caller, args)
    }

    pub(crate) fn bind_with(
        &mut self,
        caller: Principal,
        args: BindMessagingKeyArgs,
    ) -> Result<MessagingKey, Error> {
        self.update(caller, |state, context| {
            messaging_keys::bind(state, context, args)
        })
    }

    pub(crate) fn end_key(&mut self, caller: Principal, seed: u8) -> Result<MessagingKey, Error> {
        let key = messaging_key(seed);
        self.update(caller, |state, context| {
            messaging_keys::end(state, context, &key)
        })
    }

    pub(crate) fn sign(&mut self, caller: Principal, id: u64) -> Result<CredentialView, Error> {
        self.update(caller, |state, context| {
            credentials::sign(state, context, id)
        })
    }

    pub(crate) fn revoke_credential(
        &mut self,
        caller: Principal,
        id: u64,
    ) -> Result<RevokedCredential, Error> {
        let args = RevokeCredentialArgs {
            id,
            reason: RevocationReason::Misuse,
        };
        let standing = self.of_office(caller)?;
        self.update(caller, |state, context| {
            credentials::revoke(state, context, args, standing.as_ref())
        })
    }

    pub(crate) fn apply_decision(
        &mut self,
        caller: Principal,
        proposal: u64,
        decision: &Decision,
    ) -> Result<(), Error> {
        self.update(caller, |state, context| {
            configuration::apply(state, context, proposal, decision)
        })
    }

    /// Who a principal speaks for, when the registry has just been asked if that was needed.
    pub(crate) fn subject(&mut self, principal: Principal) -> Option<Subject> {
        if let Found::Asks(organisation) = self.found(principal) {
            self.ask(organisation);
        }
        match self.found(principal) {
            Found::Person(subject) => Some(subject),
            Found::Nobody => None,
            Found::Asks(_) => panic!("the registry was asked"),
        }
    }

    /// What is known of a principal without asking.
    pub(crate) fn found(&self, principal: Principal) -> Found {
        subjects::find(&self.state, principal, self.time_ns).unwrap()
    }

    /// The SHA-256 of a recovery, as an official has it from a certified read.
    pub(crate) fn recovery_hash(&self, id: u64) -> [u8; 32] {
        let place = indus_kit::CollectionId(3);
        let bytes = self.state.kit.certified.get(place, &id_key(id));
        Sha256::digest(bytes.unwrap_or_default()).into()
    }

    /// A registered person with one method, and their id.
    pub(crate) fn person(&mut self, n: u8) -> Principal {
        self.register(key(n)).unwrap().id
    }

    /// Gives a person a role for a year, which they accept by their method `n`.
    pub(crate) fn official(&mut self, n: u8, organisation: u64, role: &str) -> Principal {
        let person = self.person(n);
        let args = self.role(person, organisation, role);
        let id = self.grant(administrator(organisation), args).unwrap().id;
        self.accept(key(n), id).unwrap();
        person
    }

    /// Arguments for a role from now on for 300 days.
    pub(crate) fn role(&self, person: Principal, organisation: u64, role: &str) -> GrantArgs {
        GrantArgs {
            person,
            organisation,
            role: role.into(),
            valid_from_ns: self.time_ns,
            valid_until_ns: self.time_ns + 300 * DAY,
        }
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        SUBNET.audit(own(), &self.state.kit, self.time_ns);
    }
}

/// Three officials of organisation 1, who have both roles of this canister: keys 21 to 23; one of organisation 2, key 31.
/// Key 41 is a clerk of organisation 1 whom they may recover.
pub(crate) struct Officials {
    pub(crate) s: Setting,
    pub(crate) clerk: Principal,
}

pub(crate) const OFFICIAL: u8 = 21;
pub(crate) const SECOND_OFFICIAL: u8 = 22;
pub(crate) const THIRD_OFFICIAL: u8 = 23;
pub(crate) const FOREIGN_OFFICIAL: u8 = 31;
pub(crate) const CLERK_KEY: u8 = 41;
/// The key that is to be the clerk's.
pub(crate) const NEW_KEY: u8 = 42;

impl Officials {
    pub(crate) fn new() -> Self {
        let mut s = Setting::new();
        let officials = [OFFICIAL, SECOND_OFFICIAL, THIRD_OFFICIAL].map(|n| (n, 1));
        for (n, organisation) in officials.into_iter().chain([(FOREIGN_OFFICIAL, 2)]) {
            for role in [RECOVERY_OFFICER, CREDENTIAL_ISSUER] {
                s.official(n, organisation, role);
            }
        }
        let clerk = s.official(CLERK_KEY, 1, CLERK);
        Self { s, clerk }
    }

    pub(crate) fn recovery(&self) -> OpenRecoveryArgs {
        OpenRecoveryArgs {
            person: self.clerk,
            new_method: new_method(NEW_KEY),
            remove_others: true,
        }
    }

    /// A recovery of the clerk that an official opened.
    pub(crate) fn opened(&mut self, by: u8) -> u64 {
        let args = self.recovery();
        self.s.open_recovery(key(by), args).unwrap().id
    }

    /// One that a second official approved.
    pub(crate) fn approved(&mut self, opened_by: u8, approved_by: u8) -> u64 {
        let id = self.opened(opened_by);
        let hash = self.s.recovery_hash(id);
        self.s.approve_recovery(key(approved_by), id, hash).unwrap();
        id
    }

    pub(crate) fn credential(&self) -> IssueArgs {
        IssueArgs {
            idempotency_key: ByteBuf::from(*b"one"),
            holder: self.clerk,
            achievement: achievement(),
            valid_until_ns: None,
        }
    }
}

/// The field that a call was refused for.
pub(crate) fn invalid_field<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("not refused for a field: {other:?}"),
    }
}

/// Which error, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unauthorized,
    NotFound,
    AlreadyExists,
    Invalid,
    Stale,
    Limit,
    RateLimited,
    Conflict,
    Quorum,
    Expired,
    Unavailable,
    Internal,
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result.unwrap_err() {
        Error::Unauthorized { .. } => Refusal::Unauthorized,
        Error::NotFound { .. } => Refusal::NotFound,
        Error::AlreadyExists { .. } => Refusal::AlreadyExists,
        Error::Invalid { .. } => Refusal::Invalid,
        Error::Stale { .. } => Refusal::Stale,
        Error::LimitReached { .. } => Refusal::Limit,
        Error::RateLimited { .. } => Refusal::RateLimited,
        Error::Conflict { .. } => Refusal::Conflict,
        Error::QuorumNotMet { .. } => Refusal::Quorum,
        Error::Expired => Refusal::Expired,
        Error::Unavailable { .. } => Refusal::Unavailable,
        Error::Internal { .. } => Refusal::Internal,
    }
}
