//! Certified reads of the state tree (IC interface specification, "Request: Read state").
//!
//! The subnet decides what a sender may read; here is checked what it does not see: a delegation with targets
//! reads only requests to its targets and what is about them.

use axum::{
    extract::{OriginalUri, Path, Request, State},
    response::Response,
};
use candid::Principal;
use engine::Effective;

use super::{App, MAX_BODY, body, cbor, effective};
use crate::{
    answer,
    authentication::{AuthenticationError, Authority},
    envelope::{Envelope, EnvelopeError, Request as Content},
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
    let (sender, paths) = {
        let envelope = Envelope::decode(&body, "read_state")?;
        let authority = app.authenticate(&envelope)?;
        let Content::ReadState(paths) = envelope.request else {
            return Err(EnvelopeError::WrongRequestType {
                expected: "read_state",
            }
            .into());
        };
        check_targets(&effective, &authority, &paths)?;
        (envelope.sender, paths)
    };
    drop(body);
    let to = Destination {
        effective,
        anywhere: false,
    };
    let certificate = app.executor.read_state(to, &sender, &paths)?;
    Ok(cbor(answer::read_state(&certificate)))
}

fn check_targets(
    effective: &Effective,
    authority: &Authority,
    paths: &[engine::Path],
) -> Result<(), Refusal> {
    if let Effective::Canister(canister) = effective
        && paths
            .iter()
            .any(|path| starts_with(path, b"request_status") || starts_with(path, b"canister"))
        && !authority.covers(canister)
        && !authority.covers(&Principal::management_canister())
    {
        return Err(AuthenticationError::NotATarget(*canister).into());
    }
    Ok(())
}

fn starts_with(path: &engine::Path, label: &[u8]) -> bool {
    path.first().is_some_and(|first| first == label)
}
