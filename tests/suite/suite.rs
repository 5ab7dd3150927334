//! A subnet with the three canisters, an organisation and its officials.
//!
//! ```text
//! registry ◄── where organisations stand, decisions ── identity ◄── who calls ── license manager
//!     ▲────────────────────────── decisions ────────────────────────────────────────┘
//! ```
//!
//! Invariant: when a suite is dropped by a test that has not failed, the log of each canister explains its certified state.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, SystemTime},
};

use candid::{CandidType, Encode, Principal, decode_one, encode_args, utils::ArgumentEncoder};
use end_to_end::{
    Subnet, founding, identity_module, license_manager_module, pocket_ic, registry_module,
    server_url,
};
use indus_api::{
    CertifiedRead, Error, Subject,
    icrc3::GetBlocksArgs,
    identity::{
        self, GrantArgs, LICENCE_OFFICER, LICENCE_REVIEWER, MethodKind, Person, RegisterArgs, Role,
    },
    licences,
    registry::{
        Action, ApproveArgs, CanisterProfile, DataClass, Organisation, OrganisationChange,
        Proposal, ProposalState, ProposeArgs, payload_hash,
    },
    service::ServiceInfo,
};
use indus_verify::{Audit, Hash, LogHead, RootKey, Time, TimeBound, VerifiedWitness, Verifier};
use pocket_ic::{
    PocketIc, PocketIcBuilder, RejectResponse,
    common::rest::{
        CanisterCyclesCostSchedule, ExtendedSubnetConfigSet, SubnetConfig, SubnetKind, SubnetSpec,
    },
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::decisions::{configure, recorded, suite_canisters};

/// Who installs and upgrades the canisters.
pub(crate) const CONTROLLER: Principal = Principal::from_slice(&[0xC0; 29]);

/// A day, in nanoseconds.
pub(crate) const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// The principal of somebody's key.
pub(crate) fn key(of: &str) -> Principal {
    Principal::self_authenticating(of)
}

/// A commitment of the tests.
pub(crate) fn commitment(to: &str) -> ByteBuf {
    ByteBuf::from(payload_hash(to.as_bytes()))
}

/// The three canisters.
pub(crate) struct Suite {
    pub(crate) pic: PocketIc,
    pub(crate) registry: Principal,
    pub(crate) identity: Principal,
    pub(crate) license_manager: Principal,
    /// An organisation that was admitted; its administrator is `key("administrator")`.
    pub(crate) organisation: u64,
    verifier: Verifier,
}

impl Drop for Suite {
    fn drop(&mut self) {
        if !thread::panicking() {
            for canister in self.canisters() {
                self.audited(canister);
            }
        }
    }
}

impl Suite {
    /// Installs the three on one subnet, and has an organisation admitted.
    pub(crate) fn new() -> Self {
        Self::on(1)
    }

    /// The same with the registry on a subnet of its own, from which answers take some rounds.
    pub(crate) fn far_from_the_registry() -> Self {
        Self::on(2)
    }

    /// On so many subnets.
    fn on(subnets: usize) -> Self {
        // The root key is that of the root subnet.
        let mut builder = pocket_ic().with_nns_subnet();
        for _ in 0..subnets {
            builder = builder.with_application_subnet();
        }
        let pic = builder.build();
        let all = pic.topology().get_app_subnets();
        Self::installed(pic, &all)
    }

    /// All on one subnet that is a cloud engine.
    pub(crate) fn on_an_engine() -> Self {
        let free = SubnetSpec::default().with_cost_schedule(CanisterCyclesCostSchedule::Free);
        let config = ExtendedSubnetConfigSet {
            nns: Some(SubnetSpec::default()),
            cloud_engine: vec![free],
            ..ExtendedSubnetConfigSet::default()
        };
        let pic = PocketIcBuilder::new_with_config(config)
            .with_server_url(server_url())
            .build();
        // It will run by the clock of this machine.
        pic.set_time(pocket_ic::Time::from(SystemTime::now()));
        let subnets = pic.topology().subnet_configs;
        let is_engine = |config: &SubnetConfig| config.subnet_kind == SubnetKind::CloudEngine;
        let mut engines = subnets.iter().filter(|(_, config)| is_engine(config));
        let (engine, _) = engines.next().unwrap();
        Self::installed(pic, &[*engine])
    }

    /// The registry on the last one of these subnets, the others on the first one.
    fn installed(pic: PocketIc, all: &[Principal]) -> Self {
        let root_key = RootKey::from_der(&pic.root_key().unwrap()).unwrap();
        let create = |subnet| {
            let canister = pic.create_canister_on_subnet(Some(CONTROLLER), None, subnet);
            pic.add_cycles(canister, 1_000_000_000_000_000);
            canister
        };
        let registry = create(all[all.len() - 1]);
        let (identity, license_manager) = (create(all[0]), create(all[0]));
        let install = |canister, module, args| {
            pic.install_canister(canister, module, args, Some(CONTROLLER));
        };
        let governors = founding((1..=5).map(governor));
        install(registry, registry_module(), Encode!(&governors).unwrap());
        let args = identity::InitArgs {
            registry,
            configuration: identity::Configuration {
                suite_canisters: vec![license_manager],
                recovery_delay_ns: None,
            },
        };
        install(identity, identity_module(), Encode!(&args).unwrap());
        let args = licences::InitArgs {
            identity,
            registry,
            configuration: None,
        };
        let args = Encode!(&args).unwrap();
        install(license_manager, license_manager_module(), args);
        let mut suite = Self {
            pic,
            registry,
            identity,
            license_manager,
            organisation: 0,
            verifier: Verifier::new(root_key),
        };
        // What timers do first.
        suite.pass(Duration::from_secs(1));
        suite.organisation = suite.admitted("mof", key("administrator"));
        suite
    }

    /// Installs one more canister on a subnet, has it in the inventory, and identity tell it who calls.
    pub(crate) fn join(
        &self,
        subnet: Principal,
        (name, data_class): (&str, DataClass),
        module: Vec<u8>,
        args: &impl CandidType,
    ) -> Principal {
        let canister = self
            .pic
            .create_canister_on_subnet(Some(CONTROLLER), None, subnet);
        self.pic.add_cycles(canister, 1_000_000_000_000_000);
        let args = Encode!(args).unwrap();
        self.pic
            .install_canister(canister, module, args, Some(CONTROLLER));
        recorded(self);
        self.decided(Action::RecordCanister(CanisterProfile {
            canister,
            organisation: self.organisation,
            name: name.into(),
            module_hash: None,
            data_class,
        }));
        let asking = suite_canisters(vec![self.license_manager, canister]);
        let decided = self.decided(configure(self.identity, &asking)).id;
        let applied: Result<(), Error> =
            self.identity(key("anybody"), "apply_decision", (decided,));
        applied.unwrap();
        canister
    }

    pub(crate) fn canisters(&self) -> [Principal; 3] {
        [self.registry, self.identity, self.license_manager]
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.pic.get_time().as_nanos_since_unix_epoch()
    }

    /// Lets time pass, and what timers do then.
    pub(crate) fn pass(&self, time: Duration) {
        self.pic.advance_time(time);
        for _ in 0..8 {
            self.pic.tick();
        }
    }

    // --- calls ------------------------------------------------------------------------------------------------------

    pub(crate) fn update<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, RejectResponse> {
        let args = encode_args(args).unwrap();
        let reply = self.pic.update_call(canister, caller, method, args)?;
        Ok(decode_one(&reply).unwrap())
    }

    pub(crate) fn query<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> R {
        let args = encode_args(args).unwrap();
        let reply = self.pic.query_call(canister, caller, method, args).unwrap();
        decode_one(&reply).unwrap()
    }

    /// An update of the registry.
    pub(crate) fn registry<R: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, Error> {
        self.update(self.registry, caller, method, args).unwrap()
    }

    /// An update of identity.
    pub(crate) fn identity<R: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, Error> {
        self.update(self.identity, caller, method, args).unwrap()
    }

    /// An update of the license manager.
    pub(crate) fn licences<R: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, Error> {
        let canister = self.license_manager;
        self.update(canister, caller, method, args).unwrap()
    }

    // --- organisations and decisions --------------------------------------------------------------------------------

    /// An organisation that this administrator applied for and three of five governors admitted.
    pub(crate) fn admitted(&self, slug: &str, administrator: Principal) -> u64 {
        let profile = Subnet::profile(slug);
        let applied = self.registry(administrator, "apply_for_organisation", (profile,));
        let applied: Organisation = applied.unwrap();
        let proposal = self.carried(applied.application.unwrap());
        assert!(matches!(proposal.state, ProposalState::Executed { .. }));
        applied.id
    }

    /// What one governor proposes and three others agree to.
    pub(crate) fn decided(&self, action: Action) -> Proposal {
        let args = ProposeArgs {
            action,
            lifetime_ns: None,
            not_before_ns: None,
        };
        let proposed: Proposal = self.registry(governor(1), "propose", (args,)).unwrap();
        let carried = self.carried(proposed.id);
        assert!(
            matches!(carried.state, ProposalState::Executed { .. }),
            "{:?}",
            carried.state
        );
        carried
    }

    pub(crate) fn change(&self, organisation: u64, change: OrganisationChange) {
        self.decided(Action::ChangeOrganisation {
            organisation,
            change,
        });
    }

    fn carried(&self, id: u64) -> Proposal {
        let anonymous = Principal::anonymous();
        let read: Result<Proposal, Error> =
            self.query(self.registry, anonymous, "get_proposal", (id,));
        let payload_hash = ByteBuf::from(payload_hash(&read.unwrap().payload));
        let args = ApproveArgs { id, payload_hash };
        let approve = |number| self.registry(governor(number), "approve", (args.clone(),));
        let approved: Vec<Result<Proposal, Error>> = (2..=4).map(approve).collect();
        approved.into_iter().last().unwrap().unwrap()
    }

    // --- persons and roles ------------------------------------------------------------------------------------------

    /// The person that this key becomes, or is.
    pub(crate) fn person(&self, key: Principal) -> Principal {
        let args = RegisterArgs {
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        };
        let person: Person = self.identity(key, "register_person", (args,)).unwrap();
        person.id
    }

    /// What it takes to offer somebody a role of the organisation for a year.
    pub(crate) fn offer(&self, person: Principal, role: &str) -> GrantArgs {
        let valid_from_ns = self.now_ns();
        GrantArgs {
            person,
            organisation: self.organisation,
            role: role.into(),
            valid_from_ns,
            valid_until_ns: valid_from_ns + 365 * DAY_NS,
        }
    }

    /// A person who was offered this role and accepted it.
    pub(crate) fn official(&self, official: Principal, role: &str) -> Role {
        let args = self.offer(self.person(official), role);
        let administrator = key("administrator");
        let offered: Role = self.identity(administrator, "grant_role", (args,)).unwrap();
        self.identity(official, "accept_role", (offered.id,))
            .unwrap()
    }

    /// The licence officer and the licence reviewer, by the keys of these names.
    pub(crate) fn with_officials(&self) -> (Role, Role) {
        let officer = self.official(key("officer"), LICENCE_OFFICER);
        (officer, self.official(key("reviewer"), LICENCE_REVIEWER))
    }

    /// Who `principal` is, by what identity tells `caller`.
    pub(crate) fn subject_of(
        &self,
        caller: Principal,
        principal: Principal,
    ) -> Result<Option<Subject>, RejectResponse> {
        self.update(self.identity, caller, "subject_of", (principal,))
    }

    // --- life -------------------------------------------------------------------------------------------------------

    pub(crate) fn stop(&self, canister: Principal) {
        self.pic.stop_canister(canister, Some(CONTROLLER)).unwrap();
    }

    pub(crate) fn start(&self, canister: Principal) {
        self.pic.start_canister(canister, Some(CONTROLLER)).unwrap();
    }

    /// The module of a canister of the suite.
    pub(crate) fn module(&self, canister: Principal) -> Vec<u8> {
        match canister {
            one if one == self.registry => registry_module(),
            one if one == self.identity => identity_module(),
            _ => license_manager_module(),
        }
    }

    /// Stops a canister, upgrades it and starts it; it is in maintenance then.
    pub(crate) fn upgrade(&self, canister: Principal) {
        self.stop(canister);
        let (module, args) = (self.module(canister), Encode!().unwrap());
        self.pic
            .upgrade_canister(canister, module, args, Some(CONTROLLER))
            .unwrap();
        self.start(canister);
    }

    pub(crate) fn confirm(&self, canister: Principal) {
        let confirmed: Result<(), Error> = self
            .update(canister, CONTROLLER, "confirm_upgrade", ())
            .unwrap();
        confirmed.unwrap();
    }

    // --- proofs -----------------------------------------------------------------------------------------------------

    pub(crate) fn service_info(&self, canister: Principal) -> ServiceInfo {
        self.query(canister, CONTROLLER, "service_info", ())
    }

    /// What the subnet certified of a canister, by this answer.
    pub(crate) fn verified(&self, canister: Principal, answer: &CertifiedRead) -> VerifiedWitness {
        let bound = TimeBound::within(Duration::from_secs(300));
        let now = Time::from_nanos(self.now_ns());
        self.verifier
            .certificate(&answer.certificate, canister, now, bound)
            .unwrap()
            .witness(&answer.witness)
            .unwrap()
    }

    /// The certified bytes at these paths, as anybody is shown them.
    pub(crate) fn certified(
        &self,
        canister: Principal,
        paths: Vec<Vec<ByteBuf>>,
    ) -> VerifiedWitness {
        let anonymous = Principal::anonymous();
        let answer: Result<CertifiedRead, Error> =
            self.query(canister, anonymous, "certified_read", (paths,));
        self.verified(canister, &answer.unwrap())
    }

    /// The certified head of a canister's log, and the root of each collection. A controller is answered in maintenance too.
    pub(crate) fn roots(&self, canister: Principal) -> (LogHead, BTreeMap<String, Hash>) {
        let head: Result<CertifiedRead, Error> = self.query(canister, CONTROLLER, "log_head", ());
        let witness = self.verified(canister, &head.unwrap());
        let mut roots = BTreeMap::new();
        for collection in self.service_info(canister).collections {
            if collection.records > 0 {
                let root = witness.subtree_hash(&["data", &collection.name]).unwrap();
                roots.insert(collection.name, root);
            }
        }
        (witness.log_head().unwrap(), roots)
    }

    /// Replays the whole log of a canister against what the subnet certifies.
    pub(crate) fn audited(&self, canister: Principal) {
        let head: Result<CertifiedRead, Error> = self.query(canister, CONTROLLER, "log_head", ());
        let witness = self.verified(canister, &head.unwrap());
        let size = witness.log_head().unwrap().size;
        let mut audit = Audit::default();
        while audit.size() < size {
            let range = GetBlocksArgs {
                start: audit.size().into(),
                length: 100_u64.into(),
            };
            let args = Encode!(&vec![range]).unwrap();
            let page = self
                .pic
                .query_call(canister, CONTROLLER, "icrc3_get_blocks", args);
            audit.page(&page.unwrap(), size).unwrap();
        }
        assert_eq!(audit.check(&witness).unwrap().size, size);
    }
}

/// A governor, of the founder of the same number.
pub(crate) fn governor(number: u64) -> Principal {
    key(&format!("governor {number}"))
}
