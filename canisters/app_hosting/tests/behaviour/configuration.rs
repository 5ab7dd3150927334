//! Decisions of the governors.

use app_hosting::{State, configuration};
use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    decision::Decision,
    hosting::{
        Configuration, InitArgs, MAX_APPS, MAX_CANISTERS, MAX_INITIAL_CYCLES, MODULE_BYTES,
        READING_INTERVAL_NS,
    },
};
use indus_kit::Context;
use serde_bytes::ByteBuf;

use crate::setting::{Setting, canister, founder, own, refusal};

fn decision(proposal: u64, configuration: &Configuration) -> Decision {
    Decision {
        proposal,
        canister: own(),
        executed_at_ns: 1,
        configuration: ByteBuf::from(candid::encode_one(configuration).unwrap()),
    }
}

fn apply(s: &mut Setting, proposal: u64, decision: &Decision) -> Result<(), Error> {
    s.update(&founder(1), |state, context| {
        configuration::apply(state, context, proposal, decision)
    })
}

/// Bounds, each just met and just missed.
fn edges() -> Vec<(&'static str, Configuration, bool)> {
    let base = Configuration::default();
    let mut edges = Vec::new();
    for (value, good) in [
        (0, false),
        (1, true),
        (MAX_APPS, true),
        (MAX_APPS + 1, false),
    ] {
        let apps_of_person = value;
        edges.push((
            "apps_of_person",
            Configuration {
                apps_of_person,
                ..base
            },
            good,
        ));
        let apps_of_organisation = value;
        let of = Configuration {
            apps_of_organisation,
            ..base
        };
        edges.push(("apps_of_organisation", of, good));
    }
    for (value, good) in [
        (0, false),
        (1, true),
        (MAX_CANISTERS, true),
        (MAX_CANISTERS + 1, false),
    ] {
        let canisters_of_app = value;
        edges.push((
            "canisters_of_app",
            Configuration {
                canisters_of_app,
                ..base
            },
            good,
        ));
    }
    for (value, good) in [
        (0, true),
        (MAX_INITIAL_CYCLES, true),
        (MAX_INITIAL_CYCLES + 1, false),
    ] {
        let initial_cycles = value;
        edges.push((
            "initial_cycles",
            Configuration {
                initial_cycles,
                ..base
            },
            good,
        ));
    }
    let (least, most) = READING_INTERVAL_NS.into_inner();
    for (value, good) in [
        (least - 1, false),
        (least, true),
        (most, true),
        (most + 1, false),
    ] {
        let mut of = base;
        of.care.reading_interval_ns = value;
        edges.push(("care.reading_interval_ns", of, good));
    }
    let (least, most) = MODULE_BYTES.into_inner();
    for (value, good) in [
        (least - 1, false),
        (least, true),
        (most, true),
        (most + 1, false),
    ] {
        let module_bytes_of_app = value;
        let of = Configuration {
            module_bytes_of_app,
            ..base
        };
        edges.push(("module_bytes_of_app", of, good));
    }
    edges
}

#[test]
fn a_decision_is_applied_once_and_in_order() {
    let mut s = Setting::new();
    let changed = Configuration {
        apps_of_person: 1,
        ..Configuration::default()
    };
    apply(&mut s, 5, &decision(5, &changed)).unwrap();
    let blocks = s.state.kit.certified.log_len();
    apply(&mut s, 5, &decision(5, &changed)).unwrap();
    assert_eq!(s.state.kit.certified.log_len(), blocks);
    s.reopen();
    let in_force = s.state.in_force().unwrap();
    assert_eq!(
        (in_force.configuration, in_force.decision),
        (changed, Some(5))
    );
    assert_eq!(
        refusal(apply(&mut s, 4, &decision(4, &changed))),
        "conflict"
    );
    assert_eq!(
        refusal(apply(&mut s, 6, &decision(7, &changed))),
        "invalid proposal"
    );
    let other = Decision {
        canister: canister(77),
        ..decision(6, &changed)
    };
    assert_eq!(refusal(apply(&mut s, 6, &other)), "invalid proposal");
    let nonsense = Decision {
        configuration: ByteBuf::from(*b"nonsense"),
        ..decision(6, &changed)
    };
    assert_eq!(
        refusal(apply(&mut s, 6, &nonsense)),
        "invalid configuration"
    );
    s.audit();
}

#[test]
fn what_can_be_configured_has_bounds() {
    let mut s = Setting::new();
    for (proposal, (field, changed, good)) in (1..).zip(edges()) {
        let answer = apply(&mut s, proposal, &decision(proposal, &changed));
        if good {
            answer.unwrap();
        } else {
            assert_eq!(refusal(answer), format!("invalid {field}"));
        }
    }
}

#[test]
fn an_installation_has_canisters_to_ask() {
    let context = Context {
        caller: canister(9),
        time_ns: 1,
    };
    let good = InitArgs {
        identity: canister(2),
        registry: canister(3),
        license_manager: canister(4),
        configuration: None,
    };
    let create = |args| {
        State::create(VectorMemory::default(), &context, own(), args).map(|state| state.in_force())
    };
    assert_eq!(
        create(good.clone()).unwrap().unwrap().configuration,
        Configuration::default()
    );
    for nobody in [Principal::anonymous(), Principal::management_canister()] {
        let args = |field| {
            let mut args = good.clone();
            match field {
                "identity" => args.identity = nobody,
                "registry" => args.registry = nobody,
                _ => args.license_manager = nobody,
            }
            args
        };
        for field in ["identity", "registry", "license_manager"] {
            assert_eq!(refusal(create(args(field))), format!("invalid {field}"));
        }
    }
}
