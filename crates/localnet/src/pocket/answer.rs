//! JSON in and out: bodies read within a size and a time, and errors in the form that clients expect.
//!
//! A success is 200 with the value; anything else has the body `{"message":"…"}`. The words in which a message begins
//! (`CanisterNotFound`, `SettingTimeIntoPast`, …) are those that tests look for.

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use candid::Principal;
use serde::{Serialize, de::DeserializeOwned};

use crate::{http::whole_body, refusal::Refusal};

/// Largest JSON that is read: the mocked responses of the nodes of a large subnet, in base64.
const MAX_JSON: usize = 128 << 20;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
}

/// What a handler answers.
pub(super) type Answer<T> = Result<Json<T>, Failure>;

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The request can't be carried out.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A call or a query can't be taken in, or doesn't end.
    pub(super) fn bad_ingress(message: &str) -> Self {
        Self::bad(format!("BadIngressMessage({message:?})"))
    }

    pub(super) fn canister_not_found(id: Principal) -> Self {
        Self::bad(format!("CanisterNotFound({id})"))
    }

    pub(super) fn canister_is_empty(id: Principal) -> Self {
        Self::bad(format!("CanisterIsEmpty({id})"))
    }

    pub(super) fn subnet_not_found(id: Principal) -> Self {
        Self::bad(format!("SubnetNotFound({id})"))
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.to_string())
    }
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Json(Message {
            message: &self.message,
        });
        (self.status, body).into_response()
    }
}

/// A body in JSON, whatever content type it claims.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let body = whole_body(request.into_body(), MAX_JSON).await?;
        let value = serde_json::from_slice(&body);
        value
            .map(Self)
            .map_err(|error| Failure::bad(format!("Malformed request: {error}")))
    }
}

/// Reads a principal.
pub(super) fn principal(bytes: &[u8], what: &str) -> Result<Principal, Failure> {
    Principal::try_from_slice(bytes).map_err(|_| Failure::bad(format!("Bad {what}")))
}
