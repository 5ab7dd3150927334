//! Persons who talk, and what others see of it.

use candid::Principal;
use indus_api::{
    Error,
    messaging::{
        CONFIGURATION, CONFIGURATION_KEY, Configuration, ConfigurationRecord, ConversationView,
        EntriesArgs, EntriesPage, InForce, Label, ProofArgs, Receipt,
    },
};
use indus_verify::{
    LogRoot,
    log::{verify_consistency, verify_inclusion},
};
use serde_bytes::ByteBuf;

use super::{
    Post, hashes, is_unauthorized,
    steps::{STEPS, Scene},
};
use crate::{
    decisions::{apply, configure, suite_canisters},
    suite::key,
};

#[test]
fn two_officials_talk_and_what_they_read_is_proved() {
    let mut scene = Scene::new(Post::new());
    for step in &STEPS {
        scene.take(step);
    }
    let in_force: Result<InForce, Error> = scene.post.query(
        scene.post.canister,
        Principal::anonymous(),
        "get_configuration",
        (),
    );
    assert_eq!(in_force.unwrap().configuration.daily_claims, Some(7));
}

#[test]
fn everybody_verifies_a_log_that_they_can_not_read() {
    let post = Post::new();
    let (id, mut members) = post.conversation(Label::Open, &["ayesha", "bilal"]);
    let mut receipts = Vec::new();
    for n in 0..5 {
        let args = members[n % 2].write(id, b"to each other");
        let receipt: Result<Receipt, Error> =
            post.call(members[n % 2].name, "post_message", (args,));
        receipts.push(receipt.unwrap());
        members[n % 2].follow(&post, id);
    }
    let head = LogRoot::from_leaf(&post.certified_conversation(id).head).unwrap();
    let head = head.head();
    assert_eq!(head.size, 7);

    let anybody = Principal::anonymous();
    let args = EntriesArgs {
        conversation: id,
        from: 0,
        limit: 100,
    };
    let listed: Result<Vec<ByteBuf>, Error> =
        post.query(post.canister, anybody, "entry_hashes", (args,));
    let listed = hashes(&listed.unwrap());
    let mut log = LogRoot::default();
    for (index, hash) in (0..).zip(&listed) {
        if log.size() > 0 {
            let args = ProofArgs {
                conversation: id,
                from: log.size(),
                size: head.size,
            };
            let proof: Result<Vec<ByteBuf>, Error> =
                post.query(post.canister, anybody, "entry_consistency_proof", (args,));
            verify_consistency(&log.head(), &head, &hashes(&proof.unwrap())).unwrap();
        }
        log.append(hash);
        let args = ProofArgs {
            conversation: id,
            from: index,
            size: head.size,
        };
        let proof: Result<Vec<ByteBuf>, Error> =
            post.query(post.canister, anybody, "entry_inclusion_proof", (args,));
        verify_inclusion(hash, index, &hashes(&proof.unwrap()), &head).unwrap();
    }
    assert_eq!(log.head(), head);
    for receipt in receipts {
        let index = usize::try_from(receipt.index).unwrap();
        assert_eq!(receipt.entry_hash.as_slice(), listed[index]);
    }

    // A person who is not in reads nothing, nor does who is no person.
    post.person(key("stranger"));
    let read: Result<EntriesPage, Error> = post.ask("stranger", "entries", (args,));
    assert!(is_unauthorized(&read));
    let view: Result<ConversationView, Error> = post.ask("stranger", "get_conversation", (id,));
    assert!(is_unauthorized(&view));
    let read: Result<EntriesPage, Error> = post.query(post.canister, anybody, "entries", (args,));
    assert!(is_unauthorized(&read));
}

#[test]
fn messaging_applies_what_was_decided_about_it() {
    let post = Post::new();
    let claims = |daily_claims| Configuration {
        daily_claims: Some(daily_claims),
    };
    let decide = |claims: &Configuration| post.decided(configure(post.canister, claims)).id;
    let (first, second) = (decide(&claims(7)), decide(&claims(9)));
    apply(&post, post.canister, second).unwrap();
    let roots = post.roots(post.canister);
    apply(&post, post.canister, second).unwrap();
    let older = apply(&post, post.canister, first);
    assert!(matches!(older, Err(Error::Conflict { .. })), "{older:?}");
    let none = apply(&post, post.canister, second + 100);
    assert!(matches!(none, Err(Error::NotFound { .. })), "{none:?}");
    let others = configure(post.identity, &suite_canisters(vec![]));
    let others = post.decided(others).id;
    let refused = apply(&post, post.canister, others);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let impossible = decide(&claims(1_001));
    let refused = apply(&post, post.canister, impossible);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert_eq!(post.roots(post.canister), roots);

    let path = indus_api::identity::path(CONFIGURATION, &CONFIGURATION_KEY);
    let witness = post.certified(post.canister, vec![path.clone()]);
    let ConfigurationRecord::V1(in_force) = witness.value(&path).unwrap();
    let expected = InForce {
        identity: post.identity,
        registry: post.registry,
        configuration: claims(9),
        decision: Some(second),
    };
    assert_eq!(in_force, expected);
}
