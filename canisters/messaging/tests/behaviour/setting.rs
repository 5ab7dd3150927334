//! A messaging canister in a plain memory, an identity that says what it is told to, and devices with openmls.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{Error, Subject, messaging::*};
use indus_kit::Context;
use indus_verify::{LogRoot, RootKey, Time, TimeBound, Verifier};
use messaging::{State, commits, conversations, history, inboxes, packages, posts};
use openmls::prelude::{
    KeyPackage,
    tls_codec::{Deserialize as _, Serialize as _},
    *,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_bytes::ByteBuf;
use testnet::Subnet;

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
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

/// A device of a person's.
pub(crate) struct Device {
    pub(crate) person: Principal,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
}

/// A device in a conversation.
pub(crate) struct Seat {
    pub(crate) device: Device,
    pub(crate) group: MlsGroup,
    next_message: u8,
}

impl Device {
    pub(crate) fn new(n: u8) -> Self {
        let signer = SignatureKeyPair::new(SignatureScheme::ED25519).unwrap();
        Self {
            person: person(n),
            provider: OpenMlsRustCrypto::default(),
            signer,
        }
    }

    pub(crate) fn key(&self) -> [u8; 32] {
        self.signer.to_public_vec().try_into().unwrap()
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.person.as_slice().to_vec()).into(),
            signature_key: self.signer.to_public_vec().into(),
        }
    }

    pub(crate) fn package(&self) -> ByteBuf {
        self.package_by(KeyPackage::builder())
    }

    pub(crate) fn last_resort(&self) -> ByteBuf {
        self.package_by(KeyPackage::builder().mark_as_last_resort())
    }

    pub(crate) fn package_by(&self, builder: KeyPackageBuilder) -> ByteBuf {
        let bundle = builder
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .unwrap();
        bytes(MlsMessageOut::from(bundle.key_package().clone()))
    }

    /// A group of its own.
    pub(crate) fn found(self) -> Seat {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let group =
            MlsGroup::new(&self.provider, &self.signer, &config, self.credential()).unwrap();
        Seat::new(self, group)
    }

    /// Joins by a welcome and the canister's tree.
    pub(crate) fn join(self, welcome: &[u8], tree: &[u8]) -> Seat {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            panic!("no Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        let group = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap();
        Seat::new(self, group)
    }
}

impl Seat {
    fn new(device: Device, group: MlsGroup) -> Self {
        Self {
            device,
            group,
            next_message: 0,
        }
    }

    pub(crate) fn group_info(&self) -> ByteBuf {
        let info =
            self.group
                .export_group_info(self.device.provider.crypto(), &self.device.signer, true);
        bytes(info.unwrap())
    }

    /// A commit that waits for its acceptance.
    pub(crate) fn commit(
        &mut self,
        conversation: u64,
        added: &[ByteBuf],
        removed: &[u32],
    ) -> CommitArgs {
        let provider = &self.device.provider;
        let added = added.iter().map(|package| {
            let message = MlsMessageIn::tls_deserialize_exact(package.as_slice()).unwrap();
            let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
                panic!("no key package");
            };
            let validated = package.validate(provider.crypto(), ProtocolVersion::Mls10);
            validated.unwrap()
        });
        let added: Vec<KeyPackage> = added.collect();
        let bundle = self
            .group
            .commit_builder()
            .propose_adds(added)
            .propose_removals(removed.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .force_self_update(true)
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(true)
            .build(
                provider.rand(),
                provider.crypto(),
                &self.device.signer,
                |_| true,
            )
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let (commit, welcome, group_info) = bundle.into_messages();
        CommitArgs {
            conversation,
            commit: bytes(commit),
            group_info: bytes(group_info.unwrap()),
            welcome: welcome.map(bytes),
        }
    }

    pub(crate) fn merge(&mut self) {
        self.group
            .merge_pending_commit(&self.device.provider)
            .unwrap();
    }

    pub(crate) fn give_up(&mut self) {
        let storage = self.device.provider.storage();
        self.group.clear_pending_commit(storage).unwrap();
    }

