//! Who may read what, and what is asked for wrongly.

use indus_api::{Error, audit::MAX_BLOCKS, certified::CertifiedListArgs, icrc3::GetBlocksArgs};
use indus_kit::codes;
use serde_bytes::ByteBuf;

use crate::canister::{Example, SECRETS, Secret, THINGS, person, put, subject};

fn secret_path(key: &[u8]) -> Vec<ByteBuf> {
    [&b"data"[..], b"secrets", key]
        .map(|label| ByteBuf::from(label.to_vec()))
        .to_vec()
}

fn with_a_secret() -> (Example, [u8; 32]) {
    let mut example = Example::new();
    let key = [5; 32];
    let secret = Secret {
        owner: person(1),
        salt: [9; 16],
    };
    let record = candid::encode_one(secret).unwrap();
    example.record(vec![put(SECRETS, &key, &record)]).unwrap();
    example.kit.certified.commit();
    (example, key)
}

#[test]
fn bytes_that_not_everybody_may_read_are_given_to_their_owner_only() {
    let (example, key) = with_a_secret();
    let certified = &example.kit.certified;
    let path = vec![secret_path(&key)];
    assert!(certified.is_restricted(&path));
    assert!(certified.witness_of_paths(&path, Some(&subject(1))).is_ok());
    for reader in [None, Some(&subject(2))] {
        let refused = certified.witness_of_paths(&path, reader);
        assert!(
            matches!(refused, Err(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    // That there is nothing is no secret.
    let absent = vec![secret_path(&[6; 32])];
    assert!(certified.witness_of_paths(&absent, None).is_ok());
    let salt = [9_u8; 16];
    let list = |reader: Option<&indus_api::Subject>| {
        let args = CertifiedListArgs {
            collection: "secrets".into(),
            after: None,
            limit: 10,
        };
        let witness = certified.witness_of_list(&args, reader).unwrap();
        witness.windows(16).any(|window| window == salt)
    };
    assert!(list(Some(&subject(1))));
    assert!(!list(None) && !list(Some(&subject(2))));
}

#[test]
fn nothing_is_proved_while_something_is_uncommitted() {
    let mut example = Example::new();
    example.record(vec![put(THINGS, &[0; 8], b"")]).unwrap();
    let certified = &example.kit.certified;
    let uncommitted = Error::Internal {
        code: codes::UNCOMMITTED,
    };
    assert_eq!(certified.witness_of_head(), Err(uncommitted.clone()));
    assert_eq!(certified.witness_of_tip(), Err(uncommitted.clone()));
    assert_eq!(
        certified.witness_of_paths(&[secret_path(&[0; 32])], None),
        Err(uncommitted)
    );
}

#[test]
fn lists_and_proofs_name_the_field_that_is_wrong() {
    let example = Example::new();
    let certified = &example.kit.certified;
    let field = |error: Error| match error {
        Error::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    };
    let list = |collection: &str, after: Option<&[u8]>, limit| {
        let args = CertifiedListArgs {
            collection: collection.into(),
            after: after.map(ByteBuf::from),
            limit,
        };
        certified.witness_of_list(&args, None).unwrap_err()
    };
    assert_eq!(field(list("things", None, 0)), "limit");
    assert_eq!(field(list("things", None, 101)), "limit");
    assert_eq!(field(list("things", Some(&[0; 7]), 1)), "after");
    assert!(
        matches!(list("nothing", None, 1), Error::NotFound { what, .. } if what == "collection")
    );
    assert_eq!(
        field(certified.log_inclusion_proof(1, 1).unwrap_err()),
        "index"
    );
    assert_eq!(
        field(certified.log_inclusion_proof(0, 2).unwrap_err()),
        "size"
    );
    assert_eq!(
        field(certified.log_inclusion_proof(0, 0).unwrap_err()),
        "size"
    );
    assert_eq!(
        field(certified.log_consistency_proof(2, 1).unwrap_err()),
        "from"
    );
    assert_eq!(
        field(certified.log_consistency_proof(0, 1).unwrap_err()),
        "from"
    );
    assert_eq!(
        field(certified.log_consistency_proof(1, 9).unwrap_err()),
        "to"
    );
}

#[test]
fn blocks_are_given_as_asked_for_and_a_hundred_at_most() {
    let mut example = Example::new();
    for n in 0..150_u64 {
        example
            .record(vec![put(THINGS, &n.to_be_bytes(), b"")])
            .unwrap();
    }
    let ask = |ranges: &[(u64, u64)]| {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|(start, length)| GetBlocksArgs {
                start: (*start).into(),
                length: (*length).into(),
            })
            .collect();
        let found = example.kit.certified.blocks(&ranges)?;
        assert_eq!(found.log_length, 151_u64);
        let index = |id: &candid::Nat| u64::try_from(&id.0).unwrap();
        Ok::<_, Error>(
            found
                .blocks
                .iter()
                .map(|block| index(&block.id))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        ask(&[(3, 2), (149, 10), (9, 0), (200, 5), (u64::MAX, u64::MAX)]),
        Ok(vec![3, 4, 149, 150])
    );
    assert_eq!(ask(&[(0, 90), (0, 90)]).unwrap().len() as u64, MAX_BLOCKS);
    assert_eq!(ask(&[(0, u64::MAX)]), Ok((0..100).collect()));
    assert!(matches!(
        ask(&[(0, 1); 101]),
        Err(Error::LimitReached { .. })
    ));
}
