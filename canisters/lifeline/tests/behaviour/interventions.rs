//! Interventions: what keepers can agree to, when it begins, how it ends. What the subnet answers to steps is in the orchestrator's own tests;
//! here it is the shortest way to each end.

use candid::Principal;
use indus_api::{
    Error,
    lifeline::{
        Action, ApproveArgs, Ended, Failure, HealthCheck, InitArgs, Intervention,
        InterventionState, LIFETIME_NS, MAX_CONTROLLERS, MAX_METHOD_BYTES, MAX_OPEN,
        MAX_RELEASE_ARGUMENT_BYTES, ProposeArgs, Why, action_hash,
    },
    paging::PageArgs,
};
use indus_kit::calls::CallError;
use indus_orchestrator::{Step, work::MAX_RETRIES};
use lifeline::interventions;
use serde_bytes::ByteBuf;

use crate::setting::{
    ARGUMENT, MINUTE, ONE, Setting, TWO, canister, hash, hosting, init_args, install, key, own,
    refusal, registry, set_controllers, set_keepers,
};

fn propose(s: &mut Setting, action: Action, argument: &[u8]) -> Result<Intervention, Error> {
    let args = ProposeArgs {
        action,
        argument: ByteBuf::from(argument),
    };
    s.update(key(1), |state, context| {
        interventions::propose(state, context, args)
    })
}

fn approvals(one: &Intervention) -> usize {
    match &one.why {
        Why::Votes { approvals, .. } => approvals.len(),
        Why::Decision { .. } => panic!("no votes"),
    }
}

fn runs(one: &Intervention) -> bool {
    matches!(one.state, InterventionState::Running { .. })
}

#[test]
fn every_action_is_within_its_bounds() {
    let mut s = Setting::new();
    s.upload(1, ONE).unwrap();
    let long = vec![7; MAX_RELEASE_ARGUMENT_BYTES + 1];
    let with = |change: fn(&mut Action)| {
        let mut action = install(registry(), ONE);
        change(&mut action);
        action
    };
    let controllers = |controllers: Vec<Principal>| Action::SetControllers {
        canister: registry(),
        controllers,
    };
    let many = || (1..=u8::try_from(MAX_CONTROLLERS).unwrap()).map(key);
    for (action, argument, expected) in [
        (install(canister(4), ONE), ARGUMENT, "invalid canister"),
        (install(own(), ONE), ARGUMENT, "invalid canister"),
        (
            with(|action| {
                if let Action::Install { module_hash, .. } = action {
                    module_hash.pop();
                }
            }),
            ARGUMENT,
            "invalid module_hash",
        ),
        (
            with(|action| {
                if let Action::Install { argument_hash, .. } = action {
                    argument_hash.pop();
                }
            }),
            ARGUMENT,
            "invalid argument_hash",
        ),
        (
            install(registry(), ONE),
            b"another",
            "invalid argument_hash",
        ),
        (install(registry(), ONE), &long, "limit 10000"),
        (
            with(|action| {
                if let Action::Install { health, .. } = action {
                    *health = HealthCheck::Method("m".repeat(MAX_METHOD_BYTES + 1));
                }
            }),
            ARGUMENT,
            "invalid health",
        ),
        (install(registry(), TWO), ARGUMENT, "no module"),
        (set_keepers(&[1, 2, 3], 2), ARGUMENT, "invalid argument"),
        (set_controllers(own(), &[1]), b"", "invalid canister"),
        (
            set_controllers(registry(), &[1]),
            ARGUMENT,
            "invalid argument",
        ),
        (controllers(vec![]), b"", "invalid controllers"),
        (controllers(vec![key(1)]), b"", "invalid controllers"),
        (controllers(vec![own(), own()]), b"", "invalid controllers"),
        (
            controllers(vec![own(), Principal::anonymous()]),
            b"",
            "invalid controllers",
        ),
        (
            controllers(many().chain([own()]).collect()),
            b"",
            "invalid controllers",
        ),
    ] {
        let refused = propose(&mut s, action.clone(), argument);
        assert_eq!(refusal(refused), expected, "{action:?}");
    }
    let most = many().skip(1).chain([own()]).collect();
    propose(&mut s, controllers(most), b"").unwrap();
}

