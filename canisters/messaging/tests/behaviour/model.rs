//! Messaging against a model that is plainly right: lists of what was accepted.
//!
//! Random histories of devices that write, add, remove and renew in several conversations, lag behind, send again and race for
//! epochs, with upgrades, suspensions and keys that end in between. The model says of each call what its answer must be. Whatever a
//! device reads is the model's log; in the end all who are in agree on everything.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use candid::Principal;
use indus_api::messaging::{
    Authenticated, Claimed, Claims, CommitArgs, CommitOutcome, CreateArgs, DEFAULT_DAILY_CLAIMS,
    Entry, EntryKind, Label, MAX_ENTRIES, MAX_PACKAGES, MESSAGE_ID_BYTES, PAST_EPOCHS, PostArgs,
    Receipt, entry_hash,
};
use indus_mls::message::Application;
use indus_verify::{Hash, LogRoot};
use messaging::conversations;
use serde_bytes::ByteBuf;

use crate::setting::{Device, Seat, Setting, official, refused};

const MINUTE: u64 = 60 * 1_000_000_000;
const SEEDS: u64 = 40;
const STEPS: usize = 300;
/// Persons of the devices.
const PERSONS: [u8; 8] = [1, 1, 2, 2, 3, 4, 5, 5];
const MAX_CONVERSATIONS: usize = 3;
/// Messages that a device has written and not sent.
const MAX_DRAFTS: usize = 4;

/// What happens next: the same for the same seed.
struct Dice(u64);

impl Dice {
    /// A number below `sides` (SplitMix64).
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.roll(100) < chance
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.roll(all.len())])
    }
}

/// A device, and what the canister has of it.
struct Known {
    device: Rc<Device>,
    /// Whether its messaging key holds.
    holds: bool,
    /// Packages in store; none before the first upload.
    store: Option<Vec<ByteBuf>>,
    last_resort: Option<ByteBuf>,
    /// Conversation, epoch and size of the log of each welcome.
    inbox: Vec<(u64, u64, u64)>,
    /// Welcomes of each conversation before this one were used.
    used: BTreeMap<u64, usize>,
}

/// A conversation, as it must be.
struct Talk {
    id: u64,
    owner: Principal,
    create: CreateArgs,
    epoch: u64,
    /// The devices that are in.
    members: BTreeSet<usize>,
    log: Vec<Entry>,
    /// The root of each beginning of the log.
    roots: Vec<Hash>,
    /// What each message says.
    texts: BTreeMap<u64, Vec<u8>>,
    /// By which all who are in an epoch know that it is the same one.
    authenticators: BTreeMap<u64, Vec<u8>>,
    clients: BTreeMap<usize, Client>,
}

/// A device in a conversation: what it knows, which may be long over.
struct Client {
    seat: Seat,
    /// The epoch that it joined in.
    since: u64,
    log: LogRoot,
    /// Of the messages that it could read.
    texts: BTreeMap<u64, Vec<u8>>,
    plan: Option<Plan>,
    drafts: VecDeque<Draft>,
    sent: Vec<(PostArgs, Receipt)>,
    /// What it wrote, by the message.
    own: BTreeMap<ByteBuf, Vec<u8>>,
}

/// A commit that is not decided yet, as far as its device knows.
#[derive(Clone)]
struct Plan {
    args: CommitArgs,
    epoch: u64,
    added: Vec<usize>,
    removed: Vec<usize>,
}

/// A message that was written and not sent.
#[derive(Clone)]
struct Draft {
    args: PostArgs,
    epoch: u64,
    text: Vec<u8>,
}

struct World {
    s: Setting,
    dice: Dice,
    devices: Vec<Known>,
    talks: Vec<Talk>,
    /// Who acts for nobody at the moment, and may be in no conversation.
    suspended: BTreeSet<Principal>,
    /// Claims of one person upon another.
    claims: BTreeMap<(Principal, Principal), u32>,
    /// Numbers of keys, ids and texts.
    next: u64,
    /// How often what was tried.
    seen: BTreeMap<&'static str, usize>,
}

