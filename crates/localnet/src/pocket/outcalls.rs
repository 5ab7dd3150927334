//! HTTPS outcalls that wait for an answer, and the answers that a test makes up.
//!
//! While an instance is live the server performs them itself; see [`crate::executor`].

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use engine::{HttpReplication, HttpRequest, HttpResponse, Principal, RejectCode};
use pocket_ic::common::rest::{
    CanisterHttpHeader, CanisterHttpMethod, CanisterHttpPricingVersion, CanisterHttpReplication,
    CanisterHttpResponse, InstanceId, RawCanisterHttpRequest, RawMockCanisterHttpResponse,
    RawMockFlexibleCanisterHttpResponse,
};

use super::{
    Pocket,
    answer::{Answer, Body, Failure, principal},
    instances::Instance,
};

/// Nodes of each subnet, by which its prices go too.
const NODES: usize = 13;
/// Longest message of a reject, in bytes: a node cuts longer ones.
const MAX_MESSAGE: usize = 1_024;
/// Longest answer of a server, in bytes, where the request names no length.
const MAX_RESPONSE: u64 = 2_000_000;

/// `GET read/get_canister_http`.
pub(super) async fn list(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<Vec<RawCanisterHttpRequest>> {
    let instance = pocket.instances.get(id)?;
    let waiting = instance.executor.run(|driver| {
        let mut requests = driver.network().http_requests();
        requests.retain(|request| {
            let outcalls = driver.outcalls();
            !outcalls.is_under_way(request.subnet, request.id)
        });
        requests
    });
    Ok(Json(waiting.await?.into_iter().map(shown).collect()))
}

fn shown(request: HttpRequest) -> RawCanisterHttpRequest {
    let headers = request.headers.into_iter();
    RawCanisterHttpRequest {
        subnet_id: request.subnet.into(),
        request_id: request.id,
        http_method: match request.method {
            "POST" => CanisterHttpMethod::POST,
            "HEAD" => CanisterHttpMethod::HEAD,
            "PUT" => CanisterHttpMethod::PUT,
            "DELETE" => CanisterHttpMethod::DELETE,
            "PATCH" => CanisterHttpMethod::PATCH,
            _ => CanisterHttpMethod::GET,
        },
        url: request.url,
        headers: headers
            .map(|(name, value)| CanisterHttpHeader { name, value })
            .collect(),
        body: request.body,
        max_response_bytes: request.max_response_bytes,
        replication: match request.replication {
            HttpReplication::Full => CanisterHttpReplication::FullyReplicated,
            HttpReplication::Single(_) => CanisterHttpReplication::NonReplicated,
        },
        pricing_version: match request.pricing_version {
            Some(2) => CanisterHttpPricingVersion::PayAsYouGo,
            _ => CanisterHttpPricingVersion::Legacy,
        },
    }
}

/// `POST update/mock_canister_http`: what the nodes of the subnet heard from the server.
pub(super) async fn answer(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(RawMockCanisterHttpResponse {
        subnet_id,
        request_id,
        response,
        additional_responses,
    }): Body<RawMockCanisterHttpResponse>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let subnet = principal(&subnet_id.subnet_id, "subnet id")?;
    is_there(&instance, subnet)?;
    let given = additional_responses.len() + 1;
    if given != 1 && given != NODES {
        return Err(Failure::bad(format!(
            "InvalidMockCanisterHttpResponses(({given}, {NODES}))"
        )));
    }
    let all = [vec![response], additional_responses].concat();
    for response in &all {
        check(response)?;
    }
    let answered = instance.executor.run(move |driver| {
        let mut requests = driver.network().http_requests().into_iter();
        let request =
            requests.find(|request| request.subnet == subnet && request.id == request_id)?;
        if driver.outcalls().is_under_way(subnet, request_id) {
            return None;
        }
        let ended = agreed(&request, &all);
        let answered = driver.network().answer_http(subnet, request_id, ended);
        driver.wake();
        answered.then_some(())
    });
    answered.await?.map(Json).ok_or_else(|| {
        Failure::bad(format!(
            "InvalidCanisterHttpRequestId(({subnet}, {request_id}))"
        ))
    })
}

/// Outcalls to a committee don't exist here, so there is none to answer.
pub(super) async fn answer_flexible(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(mock): Body<RawMockFlexibleCanisterHttpResponse>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let subnet = principal(&mock.subnet_id.subnet_id, "subnet id")?;
    is_there(&instance, subnet)?;
    let request = mock.request_id;
    Err(Failure::bad(format!(
        "InvalidCanisterHttpRequestId(({subnet}, {request})): there are no flexible outcalls on this server"
    )))
}

/// Checks that there is such a subnet.
fn is_there(instance: &Instance, subnet: Principal) -> Result<(), Failure> {
    let found = instance.executor.reader().subnet_key(subnet);
    found
        .map(|_| ())
        .ok_or_else(|| Failure::subnet_not_found(subnet))
}

fn check(response: &CanisterHttpResponse) -> Result<(), Failure> {
    match response {
        CanisterHttpResponse::CanisterHttpReply(_) => Ok(()),
        CanisterHttpResponse::CanisterHttpReject(reject) => {
            if reject.message.len() > MAX_MESSAGE {
                let text = format!("the message of a reject has at most {MAX_MESSAGE} bytes");
                return Err(Failure::bad(text));
            }
            code(reject.reject_code).map(|_| ())
        }
    }
}

fn code(number: u64) -> Result<RejectCode, Failure> {
    Ok(match number {
        1 => RejectCode::SysFatal,
        2 => RejectCode::SysTransient,
        3 => RejectCode::DestinationInvalid,
        4 => RejectCode::CanisterReject,
        5 => RejectCode::CanisterError,
        6 => RejectCode::SysUnknown,
        _ => return Err(Failure::bad(format!("InvalidRejectCode({number})"))),
    })
}

/// What the subnet makes of what its nodes heard: the answer that all but a third of them have.
fn agreed(
    request: &HttpRequest,
    all: &[CanisterHttpResponse],
) -> Result<HttpResponse, (RejectCode, String)> {
    let needed = match request.replication {
        HttpReplication::Full if all.len() > 1 => NODES - (NODES - 1) / 3,
        HttpReplication::Full | HttpReplication::Single(_) => 1,
    };
    let votes =
        |response: &CanisterHttpResponse| all.iter().filter(|other| *other == response).count();
    let winner = all.iter().find(|response| votes(response) >= needed);
    let winner = winner.ok_or_else(|| {
        let text = String::from("No consensus could be reached. Replicas had different responses.");
        (RejectCode::SysTransient, text)
    })?;
    match winner {
        CanisterHttpResponse::CanisterHttpReject(reject) => {
            let code = code(reject.reject_code).unwrap_or(RejectCode::SysUnknown);
            Err((code, reject.message.clone()))
        }
        CanisterHttpResponse::CanisterHttpReply(reply) => {
            let limit = request.max_response_bytes.unwrap_or(MAX_RESPONSE);
            let headers: usize = reply
                .headers
                .iter()
                .map(|header| header.name.len() + header.value.len())
                .sum();
            let len = u64::try_from(reply.body.len() + headers).unwrap_or(u64::MAX);
            if len > limit {
                let text = format!("Http body exceeds size limit of {limit} bytes.");
                return Err((RejectCode::SysFatal, text));
            }
            let headers = reply.headers.iter();
            Ok(HttpResponse {
                status: reply.status,
                headers: headers
                    .map(|header| (header.name.clone(), header.value.clone()))
                    .collect(),
                body: reply.body.clone(),
            })
        }
    }
}
