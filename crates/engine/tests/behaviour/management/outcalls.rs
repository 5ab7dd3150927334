//! HTTPS outcalls: what is asked for, how it is answered, and what a transform function makes of the answer.

use candid::{Decode, Encode, Func, Nat, Principal};
use engine::{HttpReplication, HttpRequest, HttpResponse, RejectCode, RequestId, RequestStatus};
use ic_management_canister_types::{
    HttpHeader, HttpMethod, HttpRequestArgs, HttpRequestResult, TransformArgs, TransformContext,
    TransformFunc,
};

use crate::{
    harness::{Net, alice},
    management::{FORWARDER, forwarded, passed_on},
};

const FEE_ENOUGH: u64 = 100_000_000_000;

fn args() -> HttpRequestArgs {
    HttpRequestArgs {
        url: "https://example.org/a?b=c".to_owned(),
        max_response_bytes: None,
        method: HttpMethod::POST,
        headers: vec![HttpHeader {
            name: "accept".to_owned(),
            value: "text/plain".to_owned(),
        }],
        body: Some(b"question".to_vec()),
        transform: None,
        is_replicated: None,
        pricing_version: None,
    }
}

/// A canister that forwards calls, and whose query `echo` replies with what it is given, `fail` traps.
fn canister() -> String {
    let queries = r#"
        (func (export "canister_query echo")
            (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
            (call $append (i32.const 0) (call $arg_size))
            (call $reply))
        (func (export "canister_query fixed")
            (call $append (i32.const 2000000) (i32.const 6))
            (call $reply))
        (data (i32.const 2000000) "DIDL\00\00")
        (func (export "canister_query fail") unreachable))"#;
    let end = FORWARDER.rfind(')').unwrap();
    format!("{}{queries}", &FORWARDER[..end])
}

fn transform(by: Principal, method: &str) -> Option<TransformContext> {
    Some(TransformContext {
        function: TransformFunc(Func {
            principal: by,
            method: method.to_owned(),
        }),
        context: b"context".to_vec(),
    })
}

/// Has a canister make a request, which then waits.
fn ask(net: &mut Net, by: Principal, args: &HttpRequestArgs, cycles: u64) -> RequestId {
    let payload = Encode!(args).unwrap();
    let management = Principal::management_canister();
    let arg = forwarded(management, "http_request", cycles, &payload);
    let id = net.submit(alice(), by, "forward", &arg);
    net.run();
    id
}

