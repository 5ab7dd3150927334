//! Calls at the same time, whose answers from identity come soon or late.

use std::time::Duration;

use candid::Encode;
use indus_api::messaging::{ClaimArgs, Claims, CommitOutcome, Label};
use serde_bytes::ByteBuf;

use super::{
    Post, decoded,
    steps::{STEPS, Scene, is_ok},
};

fn two_calls_do_what_one_does(post: Post, meanwhile: fn(&Post)) {
    let mut scene = Scene::new(post);
    for step in &STEPS {
        let args = (step.args)(&mut scene);
        let blocks = scene.post.roots(scene.post.canister).0.size;
        let calls = [(); 2].map(|()| step.begin(&scene, args.clone()));
        meanwhile(&scene.post);
        let [first, second] = calls.map(|call| scene.post.pic.await_call(call));
        assert!(is_ok(&first), "{}: {first:?}", step.method);
        assert_eq!(first, second, "{}", step.method);
        assert_eq!(scene.post.roots(scene.post.canister).0.size, blocks + 1);
        (step.then)(&mut scene, &first.unwrap());
    }
}

fn late(post: &Post) {
    post.pic.tick();
    post.pic.advance_time(Duration::from_secs(20));
    post.pic.tick();
}

#[test]
fn two_calls_at_once_do_what_one_does() {
    two_calls_do_what_one_does(Post::new(), |_| ());
}

#[test]
fn so_they_do_where_identity_is_far_and_answers_late() {
    two_calls_do_what_one_does(Post::far_from_identity(), late);
}

#[test]
fn of_commits_at_once_one_wins_and_the_others_follow_it() {
    let post = Post::far_from_identity();
    let (id, mut members) = post.conversation(Label::Open, &["ayesha", "bilal", "chand"]);
    for round in 0..3 {
        post.pass(Duration::from_secs(60));
        let epoch = members[0].seat.group.epoch().as_u64();
        let mut calls = Vec::new();
        for member in &mut members {
            let args = Encode!(&member.commit(id, &[], &[])).unwrap();
            calls.push(post.begin(member.name, "submit_commit", args));
            // They come one after the other, or together.
            for _ in 0..round {
                post.pic.tick();
            }
        }
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for call in calls {
            match decoded(post.pic.await_call(call)).unwrap() {
                CommitOutcome::Accepted(receipt) => winners.push(receipt),
                CommitOutcome::Stale { epoch, entries } => losers.push((epoch, entries)),
            }
        }
        let [winner] = &winners[..] else {
            panic!("{winners:?}");
        };
        for (now, entries) in losers {
            assert_eq!((now, entries[0].index), (epoch + 1, winner.index));
        }
        for member in &mut members {
            member.follow(&post, id);
            assert_eq!(member.seat.group.epoch().as_u64(), epoch + 1);
        }
        assert_eq!(post.certified_conversation(id).epoch, epoch + 1);
    }
}

#[test]
fn who_claim_at_once_get_different_packages() {
    let post = Post::far_from_identity();
    let device = post.device("chand");
    let packages: Vec<ByteBuf> = (0..2).map(|_| device.package()).collect();
    post.upload("chand", packages.clone()).unwrap();
    let claimers = ["ayesha", "bilal", "dara"];
    let calls = claimers.map(|name| {
        post.person(crate::suite::key(name));
        let args = ClaimArgs {
            idempotency_key: ByteBuf::from(*b"the same of all"),
            persons: vec![device.person],
        };
        post.begin(name, "claim_key_packages", Encode!(&args).unwrap())
    });
    late(&post);
    let (mut claimed, mut without) = (Vec::new(), 0);
    for call in calls {
        let claims: Claims = decoded(post.pic.await_call(call)).unwrap();
        claimed.extend(claims.claimed.into_iter().map(|one| one.key_package));
        without += claims.without.len();
    }
    claimed.sort();
    let mut packages = packages;
    packages.sort();
    assert_eq!((claimed, without), (packages, 1));
}
