//! What a client that believes only the subnet's key can learn: decoded and hashed by `ic-certification`.

use crate::setting::{APPLICANT, FIRST, Setting, person, profile, record};
use ic_certification::{HashTree, LookupResult};
use indus_api::{
    Error,
    certified::{MAX_LABEL_BYTES, MAX_PATH_LABELS, MAX_PATHS},
    registry::{
        Action, Application, PROPOSALS, ProposalRecord, id_key, organisation_path,
        path as registry_path,
    },
};
use registry::State;
use serde_bytes::ByteBuf;

fn path(labels: &[&[u8]]) -> Vec<ByteBuf> {
    labels
        .iter()
        .map(|label| ByteBuf::from(label.to_vec()))
        .collect()
}

fn read(s: &Setting, paths: &[Vec<ByteBuf>]) -> Result<HashTree, Error> {
    let witness = s.state.kit.certified.witness_of_paths(paths, None)?;
    assert_eq!(witness[..3], [0xd9, 0xd9, 0xf7], "CBOR tag 55799");
    let witness: HashTree = serde_cbor::from_slice(&witness).expect("CBOR of a hash tree");
    assert_eq!(witness.digest(), s.state.kit.certified.root_hash());
    Ok(witness)
}

#[test]
fn one_witness_shows_many_records_and_what_is_absent() {
    for count in [1, 2, 3, 7, 40] {
        let mut s = Setting::new();
        let organisations: Vec<_> = (0..count)
            .map(|n| s.active(&format!("office-{n}")))
            .collect();
        let last = FIRST + count - 1;
        let paths: Vec<_> = (0..=last + 1).map(organisation_path).collect();
        let witness = read(&s, &paths).unwrap();
        for organisation in &organisations {
            let found = witness.lookup_path(organisation_path(organisation.id));
            assert_eq!(found, LookupResult::Found(&record(organisation)), "{count}");
        }
        for absent in [0, last + 1] {
            assert_eq!(
                witness.lookup_path(organisation_path(absent)),
                LookupResult::Absent,
                "{count}"
            );
        }
    }
}

#[test]
fn a_witness_shows_no_record_that_was_not_asked_for() {
    let mut s = Setting::new();
    for n in 0..20 {
        s.active(&format!("office-{n}"));
    }
    let witness = read(
        &s,
        &[
            organisation_path(3),
            organisation_path(3),
            organisation_path(12),
        ],
    )
    .unwrap();
    for id in 1..=20 {
        let found = matches!(
            witness.lookup_path(organisation_path(id)),
            LookupResult::Found(_)
        );
        assert_eq!(found, id == 3 || id == 12, "{id}");
    }
}

#[test]
fn absence_is_proved_at_every_depth_and_in_an_empty_registry() {
    let empty = Setting::new();
    let mut one = Setting::new();
    one.active("nadra");
    let (id, absent) = (1_u64.to_be_bytes(), 9_u64.to_be_bytes());
    for s in [&empty, &one] {
        for absent in [
            path(&[b"dat"]),
            path(&[b"zzz", b"organisations", &id]),
            path(&[b"data", b"no-collection"]),
            path(&[b"data", b"organisations", b""]),
            path(&[b"data", b"organisations", &id[..7]]),
            path(&[b"data", b"organisations", &absent]),
            path(&[b"data", b"organisations", &id, b"name"]),
            path(&[b""]),
        ] {
            assert_eq!(s.certified(&absent), None, "{absent:?}");
        }
    }
}

#[test]
fn every_state_that_an_organisation_passes_is_certified() {
    let mut s = Setting::new();
    let mut roots = vec![s.state.kit.certified.root_hash()];
    let pending = s.apply(APPLICANT, profile("nadra")).unwrap();
    let proposal = pending.application.unwrap();
    for governor in [1, 2, 3] {
        roots.push(s.state.kit.certified.root_hash());
        s.agree(governor, proposal).unwrap();
        let organisation = s.state.organisation(pending.id).unwrap();
        let certified = s.certified(&organisation_path(pending.id));
        assert_eq!(certified, Some(record(&organisation)));
    }
    roots.push(s.state.kit.certified.root_hash());
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 5);
}

#[test]
fn an_executed_proposal_is_a_receipt_of_who_decided_what() {
    let mut s = Setting::new();
    let active = s.active("nadra");
    let id = active.application.unwrap();
    let leaf = s.certified(&registry_path(PROPOSALS, &id_key(id))).unwrap();
    let ProposalRecord::V1(receipt) = candid::decode_one(&leaf).unwrap();
    let approved: Vec<_> = receipt
        .approvals
        .iter()
        .map(|one| (one.governor, one.organisation))
        .collect();
    assert_eq!(approved, [(person(1), 1), (person(2), 2), (person(3), 3)]);
    let expected = Action::Admit(Application {
        organisation: active.id,
        applicant: person(APPLICANT),
        profile: profile("nadra"),
    });
    assert_eq!(
        candid::decode_one::<Action>(&receipt.payload).unwrap(),
        expected
    );
}

#[test]
fn a_reopened_state_certifies_the_same_root_whatever_order_things_changed_in() {
    let mut s = Setting::new();
    let pending: Vec<_> = (0..3)
        .map(|n| s.apply(APPLICANT, profile(&format!("office-{n}"))).unwrap())
        .collect();
    for organisation in pending.into_iter().rev() {
        s.carried(organisation.application.unwrap());
        let reopened = State::open(s.memory.clone()).unwrap();
        assert_eq!(
            reopened.kit.certified.root_hash(),
            s.state.kit.certified.root_hash()
        );
    }
    s.assert_explained();
}

#[test]
fn each_bad_path_is_refused() {
    let s = Setting::new();
    let reason = |paths: &[Vec<ByteBuf>]| match read(&s, paths) {
        Err(Error::Invalid { field, reason }) if field == "paths" => reason,
        other => panic!("{other:?}"),
    };
    let good = organisation_path(1);
    assert_eq!(reason(&[]), "must name at least one record");
    assert_eq!(
        reason(&[good.clone(), vec![]]),
        "path 1 ends above the records"
    );
    assert_eq!(reason(&[path(&[b"data"])]), "path 0 ends above the records");
    assert_eq!(
        reason(&[path(&[b"data", b"organisations"])]),
        "path 0 ends above the records"
    );
    let labels = vec![&b"a"[..]; MAX_PATH_LABELS + 1];
    assert_eq!(reason(&[path(&labels)]), "path 0 has more than 8 labels");
    let long = [7; MAX_LABEL_BYTES + 1];
    assert_eq!(
        reason(&[path(&[b"data", &long])]),
        "path 0 has a label longer than 64 bytes"
    );

    let limit = Error::LimitReached {
        limit: 100,
        what: "paths in one read".into(),
    };
    assert_eq!(
        read(&s, &vec![good.clone(); MAX_PATHS + 1]).unwrap_err(),
        limit
    );
    assert!(read(&s, &vec![good; MAX_PATHS]).is_ok());
    assert!(read(&s, &[path(&[&[7; MAX_LABEL_BYTES][..]; MAX_PATH_LABELS])]).is_ok());
}
