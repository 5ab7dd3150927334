//! Random histories of groups of mls-rs, as of openmls.

use crate::support::{Service, rs};
use indus_mls::{Message, Welcome};
use mls_rs::{MlsMessage, group::ExportedTree};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

fn history(seed: u64, commits: usize, most: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let creator = rs::client("0", false);
    let group = creator
        .create_group(Default::default(), Default::default(), None)
        .unwrap();
    let group_info = group.group_info_message(true).unwrap().to_bytes().unwrap();
    let mut service = Service::create(&group_info);
    let mut members = vec![(creator, group)];
    for at in 0..commits {
        let committer = rng.random_range(0..members.len());
        let mut joiners = Vec::new();
        let mut leaves = Vec::new();
        if rng.random_bool(if at / 15 % 2 == 0 { 0.8 } else { 0.2 }) {
            for _ in 0..rng.random_range(0..=(most - members.len()).min(3)) {
                joiners.push(rs::client(&rng.random::<u64>().to_string(), rng.random()));
            }
        } else {
            let others: Vec<usize> = (0..members.len()).filter(|at| *at != committer).collect();
            let count = rng.random_range(0..=others.len().min(3));
            leaves = others.sample(&mut rng, count).copied().collect();
        }
        let adds: Vec<_> = joiners.iter().map(rs::key_package).collect();
        let removes: Vec<u32> = leaves
            .iter()
            .map(|at| members[*at].1.current_member_index())
            .collect();
        let bundle = rs::commit(&mut members[committer].1, &adds, &removes);
        let accepted = service.accept(&bundle);
        members[committer].1.apply_pending_commit().unwrap();
        for (at, (_, group)) in members.iter_mut().enumerate() {
            if at != committer && !leaves.contains(&at) {
                group
                    .process_incoming_message(MlsMessage::from_bytes(&bundle.commit).unwrap())
                    .unwrap();
            }
        }
        leaves.sort_unstable();
        for at in leaves.into_iter().rev() {
            members.swap_remove(at);
        }
        if let Some(welcome) = &bundle.welcome {
            let welcome = Welcome::from_message(welcome).unwrap();
            let tree = service.ratchet_tree();
            for (joiner, added) in joiners.into_iter().zip(&accepted.added) {
                let slice = welcome.slice(&added.reference).unwrap();
                let (group, _) = joiner
                    .join_group(
                        Some(ExportedTree::from_bytes(&tree).unwrap()),
                        &MlsMessage::from_bytes(&slice).unwrap(),
                        None,
                    )
                    .unwrap();
                assert_eq!(group.current_member_index(), added.index);
                members.push((joiner, group));
            }
        }
        for (_, group) in &members {
            let group_info = group.group_info_message(true).unwrap().to_bytes().unwrap();
            let Ok(Message::GroupInfo(group_info)) = Message::read(&group_info) else {
                panic!("no GroupInfo");
            };
            assert_eq!(
                group_info.group_context,
                service.state.group_context().unwrap()
            );
            assert_eq!(group_info.confirmation_tag, service.state.confirmation_tag);
            assert_eq!(group_info.ratchet_tree(), Some(&*service.ratchet_tree()));
        }
        service.audit();
    }
}

#[test]
fn a_history_has_the_members_tree_and_transcript_at_each_epoch() {
    history(1, 50, 17);
}

#[test]
fn small_histories_do_too() {
    for seed in 2..6 {
        history(seed, 20, 5);
    }
}
