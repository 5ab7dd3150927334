//! Certified reads of the state tree (IC interface specification, "Request: Read state").
//!
//! The subnet decides what a sender may read.

use axum::{
    extract::{OriginalUri, Path, Request, State},
    response::Response,
};
use engine::StateReader;

use super::{App, MAX_BODY, body, cbor, effective};
use crate::{
    answer,
    envelope::{EnvelopeError, Request as Content},
    executor::Destination,
    refusal::Refusal,
};

pub(super) async fn read_state(
    State(app): State<App>,
    uri: OriginalUri,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body::take(request, MAX_BODY).await?;
    let effective = effective(&uri, &id)?;
    let opened = app.open(body, "read_state", move |envelope, authenticated| {
        let Content::ReadState(paths) = envelope.request else {
            let expected = "read_state";
            return Err(EnvelopeError::WrongRequestType { expected }.into());
        };
        let reader = StateReader {
            sender: envelope.sender,
            targets: authenticated.authority.into_targets(),
        };
        Ok((reader, paths))
    });
    let (reader, paths) = opened.await?;
    let to = Destination {
        effective,
        anywhere: false,
    };
    let certificate = app.executor.read_state(to, &reader, &paths)?;
    Ok(cbor(answer::read_state(&certificate)))
}
