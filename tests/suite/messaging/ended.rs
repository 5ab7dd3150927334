//! Whose key, method or role has ended: refused at once what changes who is in, within a minute everything.

use std::time::Duration;

use candid::{Encode, Principal};
use indus_api::{
    Error, Subject,
    identity::{
        MessagingKey, Method, MethodKind, OfferArgs, Pairing, RevocationReason, RevokeRoleArgs,
        Role,
    },
    messaging::{
        ClaimArgs, Claims, CommitArgs, CommitOutcome, ConversationView, CreateArgs, Label, Receipt,
    },
    registry::OrganisationChange,
};
use serde_bytes::ByteBuf;

use super::{Member, Post, decoded, devices::Device, is_unauthorized};
use crate::suite::key;

const MINUTE: Duration = Duration::from_secs(60);

fn submit(post: &Post, name: &str, args: CommitArgs) -> Result<CommitOutcome, Error> {
    post.call(name, "submit_commit", (args,))
}

/// A commit of this member's is refused and changes nothing.
fn commits_no_more(post: &Post, member: &mut Member, id: u64) {
    let roots = post.roots(post.canister);
    let args = member.commit(id, &[], &[]);
    assert!(is_unauthorized(&submit(post, member.name, args)));
    member.give_up();
    assert_eq!(post.roots(post.canister), roots);
}

fn end(post: &Post, name: &str, device: &Device) {
    let args = ByteBuf::from(device.key());
    let ended: Result<MessagingKey, Error> = post.identity(key(name), "end_messaging_key", (args,));
    assert!(ended.unwrap().ended_at_ns.is_some());
}

fn claim(post: &Post, name: &str, person: Principal) -> Claims {
    let args = ClaimArgs {
        idempotency_key: ByteBuf::from(post.now_ns().to_be_bytes()),
        persons: vec![person],
    };
    post.call(name, "claim_key_packages", (args,)).unwrap()
}

#[test]
fn a_key_that_has_ended_is_nobodys() {
    let post = Post::new();
    let (id, mut members) = post.conversation(Label::Open, &["ayesha", "bilal"]);
    let phone = post.device("chand");
    let packages = vec![phone.package(), phone.package()];
    post.upload("chand", packages.clone()).unwrap();
    end(&post, "bilal", &members[1].seat.device);
    end(&post, "chand", &phone);
    post.pass(MINUTE);

    commits_no_more(&post, &mut members[1], id);
    let added = members[0].commit(id, &packages[..1], &[]);
    assert!(is_unauthorized(&submit(&post, "ayesha", added)));
    members[0].give_up();
    let claims = claim(&post, "ayesha", phone.person);
    assert_eq!(
        claims,
        Claims {
            claimed: vec![],
            without: vec![]
        }
    );
    assert!(is_unauthorized(
        &post.upload("chand", vec![phone.package()])
    ));
    let founder = phone.clone().found();
    let args = CreateArgs {
        group_info: founder.group_info(),
        label: Label::Open,
    };
    let created: Result<ConversationView, Error> =
        post.call("chand", "create_conversation", (args,));
    assert!(is_unauthorized(&created));

    // Another key of the same person's is another device; the ended one can be removed.
    let next = post.device("chand");
    let package = next.package();
    post.upload("chand", vec![package.clone()]).unwrap();
    let args = members[0].commit(id, &[package], &[1]);
    members.truncate(1);
    post.accepted(&mut members, 0, args);
    members.push(Member::join(&post, "chand", next, id));
    let args = members[1].commit(id, &[], &[]);
    post.accepted(&mut members, 1, args);
}

