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

/// Bytes that are taken of a body that is too large, so that its client reads the refusal instead of a broken
/// connection.
const ABSORBED: usize = 2 * MAX_BODY;

/// Takes a CBOR body of at most `limit` bytes.
pub(super) async fn take(request: Request, limit: usize) -> Result<Bytes, Refusal> {
    let (head, body) = request.into_parts();
    if announced(&head.headers).is_some_and(|len| len > ABSORBED) {
        return Err(Refusal::TooLarge { limit });
    }
    let body = whole(body, ABSORBED).await?;
    if body.len() > limit {
        return Err(Refusal::TooLarge { limit });
    }
    if !is_cbor(&head.headers) {
        return Err(Refusal::WrongContentType);
    }
    Ok(body)
}

/// Takes a whole body of at most `limit` bytes.
pub(crate) async fn whole(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let taken = timeout(BODY_TIMEOUT, to_bytes(body, limit)).await;
    taken
        .map_err(|_| Refusal::TooSlow {
            seconds: BODY_TIMEOUT.as_secs(),
        })?
        .map_err(|_| Refusal::BrokenOff { limit })
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
