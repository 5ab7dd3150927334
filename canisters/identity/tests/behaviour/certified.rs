//! What a client that believes only the subnet's key can learn, and what nobody can.

use candid::Principal;
use ic_certification::{HashTree, LookupResult};
use identity::persons;
use indus_api::{
    Subject,
    identity::{
        CONFIGURATION, CONFIGURATION_KEY, CREDENTIALS, Credential, CredentialRecord, METHODS,
        MethodRecord, PERSONS, PersonRecord, RECOVERIES, RECOVERY_OFFICER, REVOKED_CREDENTIALS,
        ROLES, RecoveryRecord, RoleRecord, id_key, path, person_key,
    },
    signatures,
};
use sha2::{Digest as _, Sha256};

use crate::setting::{
    CLERK_KEY, NEW_KEY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL, SUBNET, Setting, key, own,
    refusal,
};

fn reader(person: Principal, role: Option<&str>) -> Subject {
    Subject {
        person,
        organisation: Some(1),
        roles: role.map(ToOwned::to_owned).into_iter().collect(),
    }
}

/// The leaf that this reader is shown; none if it is absent, an error if it is not shown.
fn leaf(
    s: &Setting,
    collection: &str,
    key: &[u8],
    reader: Option<&Subject>,
) -> Result<Option<Vec<u8>>, String> {
    let path = path(collection, key);
    let witness = s
        .state
        .kit
        .certified
        .witness_of_paths(std::slice::from_ref(&path), reader)
        .map_err(|refused| refused.to_string())?;
    let witness: HashTree = serde_cbor::from_slice(&witness).unwrap();
    assert_eq!(witness.digest(), s.state.kit.certified.root_hash());
    match witness.lookup_path(&path) {
        LookupResult::Found(bytes) => Ok(Some(bytes.to_vec())),
        LookupResult::Absent => Ok(None),
        other => Err(format!("{other:?}")),
    }
}

/// With a recovery of the clerk, and a credential of theirs.
fn scene() -> Officials {
    let mut o = Officials::new();
    o.opened(OFFICIAL);
    let args = o.credential();
    o.s.issue(key(OFFICIAL), args).unwrap();
    o
}

#[test]
fn leaves_are_shown_to_whom_they_concern() {
    let o = scene();
    let clerk = reader(o.clerk, None);
    let other = reader(key(1), None);
    let officer = reader(key(1), Some(RECOVERY_OFFICER));
    let view = persons::view(&o.s.state, &o.s.at(key(CLERK_KEY))).unwrap();
    let method = view.methods[0].key.to_vec();
    let id = id_key(1).to_vec();
    // collection, key, and who is shown the leaf: the clerk, somebody else of their organisation, a recovery officer, anybody
    for (collection, key, shown) in [
        (
            PERSONS,
            person_key(o.clerk).to_vec(),
            [true, false, false, false],
        ),
        (METHODS, method, [true, false, false, false]),
        (RECOVERIES, id.clone(), [true, false, true, false]),
        (CREDENTIALS, id.clone(), [true, false, false, false]),
        (ROLES, id, [true; 4]),
        (CONFIGURATION, CONFIGURATION_KEY.to_vec(), [true; 4]),
    ] {
        let readers = [Some(&clerk), Some(&other), Some(&officer), None];
        let seen =
            readers.map(|reader| matches!(leaf(&o.s, collection, &key, reader), Ok(Some(_))));
        assert_eq!(seen, shown, "{collection}");
    }
}