#[test]
fn a_device_whose_method_was_removed_does_nothing_more() {
    let post = Post::new();
    let (id, mut members) = post.conversation(Label::Open, &["ayesha", "bilal"]);
    // Bilal's phone, which he adds himself.
    let bilal = post.person(key("bilal"));
    let opened: Pairing = post.identity(key("bilal"), "open_pairing", ()).unwrap();
    let args = OfferArgs {
        person: bilal,
        code: opened.code,
        kind: MethodKind::Ed25519,
        alias_commitment: None,
    };
    let offered: Result<(), Error> = post.identity(key("phone"), "offer_method", (args,));
    offered.unwrap();
    let confirmed: Result<Method, Error> =
        post.identity(key("bilal"), "confirm_method", (key("phone"),));
    confirmed.unwrap();
    let phone = std::rc::Rc::new(Device::new(bilal));
    post.bind("phone", &phone).unwrap();
    let package = phone.package();
    post.upload("phone", vec![package.clone()]).unwrap();
    let args = members[1].commit(id, &[package], &[]);
    post.accepted(&mut members, 1, args);
    members.push(Member::join(&post, "phone", phone, id));
    let lost = members[2].write(id, b"before it was lost");
    let sent: Result<Receipt, Error> = post.call("phone", "post_message", (lost,));
    sent.unwrap();

    let removed: Result<(), Error> = post.identity(key("bilal"), "remove_method", (key("phone"),));
    removed.unwrap();
    commits_no_more(&post, &mut members[2], id);
    post.pass(MINUTE);
    let args = members[2].write(id, b"after it was lost");
    let sent: Result<Receipt, Error> = post.call("phone", "post_message", (args,));
    assert!(is_unauthorized(&sent));
    let read: Result<ConversationView, Error> =
        post.query(post.canister, key("phone"), "get_conversation", (id,));
    assert!(read.is_err());

    // Its leaf is still there, and Bilal removes it.
    for member in &mut members[..2] {
        member.follow(&post, id);
    }
    let args = members[1].commit(id, &[], &[2]);
    members.truncate(2);
    post.accepted(&mut members, 1, args);
    let view: ConversationView = post.ask("bilal", "get_conversation", (id,)).unwrap();
    assert_eq!(view.members.len(), 2);
}

#[test]
fn who_is_an_official_no_more_is_in_no_official_conversation() {
    let post = Post::new();
    let names = ["ayesha", "bilal", "chand"];
    let roles = names.map(|name| post.official(key(name), "clerk"));
    let (id, mut members) = post.conversation(Label::Official, &names[..2]);
    let phone = post.device("chand");
    let package = phone.package();
    post.upload("chand", vec![package.clone()]).unwrap();
    let add = members[0].commit(id, &[package], &[]);
    for role in &roles[1..] {
        let args = RevokeRoleArgs {
            id: role.id,
            reason: RevocationReason::Ended,
        };
        let revoked: Result<Role, Error> =
            post.identity(key("administrator"), "revoke_role", (args,));
        assert!(revoked.unwrap().revocation.is_some());
    }
    // At once: identity has said so.
    assert!(is_unauthorized(&submit(&post, "ayesha", add)));
    members[0].give_up();
    commits_no_more(&post, &mut members[1], id);
    // Within a minute, what is known for so long.
    post.pass(MINUTE);
    let args = members[1].write(id, b"what I know");
    let sent: Result<Receipt, Error> = post.call("bilal", "post_message", (args,));
    assert!(is_unauthorized(&sent));
    let view: Result<ConversationView, Error> = post.ask("bilal", "get_conversation", (id,));
    assert!(is_unauthorized(&view));

    // The same where the whole organisation is suspended.
    let change = |change| post.change(post.organisation, change);
    change(OrganisationChange::Suspend {
        reason: "an audit".into(),
    });
    commits_no_more(&post, &mut members[0], id);
    change(OrganisationChange::Reinstate {
        reason: "audited".into(),
    });
    post.pass(MINUTE);
    let args = members[0].commit(id, &[], &[1]);
    members.truncate(1);
    post.accepted(&mut members, 0, args);
}

/// Identity answers what holds when it is asked. What ends before is refused, what ends while the answer is under way counts once.
#[test]
fn a_key_that_ends_while_the_answer_is_under_way_commits_at_most_once() {
    let post = Post::far_from_identity();
    let names = ["ayesha", "bilal", "chand", "dara", "esha", "farid"];
    let (id, mut members) = post.conversation(Label::Open, &names);
    let mut outcomes = Vec::new();
    for number in 1..names.len() {
        post.pass(MINUTE);
        let member = &mut members[number];
        let args = Encode!(&member.commit(id, &[], &[])).unwrap();
        let known: Result<Subject, Error> = post.call(member.name, "refresh_subject", ());
        known.unwrap();
        let call = post.begin(member.name, "submit_commit", args);
        for _ in 1..number {
            post.pic.tick();
            post.pic.tick();
        }
        end(&post, member.name, &member.seat.device);
        let outcome: Result<CommitOutcome, Error> = decoded(post.pic.await_call(call));
        let accepted = match outcome {
            Ok(CommitOutcome::Accepted(_)) => true,
            refused => {
                assert!(is_unauthorized(&refused), "{refused:?}");
                member.give_up();
                false
            }
        };
        outcomes.push(accepted);
        for member in &mut members {
            member.follow(&post, id);
        }
        post.pass(MINUTE);
        commits_no_more(&post, &mut members[number], id);
    }
    // Each of both has happened.
    assert_eq!(
        (outcomes.first(), outcomes.last()),
        (Some(&false), Some(&true))
    );
}
