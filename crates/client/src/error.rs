//! Why a call of the client failed, in one line each.

use candid::Principal;
use ic_agent::AgentError;
use indus_verify::{AuditError, VerifyError};
use thiserror::Error;

use crate::trust::TrustFileError;

/// Why a call gave no value.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The canister refused; nothing has changed.
    #[error("{method} was refused: {error}")]
    Refused {
        method: String,
        error: indus_api::Error,
    },
    /// The subnet or the canister's runtime rejected the call: it trapped, is stopped, doesn't exist …
    ///
    /// `code` is the interface specification's reject code (1 to 5), `certified` whether the subnet vouches for it.
    #[error("{method} was rejected with code {code}: {message}")]
    Rejected {
        method: String,
        code: u64,
        message: String,
        certified: bool,
    },
    /// The registry of engines keeps the operator that another caller has registered.
    #[error("the engine's operator was not registered: {0}")]
    Unregistered(String),
    /// The answer came, and is not to be believed.
    #[error("the answer to {method} can't be verified: {reason}")]
    Unverified { method: String, reason: VerifyError },
    /// A certificate that a subnet other than the one in the trust file signed.
    #[error("the answer to {method} is of subnet {found}, not of {expected}")]
    ForeignSubnet {
        method: String,
        expected: Principal,
        found: String,
    },
    /// A record is certified, but not the one that was asked for.
    #[error("asked for organisation {asked}, got organisation {found}")]
    WrongRecord { asked: u64, found: u64 },
    /// A certified key is of another form than those of its collection; it is shown in hexadecimal.
    #[error("{key} is certified as a key of {collection}, which has no such keys")]
    WrongKey {
        collection: &'static str,
        key: String,
    },
    /// A node answered from an earlier state than one that was verified already; a later call may find another node.
    #[error(
        "the answer to {method} is of a log of {size} blocks, of which {known} were verified already"
    )]
    Older {
        method: String,
        size: u64,
        known: u64,
    },
    /// The audit log of a canister can't be read, or is not what the subnet certified, or does not explain it.
    #[error("the audit of canister {canister} failed: {reason}")]
    Audit {
        canister: Principal,
        reason: AuditError,
    },
    /// Pages of a collection, each certified, don't add up to the collection that is certified.
    #[error(
        "the records of {collection} are not all of those that the subnet certified, and no others"
    )]
    Incomplete { collection: String },
    /// Each time that its changed records had been read again, others had changed.
    #[error("{collection} still changed when it was read for the {rounds}th time")]
    Unsettled { collection: String, rounds: u32 },
    /// A reply is not of the type that the method answers.
    #[error("the answer to {method} is not of the expected type: {reason}")]
    Reply { method: String, reason: String },
    /// The arguments can't be encoded.
    #[error("the arguments of {method} can't be encoded: {reason}")]
    Arguments { method: String, reason: String },
    /// No answer, or none that the agent accepts: the network can't be reached, a signature or certificate is wrong.
    #[error("no valid answer to {method}: {reason}")]
    Agent { method: String, reason: String },
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
    Http(String),
    /// The module and its argument don't fit into one install message.
    #[error(
        "the module has {bytes} bytes with its argument; at most {limit} can be installed in one message"
    )]
    ModuleTooLarge { bytes: usize, limit: usize },
    /// The subnet certifies another module than the one that was installed.
    #[error("canister {canister} runs module {certified}, not {installed}")]
    WrongModule {
        canister: Principal,
        installed: String,
        certified: String,
    },
    /// The trust file lacks something or can't be used.
    #[error(transparent)]
    Trust(#[from] TrustFileError),
}

impl ClientError {
    /// Translates what the agent says about a call of `method`.
    pub(crate) fn agent(method: &str, error: AgentError) -> Self {
        let method = String::from(method);
        let (reject, certified) = match error {
            AgentError::CertifiedReject { reject, .. } => (reject, true),
            AgentError::UncertifiedReject { reject, .. } => (reject, false),
            other => {
                return Self::Agent {
                    method,
                    reason: one_line(&with_sources(&other)),
                };
            }
        };
        let message = one_line(&reject.reject_message);
        Self::Rejected {
            method,
            code: reject.reject_code as u64,
            message,
            certified,
        }
    }

    /// The canister's own typed error, if that is what it is.
    #[must_use]
    pub fn refusal(&self) -> Option<&indus_api::Error> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// An error and its causes: those of HTTP say what happened only in the last one.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// `text` in one line, without control characters, at most 500 characters.
pub(crate) fn one_line(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(500)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_others_are_shown_in_one_line() {
        assert_eq!(
            one_line("a trap\n  at x\r\n\u{1b}[31mred "),
            "a trap at x [31mred"
        );
        assert_eq!(one_line(&"é".repeat(1_000)).chars().count(), 500);
    }

    #[test]
    fn a_refusal_carries_the_typed_error() {
        let error = indus_api::Error::Unauthorized {
            needs: String::from("governor"),
        };
        let refused = ClientError::Refused {
            method: String::from("approve"),
            error: error.clone(),
        };
        assert_eq!(refused.refusal(), Some(&error));
        assert_eq!(
            refused.to_string(),
            "approve was refused: not authorized: needs governor"
        );
        assert_eq!(ClientError::Http(String::new()).refusal(), None);
    }
}
