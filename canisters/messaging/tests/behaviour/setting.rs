//! A messaging canister in a plain memory, and an identity that says what it is told to.

use std::{
    collections::BTreeMap,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{Error, Subject, messaging::*};
use indus_kit::Context;
use indus_verify::{LogRoot, VerifiedWitness};
use messaging::{State, commits, conversations, history, inboxes, packages, posts};
use serde_bytes::ByteBuf;
use testnet::Subnet;

pub(crate) use crate::devices::{Device, Seat};

const SUBNET: Subnet = Subnet::new(1);
const SECOND: u64 = 1_000_000_000;
pub(crate) const DAY: u64 = 86_400 * SECOND;

pub(crate) type Messaging = State<VectorMemory>;

pub(crate) fn canister(n: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1])
}

pub(crate) fn own() -> Principal {
    canister(1)
}

pub(crate) fn person(n: u8) -> Principal {
    Principal::from_slice(&[[n; 28].as_slice(), &[0x7f]].concat())
}

/// Person `n`, who acts for organisation 1.
pub(crate) fn official(n: u8) -> Subject {
    Subject {
        person: person(n),
        organisation: Some(1),
        roles: [].into(),
    }
}

/// The canister, and what identity knows.
pub(crate) struct Setting {
    pub(crate) state: Messaging,
    pub(crate) memory: VectorMemory,
    pub(crate) time_ns: u64,
    /// Persons by their numbers.
    pub(crate) subjects: BTreeMap<Principal, Subject>,
    /// Whose messaging keys hold.
    pub(crate) bound: BTreeMap<[u8; 32], Principal>,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let memory = VectorMemory::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let time_ns = u64::try_from(now.as_nanos()).unwrap();
        let context = Context {
            caller: canister(9),
            time_ns,
        };
        let args = InitArgs {
            identity: canister(2),
            registry: canister(3),
            configuration: Configuration::default(),
        };
        let mut state = State::create(memory.clone(), &context, own(), args).unwrap();
        state.randomness.seed([7; 32]);
        state.kit.certified.commit();
        Self {
            state,
            memory,
            time_ns,
            subjects: (1..=9).map(|n| (person(n), official(n))).collect(),
            bound: BTreeMap::new(),
        }
    }

    /// A device of person `n`, whose key identity knows.
    pub(crate) fn device(&mut self, n: u8) -> Rc<Device> {
        let device = Device::new(person(n));
        self.bound.insert(device.key(), device.person);
        Rc::new(device)
    }

    pub(crate) fn subject(&self, person: Principal) -> Subject {
        self.subjects[&person].clone()
    }

    /// The context of a call of a person's: each has a key of its own.
    pub(crate) fn at(&self, person: Principal) -> Context {
        Context {
            caller: Principal::self_authenticating(person.as_slice()),
            time_ns: self.time_ns,
        }
    }

    pub(crate) fn wait(&mut self, ns: u64) {
        self.time_ns += ns;
    }

    fn holders(&self, keys: Vec<[u8; 32]>) -> conversations::Holders {
        let holder = |key: &[u8; 32]| self.bound.get(key).map(|person| self.subject(*person));
        keys.into_iter().map(|key| (key, holder(&key))).collect()
    }

    fn update<T>(
        &mut self,
        caller: Principal,
        logic: impl FnOnce(&mut Messaging, &Context, &Subject) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.time_ns += 1;
        let (context, subject) = (self.at(caller), self.subject(caller));
        let blocks = self.state.kit.certified.log_len();
        let root = self.state.kit.certified.root_hash();
        let answer = logic(&mut self.state, &context, &subject);
        self.state.kit.certified.commit();
        if answer.is_err() {
            assert_eq!(self.state.kit.certified.log_len(), blocks);
            assert_eq!(self.state.kit.certified.root_hash(), root);
        }
        answer
    }

    pub(crate) fn upload(
        &mut self,
        caller: Principal,
        key_packages: Vec<ByteBuf>,
    ) -> Result<u32, Error> {
        let args = UploadArgs { key_packages };
        let (context, subject) = (self.at(caller), self.subject(caller));
        let keys = packages::keys(&self.state, &context, &subject, &args)?;
        let holders = self.holders(keys);
        self.update(caller, |state, context, subject| {
            packages::upload(state, context, subject, &args, &holders)
        })
    }

    pub(crate) fn claim(
        &mut self,
        caller: Principal,
        key: &[u8],
        persons: &[Principal],
    ) -> Result<Claims, Error> {
        let args = ClaimArgs {
            idempotency_key: ByteBuf::from(key),
            persons: persons.to_vec(),
        };
        let bytes = candid::encode_one(&args).unwrap();
        let holders = self.holders(packages::devices(&self.state, &args)?);
        self.update(caller, |state, context, subject| {
            packages::claim(state, context, subject, &args, &bytes, &holders)
        })
    }

    pub(crate) fn create(
        &mut self,
        caller: Principal,
        args: CreateArgs,
    ) -> Result<ConversationView, Error> {
        let key = conversations::creator(&self.at(caller), &args)?;
        let holders = self.holders(vec![key]);
        self.update(caller, |state, context, subject| {
            conversations::create(state, context, subject, args, &holders)
        })
    }

    pub(crate) fn submit(
        &mut self,
        caller: Principal,
        args: CommitArgs,
    ) -> Result<CommitOutcome, Error> {
        let keys = commits::keys(&self.state, &self.subject(caller), &args)?;
        let holders = self.holders(keys);
        self.update(caller, |state, context, subject| {
            commits::submit(state, context, subject, args, &holders)
        })
    }

    pub(crate) fn post(&mut self, caller: Principal, args: PostArgs) -> Result<Receipt, Error> {
        self.update(caller, |state, context, subject| {
            posts::post(state, context, subject, args)
        })
    }

    pub(crate) fn view(&self, caller: Principal, id: u64) -> Result<ConversationView, Error> {
        conversations::view(&self.state, &self.subject(caller), id)
    }

    /// The welcomes of a device, proved.
    pub(crate) fn welcomes(&self, device: &Device) -> Vec<WelcomeEntry> {
        let args = WelcomesArgs {
            signature_key: ByteBuf::from(device.key()),
            from: 0,
            limit: MAX_ENTRIES,
        };
        let subject = self.subject(device.person);
        let inboxes::Arrived {
            welcomes,
            proof,
            inbox: place,
        } = inboxes::welcomes(&self.state, &subject, &args).unwrap();
        assert!(proof.is_empty());
        let mut log = LogRoot::default();
        for entry in &welcomes {
            log.append(&welcome_hash(entry));
        }
        let path = indus_api::identity::path(INBOXES, &place);
        let certified = &self.state.kit.certified;
        let witness = certified.witness_of_paths(std::slice::from_ref(&path), Some(&subject));
        let InboxRecord::V1(inbox) = self.verified(&witness.unwrap()).value(&path).unwrap();
        assert_eq!(LogRoot::from_leaf(&inbox.head).unwrap().head(), log.head());
        welcomes
    }

    /// All entries of a conversation, proved page by page.
    pub(crate) fn entries(&self, id: u64) -> Vec<Entry> {
        let mut log = LogRoot::default();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let page = self.page(id, &mut log, 3);
            if page.is_empty() {
                break;
            }
            entries.extend(page);
        }
        entries
    }

    /// What comes next in a conversation, behind what was verified of its log.
    pub(crate) fn page(&self, id: u64, log: &mut LogRoot, limit: u32) -> Vec<Entry> {
        let path = indus_api::identity::path(CONVERSATIONS, &id.to_be_bytes());
        let certified = &self.state.kit.certified;
        let witness = certified.witness_of_paths(std::slice::from_ref(&path), None);
        let ConversationRecord::V1(conversation) =
            self.verified(&witness.unwrap()).value(&path).unwrap();
        let head = LogRoot::from_leaf(&conversation.head).unwrap().head();
        let page = history::page(&self.state, id, log.size(), limit).unwrap();
        for entry in &page {
            assert_eq!(entry.index, log.size());
            log.append(&entry_hash(id, entry));
        }
        let proof = history::proof(&self.state, id, log.size()).unwrap();
        indus_verify::log::verify_consistency(&log.head(), &head, &proof).unwrap();
        // Nothing is held back.
        assert!(!page.is_empty() || log.head() == head);
        page
    }

    pub(crate) fn reopen(&mut self) {
        self.state = State::open(self.memory.clone(), own()).unwrap();
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        SUBNET.audit(own(), &self.state.kit, self.time_ns);
    }

    fn verified(&self, witness: &[u8]) -> VerifiedWitness {
        SUBNET.verified(own(), &self.state.kit, self.time_ns, witness)
    }
}