#[test]
fn an_installation_begins_with_the_threshold_and_ends_live() {
    let mut s = Setting::new();
    s.upload(1, ONE).unwrap();
    let proposed = s.propose(1, install(registry(), ONE)).unwrap();
    assert_eq!((proposed.id, approvals(&proposed)), (1, 1));
    assert_eq!(proposed.state, InterventionState::Open);
    let bound = action_hash(&proposed.action).unwrap();
    assert_eq!(proposed.action_hash, ByteBuf::from(bound));
    // The same again is the same, and an approval counts once.
    assert_eq!(s.propose(1, install(registry(), ONE)), Ok(proposed.clone()));
    assert_eq!(s.approve(1, &proposed), Ok(proposed.clone()));
    let two = s.approve(4, &proposed).unwrap();
    assert_eq!((approvals(&two), two.state), (2, InterventionState::Open));
    assert_eq!(s.approve(4, &proposed), Ok(two));
    assert_eq!(s.state.pending.len(), 0);

    let begun = s.approve(2, &proposed).unwrap();
    assert!(runs(&begun) && approvals(&begun) == 3);
    assert_eq!(s.state.pending.len(), 1);
    assert_eq!(s.approve(2, &proposed), Ok(begun.clone()));
    assert_eq!(refusal(s.approve(5, &proposed)), "conflict");
    assert_eq!(refusal(s.withdraw(1, 1)), "conflict");

    let (ended, steps) = s.carried(1, Some(TWO), true);
    assert_eq!(ended, Ended::Live);
    let installed = steps.iter().find_map(|step| match step {
        Step::Install { argument, .. } => Some(argument.clone()),
        _ => None,
    });
    assert_eq!(installed, Some(ByteBuf::from(ARGUMENT)));
    assert_eq!(s.get(1).replaced, Some(hash(TWO)));
    let next = s.at_once(own(), |state, context| {
        interventions::next(state, context, 1)
    });
    assert_eq!(next, Ok(None), "it is over");
    s.audit();
}

#[test]
fn each_threshold_is_kept_to() {
    for keepers in [3_u8, 4, 7, 20] {
        for threshold in keepers / 2 + 1..=keepers {
            let mut s = Setting::with(InitArgs {
                keepers: (1..=keepers).map(key).collect(),
                threshold: threshold.into(),
                ..init_args()
            });
            let proposed = s.propose(1, set_controllers(hosting(), &[1])).unwrap();
            for n in 2..threshold {
                let approved = s.approve(n, &proposed).unwrap();
                assert_eq!(approved.state, InterventionState::Open);
            }
            assert!(runs(&s.approve(threshold, &proposed).unwrap()));
        }
    }
}

#[test]
fn an_approval_is_of_what_was_read() {
    let mut s = Setting::new();
    let proposed = s.propose(1, set_controllers(registry(), &[1])).unwrap();
    let other = s.propose(2, set_controllers(registry(), &[2])).unwrap();
    for action_hash in [other.action_hash, ByteBuf::from([0; 32]), ByteBuf::new()] {
        let args = ApproveArgs { id: 1, action_hash };
        let refused = s.update(key(3), |state, context| {
            interventions::approve(state, context, &args)
        });
        assert_eq!(refusal(refused), "invalid action_hash");
    }
    let nothing = Intervention { id: 3, ..proposed };
    assert_eq!(refusal(s.approve(3, &nothing)), "no intervention");
    assert_eq!(refusal(s.withdraw(3, 3)), "no intervention");
}

#[test]
fn what_fails_leaves_the_canister_to_the_next_one() {
    let mut s = Setting::new();
    let begun = s.agreed(install(registry(), ONE)).unwrap();
    let refused = Ended::Refused(Failure::NotInstalled);
    assert_eq!(s.carried(begun.id, Some(TWO), false).0, refused);
    let ended = s.get(begun.id);
    assert!(matches!(ended.state, InterventionState::Ended { how, .. } if how == refused));
    let again = s.agreed(install(registry(), ONE)).unwrap();
    assert_eq!(again.id, 2);
    assert_eq!(s.carried(2, Some(TWO), true).0, Ended::Live);
    s.audit();
}

#[test]
fn one_runs_in_a_canister_at_a_time() {
    let mut s = Setting::new();
    s.agreed(set_controllers(registry(), &[1])).unwrap();
    let second = s.agreed(install(registry(), ONE));
    assert_eq!(refusal(second), "conflict");
    // What failed to begin lost no approval, and the other canister is free.
    assert_eq!(approvals(&s.get(2)), 2);
    let other = s.propose(2, set_controllers(hosting(), &[1])).unwrap();
    s.approve(4, &other).unwrap();
    assert!(runs(&s.approve(5, &other).unwrap()));
    assert!(s.set(1, 1, Ok(())));
    assert!(runs(&s.approve(3, &s.get(2)).unwrap()));
    s.audit();
}

#[test]
fn controllers_are_set_until_the_subnet_answers() {
    let mut s = Setting::new();
    let refused = Ended::Refused(Failure::NotControlled);
    let rejected = CallError::Rejected {
        code: 5,
        message: "not a controller".into(),
    };
    for (id, answers, expected) in [
        (1, vec![Ok(())], Ended::Live),
        (
            2,
            vec![Err(CallError::Unreachable), Err(CallError::Unknown), Ok(())],
            Ended::Live,
        ),
        (3, vec![Err(rejected)], refused),
        (
            4,
            vec![Err(CallError::Unreachable); MAX_RETRIES as usize + 1],
            refused,
        ),
    ] {
        s.agreed(set_controllers(registry(), &[1, 2])).unwrap();
        let asked = interventions::controllers(&s.state, id).unwrap();
        assert_eq!(asked, Some((registry(), vec![own(), key(1), key(2)])));
        let last = answers.len();
        for (attempt, answer) in (1..).zip(answers) {
            assert!(runs(&s.get(id)));
            assert_eq!(s.set(id, attempt, answer), attempt as usize == last);
        }
        let InterventionState::Ended { how, .. } = s.get(id).state else {
            panic!("it runs");
        };
        assert_eq!(how, expected, "{id}");
        assert_eq!(interventions::controllers(&s.state, id), Ok(None));
    }
    s.audit();
}