#[test]
fn the_leaves_are_what_the_queries_show() {
    let o = scene();
    let clerk = reader(o.clerk, None);
    let shown =
        |collection, key: &[u8]| leaf(&o.s, collection, key, Some(&clerk)).unwrap().unwrap();
    let view = persons::view(&o.s.state, &o.s.at(key(CLERK_KEY))).unwrap();
    let PersonRecord::V1(person) =
        candid::decode_one(&shown(PERSONS, &person_key(o.clerk))).unwrap();
    assert_eq!(person, view.person);
    let MethodRecord::V1(method) =
        candid::decode_one(&shown(METHODS, &view.methods[0].key)).unwrap();
    assert_eq!(method, view.methods[0].method);
    let RecoveryRecord::V1(recovery) = candid::decode_one(&shown(RECOVERIES, &id_key(1))).unwrap();
    assert_eq!(Some(recovery), view.recovery);
    let RoleRecord::V1(role) = candid::decode_one(&shown(ROLES, &id_key(1))).unwrap();
    assert_eq!(identity::roles::get(&o.s.state, 1), Ok(role));
}

#[test]
fn a_verifier_learns_offline_that_a_credential_holds_and_then_that_it_does_not() {
    let mut o = scene();
    let clerk = reader(o.clerk, None);
    let bytes = leaf(&o.s, CREDENTIALS, &id_key(1), Some(&clerk))
        .unwrap()
        .unwrap();
    let CredentialRecord::V1(credential) = candid::decode_one(&bytes).unwrap();
    let json = credential.json().unwrap();
    assert!(credential.check(&json));
    // the holder's method leaf binds their key to the credential's holder
    let view = persons::view(&o.s.state, &o.s.at(key(CLERK_KEY))).unwrap();
    let bytes = leaf(&o.s, METHODS, &view.methods[0].key, Some(&clerk))
        .unwrap()
        .unwrap();
    let MethodRecord::V1(method) = candid::decode_one(&bytes).unwrap();
    assert_eq!(
        (method.person, method.key.principal),
        (credential.holder, key(CLERK_KEY))
    );
    // anybody proves that it was not taken back
    let revoked = |o: &Officials| leaf(&o.s, REVOKED_CREDENTIALS, &id_key(1), None);
    assert_eq!(revoked(&o), Ok(None));
    o.s.revoke_credential(key(OFFICIAL), 1).unwrap();
    assert!(matches!(revoked(&o), Ok(Some(_))));
}

/// Whether everybody is shown that this is signed.
fn signed(s: &Setting, message: &[u8]) -> bool {
    let path = signatures::path(message);
    let witness = s.state.kit.certified.witness_of_paths(&[path], None);
    let certificate = SUBNET.certificate(own(), s.state.kit.certified.root_hash(), s.time_ns);
    let signature = indus_verify::canister_signature::encode(&certificate, &witness.unwrap());
    let root_key = &SUBNET.root_key_der()[37..];
    ic_signature_verification::verify_canister_sig(
        message,
        &signature.unwrap(),
        &signatures::public_key(own()),
        root_key,
    )
    .is_ok()
}

#[test]
fn a_credential_is_signed_until_it_is_taken_back() {
    let mut o = scene();
    let args = indus_api::identity::IssueArgs {
        idempotency_key: serde_bytes::ByteBuf::from(*b"two"),
        ..o.credential()
    };
    let second = o.s.issue(key(OFFICIAL), args).unwrap().credential;
    let view = identity::credentials::read(&o.s.state, &o.s.at(key(CLERK_KEY)), 1).unwrap();
    let message = view.credential.signed_message().unwrap();
    assert!(signed(&o.s, &message));
    assert!(!signed(&o.s, &message[1..]));
    // It is: nothing more is to be done, and nothing is.
    let blocks = o.s.state.kit.certified.log_len();
    assert_eq!(o.s.sign(key(CLERK_KEY), 1), Ok(view));
    assert_eq!(o.s.state.kit.certified.log_len(), blocks);
    o.s.reopen();
    assert!(signed(&o.s, &message));

    o.s.revoke_credential(key(OFFICIAL), 1).unwrap();
    assert!(!signed(&o.s, &message));
    assert!(signed(&o.s, &second.signed_message().unwrap()));
    assert_eq!(refusal(o.s.sign(key(CLERK_KEY), 1)), Refusal::Conflict);
    assert!(!signed(&o.s, &message));
    assert_eq!(refusal(o.s.sign(key(CLERK_KEY), 3)), Refusal::NotFound);
    o.s.audit();
}

