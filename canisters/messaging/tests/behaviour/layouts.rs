//! Every layout that was released opens, says what it said then, and goes on.

use std::{collections::BTreeMap, path::PathBuf, rc::Rc};

use candid::{Decode, Encode};
use ic_stable_structures::VectorMemory;
use indus_api::messaging::{Authenticated, CommitArgs, CommitOutcome, EntryKind, PostArgs};
use indus_mls::message::application_header;
use messaging::state::LAYOUT;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use testnet::{Basics, Layouts};

use crate::setting::{DAY, Setting, accepted, added, conversation, official, person, refused};

/// What a recorded messaging canister says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    #[serde(flatten)]
    basics: Basics,
    /// Conversation 1: its epoch, the persons of its leaves.
    epoch: u64,
    members: Vec<String>,
    /// Of the entries of conversation 1: kind, length of the payload.
    entries: Vec<(EntryKind, usize)>,
}

/// What was prepared for a recorded canister.
#[derive(Serialize, Deserialize)]
struct Recorded {
    facts: Facts,
    /// Messaging keys, by the numbers of their persons.
    keys: BTreeMap<u8, String>,
    /// Candid of a message of person 2's that is in conversation 1.
    posted: String,
    /// Candid of person 1's next commit there, which adds person 3's device.
    commit: String,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

fn facts(s: &Setting) -> Facts {
    let view = s.view(person(1), 1).unwrap();
    let entries = s.entries(1).into_iter();
    Facts {
        basics: Basics::of(&s.state.kit, s.time_ns),
        epoch: view.conversation.epoch,
        members: view
            .members
            .iter()
            .map(|one| one.person.to_text())
            .collect(),
        entries: entries.map(|one| (one.kind, one.payload.len())).collect(),
    }
}

/// A conversation of two, one of whom has two devices, a third device was removed; messages; a key package in store, a claimed one.
fn example() -> (VectorMemory, Recorded) {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    for n in [2, 4] {
        let device = s.device(n);
        let seat = added(&mut s, id, &mut seats, device);
        seats.push(seat);
    }
    let mut posted = None;
    for at in [0, 1, 2] {
        let args = seats[at].write(id, b"Salam");
        s.post(seats[at].device.person, args.clone()).unwrap();
        posted = Some(args);
    }
    let remove = seats[0].commit(id, &[], &[3]);
    accepted(&mut s, &mut seats, 0, remove);
    let newcomer = s.device(3);
    s.upload(person(3), vec![newcomer.package()]).unwrap();
    s.claim(person(1), b"one of them", &[person(3)]).unwrap();
    let package = newcomer.package();
    s.upload(person(3), vec![package.clone(), newcomer.last_resort()])
        .unwrap();
    // A conversation that nothing happens in.
    conversation(&mut s, &[5]);

    let commit = seats[0].commit(id, &[package], &[]);
    let devices = [(1, &seats[0].device), (2, &seats[2].device), (3, &newcomer)];
    let key = |(n, device): (u8, &Rc<_>)| (n, hex::encode(crate::setting::Device::key(device)));
    let recorded = Recorded {
        facts: facts(&s),
        keys: devices.map(key).into(),
        posted: hex::encode(Encode!(&posted.unwrap()).unwrap()),
        commit: hex::encode(Encode!(&commit).unwrap()),
    };
    (s.memory.clone(), recorded)
}

/// A message as the canister sees it: what is in it only members know.
fn message(s: &Setting, id: u64) -> PostArgs {
    let view = s.view(person(1), id).unwrap();
    let authenticated = Authenticated {
        id: [77; 16],
        size: 0,
        root: [0; 32],
    };
    let mut message = application_header(&view.group_id, view.conversation.epoch);
    for part in [&authenticated.to_bytes()[..], &[1; 28], &[2; 40]] {
        message.push(u8::try_from(part.len()).unwrap());
        message.extend(part);
    }
    PostArgs {
        conversation: id,
        message: ByteBuf::from(message),
    }
}

#[test]
fn every_released_layout_opens_and_goes_on() {
    layouts().record(LAYOUT, example);
    for layout in 1..=LAYOUT {
        let mut s = Setting::new();
        s.memory = VectorMemory::default();
        let recorded: Recorded = layouts().load(layout, &s.memory);
        s.time_ns = recorded.facts.basics.time_ns;
        s.reopen();
        assert_eq!(facts(&s), recorded.facts, "layout {layout}");
        s.state.randomness.seed([8; 32]);
        for (n, key) in &recorded.keys {
            let key = hex::decode(key).unwrap().try_into().unwrap();
            s.bound.insert(key, person(*n));
            s.subjects.insert(person(*n), official(*n));
        }

        // What was sent is known as that.
        let size = s.entries(1).len();
        let posted = hex::decode(&recorded.posted).unwrap();
        let posted = Decode!(&posted, PostArgs).unwrap();
        s.post(person(2), posted.clone()).unwrap();
        assert_eq!(refused(s.post(person(1), posted)), "already exists");
        assert_eq!(s.entries(1).len(), size);
        assert_eq!(refused(s.view(person(4), 1)), "unauthorized");

        let new = message(&s, 1);
        s.post(person(1), new.clone()).unwrap();
        s.post(person(1), new).unwrap();
        s.wait(DAY);
        let commit = hex::decode(&recorded.commit).unwrap();
        let commit = Decode!(&commit, CommitArgs).unwrap();
        let outcome = s.submit(person(1), commit).unwrap();
        assert!(matches!(outcome, CommitOutcome::Accepted(_)), "{outcome:?}");
        assert_eq!(s.entries(1).len(), size + 2);
        assert_eq!(s.view(person(3), 1).unwrap().members.len(), 4);
        s.audit();

        s.wait(DAY);
        let (id, mut seats) = conversation(&mut s, &[1, 2]);
        assert_eq!(id, 3);
        let args = seats[1].write(id, b"again");
        s.post(person(2), args).unwrap();
        s.reopen();
        s.audit();
    }
}
