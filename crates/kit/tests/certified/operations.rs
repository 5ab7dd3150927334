//! Random events, commits and reopenings.

use indus_api::{Error, certified::CertifiedListArgs};
use indus_kit::{Change, CollectionId, certified::MAX_RECORD_BYTES, codes};
use indus_verify::{Lookup, log::verify_consistency, log::verify_inclusion};
use proptest::{collection::vec, prelude::*};
use serde_bytes::ByteBuf;

use crate::canister::{Example, SECRETS, Secret, THINGS, person, put, remove, subject};

#[derive(Clone, Debug)]
enum Step {
    /// Collection, key, and whether it is put.
    Event(Vec<(bool, u8, bool)>),
    Commit,
    Reopen,
    Audit,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec((any::<bool>(), 0_u8..12, prop::bool::weighted(0.7)), 1..5).prop_map(Step::Event),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Audit),
    ]
}

fn key(collection: CollectionId, n: u8) -> Vec<u8> {
    if collection == THINGS {
        u64::from(n).to_be_bytes().to_vec()
    } else {
        indus_certified::sha256::digest(&[n]).to_vec()
    }
}

fn change(n: usize, (public, key_number, is_put): (bool, u8, bool)) -> Change {
    let collection = if public { THINGS } else { SECRETS };
    let key = key(collection, key_number);
    let salt = [u8::try_from(n % 251).unwrap(); 16];
    let secret = Secret {
        owner: person(key_number % 2),
        salt,
    };
    if is_put {
        put(collection, &key, &candid::encode_one(secret).unwrap())
    } else {
        remove(collection, &key)
    }
}

/// Whether the model says that an event must be taken.
fn is_sound(example: &Example, changes: &[Change]) -> bool {
    let mut places: Vec<_> = changes
        .iter()
        .map(|one| (one.collection, &one.key))
        .collect();
    places.sort();
    let all = places.len();
    places.dedup();
    let known = |one: &Change| {
        example
            .model
            .contains_key(&(one.collection.0, one.key.clone()))
    };
    places.len() == all && changes.iter().all(|one| one.record.is_some() || known(one))
}

/// Everything that can be asked is answered as the model has it, with proof.
fn check_reads(example: &Example) {
    let certified = &example.kit.certified;
    for collection in [THINGS, SECRETS] {
        let name = certified.collection(collection).spec().name;
        for n in 0..12 {
            let key = key(collection, n);
            let path = ["data".as_bytes(), name.as_bytes(), &key];
            let labels = vec![path.map(|label| ByteBuf::from(label.to_vec())).to_vec()];
            let stored = example.model.get(&(collection.0, key.clone()));
            assert_eq!(certified.get(collection, &key).as_ref(), stored);
            let witness = certified.witness_of_paths(&labels, Some(&subject(n % 2)));
            let witness = example.verified(&witness.unwrap());
            match stored {
                Some(record) => assert_eq!(witness.lookup(&path), Lookup::Found(record)),
                None => witness.absent(&path).unwrap(),
            }
        }
        let mut after = None;
        let mut listed = Vec::new();
        loop {
            let args = CertifiedListArgs {
                collection: name.into(),
                after: after.clone(),
                limit: 4,
            };
            let witness = certified.witness_of_list(&args, None).unwrap();
            let witness = example.verified(&witness);
            assert_eq!(witness.log_head().unwrap().size, certified.log_len());
            let after_key = after.as_ref().map(|key: &ByteBuf| &key[..]);
            let page = witness
                .entries(
                    &["data".as_bytes(), name.as_bytes()],
                    after_key,
                    std::ops::Bound::Unbounded,
                )
                .unwrap();
            for entry in &page.entries {
                // Nobody's secrets are shown to somebody unknown.
                assert_eq!(entry.leaf.is_some(), collection == THINGS);
                listed.push((entry.label.to_vec(), entry.hash));
            }
            if page.end {
                break;
            }
            after = page
                .entries
                .last()
                .map(|entry| ByteBuf::from(entry.label.to_vec()));
        }
        let expected: Vec<_> = example
            .model
            .iter()
            .filter(|((of, _), _)| *of == collection.0)
            .map(|((_, key), record)| (key.clone(), indus_certified::sha256::leaf(record)))
            .collect();
        assert_eq!(listed, expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_log_explains_every_root_and_every_read_is_proved(steps in vec(steps(), 1..30)) {
        let mut example = Example::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event(choices) => {
                    let changes: Vec<_> = choices.into_iter().map(|choice| change(n, choice)).collect();
                    let sound = is_sound(&example, &changes);
                    let before = (example.kit.certified.log_len(), example.kit.certified.tip());
                    let answer = example.record(changes);
                    prop_assert_eq!(answer.is_ok(), sound, "{:?}", answer);
                    if !sound {
                        prop_assert_eq!((example.kit.certified.log_len(), example.kit.certified.tip()), before);
                    }
                }
                Step::Commit => {
                    example.kit.certified.commit();
                    prop_assert!(example.kit.certified.is_committed());
                }
                Step::Reopen => {
                    let root = example.kit.certified.commit();
                    example.reopen();
                    prop_assert_eq!(example.kit.certified.root_hash(), root);
                }
                Step::Audit => {
                    example.kit.certified.commit();
                    example.audit();
                }
            }
        }
        example.kit.certified.commit();
        example.audit();
        check_reads(&example);
    }
}

