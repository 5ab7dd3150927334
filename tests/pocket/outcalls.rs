//! HTTPS outcalls: made up by a test, performed by a live instance.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
    time::Duration,
};

use candid::{Encode, Principal, decode_one};
use end_to_end::{application, pocket_ic};
use ic_management_canister_types::{HttpHeader, HttpMethod, HttpRequestArgs, HttpRequestResult};
use pocket_ic::{
    PocketIc, RejectCode, RejectResponse,
    common::rest::{
        CanisterHttpHeader, CanisterHttpMethod, CanisterHttpReject, CanisterHttpReplication,
        CanisterHttpReply, CanisterHttpRequest, CanisterHttpResponse, MockCanisterHttpResponse,
        RawMessageId,
    },
};

/// `fetch` passes its argument on to the management canister's `http_request`, and the answer back.
const FETCHER: &str = r#"
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $why_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $why_copy (param i32 i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $call_cycles (param i64 i64)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (table funcref (elem $answered $refused))
  (memory 64)
  (data (i32.const 0) "http_request")
  (func $answered (param i32)
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $append (i32.const 64) (call $arg_size))
    (call $reply))
  (func $refused (param i32)
    (call $why_copy (i32.const 64) (i32.const 0) (call $why_size))
    (call $reject (i32.const 64) (call $why_size)))
  (func (export "canister_update fetch")
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 12)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $call_data (i32.const 64) (call $arg_size))
    (call $call_cycles (i64.const 0) (i64.const 1000000000000))
    (drop (call $call_perform))))
"#;

fn fetcher(pic: &PocketIc) -> Principal {
    let canister = pic.create_canister();
    pic.install_canister(canister, wat::parse_str(FETCHER).unwrap(), vec![], None);
    canister
}

fn arguments(url: &str, max_response_bytes: Option<u64>) -> Vec<u8> {
    let arguments = HttpRequestArgs {
        url: url.into(),
        max_response_bytes,
        method: HttpMethod::POST,
        headers: vec![HttpHeader {
            name: String::from("x-test"),
            value: String::from("yes"),
        }],
        body: Some(b"question".to_vec()),
        ..HttpRequestArgs::default()
    };
    Encode!(&arguments).unwrap()
}

fn fetch(pic: &PocketIc, canister: Principal, url: &str, max: Option<u64>) -> RawMessageId {
    pic.submit_call(
        canister,
        Principal::anonymous(),
        "fetch",
        arguments(url, max),
    )
    .unwrap()
}

/// A call that waits for the answer to its request.
fn waiting(pic: &PocketIc, max: Option<u64>) -> (RawMessageId, CanisterHttpRequest) {
    let canister = fetcher(pic);
    let call = fetch(pic, canister, "https://example.org/question", max);
    pic.tick();
    pic.tick();
    let mut requests = pic.get_canister_http();
    assert_eq!(requests.len(), 1);
    (call, requests.remove(0))
}

fn reply(body: &[u8]) -> CanisterHttpResponse {
    CanisterHttpResponse::CanisterHttpReply(CanisterHttpReply {
        status: 200,
        headers: vec![CanisterHttpHeader {
            name: String::from("x-answer"),
            value: String::from("42"),
        }],
        body: body.to_vec(),
    })
}

fn mock(
    request: &CanisterHttpRequest,
    responses: Vec<CanisterHttpResponse>,
) -> MockCanisterHttpResponse {
    let mut responses = responses.into_iter();
    MockCanisterHttpResponse {
        subnet_id: request.subnet_id,
        request_id: request.request_id,
        response: responses.next().unwrap(),
        additional_responses: responses.collect(),
    }
}

fn result(reply: Result<Vec<u8>, RejectResponse>) -> HttpRequestResult {
    decode_one(&reply.unwrap()).unwrap()
}

#[test]
fn a_request_is_shown_as_it_was_made_and_answered_as_the_test_says() {
    let pic = application();
    let (call, request) = waiting(&pic, Some(1_000));
    assert_eq!(request.subnet_id, pic.topology().get_app_subnets()[0]);
    assert_eq!(request.http_method, CanisterHttpMethod::POST);
    assert_eq!(request.url, "https://example.org/question");
    assert_eq!(request.headers.len(), 1);
    assert_eq!(request.body, b"question");
    assert_eq!(request.max_response_bytes, Some(1_000));
    assert_eq!(
        request.replication,
        CanisterHttpReplication::FullyReplicated
    );

    pic.mock_canister_http_response(mock(&request, vec![reply(b"answer")]));
    assert!(pic.get_canister_http().is_empty());
    let result = result(pic.await_call(call));
    assert_eq!(result.status, 200_u16);
    assert_eq!(result.body, b"answer");
    assert_eq!(result.headers[0].value, "42");
}

