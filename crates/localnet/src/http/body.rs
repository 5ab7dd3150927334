//! Bodies of requests: taken whole, within a size and a time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use tokio::time::timeout;

use crate::refusal::Refusal;

/// Largest body of any request, as at the boundary of the Internet Computer.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Largest envelope of a call: what a block of an application subnet takes.
pub const MAX_CALL: usize = 2 * 1024 * 1024;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes a CBOR body of at most `limit` bytes.
pub(super) async fn take(request: Request, limit: usize) -> Result<Bytes, Refusal> {
    let (head, body) = request.into_parts();
    if !is_cbor(&head.headers) {
        return Err(Refusal::WrongContentType);
    }
    if announced(&head.headers).is_some_and(|len| len > limit) {
        return Err(Refusal::TooLarge { limit });
    }
    match timeout(BODY_TIMEOUT, collect(body, limit)).await {
        Ok(taken) => taken,
        Err(_) => Err(Refusal::TooSlow {
            seconds: BODY_TIMEOUT.as_secs(),
        }),
    }
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    to_bytes(body, limit).await.map_err(|error| {
        // The limit is an error inside the error; anything else is the connection's.
        let reason = std::error::Error::source(&error).map(ToString::to_string);
        if reason.is_some_and(|reason| reason.contains("length limit")) {
            Refusal::TooLarge { limit }
        } else {
            Refusal::BrokenOff
        }
    })
}

fn is_cbor(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/cbor")
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
