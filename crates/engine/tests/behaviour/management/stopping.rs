//! Stopping waits for open calls, but not for ever; starting calls it off.

use candid::{Encode, Principal};
use engine::{ErrorCode, RequestStatus};
use ic_management_canister_types::CanisterStatusType;

use crate::{
    harness::{Net, alice, module},
    management::{FORWARDER, forwarded, record, refused},
};

const SECONDS: u64 = 1_000_000_000;

/// A network with a canister that waits for an answer which does not come: it asks another canister to be stopped, which
/// itself waits for an answer of the first.
fn stuck(net: &mut Net) -> Principal {
    // A call to itself whose callback makes the next, for ever.
    let id = net.install(&module(
        r#"
        (table 1 funcref) (elem (i32.const 0) $again)
        (data (i32.const 100) "raw_rand")
        (data (i32.const 200) "DIDL\00\00")
        (func $ask
            (call $call_new (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 8)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (call $call_data_append (i32.const 200) (i32.const 6))
            (drop (call $call_perform)))
        (func $again (param i32) (call $ask))
        (func (export "canister_update begin") (call $ask))
        (func (export "canister_query q") (call $answer32 (i32.const 1)))
        "#,
    ));
    net.submit(alice(), id, "begin", &[]);
    net.network.run();
    id
}

fn rounds(net: &mut Net) {
    for _ in 0..20 {
        net.network.run();
    }
}

fn submit_stop(net: &mut Net, id: Principal) -> engine::RequestId {
    let arg = Encode!(&record(id)).unwrap();
    net.submit(
        alice(),
        Principal::management_canister(),
        "stop_canister",
        &arg,
    )
}

fn status(net: &mut Net, id: Principal) -> CanisterStatusType {
    let status: ic_management_canister_types::CanisterStatusResult = net
        .ask_query(alice(), "canister_status", &record(id))
        .unwrap();
    status.status
}

#[test]
fn a_stop_that_takes_five_minutes_is_given_up_and_the_canister_goes_on_stopping() {
    let mut net = Net::new();
    let id = stuck(&mut net);
    let stop = submit_stop(&mut net, id);
    rounds(&mut net);
    assert_eq!(net.status(&stop), RequestStatus::Processing);
    assert_eq!(status(&mut net, id), CanisterStatusType::Stopping);
    refused(net.query(id, "q", &[]), ErrorCode::Stopping, "is stopping");

    let almost = net.network.time().plus(299 * SECONDS);
    net.network.advance_time(almost);
    rounds(&mut net);
    assert_eq!(net.status(&stop), RequestStatus::Processing);
    net.network.advance_time(almost.plus(SECONDS));
    rounds(&mut net);
    let RequestStatus::Rejected(reject) = net.status(&stop) else {
        panic!("still waiting");
    };
    assert_eq!(
        reject.error_code,
        Some(ErrorCode::StopCanisterRequestTimeout)
    );
    assert_eq!(reject.message, "Stop canister request timed out");
    assert_eq!(status(&mut net, id), CanisterStatusType::Stopping);
}

#[test]
fn a_start_calls_a_stop_off() {
    let mut net = Net::new();
    let id = stuck(&mut net);
    let stops = [submit_stop(&mut net, id), submit_stop(&mut net, id)];
    rounds(&mut net);
    let arg = Encode!(&record(id)).unwrap();
    let start = net.submit(
        alice(),
        Principal::management_canister(),
        "start_canister",
        &arg,
    );
    rounds(&mut net);
    assert!(matches!(net.status(&start), RequestStatus::Replied(_)));
    for stop in stops {
        let RequestStatus::Rejected(reject) = net.status(&stop) else {
            panic!("still waiting");
        };
        assert_eq!(reject.error_code, Some(ErrorCode::StoppingCancelled));
        assert!(reject.message.contains("stop request was cancelled"));
    }
    assert_eq!(status(&mut net, id), CanisterStatusType::Running);
}

#[test]
fn the_cycles_of_a_call_that_stops_a_canister_come_back() {
    let mut net = Net::new();
    let caller = net.install(FORWARDER);
    let id = net.create();
    let settings = ic_management_canister_types::CanisterSettings {
        controllers: Some(vec![alice(), caller]),
        ..Default::default()
    };
    net.set(id, settings).unwrap();
    let before = net.canister_status(caller).cycles;
    let payload = Encode!(&record(id)).unwrap();
    let management = Principal::management_canister();
    let arg = forwarded(management, "stop_canister", 50_000_000_000_000, &payload);
    net.call(caller, "forward", &arg).unwrap();
    assert_eq!(net.canister_status(id).status, CanisterStatusType::Stopped);
    let spent = before - net.canister_status(caller).cycles;
    assert!(spent < 1_000_000_000_000_u64, "{spent}");
}