/// A conversation of the persons that are named first, each with one device, in the order of their leaves.
pub(crate) fn conversation(s: &mut Setting, persons: &[u8]) -> (u64, Vec<Seat>) {
    let mut devices: Vec<Rc<Device>> = persons.iter().map(|n| s.device(*n)).collect();
    let founder = devices.remove(0).found();
    let owner = founder.device.person;
    let args = CreateArgs {
        group_info: founder.group_info(),
        label: Label::Official,
    };
    let id = s.create(owner, args).unwrap().conversation.id;
    let mut seats = vec![founder];
    for device in devices {
        let seat = added(s, id, &mut seats, device);
        seats.push(seat);
    }
    (id, seats)
}

/// Adds a device by the first seat; everybody follows.
pub(crate) fn added(s: &mut Setting, id: u64, seats: &mut [Seat], device: Rc<Device>) -> Seat {
    let package = device.package();
    s.upload(device.person, vec![package.clone()]).unwrap();
    let args = seats[0].commit(id, &[package], &[]);
    accepted(s, seats, 0, args);
    let welcome = s.welcomes(&device).pop().unwrap();
    let subject = s.subject(device.person);
    let tree = conversations::tree(&s.state, &subject, id).unwrap();
    device.join(&welcome.welcome, Some(&tree))
}

/// Submits the commit of one seat, which is accepted; everybody follows.
pub(crate) fn accepted(
    s: &mut Setting,
    seats: &mut [Seat],
    by: usize,
    args: CommitArgs,
) -> Receipt {
    let commit = args.commit.clone();
    // The buckets of commits fill again.
    s.wait(60 * SECOND);
    let outcome = s.submit(seats[by].device.person, args).unwrap();
    let CommitOutcome::Accepted(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    for (at, seat) in seats.iter_mut().enumerate() {
        if at == by {
            seat.merge();
        } else if seat.group.is_active() {
            assert_eq!(seat.receive(&commit), None);
        }
    }
    receipt
}

/// What kind of refusal it is.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> &'static str {
    match answer.unwrap_err() {
        Error::Unauthorized { .. } => "unauthorized",
        Error::NotFound { .. } => "not found",
        Error::AlreadyExists { .. } => "already exists",
        Error::Invalid { .. } => "invalid",
        Error::Stale { .. } => "stale",
        Error::LimitReached { .. } => "limit",
        Error::RateLimited { .. } => "rate limited",
        Error::Conflict { .. } => "conflict",
        other => panic!("{other:?}"),
    }
}

/// The field that is invalid.
pub(crate) fn invalid_field<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer.unwrap_err() {
        Error::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    }
}
