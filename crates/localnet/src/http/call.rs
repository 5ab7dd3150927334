//! Calls (IC interface specification, "Request: Call" and "Request: Asynchronous Call").

use axum::{
    extract::{OriginalUri, Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine::Ingress;

use super::{App, MAX_CALL, body, cbor, effective};
use crate::{
    answer,
    effective::{Kind, check_effective, goes_anywhere},
    envelope::{EnvelopeError, Request as Content},
    executor::{CallOutcome, Destination},
    refusal::Refusal,
};

/// Answers with the certificate of the call's end, or 202 where that takes too long.
pub(super) async fn synchronous(
    State(app): State<App>,
    uri: OriginalUri,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    call(&app, &uri, &id, request, true).await
}

/// Answers 202 as soon as the call is taken.
pub(super) async fn asynchronous(
    State(app): State<App>,
    uri: OriginalUri,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    call(&app, &uri, &id, request, false).await
}

async fn call(
    app: &App,
    uri: &OriginalUri,
    id: &str,
    request: Request,
    wait: bool,
) -> Result<Response, Refusal> {
    let body = body::take(request, MAX_CALL).await?;
    let effective = effective(uri, id)?;
    let opened = app.open(body, "call", move |envelope, authenticated| {
        let Content::Call(message) = envelope.request else {
            return Err(EnvelopeError::WrongRequestType { expected: "call" }.into());
        };
        check_effective(&effective, Kind::Call, &message)?;
        let to = Destination {
            effective,
            anywhere: goes_anywhere(Kind::Call, &message),
        };
        let ingress = Ingress {
            id: envelope.request_id,
            sender: envelope.sender,
            canister_id: message.canister_id,
            method: message.method.into_owned(),
            arg: message.arg.into_owned(),
            expiry: envelope.expiry,
            sender_info: authenticated.sender_info,
        };
        Ok((to, ingress))
    });
    let (to, ingress) = opened.await?;
    let outcome = match app.network_canister(&ingress.canister_id) {
        None => app.executor.call(to, ingress, wait).await?,
        Some(canister) => {
            let answer = canister.update(&ingress);
            let executor = &app.executor;
            executor
                .call_answered_by(to, &ingress, wait, answer)
                .await?
        }
    };
    Ok(match outcome {
        CallOutcome::Ended(certificate) => cbor(answer::call_ended(&certificate)),
        CallOutcome::NotTaken(reject) => cbor(answer::call_not_taken(&reject, wait)),
        CallOutcome::Taken => StatusCode::ACCEPTED.into_response(),
    })
}
