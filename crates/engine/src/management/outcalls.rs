//! HTTPS outcalls: `http_request` puts a request into a list, somebody outside answers it, and the answer goes through the
//! caller's transform function back to the caller.
//!
//! ```text
//!   canister ── http_request ──► Outcalls ──► whoever performs or mocks requests
//!       ▲                           │                       │
//!       └──── reply ◄── transform ◄─┴───────── answer ◄─────┘      or a time-out
//! ```
//!
//! The price is taken when the request is, by its length and that of the longest answer that it allows.

use std::collections::BTreeMap;

use candid::{Principal, encode_args};
use ic_management_canister_types::{
    HttpHeader, HttpMethod, HttpRequestArgs, HttpRequestResult, TransformArgs,
};

use super::{Call, Ended, Outcome, cycles_text, decode, subnet_methods::same_subnet};
use crate::{
    ErrorCode, Reject, RejectCode, Time,
    canister::Waiting,
    ic0::{Answer, Context},
    queries::Look,
    subnet::{Held, Subnet},
    wasm::Callable,
};
use canister_module::MethodKind;

/// Longest URL, in bytes.
const MAX_URL: usize = 8_192;
/// Most headers of a request or an answer.
const MAX_HEADERS: usize = 64;
/// Longest name, and longest value, of a header, in bytes.
const MAX_HEADER_PART: usize = 8 * 1024;
/// All headers of a request or an answer, in bytes.
const MAX_HEADER_BYTES: usize = 48 * 1024;
/// Longest request, and longest answer, in bytes.
const MAX_BYTES: u64 = 2_000_000;
/// Requests of a subnet that wait at once.
const MAX_WAITING: usize = 3_000;
/// The same, in bytes.
const MAX_WAITING_BYTES: u64 = 256 * 1024 * 1024;
/// How long a request waits for its answer, in nanoseconds.
const TIMEOUT_NS: u64 = 60 * 1_000_000_000;

/// Which nodes of the subnet perform a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpReplication {
    /// All of them, and they have to agree.
    Full,
    /// This one alone.
    Single(Principal),
}

/// A request that a canister waits for the answer of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub subnet: Principal,
    /// Unique on the subnet, in the order in which they were made.
    pub id: u64,
    pub canister: Principal,
    /// `GET`, `HEAD`, `POST`, `PUT`, `DELETE` or `PATCH`.
    pub method: &'static str,
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// None: the longest that there is, 2,000,000.
    pub max_response_bytes: Option<u64>,
    pub replication: HttpReplication,
    /// As the canister asked: 2 is the newer way to price a request.
    pub pricing_version: Option<u32>,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request, and who waits for it.
#[derive(Debug)]
struct Outcall {
    request: HttpRequest,
    call: Waiting,
    bytes: u64,
    /// Method of the caller, and what it is given besides the answer.
    transform: Option<(String, Vec<u8>)>,
}

/// Requests of a subnet that wait for their answers.
#[derive(Debug, Default)]
pub(crate) struct Outcalls {
    waiting: BTreeMap<u64, Outcall>,
    next: u64,
    bytes: u64,
}

impl Outcalls {
    pub(crate) fn requests(&self) -> impl Iterator<Item = &HttpRequest> {
        self.waiting.values().map(|outcall| &outcall.request)
    }

    pub(super) fn cycles(&self) -> u128 {
        let waiting = self.waiting.values();
        waiting.map(|outcall| outcall.call.cycles).sum()
    }

    fn take(&mut self, id: u64) -> Option<Outcall> {
        let outcall = self.waiting.remove(&id)?;
        self.bytes -= outcall.bytes;
        Some(outcall)
    }

    /// The oldest request, if it has waited for too long.
    fn overdue(&self, now: Time) -> Option<u64> {
        let (id, oldest) = self.waiting.first_key_value()?;
        (now >= oldest.call.since.plus(TIMEOUT_NS)).then_some(*id)
    }

    pub(super) fn has_work(&self, now: Time) -> bool {
        self.overdue(now).is_some()
    }
}

fn rejected(message: impl Into<String>) -> Reject {
    Reject::new(ErrorCode::CanisterRejectedMessage, message)
}

