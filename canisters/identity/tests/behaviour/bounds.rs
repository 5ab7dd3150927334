//! Each bound, at its edge.

use candid::Principal;
use identity::{State, pairing, persons};
use indus_api::{decision::Decision, identity::*, subject::MAX_ROLE_BYTES};
use serde_bytes::ByteBuf;

use crate::{
    setting::{
        OFFICIAL, Officials, Refusal, Setting, administrator, canister, init, invalid_field, key,
        new_method, own, refusal,
    },
    sparse::SparseMemory,
};

#[test]
fn only_keys_are_methods() {
    let mut s = Setting::new();
    let mut persons_class = [7; 29];
    persons_class[28] = PERSON_CLASS;
    for bytes in [
        &[1, 1][..],
        &[7; 28],
        &persons_class,
        canister(4).as_slice(),
        &[],
    ] {
        let field = invalid_field(s.register(Principal::from_slice(bytes)));
        assert_eq!(field, "principal");
    }
}

#[test]
fn a_commitment_has_32_bytes() {
    let mut s = Setting::new();
    let person = s.person(1);
    let code = s.open_pairing(key(1)).unwrap().code;
    for (n, length, good) in [(2, 0, false), (3, 31, false), (4, 32, true), (5, 33, false)] {
        let alias_commitment = Some(ByteBuf::from(vec![0; length]));
        let args = RegisterArgs {
            kind: MethodKind::Other,
            alias_commitment: alias_commitment.clone(),
        };
        let registered = s.update(key(n), |state, context| {
            persons::register(state, context, args)
        });
        assert_eq!(registered.is_ok(), good, "{length}");
        let args = OfferArgs {
            person,
            code: code.clone(),
            kind: MethodKind::Other,
            alias_commitment,
        };
        let offered = s.update(key(10), |state, context| {
            pairing::offer(state, context, args)
        });
        assert_eq!(offered.is_ok(), good, "{length}");
    }
}

#[test]
fn a_code_of_another_form_costs_no_try() {
    let mut s = Setting::new();
    let person = s.person(1);
    let code = s.open_pairing(key(1)).unwrap().code;
    for bad in [
        "",
        "AAAAAAA",
        "AAAAAAAAA",
        "AAAAAAAI",
        "aaaaaaaa",
        "ن2222222",
    ] {
        assert_eq!(invalid_field(s.offer(key(2), person, bad)), "code");
    }
    assert!(s.offer(key(2), person, &code).is_ok());
}

#[test]
fn a_role_is_a_slug_within_bounds_of_time() {
    let mut s = Setting::new();
    let person = s.person(1);
    let now = s.time_ns;
    let good = s.role(person, 1, "clerk");
    let mut grant = |change: &dyn Fn(&mut GrantArgs)| {
        let mut args = good.clone();
        change(&mut args);
        s.grant(administrator(1), args)
    };
    for bad in [
        String::new(),
        "Clerk".into(),
        "a".repeat(MAX_ROLE_BYTES + 1),
    ] {
        assert_eq!(
            invalid_field(grant(&|args| args.role = bad.clone())),
            "role"
        );
    }
    assert!(grant(&|args| args.role = "a".repeat(MAX_ROLE_BYTES)).is_ok());
    // the time of the message is a little later than `now`
    let late = now + MAX_ROLE_LEAD_NS + 1_000;
    assert_eq!(
        invalid_field(grant(&|args| {
            args.valid_from_ns = late;
            args.valid_until_ns = late + 1;
        })),
        "valid_from_ns"
    );
    assert!(
        grant(&|args| {
            args.role = "later".into();
            args.valid_from_ns = now + MAX_ROLE_LEAD_NS;
            args.valid_until_ns = args.valid_from_ns + MAX_ROLE_VALIDITY_NS;
        })
        .is_ok()
    );
    for until in [0, now, now + MAX_ROLE_VALIDITY_NS + 1] {
        let field = invalid_field(grant(&|args| {
            args.valid_from_ns = now;
            args.valid_until_ns = until;
        }));
        assert_eq!(field, "valid_until_ns");
    }
    let field = invalid_field(grant(&|args| args.valid_until_ns = args.valid_from_ns));
    assert_eq!(field, "valid_until_ns");
    assert!(
        grant(&|args| {
            args.valid_from_ns = now;
            args.valid_until_ns = now + MAX_ROLE_VALIDITY_NS;
        })
        .is_ok()
    );
    let nobody = GrantArgs {
        person: key(1),
        ..good.clone()
    };
    assert_eq!(
        refusal(s.grant(administrator(1), nobody)),
        Refusal::NotFound
    );
    let nowhere = GrantArgs {
        organisation: 3,
        ..good
    };
    assert_eq!(
        refusal(s.grant(administrator(1), nowhere)),
        Refusal::NotFound
    );
}

