//! An app_hosting in a plain memory, an identity and a license manager that say what they are told to, and a subnet that creates
//! canisters.

use std::collections::BTreeSet;

use app_hosting::{
    State, apps,
    creations::{self, Creation},
};
use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error, Subject,
    hosting::{
        APP_DEVELOPER, APPS, App, AppRecord, CANISTERS, Configuration, CreateAppArgs,
        HostedCanister, HostedCanisterRecord, InitArgs, ListCanistersArgs, RELEASES, Release,
        ReleaseRecord, app_key, canister_key, release_key,
    },
    registry::DataClass,
};
use indus_kit::Context;
use indus_verify::VerifiedWitness;
use testnet::Subnet;

const SUBNET: Subnet = Subnet::new(1);
pub(crate) const MINUTE: u64 = 60_000_000_000;

pub(crate) type Hosting = State<VectorMemory>;

pub(crate) fn canister(n: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Principal::from_slice(&bytes)
}

pub(crate) fn own() -> Principal {
    canister(1)
}

pub(crate) fn person(n: u8) -> Principal {
    Principal::from_slice(&[[n; 28].as_slice(), &[0x7f]].concat())
}

/// The key that a person calls with.
pub(crate) fn key(n: u8) -> Principal {
    Principal::self_authenticating([n])
}

/// A person without an office.
pub(crate) fn founder(n: u8) -> Subject {
    Subject {
        person: person(n),
        organisation: None,
        roles: [].into(),
    }
}

/// A developer of an organisation.
pub(crate) fn developer(n: u8, organisation: u64) -> Subject {
    Subject {
        organisation: Some(organisation),
        roles: [APP_DEVELOPER.to_owned()].into(),
        ..founder(n)
    }
}

pub(crate) fn named(name: &str, organisation: Option<u64>) -> CreateAppArgs {
    CreateAppArgs {
        organisation,
        name: name.into(),
        data_class: DataClass::Public,
    }
}

