//! Credentials.

use identity::credentials;
use indus_api::{
    identity::{Achievement, CredentialView, IssueArgs, RevocationReason},
    paging::PageArgs,
};
use serde_bytes::ByteBuf;

use crate::setting::{
    CLERK_KEY, DAY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL, invalid_field, key, refusal,
};

fn read(o: &Officials, n: u8, id: u64) -> Result<CredentialView, indus_api::Error> {
    credentials::read(&o.s.state, &o.s.at(key(n)), id)
}

#[test]
fn a_credential_is_the_holders_and_its_json_is_the_leafs() {
    let mut o = Officials::new();
    let args = o.credential();
    let issued = o.s.issue(key(OFFICIAL), args).unwrap();
    assert!(issued.credential.check(&issued.json));
    assert_eq!(
        (issued.credential.id, issued.credential.organisation),
        (1, 1)
    );
    assert_eq!(read(&o, CLERK_KEY, 1), Ok(issued));
    assert_eq!(refusal(read(&o, OFFICIAL, 1)), Refusal::Unauthorized);
    assert_eq!(refusal(read(&o, CLERK_KEY, 2)), Refusal::NotFound);
}

#[test]
fn the_same_key_gives_the_same_credential() {
    let mut o = Officials::new();
    let args = o.credential();
    let issued = o.s.issue(key(OFFICIAL), args.clone()).unwrap();
    assert_eq!(o.s.issue(key(OFFICIAL), args.clone()), Ok(issued));
    let other = IssueArgs {
        valid_until_ns: Some(o.s.time_ns + DAY),
        ..args.clone()
    };
    assert_eq!(
        invalid_field(o.s.issue(key(OFFICIAL), other)),
        "idempotency_key"
    );
    // another issuer's keys are their own
    let second = o.s.issue(key(SECOND_OFFICIAL), args).unwrap();
    assert_eq!(second.credential.id, 2);
}

#[test]
fn a_credential_that_is_taken_back_is_shown_as_such() {
    let mut o = Officials::new();
    let args = o.credential();
    o.s.issue(key(OFFICIAL), args).unwrap();
    let revoked = o.s.revoke_credential(key(SECOND_OFFICIAL), 1).unwrap();
    assert_eq!(revoked.revocation.reason, RevocationReason::Misuse);
    o.s.wait(1);
    assert_eq!(o.s.revoke_credential(key(OFFICIAL), 1), Ok(revoked));
    assert_eq!(read(&o, CLERK_KEY, 1).unwrap().revoked, Some(revoked));
    assert_eq!(
        refusal(o.s.revoke_credential(key(OFFICIAL), 2)),
        Refusal::NotFound
    );
}

#[test]
fn a_holder_sees_all_of_theirs_in_pages() {
    let mut o = Officials::new();
    let other = o.s.person(60);
    for n in 0..5 {
        let args = IssueArgs {
            idempotency_key: ByteBuf::from([n]),
            holder: if n == 2 { other } else { o.clerk },
            ..o.credential()
        };
        o.s.issue(key(OFFICIAL), args).unwrap();
    }
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let args = PageArgs { after, limit: 3 };
        let page = credentials::list(&o.s.state, &o.s.at(key(CLERK_KEY)), args).unwrap();
        ids.extend(page.items.iter().map(|view| view.credential.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, [1, 2, 4, 5]);
}

#[test]
fn each_field_is_bounded() {
    let mut o = Officials::new();
    let good = o.credential();
    let with = |change: fn(&mut Achievement)| {
        let mut args = good.clone();
        change(&mut args.achievement);
        args
    };
    for (field, args) in [
        ("programme", with(|one| one.programme = "a".repeat(65))),
        ("programme", with(|one| one.programme = "Rust 2026".into())),
        ("name", with(|one| one.name = "a".repeat(101))),
        (
            "description",
            with(|one| one.description = "a".repeat(1_001)),
        ),
        ("criteria", with(|one| one.criteria = String::new())),
    ] {
        assert_eq!(invalid_field(o.s.issue(key(OFFICIAL), args)), field);
    }
    let largest = with(|one| {
        one.programme = "a".repeat(64);
        one.name = "a".repeat(100);
        one.description = "\"".repeat(1_000);
        one.criteria = "a".repeat(1_000);
    });
    let issued = o.s.issue(key(OFFICIAL), largest).unwrap();
    assert!(issued.credential.check(&issued.json));
    let nobody = IssueArgs {
        holder: key(1),
        idempotency_key: ByteBuf::from([9]),
        ..good
    };
    assert_eq!(refusal(o.s.issue(key(OFFICIAL), nobody)), Refusal::NotFound);
}