#[test]
fn a_refused_event_leaves_every_byte_as_it_was() {
    let mut example = Example::new();
    example
        .record(vec![put(THINGS, &key(THINGS, 1), b"one")])
        .unwrap();
    example.kit.certified.commit();
    let good = put(THINGS, &key(THINGS, 2), b"two");
    let mut refused = |changes: Vec<Change>, code: u32| {
        let before = example.memory.borrow().clone();
        let root = example.kit.certified.root_hash();
        assert_eq!(example.record(changes), Err(Error::Internal { code }));
        // It can be read with proof at once.
        example.verified(&example.kit.certified.witness_of_head().unwrap());
        assert_eq!(example.kit.certified.root_hash(), root);
        assert!(
            *example.memory.borrow() == before,
            "{code}: something was written"
        );
    };
    refused(
        vec![good.clone(), good.clone()],
        codes::RECORD_CHANGED_TWICE,
    );
    refused(
        vec![good.clone(), put(THINGS, b"short", b"")],
        codes::KEY_REFUSED,
    );
    refused(
        vec![good.clone(), remove(THINGS, &key(THINGS, 3))],
        codes::RECORD_MISSING,
    );
    refused(
        vec![
            remove(THINGS, &key(THINGS, 1)),
            good.clone(),
            put(SECRETS, b"short", b""),
        ],
        codes::KEY_REFUSED,
    );
    let large = put(THINGS, &key(THINGS, 4), &vec![0; MAX_RECORD_BYTES + 1]);
    refused(vec![good.clone(), large], codes::EVENT_TOO_LARGE);
    let many = (0..1_001_u64)
        .map(|n| put(THINGS, &n.to_be_bytes(), b""))
        .collect();
    refused(many, codes::EVENT_TOO_LARGE);
    example.record(vec![good]).unwrap();
    example.kit.certified.commit();
    example.audit();
}

#[test]
fn proofs_of_the_log_lead_from_any_head_to_the_last_one() {
    let mut example = Example::new();
    let mut heads = Vec::new();
    for n in 0..40_u8 {
        let witness = example.kit.certified.witness_of_head().unwrap();
        heads.push(example.verified(&witness).log_head().unwrap());
        example
            .record(vec![put(THINGS, &key(THINGS, n), &[n])])
            .unwrap();
        example.kit.certified.commit();
    }
    let certified = &example.kit.certified;
    let last = heads.last().unwrap();
    let hashes = |proof: indus_api::audit::LogProof| -> Vec<[u8; 32]> {
        proof
            .hashes
            .iter()
            .map(|hash| hash[..].try_into().unwrap())
            .collect()
    };
    for head in &heads {
        let proof = certified
            .log_consistency_proof(head.size, last.size)
            .unwrap();
        verify_consistency(head, last, &hashes(proof)).unwrap();
    }
    for index in 0..last.size {
        let range = indus_api::icrc3::GetBlocksArgs {
            start: index.into(),
            length: 1_u64.into(),
        };
        let block = &certified.blocks(&[range]).unwrap().blocks[0].block;
        let entry = indus_verify::icrc3::hash(block);
        let proof = certified.log_inclusion_proof(index, last.size).unwrap();
        verify_inclusion(&entry, index, &hashes(proof), last).unwrap();
    }
}
