//! Requests are built here as an agent builds them, by other code: `ic-transport-types` and `serde_cbor`.

use std::borrow::Cow;

use ed25519_dalek::{Signer as _, SigningKey};
use ic_transport_types::{
    Delegation, DelegationPermissions, Envelope as Posted, EnvelopeContent,
    SignedDelegation as Link,
};

use super::*;
use crate::{
    envelope::{MAX_DELEGATIONS, MAX_TARGETS},
    public_key::tests::{
        certificate::{CANISTER as SIGNING_CANISTER, NEIGHBOUR, Network},
        signer::Signer,
    },
};

const NOW: Time = Time(1_700_000_000_000_000_000);
const SECOND: u64 = 1_000_000_000;
const CANISTER: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
const OTHER: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 1, 1]);

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn der(key: &SigningKey) -> Vec<u8> {
    let prefix = hex::decode("302a300506032b6570032100").unwrap();
    [&prefix[..], key.verifying_key().as_bytes()].concat()
}

fn sender(key: &SigningKey) -> Principal {
    Principal::self_authenticating(der(key))
}

fn call(sender: Principal) -> EnvelopeContent {
    EnvelopeContent::Call {
        nonce: Some(vec![5; 16]),
        ingress_expiry: NOW.0 + 240 * SECOND,
        sender,
        canister_id: CANISTER,
        method_name: "greet".into(),
        arg: b"DIDL\0\0".to_vec(),
        sender_info: None,
    }
}

fn query(sender: Principal) -> EnvelopeContent {
    EnvelopeContent::Query {
        nonce: None,
        ingress_expiry: NOW.0 + 240 * SECOND,
        sender,
        canister_id: CANISTER,
        method_name: "greet".into(),
        arg: vec![],
        sender_info: None,
    }
}

fn read_state(sender: Principal) -> EnvelopeContent {
    EnvelopeContent::ReadState {
        ingress_expiry: NOW.0 + 240 * SECOND,
        sender,
        paths: vec![vec!["time".into()]],
    }
}

/// A chain that starts with `first` and ends with the last of the keys; `shape` may change each link before it is signed.
fn chain(
    first: &SigningKey,
    keys: &[SigningKey],
    shape: impl Fn(usize, &mut Delegation),
) -> Vec<Link> {
    let mut signer = first;
    let mut links = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let expiration = NOW.0 + 60 * SECOND;
        let mut delegation = Delegation {
            pubkey: der(key),
            expiration,
            targets: None,
            permissions: None,
        };
        shape(at, &mut delegation);
        let signature = signer.sign(&delegation.signable()).to_bytes().to_vec();
        links.push(Link {
            delegation,
            signature,
        });
        signer = key;
    }
    links
}

fn signed(
    content: &EnvelopeContent,
    owner: &SigningKey,
    signer: &SigningKey,
    links: Option<Vec<Link>>,
) -> Posted<'static> {
    Posted {
        sender_pubkey: Some(der(owner)),
        sender_sig: Some(
            signer
                .sign(&content.to_request_id().signable())
                .to_bytes()
                .to_vec(),
        ),
        sender_delegation: links,
        content: Cow::Owned(content.clone()),
    }
}

fn check(posted: &Posted<'_>) -> Result<Authority, AuthenticationError> {
    checked(posted, &RootKey::new(&[])).map(|authenticated| authenticated.authority)
}

fn checked(posted: &Posted<'_>, root: &RootKey) -> Result<Authenticated, AuthenticationError> {
    let kind = match &*posted.content {
        EnvelopeContent::Call { .. } => "call",
        EnvelopeContent::Query { .. } => "query",
        EnvelopeContent::ReadState { .. } => "read_state",
    };
    authenticate(
        &Envelope::decode(&posted.encode_bytes(), kind).unwrap(),
        NOW,
        root,
    )
}

