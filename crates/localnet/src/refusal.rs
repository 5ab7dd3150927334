//! Refusals: requests that get no answer of a canister or the subnet, but an HTTP status and one line of text.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use candid::Principal;
use thiserror::Error;

use crate::{
    authentication::AuthenticationError, effective::EffectiveError, envelope::EnvelopeError,
};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path")]
    NoSuchPath,
    #[error("{0:?} in the path is not the text of a principal")]
    NotAPrincipal(String),
    #[error("the body must be application/cbor")]
    WrongContentType,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {seconds} seconds")]
    TooSlow { seconds: u64 },
    #[error("the body broke off, or is larger than {limit} bytes")]
    BrokenOff { limit: usize },
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    Effective(#[from] EffectiveError),
    #[error("canister_not_found: no subnet is responsible for canister {0}")]
    NoSubnetOfCanister(Principal),
    #[error("subnet_not_found: there is no subnet {0}")]
    NoSubnet(Principal),
    /// The paths are not of the form that can be read.
    #[error("{0}")]
    InvalidPaths(String),
    /// No such path can be read at this endpoint.
    #[error("{0}")]
    NotInTree(String),
    /// The subnet doesn't let the sender read this.
    #[error("{0}")]
    MayNotRead(String),
    #[error("too many requests are waiting, try again later")]
    Overloaded,
    #[error("the subnet has stopped")]
    Stopped,
}

impl Refusal {
    /// The HTTP status that tells the client whose fault it is.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPath | Self::NotInTree(_) => StatusCode::NOT_FOUND,
            Self::WrongContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::MayNotRead(_) => StatusCode::FORBIDDEN,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotAPrincipal(_)
            | Self::BrokenOff { .. }
            | Self::Envelope(_)
            | Self::Authentication(_)
            | Self::Effective(_)
            | Self::NoSubnetOfCanister(_)
            | Self::NoSubnet(_)
            | Self::InvalidPaths(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}