#[test]
fn a_reject_of_the_nodes_is_the_reject_of_the_call() {
    let pic = application();
    let (call, request) = waiting(&pic, None);
    let reject = CanisterHttpResponse::CanisterHttpReject(CanisterHttpReject {
        reject_code: 2,
        message: String::from("the server is down"),
    });
    pic.mock_canister_http_response(mock(&request, vec![reject]));
    let reject = pic.await_call(call).unwrap_err();
    assert_eq!(reject.reject_code, RejectCode::CanisterReject);
    assert!(
        reject.reject_message.contains("the server is down"),
        "{reject}"
    );
}

#[test]
fn nodes_have_to_agree() {
    let pic = application();
    let (call, request) = waiting(&pic, None);
    // 9 of 13 are enough.
    let responses = (0..13).map(|node| {
        if node < 9 {
            reply(b"most")
        } else {
            reply(&[node])
        }
    });
    pic.mock_canister_http_response(mock(&request, responses.collect()));
    assert_eq!(result(pic.await_call(call)).body, b"most");

    let (call, request) = waiting(&pic, None);
    let responses = (0..13).map(|node| {
        if node < 8 {
            reply(b"many")
        } else {
            reply(&[node])
        }
    });
    pic.mock_canister_http_response(mock(&request, responses.collect()));
    let reject = pic.await_call(call).unwrap_err();
    assert!(reject.reject_message.contains("No consensus"), "{reject}");
}

#[test]
fn an_answer_that_is_longer_than_the_canister_allows_is_a_reject() {
    let pic = application();
    let (call, request) = waiting(&pic, Some(100));
    pic.mock_canister_http_response(mock(&request, vec![reply(&[0; 101])]));
    let reject = pic.await_call(call).unwrap_err();
    assert!(
        reject.reject_message.contains("exceeds size limit"),
        "{reject}"
    );
}

#[test]
#[should_panic(expected = "InvalidMockCanisterHttpResponses((3, 13))")]
fn there_is_one_response_or_one_of_each_node() {
    let pic = application();
    let (_, request) = waiting(&pic, None);
    pic.mock_canister_http_response(mock(&request, vec![reply(b"a"); 3]));
}

#[test]
#[should_panic(expected = "InvalidCanisterHttpRequestId")]
fn a_request_is_answered_once() {
    let pic = application();
    let (_, request) = waiting(&pic, None);
    for _ in 0..2 {
        pic.mock_canister_http_response(mock(&request, vec![reply(b"a")]));
    }
}

#[test]
fn a_request_that_nobody_answers_times_out() {
    let pic = application();
    let (call, _) = waiting(&pic, None);
    pic.advance_time(Duration::from_secs(61));
    let reject = pic.await_call(call).unwrap_err();
    assert!(reject.reject_message.contains("timed out"), "{reject}");
    assert!(pic.get_canister_http().is_empty());
}

/// A server that answers one request, and returns it.
fn server(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/path", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 1_024];
        while !String::from_utf8_lossy(&seen).ends_with("question") {
            let len = connection.read(&mut piece).unwrap();
            assert!(len > 0, "the request breaks off");
            seen.extend_from_slice(&piece[..len]);
        }
        connection.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(seen).unwrap()
    });
    (url, served)
}

fn live() -> PocketIc {
    pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .with_auto_progress()
        .build()
}

#[test]
fn a_live_instance_asks_the_server_itself() {
    let pic = live();
    let canister = fetcher(&pic);
    let (url, served) = server(
        "HTTP/1.1 201 Created\r\nx-answer: 42\r\ncontent-length: 6\r\nconnection: close\r\n\r\nanswer",
    );
    let call = fetch(&pic, canister, &url, None);
    let result = result(pic.await_call_no_ticks(call));
    assert_eq!(result.status, 201_u16);
    assert_eq!(result.body, b"answer");
    let header = result
        .headers
        .iter()
        .find(|header| header.name == "x-answer");
    assert_eq!(header.unwrap().value, "42");
    let seen = served.join().unwrap();
    assert!(seen.starts_with("POST /path HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-test: yes"), "{seen}");
}

#[test]
fn a_live_instance_takes_no_more_than_the_canister_allows() {
    let pic = live();
    let canister = fetcher(&pic);
    let (url, served) = server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789");
    let call = fetch(&pic, canister, &url, Some(5));
    let reject = pic.await_call_no_ticks(call).unwrap_err();
    assert!(
        reject.reject_message.contains("exceeds size limit"),
        "{reject}"
    );
    served.join().unwrap();
}

#[test]
fn a_live_instance_says_why_there_is_no_answer() {
    let pic = live();
    let canister = fetcher(&pic);
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        String::from("http://192.0.2.1/"),
    ] {
        let call = fetch(&pic, canister, &url, None);
        let reject = pic.await_call_no_ticks(call).unwrap_err();
        assert_eq!(reject.reject_code, RejectCode::CanisterReject, "{reject}");
        assert!(!reject.reject_message.is_empty());
    }
}