/// A call by key 1, signed at the end of a chain over keys 2, 3, ….
fn delegated(links: usize, shape: impl Fn(usize, &mut Delegation)) -> Posted<'static> {
    let keys: Vec<SigningKey> = (0..links)
        .map(|n| key(u8::try_from(n).unwrap() + 2))
        .collect();
    let links = chain(&key(1), &keys, shape);
    signed(
        &call(sender(&key(1))),
        &key(1),
        keys.last().unwrap(),
        Some(links),
    )
}

#[test]
fn a_signed_request_of_each_type_is_accepted() {
    for content in [call, query, read_state] {
        let posted = signed(&content(sender(&key(1))), &key(1), &key(1), None);
        assert_eq!(check(&posted), Ok(Authority::FULL));
    }
}

#[test]
fn an_anonymous_request_needs_no_signature_and_must_have_none() {
    let bare = || Posted {
        content: Cow::Owned(call(Principal::anonymous())),
        sender_pubkey: None,
        sender_sig: None,
        sender_delegation: None,
    };
    assert!(check(&bare()).is_ok());
    let with_key = Posted {
        sender_pubkey: Some(der(&key(1))),
        ..bare()
    };
    assert_eq!(
        check(&with_key),
        Err(AuthenticationError::AnonymousWith("sender_pubkey"))
    );
    let with_signature = Posted {
        sender_sig: Some(vec![0; 64]),
        ..bare()
    };
    assert_eq!(
        check(&with_signature),
        Err(AuthenticationError::AnonymousWith("sender_sig"))
    );
    let with_delegation = Posted {
        sender_delegation: Some(vec![]),
        ..bare()
    };
    assert_eq!(
        check(&with_delegation),
        Err(AuthenticationError::AnonymousWith("sender_delegation"))
    );
}

#[test]
fn a_request_without_key_or_signature_is_refused() {
    let mut posted = signed(&call(sender(&key(1))), &key(1), &key(1), None);
    posted.sender_sig = None;
    assert_eq!(
        check(&posted),
        Err(AuthenticationError::Missing("sender_sig"))
    );
    posted.sender_pubkey = None;
    assert_eq!(
        check(&posted),
        Err(AuthenticationError::Missing("sender_pubkey"))
    );
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let posted = signed(&call(sender(&key(1))), &key(1), &key(2), None);
    let error = KeyError::WrongSignature;
    assert_eq!(
        check(&posted),
        Err(AuthenticationError::Key {
            place: "sender_sig",
            error
        })
    );
}

#[test]
fn a_key_that_is_not_the_senders_is_refused() {
    let posted = signed(&call(sender(&key(1))), &key(2), &key(2), None);
    assert_eq!(check(&posted), Err(AuthenticationError::WrongSender));
    let posted = signed(
        &call(Principal::management_canister()),
        &key(1),
        &key(1),
        None,
    );
    assert_eq!(check(&posted), Err(AuthenticationError::WrongSender));
}

#[test]
fn a_signature_made_for_another_purpose_is_refused() {
    let content = call(sender(&key(1)));
    let mut posted = signed(&content, &key(1), &key(1), None);
    let id: &[u8] = &*content.to_request_id();
    for message in [
        id.to_vec(),
        [&b"\x1Aic-request-auth-delegation"[..], id].concat(),
    ] {
        posted.sender_sig = Some(key(1).sign(&message).to_bytes().to_vec());
        assert!(check(&posted).is_err());
    }
}