fn only(net: &Net) -> HttpRequest {
    let mut requests = net.network.http_requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn respond(net: &mut Net, request: &HttpRequest, body: &[u8]) {
    let response = HttpResponse {
        status: 201,
        headers: vec![("server".to_owned(), "test".to_owned())],
        body: body.to_vec(),
    };
    assert!(
        net.network
            .answer_http(request.subnet, request.id, Ok(response))
    );
    net.run();
}

/// Answers the only request that waits.
fn respond_to_only(net: &mut Net, body: &[u8]) {
    let request = only(net);
    respond(net, &request, body);
}

fn result(net: &Net, id: &RequestId) -> Result<Vec<u8>, engine::Reject> {
    match net.status(id) {
        RequestStatus::Replied(reply) => Ok(reply),
        RequestStatus::Rejected(reject) => Err(reject),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_waits_until_somebody_answers_it() {
    let mut net = Net::new();
    let id = net.install(&canister());
    let asked = ask(&mut net, id, &args(), FEE_ENOUGH);
    assert_eq!(net.status(&asked), RequestStatus::Processing);
    let request = only(&net);
    assert_eq!(request.subnet, net.network.application_subnet());
    assert_eq!(request.canister, id);
    assert_eq!(request.method, "POST");
    assert_eq!(request.url, "https://example.org/a?b=c");
    assert_eq!(
        request.headers,
        [("accept".to_owned(), "text/plain".to_owned())]
    );
    assert_eq!(request.body, b"question");
    assert_eq!(request.max_response_bytes, None);
    assert_eq!(request.replication, HttpReplication::Full);

    respond(&mut net, &request, b"answer");
    let reply = Decode!(&result(&net, &asked).unwrap(), HttpRequestResult).unwrap();
    assert_eq!(reply.status, Nat::from(201_u16));
    assert_eq!(reply.headers[0].name, "server");
    assert_eq!(reply.body, b"answer");
    assert!(net.network.http_requests().is_empty());
    let late = Err((RejectCode::SysTransient, String::new()));
    assert!(!net.network.answer_http(request.subnet, request.id, late));
}

#[test]
fn the_transform_function_of_the_caller_sees_the_answer_and_its_context() {
    let mut net = Net::new();
    let id = net.install(&canister());
    let mut args = args();
    args.transform = transform(id, "echo");
    let asked = ask(&mut net, id, &args, FEE_ENOUGH);
    respond_to_only(&mut net, b"answer");
    let seen = Decode!(&result(&net, &asked).unwrap(), TransformArgs).unwrap();
    assert_eq!(seen.context, b"context");
    assert_eq!(seen.response.body, b"answer");

    args.transform = transform(id, "fixed");
    let asked = ask(&mut net, id, &args, FEE_ENOUGH);
    respond_to_only(&mut net, b"answer");
    assert_eq!(result(&net, &asked).unwrap(), b"DIDL\0\0");

    for (method, code, text) in [
        ("fail", RejectCode::CanisterError, "unreachable"),
        (
            "none",
            RejectCode::CanisterError,
            "has no query method 'none'",
        ),
    ] {
        args.transform = transform(id, method);
        let asked = ask(&mut net, id, &args, FEE_ENOUGH);
        respond_to_only(&mut net, b"answer");
        passed_on(result(&net, &asked), code, text);
    }
}

#[test]
fn a_request_that_breaks_a_limit_is_refused() {
    let mut net = Net::new();
    let id = net.install(&canister());
    let other = net.create();
    let header = |name: usize, value: usize| HttpHeader {
        name: "n".repeat(name),
        value: "v".repeat(value),
    };
    let cases: Vec<(HttpRequestArgs, &str)> = vec![
        (
            HttpRequestArgs {
                url: format!("https://{}", "x".repeat(8_192)),
                ..args()
            },
            "url length 8200 exceeds 8192",
        ),
        (
            HttpRequestArgs {
                max_response_bytes: Some(2_000_001),
                ..args()
            },
            "max_response_bytes expected to be in the range [0..2000000], got 2000001",
        ),
        (
            HttpRequestArgs {
                headers: (0..65).map(|_| header(1, 1)).collect(),
                ..args()
            },
            "number of http headers 65 exceeds 64",
        ),
        (
            HttpRequestArgs {
                headers: vec![header(8_193, 1)],
                ..args()
            },
            "exceeds 8192",
        ),
        (
            HttpRequestArgs {
                headers: (0..7).map(|_| header(1, 8_000)).collect(),
                ..args()
            },
            "total number of bytes to represent all http header names and values",
        ),
        (
            HttpRequestArgs {
                body: Some(vec![0; 2_000_000]),
                ..args()
            },
            "http body exceeds 2000000",
        ),
        (
            HttpRequestArgs {
                transform: transform(other, "echo"),
                ..args()
            },
            "transform needs to be exported by the requester canister",
        ),
    ];
    for (args, text) in cases {
        let asked = ask(&mut net, id, &args, FEE_ENOUGH);
        passed_on(result(&net, &asked), RejectCode::CanisterReject, text);
    }
    assert!(net.network.http_requests().is_empty());
}

#[test]
fn a_request_has_a_price_and_the_rest_comes_back() {
    let mut net = Net::at_prices();
    let id = net.install(&canister());
    let mut small = args();
    small.max_response_bytes = Some(1_000);
    let asked = ask(&mut net, id, &small, 1_000);
    passed_on(
        result(&net, &asked),
        RejectCode::CanisterReject,
        "http_request request sent with 1_000 cycles, but ",
    );
    let before = net.canister_status(id).cycles;
    let asked = ask(&mut net, id, &small, 50_000_000_000_000);
    respond_to_only(&mut net, b"answer");
    result(&net, &asked).unwrap();
    let spent = before - net.canister_status(id).cycles;
    assert!(spent > 50_000_000_u64);
    assert!(spent < 1_000_000_000_000_u64, "{spent}");
    let audit = net.network.audit();
    assert_eq!(
        audit.minted,
        audit.balances + audit.in_flight + audit.burned
    );
}

#[test]
fn an_answer_that_is_too_long_or_fails_or_never_comes_is_a_reject() {
    let mut net = Net::new();
    let id = net.install(&canister());
    let mut small = args();
    small.max_response_bytes = Some(3);
    let asked = ask(&mut net, id, &small, FEE_ENOUGH);
    respond_to_only(&mut net, b"long");
    passed_on(
        result(&net, &asked),
        RejectCode::SysFatal,
        "Http body exceeds size limit of 3 bytes.",
    );
    let asked = ask(&mut net, id, &args(), FEE_ENOUGH);
    let request = only(&net);
    let failed = Err((RejectCode::SysTransient, "no route to host".to_owned()));
    assert!(net.network.answer_http(request.subnet, request.id, failed));
    net.run();
    passed_on(
        result(&net, &asked),
        RejectCode::SysTransient,
        "no route to host",
    );

    let asked = ask(&mut net, id, &args(), FEE_ENOUGH);
    let almost = net.network.time().plus(59_999_999_999);
    net.network.advance_time(almost);
    net.run();
    assert_eq!(net.status(&asked), RequestStatus::Processing);
    net.network.advance_time(almost.plus(1));
    assert!(net.network.has_work());
    net.run();
    passed_on(
        result(&net, &asked),
        RejectCode::SysTransient,
        "Canister http request timed out",
    );
    assert!(net.network.http_requests().is_empty());
}

#[test]
fn a_request_may_be_for_one_node_alone() {
    let mut net = Net::new();
    let id = net.install(&canister());
    let mut single = args();
    single.is_replicated = Some(false);
    single.method = HttpMethod::DELETE;
    ask(&mut net, id, &single, FEE_ENOUGH);
    let request = only(&net);
    assert_eq!(request.method, "DELETE");
    assert!(matches!(request.replication, HttpReplication::Single(_)));
}
