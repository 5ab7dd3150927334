//! Queries (IC interface specification, "Request: Query call"): answered by one node, and signed by it.

use axum::{
    extract::{OriginalUri, Path, Request, State},
    response::Response,
};
use engine::Query;

use super::{App, MAX_BODY, body, cbor, effective};
use crate::{
    answer,
    effective::{Kind, check_effective, goes_anywhere},
    envelope::{EnvelopeError, Request as Content},
    executor::Destination,
    refusal::Refusal,
};

pub(super) async fn query(
    State(app): State<App>,
    uri: OriginalUri,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::take(request, MAX_BODY).await?;
    let effective = effective(&uri, &id)?;
    let opened = app.open(body, "query", move |envelope, authenticated| {
        let Content::Query(message) = envelope.request else {
            return Err(EnvelopeError::WrongRequestType { expected: "query" }.into());
        };
        check_effective(&effective, Kind::Query, &message)?;
        let to = Destination {
            effective,
            anywhere: goes_anywhere(Kind::Query, &message),
        };
        let query = Query {
            sender: envelope.sender,
            canister_id: message.canister_id,
            method: message.method.into_owned(),
            arg: message.arg.into_owned(),
            sender_info: authenticated.sender_info,
        };
        Ok((to, query, envelope.request_id))
    });
    let (to, query, request_id) = opened.await?;
    let outcome = match app.network_canister(&query.canister_id) {
        None => app.executor.query(to, query, &request_id)?,
        Some(canister) => {
            let answer = |_| canister.query(&query.method, &query.arg);
            app.executor.query_answered_by(to, &request_id, answer)?
        }
    };
    Ok(cbor(answer::query(&outcome)))
}