#[test]
fn no_field_of_a_signed_request_can_be_changed() {
    type Change = fn(&mut EnvelopeContent);
    fn fields(
        content: &mut EnvelopeContent,
    ) -> (
        &mut Option<Vec<u8>>,
        &mut u64,
        &mut Principal,
        &mut String,
        &mut Vec<u8>,
    ) {
        match content {
            EnvelopeContent::Call {
                nonce,
                ingress_expiry,
                canister_id,
                method_name,
                arg,
                ..
            } => (nonce, ingress_expiry, canister_id, method_name, arg),
            _ => panic!("a call"),
        }
    }
    let changes: [Change; 6] = [
        |content| *fields(content).0 = None,
        |content| *fields(content).0 = Some(vec![6; 16]),
        |content| *fields(content).1 += 1,
        |content| *fields(content).2 = OTHER,
        |content| fields(content).3.push('!'),
        |content| fields(content).4[0] ^= 1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut posted = signed(&call(sender(&key(1))), &key(1), &key(1), None);
        change(posted.content.to_mut());
        let error = KeyError::WrongSignature;
        assert_eq!(
            check(&posted),
            Err(AuthenticationError::Key {
                place: "sender_sig",
                error
            }),
            "change {at}"
        );
    }
    // The type of the request is signed too.
    let (sender, mut posted) = (
        sender(&key(1)),
        signed(&query(sender(&key(1))), &key(1), &key(1), None),
    );
    let EnvelopeContent::Query {
        ingress_expiry,
        canister_id,
        method_name,
        arg,
        ..
    } = query(sender)
    else {
        panic!("a query")
    };
    posted.content = Cow::Owned(EnvelopeContent::Call {
        nonce: None,
        ingress_expiry,
        sender,
        canister_id,
        method_name,
        arg,
        sender_info: None,
    });
    assert!(check(&posted).is_err());
}

#[test]
fn no_bit_of_a_signature_or_a_key_can_be_changed() {
    let good = delegated(1, |_, _| {});
    assert!(check(&good).is_ok());
    for bit in 0..64 * 8 {
        let mut posted = good.clone();
        posted.sender_sig.as_mut().unwrap()[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&posted).is_err(), "request signature, bit {bit}");
        let mut posted = good.clone();
        posted.sender_delegation.as_mut().unwrap()[0].signature[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&posted).is_err(), "delegation signature, bit {bit}");
    }
    for bit in 0..44 * 8 {
        let mut posted = good.clone();
        posted.sender_pubkey.as_mut().unwrap()[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&posted).is_err(), "key, bit {bit}");
        let mut posted = good.clone();
        posted.sender_delegation.as_mut().unwrap()[0]
            .delegation
            .pubkey[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&posted).is_err(), "delegated key, bit {bit}");
    }
}

#[test]
fn an_expired_request_is_refused() {
    for expiry in [0, NOW.0 - 1, NOW.0 + 361 * SECOND, u64::MAX] {
        for content in [call, query, read_state] {
            let mut content = content(sender(&key(1)));
            let (EnvelopeContent::Call { ingress_expiry, .. }
            | EnvelopeContent::Query { ingress_expiry, .. }
            | EnvelopeContent::ReadState { ingress_expiry, .. }) = &mut content;
            *ingress_expiry = expiry;
            let refused = check(&signed(&content, &key(1), &key(1), None)).unwrap_err();
            assert!(
                refused.to_string().starts_with("Invalid request expiry: "),
                "{refused}"
            );
        }
    }
}

#[test]
fn the_expiry_of_an_anonymous_request_counts_for_calls_alone() {
    for (content, accepted) in [
        (call as fn(Principal) -> _, false),
        (query, true),
        (read_state, true),
    ] {
        let mut content = content(Principal::anonymous());
        let (EnvelopeContent::Call { ingress_expiry, .. }
        | EnvelopeContent::Query { ingress_expiry, .. }
        | EnvelopeContent::ReadState { ingress_expiry, .. }) = &mut content;
        *ingress_expiry = 0;
        let posted = Posted {
            content: Cow::Owned(content),
            sender_pubkey: None,
            sender_sig: None,
            sender_delegation: None,
        };
        assert_eq!(check(&posted).is_ok(), accepted);
    }
}

#[test]
fn a_chain_of_delegations_is_accepted_up_to_its_longest() {
    for links in [1, 2, MAX_DELEGATIONS] {
        assert!(check(&delegated(links, |_, _| {})).is_ok(), "{links}");
    }
    let longer = delegated(MAX_DELEGATIONS + 1, |_, _| {}).encode_bytes();
    assert!(Envelope::decode(&longer, "call").is_err());
}

