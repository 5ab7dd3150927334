//! Upgrades of app_hosting that the registry's governors decided.

use indus_api::lifeline::{
    Action, CarryOutArgs, Ended, Failure, HealthCheck, InterventionState,
    MAX_RELEASE_ARGUMENT_BYTES, ModuleArgs, ModuleOf, Why,
};
use indus_orchestrator::{Answer, Step, step::Info};
use lifeline::{interventions, uploads};
use serde_bytes::ByteBuf;

use crate::setting::{
    ARGUMENT, ONE, Setting, TWO, hash, hosting, install, key, refusal, registry, upgrade,
};

#[test]
fn what_the_governors_decided_is_carried_out_once_and_exactly_so() {
    let mut s = Setting::new();
    let decided = upgrade(5, hosting(), TWO);
    assert_eq!(
        refusal(s.carry_out(key(11), &decided, ARGUMENT)),
        "no module"
    );
    assert_eq!(
        refusal(s.upload_decided(key(11), &decided, ONE)),
        "invalid module_hash"
    );
    s.upload_decided(key(12), &decided, TWO).unwrap();
    let long = vec![0; MAX_RELEASE_ARGUMENT_BYTES + 1];
    assert_eq!(
        refusal(s.carry_out(key(11), &decided, &long)),
        "limit 10000"
    );
    let other = s.carry_out(key(11), &decided, b"DIDL\0\x01\x7d\x07");
    assert_eq!(refusal(other), "invalid argument");

    let begun = s.carry_out(key(11), &decided, ARGUMENT).unwrap();
    let expected = Why::Decision {
        proposal: 5,
        by: key(11),
    };
    assert_eq!(begun.why, expected);
    let Action::Install { health, .. } = &begun.action else {
        panic!("{begun:?}");
    };
    assert_eq!(*health, HealthCheck::Maintenance);
    assert_eq!(s.carry_out(key(12), &decided, ARGUMENT), Ok(begun.clone()));
    // It is nobody's to approve or to take back.
    assert_eq!(refusal(s.approve(1, &begun)), "conflict");
    assert_eq!(refusal(s.withdraw(1, begun.id)), "unauthorized");

    // Another module runs than the one that is to be replaced: nothing is done, and it can be tried again.
    let (ended, steps) = s.carried(1, Some(TWO), true);
    assert_eq!(ended, Ended::Refused(Failure::OtherModule));
    assert_eq!(steps, [Step::Changes, Step::Status]);
    let again = s.carry_out(key(11), &decided, ARGUMENT).unwrap();
    assert_eq!(again.id, 2);
    let (ended, steps) = s.carried(2, Some(ONE), false);
    assert_eq!(ended, Ended::Refused(Failure::NotInstalled));
    assert!(steps.contains(&Step::Info));
    s.audit();
}

#[test]
fn only_app_hosting_is_upgraded_so() {
    let mut s = Setting::new();
    for about in [registry(), key(1)] {
        let decided = upgrade(5, about, TWO);
        let uploaded = s.upload_decided(key(11), &decided, TWO);
        assert_eq!(refusal(uploaded), "invalid proposal");
        let carried = s.carry_out(key(11), &decided, ARGUMENT);
        assert_eq!(refusal(carried), "invalid proposal");
    }
    // The registry answers about another proposal.
    let decided = upgrade(5, hosting(), TWO);
    s.upload_decided(key(11), &decided, TWO).unwrap();
    let args = CarryOutArgs {
        proposal: 6,
        argument: ByteBuf::from(ARGUMENT),
    };
    let carried = s.update(key(11), |state, context| {
        interventions::carry_out(state, context, &decided, args)
    });
    assert_eq!(refusal(carried), "invalid proposal");
}

#[test]
fn a_decision_and_keepers_wait_for_each_other() {
    let mut s = Setting::new();
    let begun = s.agreed(install(hosting(), ONE)).unwrap();
    let decided = upgrade(5, hosting(), TWO);
    s.upload_decided(key(11), &decided, TWO).unwrap();
    let waits = s.carry_out(key(11), &decided, ARGUMENT);
    assert_eq!(refusal(waits), "conflict");
    s.carried(begun.id, None, true);
    let decided_one = s.carry_out(key(11), &decided, ARGUMENT).unwrap();
    s.upload(1, ONE).unwrap();
    let proposed = s.propose(1, install(hosting(), ONE)).unwrap();
    s.approve(2, &proposed).unwrap();
    assert_eq!(refusal(s.approve(3, &proposed)), "conflict");
    let Why::Votes { approvals, .. } = s.get(proposed.id).why else {
        panic!("no votes");
    };
    assert_eq!(approvals.len(), 2);
    assert!(matches!(
        s.get(decided_one.id).state,
        InterventionState::Running { .. }
    ));
    s.audit();
}

#[test]
fn a_decision_that_went_live_is_never_carried_out_again() {
    let mut s = Setting::new();
    let decided = upgrade(5, hosting(), TWO);
    s.upload_decided(key(11), &decided, TWO).unwrap();
    s.carry_out(key(11), &decided, ARGUMENT).unwrap();
    let said = |maintenance, blocks| {
        Answer::Info(Info {
            name: "app_hosting".into(),
            maintenance,
            blocks,
        })
    };
    let (ended, _) = s.carried_with(1, Some(ONE), |asked| said(asked > 0, 7 + asked));
    assert_eq!(ended, Ended::Live);
    let live = s.carry_out(key(12), &decided, ARGUMENT).unwrap();
    assert_eq!(live, s.get(1));
    assert_eq!(live.replaced, Some(hash(ONE)));
    assert_eq!(s.state.pending.len(), 1, "what carried it out settles it");
    let args = ModuleArgs {
        of: ModuleOf::Decision { proposal: 5 },
        module_hash: hash(TWO),
    };
    assert_eq!(refusal(uploads::get(&s.state, &args)), "no module");
    s.audit();
}

#[test]
fn who_decided_has_it_carried_out_twenty_times_at_once_and_then_once_a_minute() {
    let mut s = Setting::new();
    let decided = upgrade(5, hosting(), TWO);
    s.upload_decided(key(11), &decided, TWO).unwrap();
    let args = || CarryOutArgs {
        proposal: 5,
        argument: ByteBuf::from(ARGUMENT),
    };
    let now_ns = s.time_ns;
    let carry = |s: &mut Setting| {
        s.time_ns = now_ns;
        s.at_once(key(11), |state, context| {
            interventions::carry_out(state, context, &decided, args())
        })
    };
    for id in 1..=20 {
        carry(&mut s).unwrap();
        s.carried(id, Some(TWO), true);
    }
    assert_eq!(refusal(carry(&mut s)), "rate limited");
}