impl Talk {
    fn accept(&mut self, entry: Entry) {
        let mut log = self.root();
        log.append(&entry_hash(self.id, &entry));
        self.roots.push(log.root());
        self.log.push(entry);
    }

    fn root(&self) -> LogRoot {
        let mut log = LogRoot::default();
        for entry in &self.log {
            log.append(&entry_hash(self.id, entry));
        }
        log
    }

    fn size(&self) -> u64 {
        self.log.len() as u64
    }
}

impl Client {
    fn new(seat: Seat, since: u64, log: LogRoot) -> Self {
        Self {
            seat,
            since,
            log,
            texts: BTreeMap::new(),
            plan: None,
            drafts: VecDeque::new(),
            sent: Vec::new(),
            own: BTreeMap::new(),
        }
    }

    fn epoch(&self) -> u64 {
        self.seat.group.epoch().as_u64()
    }

    /// Takes in the next entry of the log.
    fn take(&mut self, entry: &Entry) {
        match entry.kind {
            EntryKind::Created => {}
            EntryKind::Commit => match self.plan.take() {
                Some(plan) if plan.args.commit == entry.payload => self.seat.merge(),
                plan => {
                    if plan.is_some() {
                        self.seat.give_up();
                    }
                    assert_eq!(self.seat.receive(&entry.payload), None);
                }
            },
            // It was sent to those who were in then.
            EntryKind::Message if entry.epoch < self.since => {}
            EntryKind::Message => {
                let own = self.own.get(&entry.payload).cloned();
                let text = own.or_else(|| self.seat.receive(&entry.payload));
                self.texts.insert(entry.index, text.unwrap());
            }
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut s = Setting::new();
        let mut dice = Dice(seed);
        let count = 3 + dice.roll(PERSONS.len() - 2);
        let devices = PERSONS[..count].iter().map(|n| Known {
            device: s.device(*n),
            holds: true,
            store: None,
            last_resort: None,
            inbox: Vec::new(),
            used: BTreeMap::new(),
        });
        let devices = devices.collect();
        Self {
            s,
            dice,
            devices,
            talks: Vec::new(),
            suspended: BTreeSet::new(),
            claims: BTreeMap::new(),
            next: 0,
            seen: BTreeMap::new(),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn person(&self, device: usize) -> Principal {
        self.devices[device].device.person
    }

    fn device_of(&self, key: &[u8]) -> usize {
        let known = self.devices.iter();
        known
            .map(|one| one.device.key())
            .position(|one| one.as_slice() == key)
            .unwrap()
    }

    /// Whether a person has a device in a conversation.
    fn is_in(&self, person: Principal, talk: usize) -> bool {
        let members = self.talks[talk].members.iter();
        members.clone().any(|device| self.person(*device) == person)
    }

    /// Whether they may do there what members do.
    fn may(&self, person: Principal, talk: usize) -> bool {
        self.is_in(person, talk) && !self.suspended.contains(&person)
    }

    /// A device in a conversation that thinks it is in.
    fn any_client(&mut self) -> Option<(usize, usize)> {
        let talks = self.talks.iter().enumerate();
        let clients: Vec<_> = talks
            .flat_map(|(talk, of)| of.clients.keys().map(move |device| (talk, *device)))
            .collect();
        self.dice.one_of(&clients)
    }

    fn client(&mut self, (talk, device): (usize, usize)) -> &mut Client {
        self.talks[talk].clients.get_mut(&device).unwrap()
    }

    fn step(&mut self) {
        self.s.wait(MINUTE);
        match self.dice.roll(100) {
            0..3 => self.create(),
            3..6 => self.s.reopen(),
            6..8 => self.suspend(),
            8 => self.end_key(),
            9..16 => self.upload(),
            16..28 => {
                let device = self.dice.roll(self.devices.len());
                self.join(device);
            }
            28..44 => self.plan(),
            44..60 => self.submit(),
            60..70 => self.write(),
            70..82 => self.post(),
            _ => {
                let Some(at) = self.any_client() else { return };
                let limit = 1 + self.dice.roll(8);
                self.read(at, u32::try_from(limit).unwrap());
            }
        }
        let device = self.dice.roll(self.devices.len());
        for talk in 0..self.talks.len() {
            self.check(talk, device);
        }
    }

    // --- what devices do ---------------------------------------------------------------------------------------------

    fn create(&mut self) {
        let device = self.dice.roll(self.devices.len());
        let person = self.person(device);
        if self.talks.len() == MAX_CONVERSATIONS {
            // Again.
            let talk = self.dice.roll(MAX_CONVERSATIONS);
            let (owner, args) = (self.talks[talk].owner, self.talks[talk].create.clone());
            let founder = self.device_of_founder(talk);
            let answer = self.s.create(owner, args);
            if self.may(owner, talk) && self.devices[founder].holds {
                assert_eq!(answer.unwrap().conversation.id, self.talks[talk].id);
            } else {
                assert_eq!(refused(answer), "unauthorized");
            }
            return;
        }
        let seat = self.devices[device].device.clone().found();
        let create = CreateArgs {
            group_info: seat.group_info(),
            label: Label::Official,
        };
        let answer = self.s.create(person, create.clone());
        if self.suspended.contains(&person) || !self.devices[device].holds {
            assert_eq!(refused(answer), "unauthorized");
            return;
        }
        let view = answer.unwrap();
        let id = view.conversation.id;
        assert_eq!(id, self.talks.len() as u64 + 1);
        let mut talk = Talk {
            id,
            owner: person,
            create: create.clone(),
            epoch: 0,
            members: [device].into(),
            log: Vec::new(),
            roots: vec![LogRoot::default().root()],
            texts: BTreeMap::new(),
            authenticators: BTreeMap::new(),
            clients: BTreeMap::new(),
        };
        talk.accept(Entry {
            index: 0,
            kind: EntryKind::Created,
            epoch: 0,
            at_ns: view.created_at_ns,
            sender: person,
            payload: create.group_info,
        });
        let client = Client::new(seat, 0, LogRoot::default());
        talk.clients.insert(device, client);
        self.talks.push(talk);
    }

    fn upload(&mut self) {
        let device = self.dice.roll(self.devices.len());
        let known = &self.devices[device];
        let ordinary: Vec<ByteBuf> = (0..=self.dice.roll(3))
            .map(|_| known.device.package())
            .collect();
        let last_resort = self.dice.percent(30).then(|| known.device.last_resort());
        let packages: Vec<ByteBuf> = ordinary.iter().chain(&last_resort).cloned().collect();
        let person = known.device.person;
        for _ in 0..=self.dice.roll(2) {
            let answer = self.s.upload(person, packages.clone());
            let known = &mut self.devices[device];
            if !known.holds {
                assert_eq!(refused(answer), "unauthorized");
                return;
            }
            let store = known.store.get_or_insert_default();
            if !store.contains(&ordinary[0]) {
                store.extend(ordinary.clone());
                known.last_resort = last_resort.clone().or(known.last_resort.take());
            }
            assert!(store.len() <= MAX_PACKAGES);
            assert_eq!(answer, Ok(u32::try_from(store.len()).unwrap()));
        }
    }

    /// Claims packages of a person's devices: those that are handed out.
    fn claim(&mut self, by: Principal, of: Principal) -> Vec<(usize, ByteBuf)> {
        let key = self.number().to_be_bytes();
        let answer = self.s.claim(by, &key, &[of]);
        let of_person = |known: &Known| known.device.person == of && known.store.is_some();
        if !self.devices.iter().any(of_person) {
            assert_eq!(refused(answer), "not found");
            return Vec::new();
        }
        let claims = self.claims.entry((by, of)).or_default();
        if by != of && *claims >= DEFAULT_DAILY_CLAIMS {
            assert_eq!(refused(answer), "limit");
            return Vec::new();
        }
        *claims += 1;
        let answer = answer.unwrap();
        if self.dice.percent(20) {
            assert_eq!(self.s.claim(by, &key, &[of]), Ok(answer.clone()));
        }
        let Claims { claimed, without } = answer;
        let mut claimed = claimed.into_iter();
        let mut without: BTreeSet<Vec<u8>> = without.into_iter().map(ByteBuf::into_vec).collect();
        let mut packages = BTreeMap::new();
        for Claimed {
            person,
            signature_key,
            key_package,
            last_resort,
        } in claimed.by_ref()
        {
            let device = self.device_of(&signature_key);
            let known = &mut self.devices[device];
            assert!(known.holds && person == of && known.device.person == of);
            let store = known.store.as_mut().unwrap();
            if last_resort {
                assert!(store.is_empty());
                assert_eq!(known.last_resort.as_ref(), Some(&key_package));
            } else {
                let at = store.iter().position(|one| *one == key_package);
                store.remove(at.unwrap());
            }
            assert!(packages.insert(device, key_package).is_none());
        }
        for (device, known) in self.devices.iter().enumerate() {
            if of_person(known) && known.holds && !packages.contains_key(&device) {
                assert!(without.remove(&known.device.key()[..]));
                assert!(known.store == Some(vec![]) && known.last_resort.is_none());
            }
        }
        assert!(without.is_empty());
        packages.into_iter().collect()
    }

    /// Makes a commit of what its device knows.
    fn plan(&mut self) {
        let Some(at) = self.any_client() else { return };
        let (talk, device) = at;
        let by = self.person(device);
        let is_owner = by == self.talks[talk].owner;
        // Now and then what is not allowed.
        let bold = self.dice.percent(10);
        let client = self.client(at);
        if client.plan.is_some() {
            return;
        }
        let members: Vec<(u32, Vec<u8>)> = client
            .seat
            .group
            .members()
            .map(|member| (member.index.u32(), member.signature_key))
            .collect();
        let here: Vec<(u32, usize)> = members
            .iter()
            .map(|(leaf, key)| (*leaf, self.device_of(key)))
            .collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let kind = self.dice.roll(10);
        if kind < 5 {
            let mut others: Vec<Principal> =
                self.devices.iter().map(|one| one.device.person).collect();
            others.retain(|other| is_owner || bold || *other == by);
            let other = self.dice.one_of(&others).unwrap();
            added = self.claim(by, other);
            added.retain(|(device, _)| here.iter().all(|(_, member)| member != device));
        }
        if (4..7).contains(&kind) {
            let mut others = here.clone();
            others.retain(|(_, other)| {
                *other != device && (is_owner || bold || self.person(*other) == by)
            });
            removed.extend(self.dice.one_of(&others));
        }
        let packages: Vec<ByteBuf> = added.iter().map(|(_, package)| package.clone()).collect();
        let leaves: Vec<u32> = removed.iter().map(|(leaf, _)| *leaf).collect();
        let id = self.talks[talk].id;
        let client = self.client(at);
        client.plan = Some(Plan {
            args: client.seat.commit_with(id, &packages, &leaves, true),
            epoch: client.epoch(),
            added: added.into_iter().map(|(device, _)| device).collect(),
            removed: removed.into_iter().map(|(_, device)| device).collect(),
        });
    }

    /// Submits a commit, for the first time or again.
    fn submit(&mut self) {
        let Some(at) = self.any_client() else { return };
        let (talk, device) = at;
        let Some(plan) = self.client(at).plan.clone() else {
            return;
        };
        let mut by = self.person(device);
        if self.dice.percent(5) {
            // Somebody else does.
            let other = self.dice.roll(self.devices.len());
            by = self.person(other);
        }
        let answer = self.s.submit(by, plan.args.clone());
        if !self.may(by, talk) {
            assert_eq!(refused(answer), "unauthorized");
            return;
        }
        let of = &self.talks[talk];
        if plan.epoch < of.epoch {
            let is_winner =
                |entry: &&Entry| entry.kind == EntryKind::Commit && entry.epoch == plan.epoch;
            let winner = of.log.iter().find(is_winner).unwrap();
            match answer.unwrap() {
                CommitOutcome::Accepted(receipt) => {
                    assert_eq!(winner.payload, plan.args.commit);
                    assert_eq!(winner.sender, by);
                    assert_eq!(receipt, receipt_of(of.id, winner));
                    self.note("commit again");
                }
                CommitOutcome::Stale { epoch, entries } => {
                    assert!(winner.payload != plan.args.commit || winner.sender != by);
                    assert_eq!(epoch, of.epoch);
                    let from = usize::try_from(winner.index).unwrap();
                    let rest = of.log[from..].iter().take(MAX_ENTRIES as usize);
                    assert!(entries.iter().eq(rest));
                    self.note("stale commit");
                }
            }
            return;
        }
        assert_eq!(plan.epoch, of.epoch);
        let is_own = |device: &usize| self.person(*device) == by || by == of.owner;
        let can_be_in = |device: &usize| {
            self.devices[*device].holds && !self.suspended.contains(&self.person(*device))
        };
        let allowed = by == self.person(device)
            && self.devices[device].holds
            && plan.added.iter().chain(&plan.removed).all(is_own)
            && plan.added.iter().all(can_be_in);
        if !allowed {
            assert_eq!(refused(answer), "unauthorized");
            if by == self.person(device) {
                let client = self.client(at);
                client.plan = None;
                client.seat.give_up();
            }
            self.note("commit refused");
            return;
        }
        let CommitOutcome::Accepted(receipt) = answer.unwrap() else {
            panic!("the first commit of an epoch");
        };
        let of = &mut self.talks[talk];
        let entry = Entry {
            index: of.size(),
            kind: EntryKind::Commit,
            epoch: plan.epoch,
            at_ns: receipt.at_ns,
            sender: by,
            payload: plan.args.commit,
        };
        assert_eq!(receipt, receipt_of(of.id, &entry));
        of.accept(entry);
        of.epoch += 1;
        for gone in &plan.removed {
            assert!(of.members.remove(gone));
        }
        for new in &plan.added {
            assert!(of.members.insert(*new));
            let arrived = (of.id, of.epoch, of.size());
            self.devices[*new].inbox.push(arrived);
        }
        self.note("commit");
    }

    fn write(&mut self) {
        let Some(at) = self.any_client() else { return };
        let number = self.number();
        let id = self.talks[at.0].id;
        let client = self.client(at);
        if client.drafts.len() == MAX_DRAFTS {
            // It will never be sent.
            client.drafts.pop_front();
        }
        let mut message_id = [0; MESSAGE_ID_BYTES];
        message_id[..8].copy_from_slice(&number.to_be_bytes());
        let authenticated = Authenticated {
            id: message_id,
            size: client.log.size(),
            root: client.log.root(),
        };
        let text = format!("text {number}").into_bytes();
        let aad = authenticated.to_bytes();
        let draft = Draft {
            args: client.seat.write_with(id, &text, &aad),
            epoch: client.epoch(),
            text: text.clone(),
        };
        client.own.insert(draft.args.message.clone(), text);
        client.drafts.push_back(draft);
    }

    /// Sends a message, for the first time or again.
    fn post(&mut self) {
        let Some(at) = self.any_client() else { return };
        let (talk, device) = at;
        let by = self.person(device);
        let may = self.may(by, talk);
        let sent = self.client(at).sent.clone();
        if self.dice.percent(20)
            && let Some(number) = self.dice.one_of(&(0..sent.len()).collect::<Vec<_>>())
        {
            let (args, receipt) = sent[number].clone();
            let answer = self.s.post(by, args);
            if may {
                assert_eq!(answer, Ok(receipt));
                self.note("message again");
            } else {
                assert_eq!(refused(answer), "unauthorized");
            }
            return;
        }
        let Some(draft) = self.client(at).drafts.front().cloned() else {
            return;
        };
        let answer = self.s.post(by, draft.args.clone());
        if !may {
            assert_eq!(refused(answer), "unauthorized");
            return;
        }
        self.client(at).drafts.pop_front();
        let of = &mut self.talks[talk];
        if draft.epoch + PAST_EPOCHS < of.epoch {
            assert_eq!(refused(answer), "stale");
            self.note("stale message");
            return;
        }
        let receipt = answer.unwrap();
        let entry = Entry {
            index: of.size(),
            kind: EntryKind::Message,
            epoch: draft.epoch,
            at_ns: receipt.at_ns,
            sender: by,
            payload: draft.args.message.clone(),
        };
        assert_eq!(receipt, receipt_of(of.id, &entry));
        of.texts.insert(entry.index, draft.text);
        let is_late = draft.epoch < of.epoch;
        of.accept(entry);
        self.client(at).sent.push((draft.args, receipt));
        self.note(if is_late {
            "message of a past epoch"
        } else {
            "message"
        });
    }

    /// Reads on, at most so many entries; whether there was anything.
    fn read(&mut self, at: (usize, usize), limit: u32) -> bool {
        let (talk, device) = at;
        let person = self.person(device);
        let id = self.talks[talk].id;
        let answer = self.s.view(person, id);
        if !self.may(person, talk) {
            assert_eq!(refused(answer), "unauthorized");
            if !self.is_in(person, talk) {
                self.leave(at);
            }
            return false;
        }
        let mut log = self.client(at).log.clone();
        let from = usize::try_from(log.size()).unwrap();
        let page = self.s.page(id, &mut log, limit);
        let of = &mut self.talks[talk];
        let expected = &of.log[from..];
        assert!(page.iter().eq(expected.iter().take(limit as usize)));
        let client = of.clients.get_mut(&device).unwrap();
        for entry in &page {
            client.take(entry);
            client.log.append(&entry_hash(id, entry));
            if !client.seat.group.is_active() {
                self.leave(at);
                self.note("left");
                return false;
            }
            let authenticator = client.seat.group.epoch_authenticator().as_slice();
            let same = of.authenticators.entry(client.epoch());
            assert_eq!(
                same.or_insert_with(|| authenticator.to_vec()),
                authenticator
            );
        }
        !page.is_empty()
    }

    fn leave(&mut self, (talk, device): (usize, usize)) {
        let mut client = self.talks[talk].clients.remove(&device).unwrap();
        client.seat.leave();
    }

    /// Looks for welcomes, and joins where the device is not in.
    fn join(&mut self, device: usize) {
        let known = &mut self.devices[device];
        // A device whose key has ended may be forgotten, with its inbox.
        if known.store.is_none() || !known.holds {
            return;
        }
        let welcomes = self.s.welcomes(&known.device);
        let arrived = welcomes.iter().map(|one| {
            let log = LogRoot::from_leaf(&one.head).unwrap();
            (one.conversation, one.epoch, log.size())
        });
        assert!(arrived.eq(known.inbox.iter().copied()));
        let mut joined = 0;
        for of in &mut self.talks {
            let used = known.used.entry(of.id).or_default();
            let latest = welcomes[*used..]
                .iter()
                .rfind(|one| one.conversation == of.id);
            let Some(welcome) = latest.filter(|_| !of.clients.contains_key(&device)) else {
                continue;
            };
            *used = usize::try_from(welcome.index).unwrap() + 1;
            let log = LogRoot::from_leaf(&welcome.head).unwrap();
            assert_eq!(log.root(), of.roots[usize::try_from(log.size()).unwrap()]);
            let seat = known.device.clone().join(&welcome.welcome, None);
            assert_eq!(seat.group.epoch().as_u64(), welcome.epoch);
            of.clients
                .insert(device, Client::new(seat, welcome.epoch, log));
            joined += 1;
        }
        for _ in 0..joined {
            self.note("join");
        }
    }

    // --- what happens to them ----------------------------------------------------------------------------------------

    /// Suspends a person, or all are let in again.
    fn suspend(&mut self) {
        if self.suspended.is_empty() {
            let device = self.dice.roll(self.devices.len());
            let person = self.person(device);
            self.suspended.insert(person);
            self.s.subjects.get_mut(&person).unwrap().organisation = None;
        } else {
            self.reinstate();
        }
    }

    fn reinstate(&mut self) {
        for n in PERSONS {
            let subject = official(n);
            self.s.subjects.insert(subject.person, subject);
        }
        self.suspended.clear();
    }

    /// The messaging key of a second device ends.
    fn end_key(&mut self) {
        let device = self.dice.roll(self.devices.len());
        let known = &mut self.devices[device];
        if device % 4 == 1 {
            known.holds = false;
            self.s.bound.remove(&known.device.key());
        }
    }

    // --- what must be ------------------------------------------------------------------------------------------------

    fn device_of_founder(&self, talk: usize) -> usize {
        let first = &self.talks[talk].create.group_info;
        let has_key = |known: &Known| {
            let key = known.device.key();
            first.windows(key.len()).any(|part| part == key)
        };
        self.devices.iter().position(has_key).unwrap()
    }

    /// What the canister shows this device is what was accepted.
    fn check(&self, talk: usize, device: usize) {
        let (of, person) = (&self.talks[talk], self.person(device));
        let answer = self.s.view(person, of.id);
        if !self.may(person, talk) {
            assert_eq!(refused(answer), "unauthorized");
            return;
        }
        let view = answer.unwrap();
        assert_eq!((view.owner, view.conversation.epoch), (of.owner, of.epoch));
        let log = LogRoot::from_leaf(&view.conversation.head).unwrap();
        assert_eq!(
            (log.size(), Some(&log.root())),
            (of.size(), of.roots.last())
        );
        let members = view.members.iter();
        let mut members: Vec<usize> = members
            .map(|member| self.device_of(&member.signature_key))
            .collect();
        members.sort_unstable();
        assert!(members.iter().eq(&of.members));
    }

    /// Everybody catches up, and all agree.
    fn end(&mut self) {
        self.reinstate();
        for device in 0..self.devices.len() {
            // Whoever is in by a later welcome reads first that it was removed.
            for _ in 0..2 {
                for talk in 0..self.talks.len() {
                    while self.talks[talk].clients.contains_key(&device)
                        && self.read((talk, device), 20)
                    {}
                }
                self.join(device);
            }
        }
        for talk in 0..self.talks.len() {
            for device in 0..self.devices.len() {
                self.check(talk, device);
            }
            self.agree(talk);
        }
        self.s.audit();
    }

    fn agree(&self, talk: usize) {
        let of = &self.talks[talk];
        let entries = self.s.entries(of.id);
        assert_eq!(entries, of.log);
        let commits = entries.iter().filter(|one| one.kind == EntryKind::Commit);
        assert!(commits.map(|one| one.epoch).eq(0..of.epoch));
        let mut ids = BTreeSet::new();
        for entry in entries.iter().filter(|one| one.kind == EntryKind::Message) {
            let message = Application::from_message(&entry.payload).unwrap();
            let said = Authenticated::from_bytes(message.authenticated_data).unwrap();
            assert!(ids.insert(said.id), "a message is in the log twice");
            assert_eq!(said.root, of.roots[usize::try_from(said.size).unwrap()]);
        }

        let clients: BTreeSet<usize> = of.clients.keys().copied().collect();
        let mut members = of.members.clone();
        members.retain(|device| self.devices[*device].holds || clients.contains(device));
        assert_eq!(clients, members);
        let subject = self.s.subject(of.owner);
        let tree = conversations::tree(&self.s.state, &subject, of.id).unwrap();
        for client in of.clients.values() {
            assert_eq!(client.epoch(), of.epoch);
            assert_eq!(client.log.root(), *of.roots.last().unwrap());
            assert_eq!(client.seat.tree(), tree.as_slice());
            let read = |(index, _): &(&u64, &Vec<u8>)| {
                let entry = &of.log[usize::try_from(**index).unwrap()];
                entry.epoch >= client.since
            };
            assert!(client.texts.iter().eq(of.texts.iter().filter(read)));
        }
    }
}

fn receipt_of(conversation: u64, entry: &Entry) -> Receipt {
    Receipt {
        conversation,
        index: entry.index,
        epoch: entry.epoch,
        at_ns: entry.at_ns,
        entry_hash: ByteBuf::from(entry_hash(conversation, entry)),
    }
}

#[test]
fn whatever_happens_all_agree_on_what_was_accepted() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
        for (what, times) in world.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    // Nothing that is tried is rare.
    for what in [
        "commit",
        "commit again",
        "commit refused",
        "stale commit",
        "join",
        "left",
        "message",
        "message again",
        "message of a past epoch",
        "stale message",
    ] {
        assert!(seen.get(what).is_some_and(|times| *times >= 10), "{seen:?}");
    }
}