#[test]
fn who_proposed_takes_it_back() {
    let mut s = Setting::new();
    s.upload(1, ONE).unwrap();
    let proposed = s.propose(1, install(registry(), ONE)).unwrap();
    assert_eq!(refusal(s.withdraw(2, 1)), "unauthorized");
    let withdrawn = s.withdraw(1, 1).unwrap();
    assert!(matches!(
        withdrawn.state,
        InterventionState::Withdrawn { .. }
    ));
    assert_eq!(s.withdraw(1, 1), Ok(withdrawn));
    assert_eq!(refusal(s.approve(2, &proposed)), "conflict");
    // The module is still there.
    assert_eq!(s.propose(1, install(registry(), ONE)).unwrap().id, 2);
    s.audit();
}

#[test]
fn what_is_not_approved_in_time_is_over() {
    let mut s = Setting::new();
    let proposed = s.propose(1, set_controllers(registry(), &[1])).unwrap();
    s.time_ns = proposed.proposed_at_ns + LIFETIME_NS - 2 * MINUTE;
    s.expire();
    assert_eq!(s.get(1).state, InterventionState::Open);
    // A moment before its end it can be approved, and not after.
    s.time_ns = proposed.proposed_at_ns + LIFETIME_NS - MINUTE - 1;
    s.approve(2, &proposed).unwrap();
    assert_eq!(refusal(s.approve(3, &proposed)), "expired");
    assert_eq!(refusal(s.withdraw(1, 1)), "expired");
    // Until the timer has come it keeps its place.
    let again = s.propose(1, set_controllers(registry(), &[1]));
    assert_eq!(refusal(again), "limit 1");
    let blocks = s.state.kit.certified.log_len();
    s.expire();
    s.expire();
    assert_eq!(s.state.kit.certified.log_len(), blocks + 1);
    assert!(matches!(s.get(1).state, InterventionState::Expired { .. }));
    assert_eq!(refusal(s.approve(3, &proposed)), "conflict");
    assert_eq!(
        s.propose(1, set_controllers(registry(), &[1])).unwrap().id,
        2
    );
    s.audit();
}

#[test]
fn what_runs_does_not_expire() {
    let mut s = Setting::new();
    let begun = s.agreed(install(registry(), ONE)).unwrap();
    s.time_ns += 2 * LIFETIME_NS;
    s.expire();
    assert!(runs(&s.get(begun.id)));
    assert_eq!(s.carried(begun.id, Some(TWO), true).0, Ended::Live);
}

#[test]
fn keepers_who_are_too_few_to_decide_cant_take_all_places() {
    let mut s = Setting::with(InitArgs {
        keepers: (1..=20).map(key).collect(),
        threshold: 11,
        ..init_args()
    });
    // All that can be lost of twenty, and one more.
    for n in 1..=9 {
        s.propose(n, set_controllers(registry(), &[n])).unwrap();
        let second = s.propose(n, set_controllers(hosting(), &[n]));
        assert_eq!(refusal(second), "limit 1");
    }
    s.propose(10, set_controllers(registry(), &[10])).unwrap();
    let one_more = s.propose(11, set_controllers(registry(), &[11]));
    assert_eq!(refusal(one_more), format!("limit {MAX_OPEN}"));
    s.withdraw(3, 3).unwrap();
    s.propose(11, set_controllers(registry(), &[11])).unwrap();
    s.audit();
}

#[test]
fn who_proposes_and_takes_back_without_end_is_stopped() {
    let mut s = Setting::new();
    let now_ns = s.time_ns;
    let propose = |s: &mut Setting| {
        s.time_ns = now_ns - MINUTE;
        s.propose(1, set_controllers(registry(), &[1]))
    };
    for id in 1..=20 {
        assert_eq!(propose(&mut s).unwrap().id, id);
        s.withdraw(1, id).unwrap();
    }
    assert_eq!(refusal(propose(&mut s)), "rate limited");
}

#[test]
fn everybody_reads_them_page_by_page() {
    let mut s = Setting::new();
    for n in 1..=5 {
        s.propose(n, set_controllers(registry(), &[n])).unwrap();
    }
    let mut after = None;
    let mut all = Vec::new();
    loop {
        let args = PageArgs { after, limit: 2 };
        let page = interventions::list(&s.state, args).unwrap();
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (1..=5).map(|id| s.get(id)).collect();
    assert_eq!(all, expected);
    let args = PageArgs {
        after: None,
        limit: 0,
    };
    let refused = interventions::list(&s.state, args);
    assert_eq!(refusal(refused), "invalid limit");
}
