//! Random histories of groups of openmls: at each epoch the delivery service knows what the members know.

use crate::support::{Party, Service, bytes, now};
use indus_mls::{GroupState, Message, Nodes, Welcome};
use openmls::prelude::MlsGroup;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

type Member = (Party, MlsGroup);

fn assert_same(service: &Service, (party, group): &Member) {
    let Message::GroupInfo(group_info) =
        Message::read(&party.group_info(group)).unwrap_or_else(|error| panic!("{error}"))
    else {
        panic!("no GroupInfo");
    };
    assert_eq!(
        group_info.group_context,
        service.state.group_context().unwrap()
    );
    assert_eq!(group_info.confirmation_tag, service.state.confirmation_tag);
    assert_eq!(group_info.ratchet_tree(), Some(&*service.ratchet_tree()));
}

fn history(seed: u64, commits: usize, most: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let creator = Party::new("0");
    let group = creator.create();
    let mut service = Service::create(&creator.group_info(&group));
    let mut members: Vec<Member> = vec![(creator, group)];
    let mut names = 0;
    for at in 0..commits {
        let committer = rng.random_range(0..members.len());
        let grows = rng.random_bool(if at / 25 % 2 == 0 { 0.75 } else { 0.2 });
        let mut joiners = Vec::new();
        let mut leaves = Vec::new();
        if grows {
            let room = most.saturating_sub(members.len());
            for _ in 0..rng.random_range(0..=room.min(4)) {
                names += 1;
                joiners.push(Party::new(&names.to_string()));
            }
        }
        if !grows || rng.random_bool(0.2) {
            let others: Vec<usize> = (0..members.len()).filter(|at| *at != committer).collect();
            leaves = others
                .sample(&mut rng, others.len().min(4))
                .copied()
                .take(if others.is_empty() {
                    0
                } else {
                    rng.random_range(0..=others.len().min(4))
                })
                .collect();
        }
        let adds: Vec<_> = joiners.iter().map(Party::key_package).collect();
        let removes: Vec<u32> = leaves
            .iter()
            .map(|at| members[*at].1.own_leaf_index().u32())
            .collect();
        let only_adds = !adds.is_empty() && removes.is_empty();
        let path = !only_adds || rng.random_bool(0.4);

        let (party, group) = &mut members[committer];
        let bundle = party.commit(group, adds, &removes, path);
        let accepted = service.accept(&bundle);
        party.merge(group);
        assert_eq!(accepted.sender, group.own_leaf_index().u32());
        assert_eq!(accepted.sender_before != accepted.sender_after, path);
        let mut expected = removes.clone();
        expected.sort_unstable();
        let mut removed: Vec<u32> = accepted.removed.iter().map(|gone| gone.index).collect();
        removed.sort_unstable();
        assert_eq!(removed, expected);

        for (at, (party, group)) in members.iter_mut().enumerate() {
            if at != committer && !leaves.contains(&at) {
                party.process(group, &bundle.commit);
            }
        }
        leaves.sort_unstable();
        for at in leaves.into_iter().rev() {
            members.swap_remove(at);
        }
        if let Some(welcome) = &bundle.welcome {
            let welcome = Welcome::from_message(welcome).unwrap();
            assert_eq!(welcome.references().count(), joiners.len());
            let ratchet_tree = service.ratchet_tree();
            for (joiner, added) in joiners.into_iter().zip(&accepted.added) {
                let slice = welcome.slice(&added.reference).unwrap();
                assert!(slice.ends_with(&welcome.shared()));
                let one = Welcome::from_message(&slice).unwrap();
                assert!(one.references().eq([&added.reference]));
                let group = joiner.join(&slice, &ratchet_tree);
                assert_eq!(group.own_leaf_index().u32(), added.index);
                members.push((joiner, group));
            }
        }
        let member = members.choose(&mut rng).unwrap();
        assert_same(&service, member);
        if at % 5 == 0 {
            service.audit();
        }
    }
    for member in &members {
        assert_same(&service, member);
    }
    service.audit();
}

#[test]
fn a_large_history_has_the_members_tree_and_transcript_at_each_epoch() {
    history(1, 150, 40);
}

#[test]
fn small_histories_do_too() {
    for seed in 2..14 {
        history(seed, 25, 6);
    }
}

#[test]
fn a_key_package_says_what_openmls_says() {
    let party = Party::new("one");
    for last_resort in [false, true] {
        let builder = openmls::prelude::KeyPackage::builder();
        let key_package = party.key_package_by(if last_resort {
            builder.mark_as_last_resort()
        } else {
            builder
        });
        let reference = key_package
            .hash_ref(openmls::prelude::OpenMlsProvider::crypto(&party.provider))
            .unwrap();
        let read = indus_mls::KeyPackage::from_message(&bytes(key_package.into()), now()).unwrap();
        assert_eq!(read.reference(), reference.as_slice());
        assert_eq!(read.identity(), b"one");
        assert_eq!(read.signature_key(), party.signer.public());
        assert_eq!(read.last_resort(), last_resort);
    }
}

#[test]
fn a_state_is_kept_as_candid() {
    let party = Party::new("one");
    let mut group = party.create();
    let mut service = Service::create(&party.group_info(&group));
    for _ in 0..2 {
        let bytes = candid::encode_one(&service.state).unwrap();
        let state: GroupState = candid::decode_one(&bytes).unwrap();
        assert_eq!(state, service.state);
        let bundle = party.commit(&mut group, vec![], &[], true);
        service.accept(&bundle);
        party.merge(&mut group);
    }
    assert_eq!(service.tree.width(), 1);
}

#[test]
fn a_path_may_bring_another_signature_key() {
    use openmls::prelude::{NewSignerBundle, OpenMlsProvider};
    let (party, other) = (Party::new("one"), Party::new("one"));
    let mut group = party.create();
    let service = Service::create(&party.group_info(&group));
    let new = NewSignerBundle {
        signer: &other.signer,
        credential_with_key: other.credential.clone(),
    };
    let (commit, _, group_info) = group
        .commit_builder()
        .load_psks(party.provider.storage())
        .unwrap()
        .create_group_info(true)
        .build_with_new_signer(
            party.provider.rand(),
            party.provider.crypto(),
            &party.signer,
            new,
            |_| true,
        )
        .unwrap()
        .stage_commit(&party.provider)
        .unwrap()
        .into_messages();
    let accepted = service
        .check(&bytes(commit), &bytes(group_info.unwrap()))
        .unwrap();
    assert_eq!(accepted.sender_before.signature_key, *party.signer.public());
    assert_eq!(accepted.sender_after.signature_key, *other.signer.public());
}
