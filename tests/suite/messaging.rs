//! Messaging with the canisters that it asks, and persons whose devices speak MLS with openmls.
//!
//! ```text
//! registry ◄── standings ── identity ◄── who calls, whose keys ── messaging ── decisions ──► registry
//! ```
//!
//! Whatever members read here is proved against the subnet's key.

#[path = "../../canisters/messaging/tests/behaviour/devices.rs"]
mod devices;
mod ended;
mod faults;
mod flow;
mod races;
mod steps;
mod traps;
mod upgrades;

use std::{ops::Deref, rc::Rc, thread, time::Duration, time::SystemTime};

use candid::{CandidType, Encode, Principal, utils::ArgumentEncoder};
use end_to_end::messaging_module;
use indus_api::{
    CertifiedRead, Error, Subject,
    identity::{BindMessagingKeyArgs, MessagingKey, path, to_prove},
    messaging::{
        CONVERSATIONS, CommitArgs, CommitOutcome, Configuration, Conversation, ConversationRecord,
        ConversationView, CreateArgs, Device as KnownDevice, EntriesArgs, EntriesPage, Entry,
        EntryKind, INBOXES, InboxRecord, InitArgs, Label, PostArgs, Receipt, UploadArgs,
        WelcomesArgs, WelcomesPage, entry_hash, welcome_hash,
    },
    registry::DataClass,
};
use indus_verify::{Hash, LogRoot, log::verify_consistency};
use pocket_ic::{RejectResponse, common::rest::RawMessageId};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::suite::{CONTROLLER, Suite, key};
use devices::Device;

/// A suite with messaging.
pub(crate) struct Post {
    suite: Suite,
    pub(crate) canister: Principal,
}

impl Deref for Post {
    type Target = Suite;

    fn deref(&self) -> &Suite {
        &self.suite
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.audited(self.canister);
        }
    }
}

impl Post {
    /// All on one subnet.
    pub(crate) fn new() -> Self {
        Self::beside(Suite::new())
    }

    /// Identity on another subnet, from which answers take some rounds.
    pub(crate) fn far_from_identity() -> Self {
        Self::beside(Suite::far_from_the_registry())
    }

    /// Installs messaging on the last subnet, and has identity answer it.
    fn beside(suite: Suite) -> Self {
        // Devices go by the clock of this machine.
        let now = pocket_ic::Time::from(SystemTime::now());
        if now > suite.pic.get_time() {
            suite.pic.set_time(now);
        }
        let subnet = suite.pic.topology().get_app_subnets().pop().unwrap();
        let args = InitArgs {
            identity: suite.identity,
            registry: suite.registry,
            configuration: Configuration::default(),
        };
        let named = ("messaging", DataClass::Confidential);
        let canister = suite.join(subnet, named, messaging_module(), &args);
        // The seed is drawn.
        suite.pass(Duration::from_secs(61));
        Self { suite, canister }
    }

    pub(crate) fn everyone(&self) -> [Principal; 3] {
        [self.registry, self.identity, self.canister]
    }

    // --- calls ------------------------------------------------------------------------------------------------------