    /// Takes in another member's entry; the text, if it is a message.
    pub(crate) fn receive(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let message = MlsMessageIn::tls_deserialize_exact(payload).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let provider = &self.device.provider;
        let processed = self.group.process_message(provider, message).unwrap();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => Some(text.into_bytes()),
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.group.merge_staged_commit(provider, *staged).unwrap();
                None
            }
            _ => panic!("another message"),
        }
    }

    /// A message with the next id, whose sender saw an empty log.
    pub(crate) fn write(&mut self, conversation: u64, text: &[u8]) -> PostArgs {
        self.next_message += 1;
        let mut id = [self.next_message; MESSAGE_ID_BYTES];
        id[1..].copy_from_slice(&self.device.key()[1..MESSAGE_ID_BYTES]);
        let authenticated = Authenticated {
            id,
            size: 0,
            root: LogRoot::default().root(),
        };
        self.write_with(conversation, text, &authenticated.to_bytes())
    }

    pub(crate) fn write_with(&mut self, conversation: u64, text: &[u8], aad: &[u8]) -> PostArgs {
        self.group.set_aad(aad.to_vec());
        let provider = &self.device.provider;
        let message = self
            .group
            .create_message(provider, &self.device.signer, text)
            .unwrap();
        PostArgs {
            conversation,
            message: bytes(message),
        }
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
    pub(crate) fn device(&mut self, n: u8) -> Device {
        let device = Device::new(n);
        self.bound.insert(device.key(), device.person);
        device
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
        let path = indus_api::identity::path(CONVERSATIONS, &id.to_be_bytes());
        let certified = &self.state.kit.certified;
        let witness = certified.witness_of_paths(std::slice::from_ref(&path), None);
        let ConversationRecord::V1(conversation) =
            self.verified(&witness.unwrap()).value(&path).unwrap();
        let head = LogRoot::from_leaf(&conversation.head).unwrap().head();
        loop {
            let from = entries.len() as u64;
            let page = history::page(&self.state, id, from, 3).unwrap();
            if page.is_empty() {
                break;
            }
            for entry in &page {
                assert_eq!(entry.index, log.head().size);
                log.append(&entry_hash(id, entry));
            }
            let until = from + page.len() as u64;
            let proof = history::proof(&self.state, id, until).unwrap();
            indus_verify::log::verify_consistency(&log.head(), &head, &proof).unwrap();
            entries.extend(page);
        }
        assert_eq!(log.head(), head);
        entries
    }

    pub(crate) fn reopen(&mut self) {
        self.state = State::open(self.memory.clone(), own()).unwrap();
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        let certified = &self.state.kit.certified;
        let mut audit = indus_verify::Audit::default();
        let size = certified.log_len();
        while audit.size() < size {
            let range = indus_api::icrc3::GetBlocksArgs {
                start: audit.size().into(),
                length: 1_000_u64.into(),
            };
            let page = certified.blocks(&[range]).unwrap();
            let page = candid::encode_one(page).unwrap();
            audit.page(&page, size).unwrap();
        }
        let head = self.verified(&certified.witness_of_head().unwrap());
        assert_eq!(audit.check(&head).unwrap().size, size);
    }

    fn verified(&self, witness: &[u8]) -> indus_verify::VerifiedWitness {
        let root_key = RootKey::from_der(&SUBNET.root_key_der()).unwrap();
        let root_hash = self.state.kit.certified.root_hash();
        let certificate = SUBNET.certificate(own(), root_hash, self.time_ns);
        let now = Time::from_nanos(self.time_ns);
        let bound = TimeBound::within(Duration::from_secs(1));
        Verifier::new(root_key)
            .certificate(&certificate, own(), now, bound)
            .unwrap()
            .witness(witness)
            .unwrap()
    }
}

/// A conversation of the persons that are named first, each with one device, in the order of their leaves.
pub(crate) fn conversation(s: &mut Setting, persons: &[u8]) -> (u64, Vec<Seat>) {
    let mut devices: Vec<Device> = persons.iter().map(|n| s.device(*n)).collect();
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
pub(crate) fn added(s: &mut Setting, id: u64, seats: &mut [Seat], device: Device) -> Seat {
    let package = device.package();
    s.upload(device.person, vec![package.clone()]).unwrap();
    let args = seats[0].commit(id, &[package], &[]);
    accepted(s, seats, 0, args);
    let welcome = s.welcomes(&device).pop().unwrap();
    let subject = s.subject(device.person);
    let tree = conversations::tree(&s.state, &subject, id).unwrap();
    device.join(&welcome.welcome, &tree)
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

fn bytes(message: MlsMessageOut) -> ByteBuf {
    ByteBuf::from(message.tls_serialize_detached().unwrap())
}
