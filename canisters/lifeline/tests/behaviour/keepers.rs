//! Who decides: what keepers can be, and how they are replaced.

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    lifeline::{Ended, InitArgs, InterventionState, MAX_KEEPERS, ModuleArgs, ModuleOf, Why},
};
use indus_kit::Context;
use lifeline::{State, uploads};

use crate::setting::{
    ONE, Setting, TWO, hash, hosting, init_args, install, key, own, refusal, registry,
    set_controllers, set_keepers,
};

fn created(args: InitArgs) -> Result<(), Error> {
    let context = Context {
        caller: key(99),
        time_ns: 1,
    };
    State::create(VectorMemory::default(), &context, own(), args).map(drop)
}

#[test]
fn an_installation_has_keepers_who_can_decide_and_canisters_that_can_be() {
    let most = u8::try_from(MAX_KEEPERS).unwrap();
    for (keepers, threshold, expected) in [
        (3, 2, None),
        (3, 3, None),
        (4, 3, None),
        (5, 3, None),
        (most, 11, None),
        (most, 20, None),
        (2, 2, Some("invalid keepers")),
        (0, 0, Some("invalid keepers")),
        (most + 1, 11, Some("invalid keepers")),
        (3, 1, Some("invalid threshold")),
        (3, 4, Some("invalid threshold")),
        (3, 0, Some("invalid threshold")),
        // Half is no majority.
        (4, 2, Some("invalid threshold")),
        (most, 10, Some("invalid threshold")),
        (most, u32::MAX, Some("invalid threshold")),
    ] {
        let args = InitArgs {
            keepers: (1..=keepers).map(key).collect(),
            threshold,
            ..init_args()
        };
        let refused = created(args).map_err(|error| refusal::<()>(Err(error)));
        assert_eq!(refused.err().as_deref(), expected, "{keepers} {threshold}");
    }
    for keepers in [
        vec![key(1), key(2), key(1)],
        vec![key(1), key(2), Principal::anonymous()],
        vec![key(1), key(2), Principal::management_canister()],
    ] {
        let args = InitArgs {
            keepers,
            ..init_args()
        };
        assert_eq!(refusal(created(args)), "invalid keepers");
    }
    for nobody in [
        Principal::anonymous(),
        Principal::management_canister(),
        own(),
    ] {
        let no_registry = InitArgs {
            registry: nobody,
            ..init_args()
        };
        assert_eq!(refusal(created(no_registry)), "invalid registry");
        let no_hosting = InitArgs {
            app_hosting: nobody,
            ..init_args()
        };
        assert_eq!(refusal(created(no_hosting)), "invalid app_hosting");
    }
    let one = InitArgs {
        app_hosting: registry(),
        ..init_args()
    };
    assert_eq!(refusal(created(one)), "invalid app_hosting");
}

#[test]
fn keepers_replace_keepers_within_the_same_bounds() {
    let mut s = Setting::new();
    for (keepers, threshold, expected) in [
        (&[1, 2][..], 2, "invalid keepers"),
        (&[1, 2, 2], 2, "invalid keepers"),
        (&[1, 2, 6], 1, "invalid threshold"),
        (&[1, 2, 6], 4, "invalid threshold"),
    ] {
        let refused = s.propose(1, set_keepers(keepers, threshold));
        assert_eq!(refusal(refused), expected);
    }
    let ended = s.agreed(set_keepers(&[1, 2, 6], 2)).unwrap();
    let live = |state| {
        matches!(
            state,
            InterventionState::Ended {
                how: Ended::Live,
                ..
            }
        )
    };
    assert!(live(ended.state));
    assert_eq!(s.get(1), ended);
    let keepers = s.keepers();
    assert_eq!(keepers.keepers, [key(1), key(2), key(6)]);
    assert_eq!(
        (keepers.registry, keepers.app_hosting),
        (registry(), hosting())
    );
    assert_eq!(s.state.pending.len(), 0);
    // Two of them decide now; who was one before does not.
    assert_eq!(
        refusal(s.propose(3, set_keepers(&[3, 4, 5], 2))),
        "unauthorized"
    );
    let next = s.propose(6, set_keepers(&[1, 2, 6, 7], 3)).unwrap();
    assert_eq!(refusal(s.approve(3, &next)), "unauthorized");
    assert!(live(s.approve(1, &next).unwrap().state));
    // Again is the same.
    assert!(live(s.approve(1, &next).unwrap().state));
    assert_eq!(refusal(s.approve(2, &next)), "conflict");
    s.audit();
}

#[test]
fn who_is_no_keeper_any_more_takes_proposals_approvals_and_modules_along() {
    let mut s = Setting::new();
    s.upload(4, ONE).unwrap();
    s.upload(2, TWO).unwrap();
    let of_four = s.propose(4, install(registry(), ONE)).unwrap();
    let of_two = s.propose(2, install(hosting(), TWO)).unwrap();
    s.approve(5, &of_two).unwrap();
    s.agreed(set_keepers(&[1, 2, 3, 6], 3)).unwrap();

    assert!(matches!(
        s.get(of_four.id).state,
        InterventionState::Withdrawn { .. }
    ));
    assert_eq!(refusal(s.approve(1, &of_four)), "conflict");
    let there = |s: &Setting, n, module| {
        let args = ModuleArgs {
            of: ModuleOf::Keeper(key(n)),
            module_hash: hash(module),
        };
        uploads::get(&s.state, &args).is_ok()
    };
    assert!(!there(&s, 4, ONE) && there(&s, 2, TWO));

    // Of the two approvals one is left: it takes two more.
    let Why::Votes { approvals, .. } = s.get(of_two.id).why else {
        panic!("no votes");
    };
    assert_eq!(approvals.len(), 1);
    assert_eq!(
        s.approve(1, &of_two).unwrap().state,
        InterventionState::Open
    );
    let begun = s.approve(6, &of_two).unwrap();
    assert!(matches!(begun.state, InterventionState::Running { .. }));
    s.audit();
}

#[test]
fn what_runs_goes_on_when_its_proposer_is_no_keeper_any_more() {
    let mut s = Setting::new();
    s.upload(4, ONE).unwrap();
    let begun = s.propose(4, install(registry(), ONE)).unwrap();
    s.approve(1, &begun).unwrap();
    s.approve(2, &begun).unwrap();
    s.agreed(set_keepers(&[1, 2, 3], 2)).unwrap();
    assert_eq!(s.carried(begun.id, Some(TWO), true).0, Ended::Live);
    assert_eq!(s.get(begun.id).replaced, Some(hash(TWO)));
    let args = ModuleArgs {
        of: ModuleOf::Keeper(key(4)),
        module_hash: hash(ONE),
    };
    assert_eq!(refusal(uploads::get(&s.state, &args)), "no module");
    s.audit();
}

#[test]
fn a_lower_threshold_lets_who_approved_before_begin_it() {
    let mut s = Setting::new();
    let waits = s.propose(2, set_controllers(registry(), &[])).unwrap();
    s.approve(3, &waits).unwrap();
    s.agreed(set_keepers(&[1, 2, 3], 2)).unwrap();
    assert_eq!(s.get(waits.id).state, InterventionState::Open);
    let begun = s.approve(3, &waits).unwrap();
    assert!(matches!(begun.state, InterventionState::Running { .. }));
    s.audit();
}