    /// An update of messaging, by the holder of the key of this name.
    pub(crate) fn call<R: CandidType + DeserializeOwned>(
        &self,
        caller: &str,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, Error> {
        self.update(self.canister, key(caller), method, args)
            .unwrap()
    }

    /// An update of messaging that is under way.
    pub(crate) fn begin(&self, caller: &str, method: &str, args: Vec<u8>) -> RawMessageId {
        self.pic
            .submit_call(self.canister, key(caller), method, args)
            .unwrap()
    }

    /// A query of messaging, by somebody whom it knows.
    pub(crate) fn ask<R: CandidType + DeserializeOwned>(
        &self,
        caller: &str,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<R, Error> {
        let known: Result<Subject, Error> = self.call(caller, "refresh_subject", ());
        known?;
        self.query(self.canister, key(caller), method, args)
    }

    // --- devices ----------------------------------------------------------------------------------------------------

    /// A device of this person, whose key is bound.
    pub(crate) fn device(&self, name: &str) -> Rc<Device> {
        let device = Rc::new(Device::new(self.person(key(name))));
        self.bind(name, &device).unwrap();
        device
    }

    pub(crate) fn bind(&self, name: &str, device: &Device) -> Result<MessagingKey, Error> {
        let args = BindMessagingKeyArgs {
            signature_key: ByteBuf::from(device.key()),
            proof: ByteBuf::from(device.sign(&to_prove(self.identity, device.person))),
        };
        self.identity(key(name), "bind_messaging_key", (args,))
    }

    pub(crate) fn upload(&self, name: &str, key_packages: Vec<ByteBuf>) -> Result<u32, Error> {
        self.call(name, "upload_key_packages", (UploadArgs { key_packages },))
    }

    /// A conversation of these persons, each with one device.
    pub(crate) fn conversation(&self, label: Label, names: &[&'static str]) -> (u64, Vec<Member>) {
        let (&owner, others) = names.split_first().unwrap();
        let founder = Member::new(owner, self.device(owner).found(), LogRoot::default());
        let args = CreateArgs {
            group_info: founder.seat.group_info(),
            label,
        };
        let created: ConversationView = self.call(owner, "create_conversation", (args,)).unwrap();
        let id = created.conversation.id;
        let mut members = vec![founder];
        members[0].follow(self, id);
        for &name in others {
            let device = self.device(name);
            let package = device.package();
            self.upload(name, vec![package.clone()]).unwrap();
            let args = members[0].commit(id, &[package], &[]);
            self.accepted(&mut members, 0, args);
            members.push(Member::join(self, name, device, id));
        }
        (id, members)
    }

    /// Submits a commit that is accepted; everybody follows.
    pub(crate) fn accepted(&self, members: &mut [Member], by: usize, args: CommitArgs) -> Receipt {
        // There are tokens again.
        self.pass(Duration::from_secs(30));
        let id = args.conversation;
        let answer = self.call(members[by].name, "submit_commit", (args,));
        let CommitOutcome::Accepted(receipt) = answer.unwrap() else {
            panic!("it was the only one");
        };
        for member in members {
            member.follow(self, id);
        }
        receipt
    }

    // --- proofs -----------------------------------------------------------------------------------------------------

    /// What is certified of a conversation.
    pub(crate) fn certified_conversation(&self, id: u64) -> Conversation {
        let paths = vec![path(CONVERSATIONS, &id.to_be_bytes())];
        let anonymous = Principal::anonymous();
        let answer: Result<CertifiedRead, Error> =
            self.query(self.canister, anonymous, "certified_read", (paths,));
        self.conversation_of(id, &answer.unwrap())
    }

    fn conversation_of(&self, id: u64, answer: &CertifiedRead) -> Conversation {
        let witness = self.verified(self.canister, answer);
        let path = path(CONVERSATIONS, &id.to_be_bytes());
        let ConversationRecord::V1(conversation) = witness.value(&path).unwrap();
        conversation
    }

    // --- life -------------------------------------------------------------------------------------------------------

    pub(crate) fn module(&self, canister: Principal) -> Vec<u8> {
        if canister == self.canister {
            messaging_module()
        } else {
            self.suite.module(canister)
        }
    }

    /// Stops a canister, upgrades it to this module and starts it.
    pub(crate) fn upgrade_to(&self, canister: Principal, module: Vec<u8>) {
        self.stop(canister);
        let args = Encode!().unwrap();
        self.pic
            .upgrade_canister(canister, module, args, Some(CONTROLLER))
            .unwrap();
        self.start(canister);
    }
}

/// A device in a conversation, and what it has read and verified.
pub(crate) struct Member {
    /// Of the key that calls.
    pub(crate) name: &'static str,
    pub(crate) seat: devices::Seat,
    log: LogRoot,
    pending: Option<ByteBuf>,
    own: Vec<(ByteBuf, Vec<u8>)>,
    pub(crate) texts: Vec<Vec<u8>>,
}

impl Member {
    pub(crate) fn new(name: &'static str, seat: devices::Seat, log: LogRoot) -> Self {
        Self {
            name,
            seat,
            log,
            pending: None,
            own: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Joins by the latest welcome, which is proved, and reads on.
    pub(crate) fn join(post: &Post, name: &'static str, device: Rc<Device>, id: u64) -> Self {
        let signature_key = ByteBuf::from(device.key());
        let args = WelcomesArgs {
            signature_key: signature_key.clone(),
            from: 0,
            limit: 100,
        };
        let page: WelcomesPage = post.ask(name, "welcomes", (args,)).unwrap();
        let known: Vec<KnownDevice> = post.ask(name, "my_devices", ()).unwrap();
        let known = known.iter().find(|one| one.signature_key == signature_key);
        let path = path(INBOXES, &known.unwrap().inbox);
        let witness = post.verified(post.canister, &page.certified);
        let InboxRecord::V1(inbox) = witness.value(&path).unwrap();
        assert_eq!(
            (inbox.person, inbox.signature_key),
            (device.person, signature_key)
        );
        let mut log = LogRoot::default();
        for welcome in &page.welcomes {
            log.append(&welcome_hash(welcome));
        }
        assert_eq!(LogRoot::from_leaf(&inbox.head).unwrap().head(), log.head());

        let welcome = page.welcomes.last().unwrap();
        assert_eq!(welcome.conversation, id);
        let log = LogRoot::from_leaf(&welcome.head).unwrap();
        let tree: ByteBuf = post.ask(name, "get_ratchet_tree", (id,)).unwrap();
        let seat = device.join(&welcome.welcome, Some(&tree));
        let mut member = Self::new(name, seat, log);
        member.follow(post, id);
        member
    }

    /// Reads on to the end, and verifies what it reads.
    pub(crate) fn follow(&mut self, post: &Post, id: u64) {
        loop {
            let args = EntriesArgs {
                conversation: id,
                from: self.log.size(),
                limit: 2,
            };
            let page: EntriesPage = post.ask(self.name, "entries", (args,)).unwrap();
            for entry in &page.entries {
                assert_eq!(entry.index, self.log.size());
                self.log.append(&entry_hash(id, entry));
            }
            let conversation = post.conversation_of(id, &page.certified);
            let head = LogRoot::from_leaf(&conversation.head).unwrap().head();
            verify_consistency(&self.log.head(), &head, &hashes(&page.consistency)).unwrap();
            if page.entries.is_empty() {
                assert_eq!(self.log.head(), head);
                let epoch = self.seat.group.epoch().as_u64();
                assert_eq!(epoch, conversation.epoch);
                return;
            }
            for entry in page.entries {
                // Nobody is told of the group before it is there.
                if entry.index > 0 {
                    self.take(entry);
                }
            }
        }
    }

    fn take(&mut self, entry: Entry) {
        if self.pending.as_ref() == Some(&entry.payload) {
            self.pending = None;
            self.seat.merge();
            return;
        }
        let mut own = self.own.iter();
        if let Some((_, text)) = own.find(|(message, _)| *message == entry.payload) {
            self.texts.push(text.clone());
            return;
        }
        // Another one came first.
        if entry.kind == EntryKind::Commit && self.pending.is_some() {
            self.give_up();
        }
        self.texts.extend(self.seat.receive(&entry.payload));
    }

    /// A commit that waits for its acceptance.
    pub(crate) fn commit(&mut self, id: u64, added: &[ByteBuf], removed: &[u32]) -> CommitArgs {
        let args = self.seat.commit(id, added, removed);
        self.pending = Some(args.commit.clone());
        args
    }

    pub(crate) fn give_up(&mut self) {
        self.pending = None;
        self.seat.give_up();
    }

    pub(crate) fn write(&mut self, id: u64, text: &[u8]) -> PostArgs {
        let args = self.seat.write_after(id, text, &self.log);
        self.own.push((args.message.clone(), text.to_vec()));
        args
    }
}

/// What an update answered.
pub(crate) fn decoded<R: CandidType + DeserializeOwned>(
    reply: Result<Vec<u8>, RejectResponse>,
) -> Result<R, Error> {
    candid::decode_one(&reply.unwrap()).unwrap()
}

pub(crate) fn hashes(proof: &[ByteBuf]) -> Vec<Hash> {
    let hash = |one: &ByteBuf| one.as_slice().try_into().unwrap();
    proof.iter().map(hash).collect()
}

pub(crate) fn is_unauthorized<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unauthorized { .. }))
}
