//! Queries (IC interface specification, "Request: Query call"): answered by one node, and signed by it.

use axum::{
    extract::{OriginalUri, Path, Request, State},
    response::Response,
};
use engine::Query;

use super::{App, MAX_BODY, body, cbor, effective};
use crate::{
    answer,
    effective::check_effective,
    envelope::{Envelope, EnvelopeError, Request as Content},
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
    let (request_id, query) = {
        let envelope = Envelope::decode(&body, "query")?;
        app.authenticate(&envelope)?;
        let Content::Query(message) = envelope.request else {
            return Err(EnvelopeError::WrongRequestType { expected: "query" }.into());
        };
        check_effective(&effective, &message)?;
        let query = Query {
            sender: envelope.sender,
            canister_id: message.canister_id,
            method: message.method.into_owned(),
            arg: message.arg.into_owned(),
            sender_info: None,
        };
        (envelope.request_id, query)
    };
    drop(body);
    let to = Destination {
        effective,
        anywhere: false,
    };
    let outcome = app.executor.query(to, query, &request_id)?;
    Ok(cbor(answer::query(&outcome)))
}
