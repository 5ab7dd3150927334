//! Cycles: what things cost, who is frozen, and that none are lost or made out of nothing.

use crate::harness::{Net, START, alice, bob, code, module, number, scripts};
use candid::{Encode, Principal};
use engine::{ErrorCode, NetworkConfig, SubnetConfig, SubnetKind, Time};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, ProvisionalTopUpCanisterArgs, UpdateSettingsArgs,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
/// What `provisional_create_canister_with_cycles` gives.
const GIVEN: u128 = 100_000_000_000_000;

fn nothing() -> String {
    module(r#"(func (export "canister_update nothing") (call $reply))"#)
}

/// Settings with which a canister is frozen once its balance lasts for less than so many seconds.
fn freezing_after(canister_id: Principal, seconds: u64) -> UpdateSettingsArgs {
    UpdateSettingsArgs {
        canister_id,
        settings: CanisterSettings {
            freezing_threshold: Some(seconds.into()),
            ..CanisterSettings::default()
        },
        sender_canister_version: None,
    }
}

#[test]
fn an_update_costs_its_message_its_instructions_and_its_bytes() {
    let mut net = Net::at_prices();
    let canister = net.install(&nothing());
    let before = net.network.cycles(&canister).unwrap();
    net.call(canister, "nothing", &[0; 500]).unwrap();
    let metrics = net.network.metrics();
    let executed = metrics.iter().find(|m| m.method == "nothing").unwrap();
    let bytes = "nothing".len() as u128 + 500;
    let price = 5_000_000 + u128::from(executed.instructions) + 1_200_000 + 2_000 * bytes;
    assert_eq!(net.network.cycles(&canister), Some(before - price));
}

#[test]
fn memory_is_paid_for_as_time_passes_and_who_cannot_pay_loses_its_code() {
    let mut net = Net::at_prices();
    let canister = net.install(&module(
        r#"(func (export "canister_update grow") (drop (memory.grow (i32.const 16383))) (call $reply))"#,
    ));
    net.call(canister, "grow", &[]).unwrap();
    let before = net.network.cycles(&canister).unwrap();
    net.network.advance_time(Time(START.0 + 100 * SECOND));
    net.run();
    let paid = before - net.network.cycles(&canister).unwrap();
    // A heap of one GiB, and a small module besides.
    assert!((12_700_000..12_800_000).contains(&paid), "{paid}");

    net.network
        .advance_time(Time(START.0 + 40 * 365 * 86_400 * SECOND));
    net.run();
    assert_eq!(net.network.cycles(&canister), Some(0));
    assert_eq!(
        code(net.call(canister, "grow", &[])),
        ErrorCode::ModuleNotFound
    );
}

#[test]
fn a_frozen_canister_answers_nothing_and_tells_its_controllers_what_is_missing() {
    let mut net = Net::at_prices();
    let canister = net.install(&module(
        r#"(func (export "canister_update nothing") (call $reply))
        (func (export "canister_query ask") (call $reply))"#,
    ));
    // A reserve for far more time than the balance lasts for.
    net.management("update_settings", &freezing_after(canister, u64::MAX))
        .unwrap();

    let refused = net.call(canister, "nothing", &[]).unwrap_err();
    assert_eq!(refused.error_code, Some(ErrorCode::OutOfCycles));
    let text =
        format!("Canister {canister} is out of cycles: please top up the canister with at least ");
    assert!(refused.message.starts_with(&text), "{}", refused.message);
    let refused = net.call_as(bob(), canister, "nothing", &[]).unwrap_err();
    assert_eq!(
        refused.message,
        format!("Canister {canister} is out of cycles")
    );
    let refused = net.query(canister, "ask", &[]).unwrap_err();
    assert_eq!(refused.error_code, Some(ErrorCode::OutOfCycles));
    assert_eq!(
        refused.message,
        format!(
            "Canister {canister} is unable to process query calls because it's frozen. Please top up the canister with cycles and try again."
        )
    );
}

#[test]
fn a_frozen_canister_can_be_topped_up_and_its_settings_can_thaw_it() {
    let mut net = Net::at_prices();
    let canister = net.install(&nothing());
    let freeze = |net: &mut Net, seconds: u64| {
        let args = freezing_after(canister, seconds);
        net.management("update_settings", &args).unwrap();
    };
    freeze(&mut net, u64::MAX);
    assert_eq!(
        code(net.call(canister, "nothing", &[])),
        ErrorCode::OutOfCycles
    );
    let before = net.network.cycles(&canister).unwrap();
    let args = ProvisionalTopUpCanisterArgs {
        canister_id: canister,
        amount: 5_u8.into(),
    };
    net.management("provisional_top_up_canister", &args)
        .unwrap();
    assert_eq!(net.network.cycles(&canister), Some(before + 5));
    freeze(&mut net, 0);
    net.call(canister, "nothing", &[]).unwrap();
}

#[test]
fn a_timer_of_a_frozen_canister_waits_until_it_can_be_paid_for() {
    let mut net = Net::at_prices();
    let canister = net.install(&module(
        r#"(global $fired (mut i32) (i32.const 0))
        (func (export "canister_update arm") (drop (call $timer_set (i64.const 1))) (call $reply))
        (func (export "canister_global_timer") (global.set $fired (i32.const 1)))
        (func (export "canister_query fired") (call $answer32 (global.get $fired)))"#,
    ));
    let threshold = |net: &mut Net, seconds: u64| {
        let args = freezing_after(canister, seconds);
        // Submitted together with the call before, so that both are executed in one round.
        let arg = Encode!(&args).unwrap();
        net.submit_management("update_settings", canister, &arg)
            .unwrap();
        net.run();
    };
    net.submit(alice(), canister, "arm", &[]);
    threshold(&mut net, u64::MAX);
    assert!(!net.network.run(), "nothing can be done");
    threshold(&mut net, 0);
    // In the round after the one that changed the settings.
    net.run();
    assert_eq!(number(net.query(canister, "fired", &[])), 1);
}

#[test]
fn what_a_call_sets_aside_comes_back_but_for_what_it_used() {
    let mut net = Net::at_prices();
    let caller = net.install(scripts::CANISTER);
    let callee = net.install(scripts::CANISTER);
    let before = net.network.cycles(&caller).unwrap();
    let script = scripts::Script::default()
        .call(callee, 0, 0, 0, scripts::Script::default().reply())
        .reply();
    net.call(caller, "act", &script.bytes()).unwrap();
    let paid = before - net.network.cycles(&caller).unwrap();
    // Two executions, one ingress message and one call: far from the 42 billion that were set aside.
    assert!((10_000_000..30_000_000).contains(&paid), "{paid}");
}

#[test]
fn on_a_free_subnet_and_on_a_system_subnet_nothing_costs_anything() {
    let mut config = NetworkConfig::new(START, [1; 32]);
    config.subnets = vec![SubnetConfig::of(SubnetKind::System)];
    for mut net in [Net::new(), Net::with(&config)] {
        let canister = net.install(&nothing());
        net.call(canister, "nothing", &[1; 1_000]).unwrap();
        net.network.advance_time(Time(START.0 + 86_400 * SECOND));
        net.run();
        assert_eq!(net.network.cycles(&canister), Some(GIVEN));
    }
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Act(usize, scripts::Script),
    TopUp(usize, u64),
    Pass(u64),
    Round,
    Uninstall(usize),
    Install(usize),
    Stop(usize),
    Start(usize),
}

const CANISTERS: usize = 5;

fn script(depth: u32) -> BoxedStrategy<scripts::Script> {
    use scripts::{Op, Script};
    let callee = 0..CANISTERS + 1;
    let simple = prop_oneof![
        3 => any::<u32>().prop_map(|n| Op::Accept(u64::from(n))),
        1 => any::<u32>().prop_map(|n| Op::Burn(u64::from(n))),
        4 => Just(Op::Reply),
        1 => Just(Op::Trap),
        1 => Just(Op::Reject),
    ];
    let op = if depth == 0 {
        simple.boxed()
    } else {
        let call = (
            callee,
            any::<u32>(),
            prop_oneof![2 => Just(0_u32), 1 => 1..3_u32],
            0..4_u8,
            script(depth - 1),
        );
        let call = call.prop_map(|(callee, cycles, seconds, then, script)| Op::Call {
            callee,
            cycles: u64::from(cycles) * 1_000,
            seconds,
            then,
            script,
        });
        prop_oneof![2 => simple, 3 => call].boxed()
    };
    prop::collection::vec(op, 0..5).prop_map(Script).boxed()
}

fn step() -> impl Strategy<Value = Step> {
    let canister = 0..CANISTERS;
    prop_oneof![
        10 => (canister.clone(), script(2)).prop_map(|(n, script)| Step::Act(n, script)),
        1 => (canister.clone(), any::<u64>()).prop_map(|(n, amount)| Step::TopUp(n, amount)),
        3 => (1..5 * SECOND).prop_map(Step::Pass),
        6 => Just(Step::Round),
        1 => canister.clone().prop_map(Step::Uninstall),
        1 => canister.clone().prop_map(Step::Install),
        1 => canister.clone().prop_map(Step::Stop),
        1 => canister.prop_map(Step::Start),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Over traps, time-outs, missing and stopped callees, code that goes away, two subnets: minted is what canisters
    /// have, what is under way, and what was burned.
    #[test]
    fn no_cycle_is_lost_or_made_out_of_nothing(history in prop::collection::vec(step(), 1..40)) {
        let mut config = NetworkConfig::new(START, [1; 32]);
        config.subnets = vec![SubnetConfig::of(SubnetKind::Application); 2];
        let mut net = Net::with(&config);
        let mut canisters: Vec<Principal> = Vec::new();
        for n in 0..CANISTERS {
            let subnet = net.network.topology()[n % 2].id;
            canisters.push(net.install_on(subnet, scripts::CANISTER));
        }
        // Calls to this one find nobody.
        let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1, 1]);
        let named: Vec<Principal> = canisters.iter().copied().chain([nobody]).collect();
        for step in history {
            match step {
                Step::Act(n, script) => {
                    let _ = net.submit_anywhere(alice(), canisters[n], "act", &script.named(&named).bytes());
                }
                Step::TopUp(n, amount) => {
                    let args = ProvisionalTopUpCanisterArgs { canister_id: canisters[n], amount: amount.into() };
                    let _ = net.submit_management("provisional_top_up_canister", canisters[n], &Encode!(&args).unwrap());
                }
                Step::Pass(nanos) => { let now = net.network.time().plus(nanos); net.network.advance_time(now); }
                Step::Round => { net.network.run(); }
                Step::Install(n) => { let _ = net.reinstall(canisters[n], scripts::CANISTER); }
                Step::Uninstall(n) | Step::Stop(n) | Step::Start(n) => {
                    let method = match step {
                        Step::Uninstall(_) => "uninstall_code",
                        Step::Stop(_) => "stop_canister",
                        _ => "start_canister",
                    };
                    let args = CanisterIdRecord { canister_id: canisters[n] };
                    let _ = net.submit_management(method, canisters[n], &Encode!(&args).unwrap());
                }
            }
            let audit = net.network.audit();
            prop_assert_eq!(audit.minted, audit.balances + audit.in_flight + audit.burned, "{:?}", audit);
        }
        net.network.advance_time(Time(net.network.time().0 + 400 * SECOND));
        net.run();
        let audit = net.network.audit();
        prop_assert_eq!(audit.minted, audit.balances + audit.burned, "nothing is under way: {:?}", audit);
    }
}