#[test]
fn a_chain_of_no_delegations_is_a_plain_signature() {
    let posted = signed(&call(sender(&key(1))), &key(1), &key(1), Some(vec![]));
    assert_eq!(check(&posted), Ok(Authority::FULL));
}

#[test]
fn a_link_that_has_expired_breaks_the_chain() {
    for expired in 0..3 {
        let posted = delegated(3, |at, delegation| {
            if at == expired {
                delegation.expiration = NOW.0 - 1;
            }
        });
        let refused = check(&posted).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("Invalid delegation expiry: "),
            "{refused}"
        );
    }
    assert!(check(&delegated(3, |_, delegation| delegation.expiration = NOW.0)).is_ok());
}

#[test]
fn a_link_signed_by_the_wrong_key_breaks_the_chain() {
    for wrong in 0..3 {
        let mut posted = delegated(3, |_, _| {});
        let link = &mut posted.sender_delegation.as_mut().unwrap()[wrong];
        link.signature = key(99)
            .sign(&link.delegation.signable())
            .to_bytes()
            .to_vec();
        let error = KeyError::WrongSignature;
        assert_eq!(
            check(&posted),
            Err(AuthenticationError::Key {
                place: "sender_delegation",
                error
            })
        );
    }
}

#[test]
fn no_field_of_a_delegation_can_be_changed() {
    type Change = fn(&mut Delegation);
    let changes: [Change; 5] = [
        |delegation| delegation.pubkey = der(&key(99)),
        |delegation| delegation.expiration += 1,
        |delegation| delegation.targets = None,
        |delegation| delegation.targets = Some(vec![CANISTER]),
        |delegation| delegation.permissions = None,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut posted = delegated(1, |_, delegation| {
            delegation.targets = Some(vec![CANISTER, OTHER]);
            delegation.permissions = Some(DelegationPermissions::All);
        });
        assert!(check(&posted).is_ok());
        change(&mut posted.sender_delegation.as_mut().unwrap()[0].delegation);
        assert!(check(&posted).is_err(), "change {at}");
    }
}

#[test]
fn links_can_be_neither_left_out_nor_swapped() {
    let good = delegated(3, |_, _| {});
    for dropped in 0..3 {
        let mut posted = good.clone();
        posted.sender_delegation.as_mut().unwrap().remove(dropped);
        assert!(check(&posted).is_err());
    }
    let mut posted = good.clone();
    posted.sender_delegation.as_mut().unwrap().swap(0, 1);
    assert!(check(&posted).is_err());
    let mut posted = good;
    posted.sender_delegation = None;
    assert!(check(&posted).is_err());
}

#[test]
fn a_key_that_is_in_the_chain_twice_is_refused() {
    for keys in [
        vec![key(1)],
        vec![key(2), key(1)],
        vec![key(2), key(2)],
        vec![key(2), key(3), key(2)],
    ] {
        let links = chain(&key(1), &keys, |_, _| {});
        let posted = signed(
            &call(sender(&key(1))),
            &key(1),
            keys.last().unwrap(),
            Some(links),
        );
        assert_eq!(check(&posted), Err(AuthenticationError::RepeatedKey));
    }
}

#[test]
fn a_delegation_reaches_the_canisters_that_all_links_name() {
    let with = |first: Option<Vec<Principal>>, second: Option<Vec<Principal>>| {
        check(&delegated(2, |at, delegation| {
            delegation.targets = if at == 0 {
                first.clone()
            } else {
                second.clone()
            };
        }))
    };
    assert!(with(None, None).is_ok());
    assert!(with(Some(vec![CANISTER]), None).is_ok());
    assert!(with(None, Some(vec![OTHER, CANISTER])).is_ok());
    assert!(with(Some(vec![CANISTER]), Some(vec![OTHER, CANISTER])).is_ok());
    let refused = Err(AuthenticationError::NotATarget(CANISTER));
    assert_eq!(with(Some(vec![OTHER]), None), refused);
    assert_eq!(with(None, Some(vec![OTHER])), refused);
    assert_eq!(with(Some(vec![CANISTER]), Some(vec![OTHER])), refused);
    assert_eq!(with(Some(vec![]), None), refused);
}

