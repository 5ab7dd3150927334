//! Licences and credentials that their holders show: each wrong thing is refused, and said.

use std::time::Duration;

use candid::Principal;
use ed25519_dalek::{Signer, SigningKey};
use ic_certification::{HashTree, fork, labeled, leaf, pruned};
use indus_api::identity::{
    Achievement, Credential, CredentialRecord, Method, MethodKind, MethodRecord, NewMethod, id_key,
};
use indus_api::licences::{
    Audience, Licence, Notice, NoticeCause, Seat, SeatRecord, SeatState, Sector,
};
use indus_verify::presentation::{
    Certificate, Challenge, Expected, Presentation, PresentationError, Presented, Shown, Valid,
};
use indus_verify::{RootKey, Time, TimeBound, Verifier};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use testnet::{Subnet, cbor};

const SUBNET: Subnet = Subnet::new(1);
/// Of the certificates.
const NOW: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const METHOD_KEY: [u8; 32] = [9; 32];

fn canister(n: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1])
}

fn license_manager() -> Principal {
    canister(1)
}

fn identity() -> Principal {
    canister(2)
}

fn person(n: u8) -> Principal {
    Principal::from_slice(&[[n; 28].as_slice(), &[0x7f]].concat())
}

fn signer(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public_key(signer: &SigningKey) -> Vec<u8> {
    let prefix = hex::decode("302a300506032b6570032100").unwrap();
    [&prefix[..], signer.verifying_key().as_bytes()].concat()
}

fn challenge() -> Challenge {
    Challenge::new(vec![7; 32], "Bank".into()).unwrap()
}

fn licence() -> Licence {
    Licence {
        claimed_at_ns: NOW - HOUR,
        expires_at_ns: NOW + 10 * HOUR,
        last_active_ns: NOW - HOUR,
        idle_at_ns: NOW + 5 * HOUR,
        notice: None,
    }
}

fn seat(state: SeatState) -> Seat {
    Seat {
        seat: 7,
        holder: person(1),
        audience: Audience::Startups,
        sector: Sector::Health,
        application: 3,
        granted_at_ns: NOW - 2 * HOUR,
        state,
    }
}

fn active() -> Seat {
    seat(SeatState::Active(licence()))
}

fn method() -> Method {
    Method {
        key: NewMethod {
            principal: Principal::self_authenticating(public_key(&signer(1))),
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        },
        person: person(1),
        office: None,
        added_at_ns: NOW - 3 * HOUR,
        salt: ByteBuf::from([5; 16]),
    }
}

fn credential() -> Credential {
    let mut credential = Credential {
        id: 7,
        canister: identity(),
        registry: canister(3),
        organisation: 3,
        holder: person(1),
        achievement: Achievement {
            programme: "rust-2026".into(),
            name: "Rust".into(),
            description: "Six weeks.".into(),
            criteria: "Passes.".into(),
        },
        issued_at_ns: NOW - HOUR,
        valid_until_ns: Some(NOW + 10 * HOUR),
        json_hash: ByteBuf::new(),
        salt: ByteBuf::from([0; 16]),
    };
    sealed(&mut credential);
    credential
}

fn sealed(credential: &mut Credential) {
    let json = credential.json().unwrap();
    credential.json_hash = ByteBuf::from(Sha256::digest(json).to_vec());
}

/// `collection`/`key` with this record.
fn collection(collection: &str, key: &[u8], record: Vec<u8>) -> HashTree {
    labeled(collection, labeled(key, leaf(record)))
}

fn certified(canister: Principal, collections: HashTree, time_ns: u64) -> Certificate {
    let tree = fork(
        labeled("data", collections),
        labeled("log", pruned([3; 32])),
    );
    Certificate {
        canister,
        certificate: SUBNET.certificate(canister, tree.digest(), time_ns),
        witness: cbor(&tree),
    }
}

fn of_method(method: Method, time_ns: u64) -> Certificate {
    let record = candid::encode_one(MethodRecord::V1(method)).unwrap();
    certified(
        identity(),
        collection("methods", &METHOD_KEY, record),
        time_ns,
    )
}

fn of_seat(seat: Seat, time_ns: u64) -> Certificate {
    let record = candid::encode_one(SeatRecord::V1(seat)).unwrap();
    certified(
        license_manager(),
        collection("seats", &id_key(7), record),
        time_ns,
    )
}

/// With what stands beside the credential: the revoked ones, which begin after it, or are it.
fn of_credential(credential: Credential, revoked: u64) -> Certificate {
    let record = candid::encode_one(CredentialRecord::V1(credential)).unwrap();
    let tree = fork(
        collection("credentials", &id_key(7), record),
        labeled(
            "revoked_credentials",
            labeled(id_key(revoked), leaf(*b"revoked")),
        ),
    );
    certified(identity(), tree, NOW)
}

fn signed(shown: Shown, statement: Certificate, holder: Certificate) -> Presentation {
    let presentation = Presentation {
        shown,
        statement,
        holder,
        method_key: METHOD_KEY.to_vec(),
        public_key: public_key(&signer(1)),
        challenge: challenge(),
        signature: Vec::new(),
    };
    resigned(presentation, 1)
}

/// Signed by this key.
fn resigned(mut presentation: Presentation, by: u8) -> Presentation {
    presentation.public_key = public_key(&signer(by));
    let signature = signer(by).sign(presentation.to_sign().as_bytes());
    presentation.signature = signature.to_bytes().to_vec();
    presentation
}

fn a_licence() -> Presentation {
    of(active())
}

fn of(seat: Seat) -> Presentation {
    signed(
        Shown::Licence { seat: 7 },
        of_seat(seat, NOW),
        of_method(method(), NOW),
    )
}

fn a_credential() -> Presentation {
    signed(
        Shown::Credential { id: 7 },
        of_credential(credential(), 9),
        of_method(method(), NOW),
    )
}

fn verified_at(
    presentation: &Presentation,
    now_ns: u64,
    max_age: Duration,
) -> Result<Presented, PresentationError> {
    let verifier = Verifier::new(RootKey::from_der(&SUBNET.root_key_der()).unwrap());
    let canister = match presentation.shown {
        Shown::Licence { .. } => license_manager(),
        Shown::Credential { .. } => identity(),
    };
    let expected = Expected {
        canister,
        identity: identity(),
        challenge: &challenge(),
        now: Time::from_nanos(now_ns),
        bound: TimeBound::within(max_age),
    };
    presentation.verify(&verifier, &expected)
}

fn verified(presentation: &Presentation) -> Result<Presented, PresentationError> {
    verified_at(presentation, NOW, Duration::from_secs(24 * 3_600))
}

fn refusal(presentation: &Presentation) -> String {
    verified(presentation).unwrap_err().to_string()
}

#[test]
fn a_valid_licence_and_a_valid_credential_are_their_holders() {
    let presented = verified(&a_licence()).unwrap();
    assert_eq!(presented.what, Valid::Licence(active()));
    assert_eq!(presented.method, method());
    assert_eq!(presented.certified_at, Time::from_nanos(NOW));
    let presented = verified(&a_credential()).unwrap();
    assert_eq!(presented.what, Valid::Credential(credential()));
}

#[test]
fn it_is_for_one_nonce_and_one_verifier() {
    for (nonce, name, said) in [
        (vec![8; 32], "Bank", "it was signed for another nonce"),
        (
            vec![7; 32],
            "Bazaar",
            "it was signed for the verifier \"Bazaar\", not for \"Bank\"",
        ),
    ] {
        let challenge = Challenge::new(nonce, name.into()).unwrap();
        let other = Presentation {
            challenge,
            ..a_licence()
        };
        assert_eq!(refusal(&resigned(other, 1)), said);
    }
    // Who writes the right challenge on an old signature has no signature of it.
    let old = Presentation {
        challenge: Challenge::new(vec![8; 32], "Bank".into()).unwrap(),
        ..a_licence()
    };
    let stolen = Presentation {
        challenge: challenge(),
        ..resigned(old, 1)
    };
    assert_eq!(verified(&stolen), Err(PresentationError::Signature));
    for length in [0, 15, 65] {
        assert!(Challenge::new(vec![0; length], String::new()).is_err());
    }
    assert!(Challenge::new(vec![0; 16], "a".repeat(101)).is_err());
}

#[test]
fn a_signature_serves_for_nothing_but_what_it_was_made_for() {
    let licence = a_licence();
    let as_credential = Presentation {
        signature: licence.signature.clone(),
        ..a_credential()
    };
    assert_eq!(verified(&as_credential), Err(PresentationError::Signature));
    let other_seat = Presentation {
        shown: Shown::Licence { seat: 8 },
        ..licence
    };
    assert_eq!(verified(&other_seat), Err(PresentationError::Signature));
    assert!(refusal(&resigned(other_seat, 1)).starts_with("what is shown is not proved: "));
}

#[test]
fn another_key_than_the_certified_one_is_refused() {
    let error = verified(&resigned(a_licence(), 2)).unwrap_err();
    let PresentationError::OtherKey { certified, found } = error else {
        panic!("{error}")
    };
    assert_eq!(certified, method().key.principal);
    assert_eq!(
        found,
        Principal::self_authenticating(public_key(&signer(2)))
    );
    for (public_key, expected) in [
        (vec![], PresentationError::PublicKey),
        (
            public_key(&signer(1))[12..].to_vec(),
            PresentationError::PublicKey,
        ),
        (public_key(&signer(2)), PresentationError::Signature),
    ] {
        let other = Presentation {
            public_key,
            ..a_licence()
        };
        assert_eq!(verified(&other), Err(expected));
    }
}

#[test]
fn who_holds_a_key_of_another_person_is_not_the_holder() {
    let thief = Method {
        person: person(2),
        ..method()
    };
    let stolen = [
        Presentation {
            holder: of_method(thief.clone(), NOW),
            ..a_licence()
        },
        Presentation {
            holder: of_method(thief, NOW),
            ..a_credential()
        },
    ];
    for stolen in stolen {
        assert_eq!(
            verified(&stolen),
            Err(PresentationError::OtherHolder {
                holder: person(1),
                shown_by: person(2)
            })
        );
    }
}

#[test]
fn only_the_canisters_that_the_verifier_counts_on_are_believed() {
    // Anybody can have a canister on the subnet, and let it certify a seat.
    for own in [true, false] {
        let mut other = a_licence();
        if own {
            other.statement.canister = canister(8);
        } else {
            other.holder.canister = canister(8);
        }
        let other = resigned(other, 1);
        assert!(matches!(
            verified(&other),
            Err(PresentationError::OtherCanister { .. })
        ));
    }
    // Nor does a certificate of one canister speak for another.
    let mut moved = a_licence();
    moved.statement.certificate = moved.holder.certificate.clone();
    assert!(refusal(&moved).starts_with("what is shown is not proved: "));
    let mut moved = a_licence();
    moved.holder.witness = moved.statement.witness.clone();
    assert!(refusal(&moved).starts_with("the holder's key is not proved: "));
}

#[test]
fn a_licence_counts_while_it_is_active_and_not_at_its_end() {
    let granted = SeatState::Granted {
        claim_by_ns: NOW + HOUR,
    };
    assert_eq!(refusal(&of(seat(granted))), "the seat is not claimed");
    let suspended = SeatState::Suspended {
        licence: licence(),
        reason: ByteBuf::from([1; 32]),
        at_ns: NOW - HOUR,
    };
    assert_eq!(
        refusal(&of(seat(suspended))),
        "the licence has been suspended since 2023-11-14T21:13:20Z"
    );
    // At the certificate's time, at the verifier's, by expiry and by a notice that ran out.
    let expired = Licence {
        expires_at_ns: NOW,
        ..licence()
    };
    let reclaimed = Licence {
        notice: Some(Notice {
            cause: NoticeCause::Idle,
            given_at_ns: NOW - HOUR,
            reclaim_at_ns: NOW,
        }),
        ..licence()
    };
    for over in [expired, reclaimed] {
        assert_eq!(
            refusal(&of(seat(SeatState::Active(over)))),
            "it ended at 2023-11-14T22:13:20Z, and has to be valid at 2023-11-14T22:13:20Z"
        );
    }
    let day = Duration::from_secs(24 * 3_600);
    assert!(verified_at(&a_licence(), NOW + 10 * HOUR - 1, day).is_ok());
    assert!(matches!(
        verified_at(&a_licence(), NOW + 10 * HOUR, day),
        Err(PresentationError::Ended { .. })
    ));
}

#[test]
fn what_is_too_old_is_refused_whichever_part_it_is() {
    let hour = Duration::from_secs(3_600);
    assert!(verified_at(&a_licence(), NOW + HOUR, hour).is_ok());
    let refused = verified_at(&a_licence(), NOW + HOUR + 1, hour);
    let said = refused.unwrap_err().to_string();
    assert!(
        said.starts_with("what is shown is not proved: the certificate is of"),
        "{said}"
    );
    // A fresh seat with an old key: it may have been removed since.
    let old_key = signed(
        Shown::Licence { seat: 7 },
        of_seat(active(), NOW),
        of_method(method(), NOW - 2 * HOUR),
    );
    let said = verified_at(&old_key, NOW, hour).unwrap_err().to_string();
    assert!(
        said.starts_with("the holder's key is not proved: the certificate is of"),
        "{said}"
    );
}

#[test]
fn a_credential_counts_until_its_end_unless_it_is_revoked() {
    let day = Duration::from_secs(24 * 3_600);
    assert!(verified_at(&a_credential(), NOW + 10 * HOUR - 1, day).is_ok());
    assert!(matches!(
        verified_at(&a_credential(), NOW + 10 * HOUR, day),
        Err(PresentationError::Ended { .. })
    ));
    let of = |statement| {
        let shown = Shown::Credential { id: 7 };
        signed(shown, statement, of_method(method(), NOW))
    };
    assert_eq!(
        verified(&of(of_credential(credential(), 7))),
        Err(PresentationError::Revoked)
    );
    // Without the absence, nothing says that it is not revoked.
    let record = candid::encode_one(CredentialRecord::V1(credential())).unwrap();
    let hidden = fork(
        collection("credentials", &id_key(7), record.clone()),
        labeled("revoked_credentials", pruned([1; 32])),
    );
    let said = refusal(&of(certified(identity(), hidden, NOW)));
    assert!(said.contains("nothing is proved about"), "{said}");
    // With no revoked one at all, there is no such collection.
    let none = collection("credentials", &id_key(7), record);
    assert!(verified(&of(certified(identity(), none, NOW))).is_ok());

    let mut renamed = credential();
    renamed.achievement.name = "Go".into();
    assert_eq!(
        verified(&of(of_credential(renamed, 9))),
        Err(PresentationError::Json)
    );
    let mut foreign = credential();
    foreign.canister = canister(8);
    sealed(&mut foreign);
    assert_eq!(
        verified(&of(of_credential(foreign, 9))),
        Err(PresentationError::Json)
    );
    let mut other = credential();
    other.id = 8;
    sealed(&mut other);
    assert_eq!(
        refusal(&of(of_credential(other, 9))),
        "under the key of credential 7, credential 8 is certified"
    );
}

#[test]
fn no_byte_of_a_proof_can_be_another() {
    let good = a_licence();
    let parts: [fn(&mut Presentation) -> &mut Vec<u8>; 7] = [
        |one| &mut one.statement.certificate,
        |one| &mut one.statement.witness,
        |one| &mut one.holder.certificate,
        |one| &mut one.holder.witness,
        |one| &mut one.method_key,
        |one| &mut one.public_key,
        |one| &mut one.signature,
    ];
    for (number, part) in parts.into_iter().enumerate() {
        let length = part(&mut good.clone()).len();
        for at in 0..length {
            let mut other = good.clone();
            part(&mut other)[at] ^= 1;
            assert!(verified(&other).is_err(), "part {number}, byte {at}");
        }
    }
}