/// The canister, and who holds a licence.
pub(crate) struct Setting {
    pub(crate) state: Hosting,
    pub(crate) memory: VectorMemory,
    pub(crate) time_ns: u64,
    pub(crate) licensed: BTreeSet<Principal>,
    next_canister: u64,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(Configuration::default())
    }

    pub(crate) fn with(configuration: Configuration) -> Self {
        let memory = VectorMemory::default();
        let context = Context {
            caller: canister(9),
            time_ns: 1_700_000_000_000_000_000,
        };
        let args = InitArgs {
            identity: canister(2),
            registry: canister(3),
            license_manager: canister(4),
            configuration: Some(configuration),
        };
        let mut state = State::create(memory.clone(), &context, own(), args).unwrap();
        state.kit.certified.commit();
        Self {
            state,
            memory,
            time_ns: context.time_ns,
            licensed: (1..=5).map(person).collect(),
            next_canister: 100,
        }
    }

    fn context(&self, subject: &Subject) -> Context {
        Context {
            caller: key(subject.person.as_slice()[0]),
            time_ns: self.time_ns,
        }
    }

    pub(crate) fn update<T>(
        &mut self,
        subject: &Subject,
        logic: impl FnOnce(&mut Hosting, &Context) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // The bucket of whoever calls fills again.
        self.time_ns += MINUTE;
        let context = self.context(subject);
        let blocks = self.state.kit.certified.log_len();
        let root = self.state.kit.certified.root_hash();
        let answer = logic(&mut self.state, &context);
        self.state.kit.certified.commit();
        if answer.is_err() {
            assert_eq!(self.state.kit.certified.log_len(), blocks);
            assert_eq!(self.state.kit.certified.root_hash(), root);
        }
        answer
    }

    pub(crate) fn create_app(
        &mut self,
        subject: &Subject,
        args: CreateAppArgs,
    ) -> Result<App, Error> {
        let entitled = self.licensed.contains(&subject.person);
        self.update(subject, |state, context| {
            apps::create(state, context, subject, entitled, args)
        })
    }

    pub(crate) fn choose(&mut self, subject: &Subject, app: u64) -> Result<App, Error> {
        self.update(subject, |state, _| apps::choose(state, subject, app))
    }

    pub(crate) fn begin(&mut self, subject: &Subject) -> Result<Creation, Error> {
        self.begin_with(subject, None)
    }

    pub(crate) fn begin_with(
        &mut self,
        subject: &Subject,
        controllers: Option<Vec<Principal>>,
    ) -> Result<Creation, Error> {
        let entitled = self.licensed.contains(&subject.person);
        self.update(subject, |state, context| {
            creations::begin(state, context, subject, entitled, controllers, u128::MAX)
        })
    }

    /// The subnet creates the canister.
    pub(crate) fn created(
        &mut self,
        subject: &Subject,
        creation: &Creation,
    ) -> Result<Principal, Error> {
        self.next_canister += 1;
        let canister = canister(self.next_canister);
        self.update(subject, |state, context| {
            creations::created(state, context, creation, canister)
        })?;
        Ok(canister)
    }

    /// The subnet refuses it.
    pub(crate) fn refused(&mut self, subject: &Subject, creation: &Creation) -> Result<(), Error> {
        self.update(subject, |state, context| {
            creations::refused(state, context, creation)
        })
    }

    /// So much later that what was created may be forgotten.
    pub(crate) fn a_month_later(&mut self) {
        self.time_ns += creations::FORGET_AFTER_NS;
    }

    /// A canister is to be forgotten, of which the subnet says whether it exists.
    pub(crate) fn forget(
        &mut self,
        subject: &Subject,
        canister: Principal,
        exists: bool,
    ) -> Result<App, Error> {
        self.update(subject, |state, context| {
            creations::forget(state, context, subject, canister, exists)
        })
    }

    /// An app as it is certified.
    pub(crate) fn app(&self, id: u64) -> App {
        let app = self.state.app(id).unwrap();
        let AppRecord::V1(certified) = self.certified(APPS, &app_key(id));
        assert_eq!(certified, app);
        app
    }

    /// All canisters of an app, as they are certified, by pages.
    pub(crate) fn canisters(&self, app: u64) -> Vec<HostedCanister> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let args = ListCanistersArgs {
                app,
                after,
                limit: 2,
            };
            let page = creations::list(&self.state, args).unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for one in &all {
            let key = canister_key(one.canister).unwrap();
            let HostedCanisterRecord::V1(certified) = self.certified(CANISTERS, &key);
            assert_eq!(&certified, one);
            assert_eq!(creations::get(&self.state, one.canister).as_ref(), Ok(one));
        }
        all
    }

    pub(crate) fn certified_release(&self, id: u64) -> Release {
        let ReleaseRecord::V1(release) = self.certified(RELEASES, &release_key(id));
        release
    }

    pub(crate) fn reopen(&mut self) {
        self.state = State::open(self.memory.clone(), own()).unwrap();
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        SUBNET.audit(own(), &self.state.kit, self.time_ns);
    }

    pub(crate) fn certified<R: candid::CandidType + serde::de::DeserializeOwned>(
        &self,
        collection: &str,
        key: &[u8],
    ) -> R {
        let path = indus_api::identity::path(collection, key);
        let certified = &self.state.kit.certified;
        let witness = certified.witness_of_paths(std::slice::from_ref(&path), None);
        self.verified(&witness.unwrap()).value(&path).unwrap()
    }

    fn verified(&self, witness: &[u8]) -> VerifiedWitness {
        SUBNET.verified(own(), &self.state.kit, self.time_ns, witness)
    }
}

/// What kind of refusal it is.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer.unwrap_err() {
        Error::Unauthorized { .. } => "unauthorized".into(),
        Error::NotFound { what, .. } => format!("no {what}"),
        Error::Invalid { field, .. } => format!("invalid {field}"),
        Error::LimitReached { limit, .. } => format!("limit {limit}"),
        Error::RateLimited { .. } => "rate limited".into(),
        Error::Conflict { .. } => "conflict".into(),
        other => panic!("{other:?}"),
    }
}
