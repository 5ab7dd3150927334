//! Calls: submitted, awaited, refused; how they end.

use candid::{CandidType, Encode, Principal};
use end_to_end::application;
use pocket_ic::{
    ErrorCode, IngressStatusResult, RejectCode, RejectResponse,
    common::rest::{RawEffectivePrincipal, RawMessageId},
};

use crate::canisters::{counter, get, update};

const ANONYMOUS: Principal = Principal::anonymous();

#[derive(CandidType)]
struct CanisterIdRecord {
    canister_id: Principal,
}

#[test]
fn calls_that_were_submitted_wait_until_one_is_awaited() {
    let pic = application();
    let canister = counter(&pic);
    let calls: Vec<_> = (0..5)
        .map(|_| pic.submit_call(canister, ANONYMOUS, "inc", vec![]).unwrap())
        .collect();
    assert_eq!(get(&pic, canister, "get"), 0);
    assert_eq!(pic.ingress_status(calls[4].clone()), None);
    assert_eq!(
        pic.await_call(calls[0].clone()).unwrap(),
        1_u32.to_le_bytes()
    );
    assert_eq!(get(&pic, canister, "get"), 5);
    let last = pic.ingress_status(calls[4].clone()).unwrap().unwrap();
    assert_eq!(last, 5_u32.to_le_bytes());
    assert_eq!(pic.await_call(calls[4].clone()).unwrap(), last);
}

#[test]
fn a_round_executes_what_was_submitted() {
    let pic = application();
    let canister = counter(&pic);
    pic.submit_call(canister, ANONYMOUS, "inc", vec![]).unwrap();
    pic.tick();
    assert_eq!(get(&pic, canister, "get"), 1);
}

#[test]
fn the_status_of_a_call_is_for_its_sender_alone() {
    let pic = application();
    let canister = counter(&pic);
    let (sender, other) = (
        Principal::from_slice(&[1; 29]),
        Principal::from_slice(&[2; 29]),
    );
    let call = pic.submit_call(canister, sender, "inc", vec![]).unwrap();
    let IngressStatusResult::NotAvailable = pic.ingress_status_as(call.clone(), sender) else {
        panic!("it has not been executed")
    };
    pic.tick();
    let IngressStatusResult::Success(Ok(reply)) = pic.ingress_status_as(call.clone(), sender)
    else {
        panic!("it has been executed")
    };
    assert_eq!(reply, 1_u32.to_le_bytes());
    let IngressStatusResult::Forbidden(why) = pic.ingress_status_as(call.clone(), other) else {
        panic!("it was sent by somebody else")
    };
    assert!(why.contains("not signed by the caller"), "{why}");
    let unknown = RawMessageId {
        message_id: vec![9; 32],
        ..call
    };
    assert!(pic.ingress_status(unknown).is_none());
}

#[test]
fn a_canister_sees_whoever_is_said_to_call() {
    let pic = application();
    let canister = counter(&pic);
    for sender in [ANONYMOUS, Principal::from_slice(&[3; 29]), canister] {
        let reply = pic.update_call(canister, sender, "whoami", vec![]);
        assert_eq!(reply.unwrap(), sender.as_slice());
    }
}

fn rejected(
    error_code: ErrorCode,
    words: &str,
    certified: bool,
    result: Result<Vec<u8>, RejectResponse>,
) {
    let reject = result.unwrap_err();
    assert_eq!(reject.error_code, error_code, "{reject}");
    assert_eq!(
        reject.reject_code as u64,
        error_code as u64 / 100,
        "{reject}"
    );
    assert_eq!(reject.certified, certified, "{reject}");
    assert!(reject.reject_message.contains(words), "{reject}");
}

#[test]
fn a_call_that_fails_says_why_in_codes_and_words() {
    let pic = application();
    let canister = counter(&pic);
    let call = |method| pic.update_call(canister, ANONYMOUS, method, vec![]);
    rejected(
        ErrorCode::CanisterRejectedMessage,
        "not today",
        true,
        call("refuse"),
    );
    rejected(
        ErrorCode::CanisterCalledTrap,
        "not today",
        true,
        call("fall"),
    );
    rejected(
        ErrorCode::CanisterDidNotReply,
        "did not",
        true,
        call("silent"),
    );
    rejected(
        ErrorCode::CanisterMethodNotFound,
        "nothing",
        true,
        call("nothing"),
    );
    rejected(
        ErrorCode::CanisterRejectedMessage,
        "rejected the message",
        false,
        call("only_inspected"),
    );
    let query = |method| pic.query_call(canister, ANONYMOUS, method, vec![]);
    rejected(
        ErrorCode::CanisterRejectedMessage,
        "not today",
        false,
        query("refuse_query"),
    );
    rejected(
        ErrorCode::CanisterMethodNotFound,
        "nothing",
        false,
        query("nothing"),
    );
    let nobody = Principal::from_text("lqy7q-dh777-77777-aaaaq-cai").unwrap();
    let reject = pic
        .update_call(nobody, ANONYMOUS, "inc", vec![])
        .unwrap_err();
    assert_eq!(reject.error_code, ErrorCode::CanisterNotFound);
    assert_eq!(reject.reject_code, RejectCode::DestinationInvalid);
}

#[test]
#[should_panic(expected = "after 100 rounds")]
fn a_call_that_never_ends_is_given_up() {
    let pic = application();
    let canister = counter(&pic);
    update(&pic, canister, "wait");
}

#[test]
fn a_management_call_finds_its_subnet_by_its_argument() {
    let pic = application();
    let canister = counter(&pic);
    let arg = Encode!(&CanisterIdRecord {
        canister_id: canister
    })
    .unwrap();
    let management = Principal::management_canister();
    for method in ["stop_canister", "start_canister"] {
        pic.update_call_with_effective_principal(
            management,
            RawEffectivePrincipal::None,
            ANONYMOUS,
            method,
            arg.clone(),
        )
        .unwrap();
    }
    let status = pic.canister_status(canister, None).unwrap();
    assert_eq!(status.settings.controllers, [ANONYMOUS]);
    pic.stop_canister(canister, None).unwrap();
    let call = pic.update_call(canister, ANONYMOUS, "inc", vec![]);
    assert_eq!(call.unwrap_err().error_code, ErrorCode::CanisterStopped);
}

#[test]
#[should_panic(expected = "is too large")]
fn a_call_that_fits_into_no_block_is_refused() {
    let pic = application();
    let canister = counter(&pic);
    let _ = pic.submit_call(canister, ANONYMOUS, "inc", vec![0; 2 << 20]);
}

#[test]
#[should_panic(expected = "does not belong to any subnet")]
fn a_call_to_a_canister_of_no_subnet_is_refused() {
    let pic = application();
    let elsewhere = Principal::from_text("ryjl3-tyaaa-aaaaa-aaaba-cai").unwrap();
    let _ = pic.submit_call(elsewhere, ANONYMOUS, "inc", vec![]);
}