#[test]
fn who_can_list_what_is_signed_can_not_find_out_by_guessing() {
    let o = scene();
    let view = identity::credentials::read(&o.s.state, &o.s.at(key(CLERK_KEY)), 1).unwrap();
    let guess = Credential {
        salt: serde_bytes::ByteBuf::from([0; 16]),
        ..view.credential
    };
    assert!(!signed(&o.s, &guess.signed_message().unwrap()));
}

/// A whole history, with every kind of event.
fn history() -> Officials {
    let mut o = scene();
    let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
    o.s.offer(key(80), o.clerk, &code).unwrap();
    o.s.confirm(key(CLERK_KEY), key(80)).unwrap();
    o.s.choose(key(80), Some(1)).unwrap();
    o.s.bind_for(key(80), 1, o.clerk).unwrap();
    o.s.end_key(key(80), 1).unwrap();
    o.s.remove(key(80), key(CLERK_KEY)).unwrap();
    o.s.veto(key(80), 1).unwrap();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.wait(3 * crate::setting::DAY);
    o.s.finish(key(NEW_KEY), id).unwrap();
    o.s.revoke_credential(key(OFFICIAL), 1).unwrap();
    o.s.revoke_role(key(NEW_KEY), 9).unwrap();
    let decision = indus_api::decision::Decision {
        proposal: 1,
        canister: crate::setting::own(),
        configuration: candid::encode_one(crate::setting::init().configuration)
            .unwrap()
            .into(),
        executed_at_ns: 1,
    };
    o.s.apply_decision(key(1), 1, &decision).unwrap();
    o
}

#[test]
fn the_replayed_log_gives_what_is_certified() {
    let mut o = history();
    o.s.audit();
    o.s.reopen();
    o.s.audit();
}

/// Every byte of the log that anybody may read.
fn public_log(s: &Setting) -> Vec<u8> {
    let range = indus_api::icrc3::GetBlocksArgs {
        start: 0_u64.into(),
        length: 100_u64.into(),
    };
    let page = s.state.kit.certified.blocks(&[range]).unwrap();
    assert!(s.state.kit.certified.log_len() <= 100);
    candid::encode_one(page).unwrap()
}

#[test]
fn the_log_tells_of_no_key_whose_it_is() {
    let o = history();
    let log = public_log(&o.s);
    let has = |part: &[u8]| log.windows(part.len()).any(|window| window == part);
    for n in [OFFICIAL, SECOND_OFFICIAL, CLERK_KEY, NEW_KEY, 80] {
        assert!(!has(key(n).as_slice()), "{n}");
        assert!(!has(&Sha256::digest(key(n).as_slice())), "{n}");
    }
    // though it does tell what happened to a person
    assert!(has(&person_key(o.clerk)) && has(o.clerk.as_slice()));
}

#[test]
fn what_is_not_public_is_salted_each_time_anew() {
    let o = scene();
    let everybody = [OFFICIAL, SECOND_OFFICIAL, CLERK_KEY];
    let mut salts = Vec::new();
    for n in everybody {
        let view = persons::view(&o.s.state, &o.s.at(key(n))).unwrap();
        salts.push(view.person.salt.to_vec());
        salts.extend(view.methods.iter().map(|one| one.method.salt.to_vec()));
        salts.extend(view.recovery.map(|one| one.salt.to_vec()));
    }
    let view = identity::credentials::read(&o.s.state, &o.s.at(key(CLERK_KEY)), 1).unwrap();
    salts.push(view.credential.salt.to_vec());
    assert!(salts.iter().all(|salt| salt.len() == 16));
    let count = salts.len();
    salts.sort_unstable();
    salts.dedup();
    assert_eq!((salts.len(), count), (8, 8));
}