pub(super) fn request(subnet: &mut Subnet, call: Call, arg: &[u8]) -> Outcome {
    same_subnet(subnet, &call)?;
    let (args,): (HttpRequestArgs,) = decode(arg)?;
    let bytes = check(&call, &args)?;
    let longest = args.max_response_bytes.unwrap_or(MAX_BYTES);
    let fee = subnet.prices.http_request(bytes, longest);
    let Some(rest) = call.cycles.checked_sub(fee) else {
        return Err(rejected(format!(
            "http_request request sent with {} cycles, but {} cycles are required.",
            cycles_text(call.cycles),
            cycles_text(fee)
        )));
    };
    let outcalls = &mut subnet.outcalls;
    if outcalls.waiting.len() >= MAX_WAITING || outcalls.bytes + bytes > MAX_WAITING_BYTES {
        let message = "Too many HTTP requests of the subnet wait for their answers";
        return Err(Reject::new(ErrorCode::QueueFull, message));
    }
    let id = outcalls.next;
    outcalls.next += 1;
    outcalls.bytes += bytes;
    let replication = match args.is_replicated {
        Some(false) => HttpReplication::Single(subnet.node),
        _ => HttpReplication::Full,
    };
    let headers = args.headers.into_iter();
    let outcall = Outcall {
        request: HttpRequest {
            subnet: subnet.id,
            id,
            canister: call.sender,
            method: method_name(args.method),
            url: args.url,
            headers: headers.map(|header| (header.name, header.value)).collect(),
            body: args.body.unwrap_or_default(),
            max_response_bytes: args.max_response_bytes,
            replication,
            pricing_version: args.pricing_version,
        },
        call: Waiting {
            origin: call.origin,
            cycles: rest,
            since: subnet.time,
        },
        bytes,
        transform: args
            .transform
            .map(|transform| (transform.function.0.method, transform.context)),
    };
    outcalls.waiting.insert(id, outcall);
    subnet.ledger.burned += fee;
    Ok(Ended::Later)
}

fn method_name(method: HttpMethod) -> &'static str {
    match method {
        HttpMethod::GET => "GET",
        HttpMethod::HEAD => "HEAD",
        HttpMethod::POST => "POST",
        HttpMethod::PUT => "PUT",
        HttpMethod::DELETE => "DELETE",
        HttpMethod::PATCH => "PATCH",
    }
}

/// Whether a request keeps all limits; its length in bytes.
fn check(call: &Call, args: &HttpRequestArgs) -> Result<u64, Reject> {
    if args.url.len() > MAX_URL {
        let message = format!("url length {} exceeds {MAX_URL}", args.url.len());
        return Err(rejected(message));
    }
    if let Some(bytes) = args.max_response_bytes.filter(|bytes| *bytes > MAX_BYTES) {
        let message =
            format!("max_response_bytes expected to be in the range [0..{MAX_BYTES}], got {bytes}");
        return Err(rejected(message));
    }
    let headers = args.headers.iter();
    let headers: Vec<(&str, &str)> = headers
        .map(|HttpHeader { name, value }| (name.as_str(), value.as_str()))
        .collect();
    let header_bytes = check_headers(&headers)?;
    let body = args.body.as_ref().map_or(0, Vec::len);
    if (header_bytes + body) as u64 > MAX_BYTES {
        let message = format!(
            "total number of bytes to represent all http header names and values and http body exceeds {MAX_BYTES}"
        );
        return Err(rejected(message));
    }
    let mut bytes = args.url.len() + header_bytes + body;
    if let Some(transform) = &args.transform {
        if transform.function.0.principal != call.sender {
            let message = "transform needs to be exported by the requester canister";
            return Err(rejected(message));
        }
        bytes += transform.function.0.method.len() + transform.context.len();
    }
    Ok(bytes as u64)
}

/// Whether headers keep all limits; their length in bytes.
fn check_headers(headers: &[(&str, &str)]) -> Result<usize, Reject> {
    if headers.len() > MAX_HEADERS {
        let count = headers.len();
        let message = format!("number of http headers {count} exceeds {MAX_HEADERS}");
        return Err(rejected(message));
    }
    let mut bytes = 0;
    for (name, value) in headers {
        for (what, part) in [("name", name), ("value", value)] {
            if part.len() > MAX_HEADER_PART {
                let len = part.len();
                let message = format!(
                    "number of bytes to represent some http header {what} {len} exceeds {MAX_HEADER_PART}"
                );
                return Err(rejected(message));
            }
            bytes += part.len();
        }
    }
    if bytes > MAX_HEADER_BYTES {
        let message = format!(
            "total number of bytes to represent all http header names and values {bytes} exceeds {MAX_HEADER_BYTES}"
        );
        return Err(rejected(message));
    }
    Ok(bytes)
}