#[test]
fn a_management_call_needs_the_management_canister_as_target() {
    let management = Principal::management_canister();
    let with = |targets: Vec<Principal>| {
        let mut content = call(sender(&key(1)));
        if let EnvelopeContent::Call { canister_id, .. } = &mut content {
            *canister_id = management;
        }
        let links = chain(&key(1), &[key(2)], |_, delegation| {
            delegation.targets = Some(targets.clone())
        });
        check(&signed(&content, &key(1), &key(2), Some(links)))
    };
    assert!(with(vec![management]).is_ok());
    assert_eq!(
        with(vec![CANISTER]),
        Err(AuthenticationError::NotATarget(management))
    );
}

#[test]
fn a_delegation_names_at_most_1000_targets() {
    let with = |count| {
        delegated(1, |_, delegation| {
            delegation.targets = Some(vec![CANISTER; count])
        })
    };
    assert!(check(&with(MAX_TARGETS)).is_ok());
    assert!(Envelope::decode(&with(MAX_TARGETS + 1).encode_bytes(), "call").is_err());
}

#[test]
fn a_delegation_for_queries_makes_no_calls() {
    let with = |content: fn(Principal) -> EnvelopeContent| {
        let links = chain(&key(1), &[key(2), key(3)], |at, delegation| {
            delegation.permissions = (at == 0).then_some(DelegationPermissions::Queries);
        });
        check(&signed(
            &content(sender(&key(1))),
            &key(1),
            &key(3),
            Some(links),
        ))
    };
    assert_eq!(with(call), Err(AuthenticationError::QueriesOnly));
    assert!(with(query).is_ok());
    assert!(with(read_state).is_ok());
}

/// A call by the first of the keys, signed at the end of a chain over the others.
fn chain_of(keys: &[&Signer]) -> Posted<'static> {
    let (owner, signer) = (keys[0], keys[keys.len() - 1]);
    let links = keys.windows(2).map(|pair| {
        let delegation = Delegation {
            pubkey: pair[1].der(),
            expiration: NOW.0 + SECOND,
            targets: None,
            permissions: None,
        };
        let signature = pair[0].sign(&delegation.signable());
        Link {
            delegation,
            signature,
        }
    });
    let content = call(Principal::self_authenticating(owner.der()));
    Posted {
        sender_pubkey: Some(owner.der()),
        sender_delegation: Some(links.collect()),
        sender_sig: Some(signer.sign(&content.to_request_id().signable())),
        content: Cow::Owned(content),
    }
}

#[test]
fn a_chain_may_mix_the_schemes() {
    let root = Network::new(1).root_key();
    let (signers, others) = (Signer::one_of_each(), Signer::others());
    for owner in &signers {
        for session in &others {
            let posted = chain_of(&[owner, session]);
            assert!(checked(&posted, &root).is_ok(), "{owner:?} → {session:?}");
            let mut damaged = posted.clone();
            damaged.sender_delegation.as_mut().unwrap()[0]
                .delegation
                .expiration += 1;
            assert!(checked(&damaged, &root).is_err(), "{owner:?} → {session:?}");
        }
    }
    let all: Vec<&Signer> = signers.iter().chain(&others).collect();
    assert!(checked(&chain_of(&all), &root).is_ok());
}

#[test]
fn canisters_of_another_network_sign_nothing_here() {
    let posted = chain_of(&[&Signer::Canister(b"seed")]);
    assert!(checked(&posted, &Network::new(1).root_key()).is_ok());
    for other in [Network::new(2).root_key(), RootKey::new(&[])] {
        assert!(matches!(
            checked(&posted, &other),
            Err(AuthenticationError::Key { .. })
        ));
    }
}