#[test]
fn an_approval_names_a_hash() {
    let mut o = Officials::new();
    let args = OpenRecoveryArgs {
        new_method: NewMethod {
            principal: canister(4),
            ..new_method(1)
        },
        ..o.recovery()
    };
    assert_eq!(
        invalid_field(o.s.open_recovery(key(OFFICIAL), args)),
        "principal"
    );
    let nobody = OpenRecoveryArgs {
        person: key(1),
        ..o.recovery()
    };
    assert_eq!(
        refusal(o.s.open_recovery(key(OFFICIAL), nobody)),
        Refusal::NotFound
    );
    assert_eq!(
        refusal(o.s.approve_recovery(key(OFFICIAL), 1, [0; 32])),
        Refusal::NotFound
    );
    assert_eq!(refusal(o.s.veto(key(OFFICIAL), 1)), Refusal::NotFound);
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), 1)), Refusal::NotFound);
}

fn configuration(canisters: usize, delay_ns: Option<u64>) -> Configuration {
    let canisters = (0..canisters).map(|n| canister(u8::try_from(n).unwrap()));
    Configuration {
        suite_canisters: canisters.collect(),
        recovery_delay_ns: delay_ns,
    }
}

#[test]
fn a_configuration_is_bounded_when_it_is_installed_and_when_it_is_decided() {
    let twice = Configuration {
        suite_canisters: vec![canister(1), canister(1)],
        recovery_delay_ns: None,
    };
    let anonymous = Configuration {
        suite_canisters: vec![Principal::anonymous()],
        recovery_delay_ns: None,
    };
    for (configuration, field) in [
        (configuration(MAX_SUITE_CANISTERS, None), None),
        (configuration(0, Some(MIN_RECOVERY_DELAY_NS)), None),
        (configuration(0, Some(MAX_RECOVERY_DELAY_NS)), None),
        (
            configuration(MAX_SUITE_CANISTERS + 1, None),
            Some("suite_canisters"),
        ),
        (twice, Some("suite_canisters")),
        (anonymous, Some("suite_canisters")),
        (
            configuration(0, Some(MIN_RECOVERY_DELAY_NS - 1)),
            Some("recovery_delay_ns"),
        ),
        (
            configuration(0, Some(MAX_RECOVERY_DELAY_NS + 1)),
            Some("recovery_delay_ns"),
        ),
    ] {
        let memory = SparseMemory::default();
        let mut s = Setting::new();
        let args = InitArgs {
            configuration: configuration.clone(),
            ..init()
        };
        let created = State::create(memory.clone(), &s.at(key(1)), own(), args).map(drop);
        let decision = Decision {
            proposal: 1,
            canister: own(),
            configuration: ByteBuf::from(candid::encode_one(&configuration).unwrap()),
            executed_at_ns: 1,
        };
        let applied = s.apply_decision(key(1), 1, &decision);
        match field {
            None => {
                assert_eq!((created, applied), (Ok(()), Ok(())));
                assert_eq!(s.state.in_force().unwrap().configuration, configuration);
            }
            Some(field) => {
                assert_eq!(memory.writes(), 0);
                assert_eq!(
                    (&*invalid_field(created), &*invalid_field(applied)),
                    (field, field)
                );
            }
        }
    }
}

#[test]
fn decisions_are_applied_in_their_order_each_once() {
    let mut s = Setting::new();
    let decision = |proposal, canister, configuration: Vec<u8>| Decision {
        proposal,
        canister,
        configuration: ByteBuf::from(configuration),
        executed_at_ns: 1,
    };
    let bytes = candid::encode_one(configuration(1, None)).unwrap();
    let mut apply = |id, decision: &Decision| s.apply_decision(key(1), id, decision);
    assert_eq!(apply(7, &decision(7, own(), bytes.clone())), Ok(()));
    assert_eq!(apply(7, &decision(7, own(), bytes.clone())), Ok(()));
    assert_eq!(
        refusal(apply(6, &decision(6, own(), bytes.clone()))),
        Refusal::Conflict
    );
    assert_eq!(
        invalid_field(apply(8, &decision(8, canister(9), bytes.clone()))),
        "proposal"
    );
    assert_eq!(
        invalid_field(apply(8, &decision(9, own(), bytes.clone()))),
        "proposal"
    );
    assert_eq!(
        invalid_field(apply(8, &decision(8, own(), b"DIDL".to_vec()))),
        "configuration"
    );
    assert_eq!(apply(8, &decision(8, own(), bytes)), Ok(()));
    assert_eq!(s.state.in_force().unwrap().decision, Some(8));
}