/// Answers a request; false where it waits no longer.
pub(crate) fn answer(
    subnet: &mut Held<'_>,
    id: u64,
    result: Result<HttpResponse, (RejectCode, String)>,
) -> bool {
    let Some(outcall) = subnet.outcalls.take(id) else {
        return false;
    };
    let result = match result {
        Ok(response) => transformed(subnet, &outcall, response),
        Err((code, message)) => Err(Reject {
            code,
            message,
            error_code: None,
        }),
    };
    subnet.respond(outcall.call.origin, result, outcall.call.cycles);
    true
}

/// Rejects the requests that have waited for too long.
pub(super) fn expire(subnet: &mut Subnet) {
    while let Some(id) = subnet.outcalls.overdue(subnet.time) {
        let Some(outcall) = subnet.outcalls.take(id) else {
            return;
        };
        let reject = Reject {
            code: RejectCode::SysTransient,
            message: "Canister http request timed out".to_owned(),
            error_code: None,
        };
        subnet.respond(outcall.call.origin, Err(reject), outcall.call.cycles);
    }
}

/// What the caller gets: the answer, through its transform function if it named one.
fn transformed(
    subnet: &mut Held<'_>,
    outcall: &Outcall,
    response: HttpResponse,
) -> Result<Vec<u8>, Reject> {
    let fatal = |message: String| Reject {
        code: RejectCode::SysFatal,
        message,
        error_code: None,
    };
    let limit = outcall.request.max_response_bytes.unwrap_or(MAX_BYTES);
    let headers = response.headers.iter();
    let headers: Vec<(&str, &str)> = headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    check_headers(&headers).map_err(|reject| fatal(reject.message))?;
    if response.body.len() as u64 > limit {
        let message = format!("Http body exceeds size limit of {limit} bytes.");
        return Err(fatal(message));
    }
    let response = HttpRequestResult {
        status: response.status.into(),
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| HttpHeader { name, value })
            .collect(),
        body: response.body,
    };
    let encoding = |error: candid::Error| fatal(format!("Failed to encode the response: {error}"));
    let Some((method, context)) = &outcall.transform else {
        return encode_args((response,)).map_err(encoding);
    };
    let args = TransformArgs {
        response,
        context: context.clone(),
    };
    let arg = encode_args((args,)).map_err(encoding)?;
    let reply = transform(subnet, outcall.request.canister, method, arg)?;
    if reply.len() as u64 > MAX_BYTES {
        let message = format!("Transformed http response exceeds limit: {MAX_BYTES}");
        return Err(fatal(message));
    }
    Ok(reply)
}

/// Runs a query method of a canister on the answer to its request.
fn transform(
    subnet: &mut Held<'_>,
    canister: Principal,
    method: &str,
    arg: Vec<u8>,
) -> Result<Vec<u8>, Reject> {
    let (_, kind) = subnet.query_entry(canister, method)?;
    if kind != MethodKind::Query {
        let message = format!("Canister has no query method '{method}'");
        return Err(Reject::of(canister, ErrorCode::MethodNotFound, &message));
    }
    let callable = Callable::Export(kind.export(method));
    let limit = subnet.limits.of_context(Context::Transform);
    let mut look = Look::new(canister, Context::Transform, &callable, method, limit);
    look.sender = Principal::management_canister();
    look.arg = arg;
    let mut twin = subnet.twin(canister)?;
    let (effects, _) =
        Subnet::look(subnet, &mut twin, look, (method, "query")).map_err(|(reject, _)| reject)?;
    match effects.answer {
        Some(Answer::Reply(reply)) => Ok(reply),
        Some(Answer::Reject(message)) => Err(Reject::by_canister(message)),
        None => Err(Reject::of(
            canister,
            ErrorCode::DidNotReply,
            "Canister did not reply to the call",
        )),
    }
}