/// A call by a canister's key that carries this information, and is delegated to a session key.
fn informed(owner: &Signer, info: ic_transport_types::SenderInfo) -> Posted<'static> {
    let session = Signer::Ed25519(key(2));
    let mut posted = chain_of(&[owner, &session]);
    let (EnvelopeContent::Call { sender_info, .. } | EnvelopeContent::Query { sender_info, .. }) =
        posted.content.to_mut()
    else {
        panic!("a call")
    };
    *sender_info = Some(info);
    posted.sender_sig = Some(session.sign(&posted.content.to_request_id().signable()));
    posted
}

#[test]
fn what_a_canister_says_about_its_user_is_passed_on() {
    let root = Network::new(1).root_key();
    let owner = Signer::Canister(b"seed");
    let info = |signer: &Signer, domain: &[u8]| ic_transport_types::SenderInfo {
        info: b"an inspector".to_vec(),
        signer: SIGNING_CANISTER.as_slice().to_vec(),
        sig: signer.sign(&[domain, b"an inspector"].concat()),
    };
    let good = info(&owner, b"\x0Eic-sender-info");
    let authenticated = checked(&informed(&owner, good.clone()), &root).unwrap();
    let sender_info = authenticated.sender_info.unwrap();
    assert_eq!(sender_info.info, b"an inspector");
    assert_eq!(sender_info.signer, SIGNING_CANISTER);

    let other_user = info(&Signer::Canister(b"another"), b"\x0Eic-sender-info");
    let other_purpose = info(&owner, b"\x0Aic-request");
    let mut other_info = good.clone();
    other_info.info.push(b'!');
    for wrong in [other_user, other_purpose, other_info] {
        assert!(matches!(
            checked(&informed(&owner, wrong), &root),
            Err(AuthenticationError::Key {
                place: "sender_info",
                ..
            })
        ));
    }
    let mut other_signer = good.clone();
    other_signer.signer = NEIGHBOUR.as_slice().to_vec();
    assert_eq!(
        checked(&informed(&owner, other_signer), &root),
        Err(AuthenticationError::WrongSigner {
            claimed: NEIGHBOUR,
            actual: SIGNING_CANISTER
        })
    );
    assert_eq!(
        checked(&informed(&Signer::secp256k1(1), good), &root),
        Err(AuthenticationError::InfoWithoutCanister)
    );
}

#[test]
fn nothing_is_said_about_an_anonymous_sender() {
    let mut content = call(Principal::anonymous());
    let EnvelopeContent::Call { sender_info, .. } = &mut content else {
        panic!("a call")
    };
    *sender_info = Some(ic_transport_types::SenderInfo {
        info: vec![],
        signer: vec![4],
        sig: vec![],
    });
    let posted = Posted {
        content: Cow::Owned(content),
        sender_pubkey: None,
        sender_sig: None,
        sender_delegation: None,
    };
    assert_eq!(
        check(&posted),
        Err(AuthenticationError::AnonymousWith("sender_info"))
    );
}

#[tokio::test]
async fn light_and_heavy_requests_are_opened_alike() {
    let network = Network::new(1);
    let authenticator = Authenticator {
        root_key: Some(Arc::new(network.root_key())),
        heavy: Arc::new(Semaphore::new(1)),
    };
    for owner in Signer::one_of_each() {
        let posted = chain_of(&[&owner]);
        let body = posted.encode_bytes();
        assert_eq!(
            is_heavy(&Envelope::decode(&body, "call").unwrap()),
            matches!(
                owner,
                Signer::Es256(_) | Signer::Rs256 | Signer::Canister(_)
            )
        );
        let open = |body: Vec<u8>| {
            authenticator.open(body.into(), "call", NOW, |envelope, _| Ok(envelope.sender))
        };
        let sender = Principal::self_authenticating(owner.der());
        assert_eq!(open(body.clone()).await, Ok(sender));
        let mut damaged = posted;
        damaged.sender_sig.as_mut().unwrap()[10] ^= 1;
        assert!(matches!(
            open(damaged.encode_bytes()).await,
            Err(Refusal::Authentication(_))
        ));
        assert!(matches!(
            open(body[1..].to_vec()).await,
            Err(Refusal::Envelope(_))
        ));
    }
}
