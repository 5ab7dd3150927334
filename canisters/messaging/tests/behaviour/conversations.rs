//! Conversations: from their first member on.

use indus_api::{
    messaging::{CreateArgs, EntryKind, Label, MAX_MESSAGE_BYTES},
    paging::PageArgs,
};
use messaging::conversations;
use serde_bytes::ByteBuf;

use crate::setting::{Setting, added, conversation, invalid_field, person, refused};

#[test]
fn members_read_each_other_and_everything_is_proved() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2, 3]);
    for (by, n, text) in [
        (0, 1, "salaam"),
        (2, 3, "wa alaikum"),
        (1, 2, "khuda hafiz"),
    ] {
        let args = seats[by].write(id, text.as_bytes());
        let receipt = s.post(person(n), args.clone()).unwrap();
        for (at, seat) in seats.iter_mut().enumerate() {
            if at != by {
                let read = seat.receive(&args.message);
                assert_eq!(read.as_deref(), Some(text.as_bytes()));
            }
        }
        let entry = s.entries(id).pop().unwrap();
        assert_eq!((entry.index, entry.payload), (receipt.index, args.message));
        assert_eq!(entry.sender, person(n));
    }
    let kinds: Vec<EntryKind> = s.entries(id).iter().map(|entry| entry.kind).collect();
    use EntryKind::{Commit, Created, Message};
    assert_eq!(kinds, [Created, Commit, Commit, Message, Message, Message]);

    let view = s.view(person(2), id).unwrap();
    let members: Vec<_> = view
        .members
        .iter()
        .map(|one| (one.leaf, one.person))
        .collect();
    assert_eq!(members, [(0, person(1)), (1, person(2)), (2, person(3))]);
    assert_eq!((view.owner, view.conversation.epoch), (person(1), 2));
    assert_eq!(refused(s.view(person(4), id)), "unauthorized");
    s.audit();
    s.reopen();
    assert_eq!(s.view(person(2), id), Ok(view));
    s.audit();
}

#[test]
fn a_conversation_is_created_once() {
    let mut s = Setting::new();
    let founder = s.device(1).found();
    let args = CreateArgs {
        group_info: founder.group_info(),
        label: Label::Open,
    };
    let first = s.create(person(1), args.clone()).unwrap();
    assert_eq!(s.create(person(1), args.clone()), Ok(first));
    // The same group by another GroupInfo, whose signature is another.
    s.bound.insert(founder.device.key(), person(1));
    let again = CreateArgs {
        group_info: {
            let mut other = args.group_info.to_vec();
            *other.last_mut().unwrap() ^= 1;
            ByteBuf::from(other)
        },
        ..args.clone()
    };
    assert_eq!(invalid_field(s.create(person(1), again)), "group_info");
    assert_eq!(invalid_field(s.create(person(2), args)), "group_info");
}

#[test]
fn a_conversation_begins_with_a_key_of_its_creators() {
    let mut s = Setting::new();
    let device = s.device(1);
    s.bound.remove(&device.key());
    let founder = device.found();
    let args = CreateArgs {
        group_info: founder.group_info(),
        label: Label::Open,
    };
    assert_eq!(refused(s.create(person(1), args.clone())), "unauthorized");
    s.bound.insert(founder.device.key(), person(2));
    assert_eq!(refused(s.create(person(1), args.clone())), "unauthorized");
    for group_info in [vec![], b"no MLS".to_vec(), vec![0; MAX_MESSAGE_BYTES + 1]] {
        let args = CreateArgs {
            group_info: ByteBuf::from(group_info),
            ..args.clone()
        };
        assert_eq!(invalid_field(s.create(person(1), args)), "group_info");
    }
}

#[test]
fn a_label_holds_at_every_step() {
    let mut s = Setting::new();
    let founder = s.device(1).found();
    let args = CreateArgs {
        group_info: founder.group_info(),
        label: Label::Restricted,
    };
    assert_eq!(refused(s.create(person(1), args.clone())), "unauthorized");
    let cleared = |s: &mut Setting, n: u8| {
        let subject = s.subjects.get_mut(&person(n)).unwrap();
        subject.roles.insert("cleared-restricted".into());
    };
    cleared(&mut s, 1);
    let id = s.create(person(1), args).unwrap().conversation.id;

    let mut seats = vec![founder];
    let device = s.device(2);
    let package = device.package();
    s.upload(person(2), vec![package.clone()]).unwrap();
    let commit = seats[0].commit(id, &[package], &[]);
    assert_eq!(refused(s.submit(person(1), commit)), "unauthorized");
    seats[0].give_up();
    cleared(&mut s, 2);
    let seat = added(&mut s, id, &mut seats, device);
    seats.push(seat);
    let message = seats[1].write(id, b"secret");
    s.post(person(2), message).unwrap();

    // Who loses the role, or the office, reads and writes no more.
    s.subjects.get_mut(&person(2)).unwrap().roles.clear();
    let message = seats[1].write(id, b"secret");
    assert_eq!(refused(s.post(person(2), message)), "unauthorized");
    assert_eq!(refused(s.view(person(2), id)), "unauthorized");
    let subject = s.subject(person(2));
    let tree = conversations::tree(&s.state, &subject, id);
    assert_eq!(refused(tree), "unauthorized");
}

#[test]
fn everybody_lists_their_own() {
    let mut s = Setting::new();
    let mut mine = Vec::new();
    for persons in [&[1, 2][..], &[3], &[2, 3], &[1]] {
        let (id, _) = conversation(&mut s, persons);
        if persons.contains(&2) {
            mine.push(id);
        }
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let args = PageArgs { after, limit: 1 };
        let page = conversations::list(&s.state, &s.subject(person(2)), args).unwrap();
        found.extend(page.items.iter().map(|one| one.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, mine);
    let args = PageArgs {
        after: None,
        limit: 0,
    };
    let answer = conversations::list(&s.state, &s.subject(person(2)), args);
    assert_eq!(invalid_field(answer), "limit");
}
