//! Rejects: the codes and texts that a client sees when a call fails.

use candid::Principal;

/// Reject codes of the IC interface specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCode {
    SysFatal = 1,
    SysTransient = 2,
    DestinationInvalid = 3,
    CanisterReject = 4,
    CanisterError = 5,
    SysUnknown = 6,
}

/// Error codes that the implementations of the Internet Computer give besides the reject code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    QueueFull = 201,
    IngressHistoryFull = 204,
    CanisterNotFound = 301,
    NotEnoughMemory = 402,
    CanisterRejectedMessage = 406,
    UnknownManagementMessage = 407,
    InvalidManagementPayload = 408,
    Trapped = 502,
    CalledTrap = 503,
    ContractViolation = 504,
    InvalidWasm = 505,
    DidNotReply = 506,
    OutOfMemory = 507,
    Stopped = 508,
    Stopping = 509,
    NotStopped = 510,
    StoppingCancelled = 511,
    InvalidController = 512,
    InstructionLimitExceeded = 522,
    NonEmpty = 514,
    CompositeQueryInReplicatedMode = 527,
    MethodNotFound = 536,
    ModuleNotFound = 537,
}

impl ErrorCode {
    /// The form that clients show, such as `IC0503`.
    #[must_use]
    pub fn text(self) -> String {
        format!("IC{:04}", self as u32)
    }

    /// The reject code that goes with it.
    #[must_use]
    pub fn reject_code(self) -> RejectCode {
        match self {
            Self::QueueFull | Self::IngressHistoryFull => RejectCode::SysTransient,
            Self::CanisterNotFound => RejectCode::DestinationInvalid,
            Self::CanisterRejectedMessage => RejectCode::CanisterReject,
            _ => RejectCode::CanisterError,
        }
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub code: RejectCode,
    pub message: String,
    /// None where a canister rejected the call itself.
    pub error_code: Option<ErrorCode>,
}

impl Reject {
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: error.reject_code(),
            message: message.into(),
            error_code: Some(error),
        }
    }

    /// A failure that names the canister it happened in.
    pub(crate) fn of(canister: Principal, error: ErrorCode, message: &str) -> Self {
        Self::new(error, format!("Error from Canister {canister}: {message}"))
    }

    pub(crate) fn by_canister(message: String) -> Self {
        Self {
            code: RejectCode::CanisterReject,
            message,
            error_code: Some(ErrorCode::CanisterRejectedMessage),
        }
    }

    pub(crate) fn not_found(canister: Principal) -> Self {
        Self::new(
            ErrorCode::CanisterNotFound,
            format!("Canister {canister} not found"),
        )
    }
}
