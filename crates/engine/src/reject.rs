//! Rejects: the codes and texts that a client sees when a call fails.

use candid::Principal;

use crate::wasm::Trap;

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

/// Error codes that the implementations of the Internet Computer give besides the reject code. The first
/// digit is that of the reject code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    SubnetOversubscribed = 101,
    MaxNumberOfCanistersReached = 102,
    QueueFull = 201,
    IngressMessageTimeout = 202,
    QueueNotEmpty = 203,
    IngressHistoryFull = 204,
    CanisterIdAlreadyExists = 205,
    StopCanisterRequestTimeout = 206,
    OutOfCycles = 207,
    CertifiedStateUnavailable = 208,
    InstallCodeRateLimited = 209,
    CanisterNotFound = 301,
    SnapshotNotFound = 305,
    NotEnoughMemory = 402,
    InsufficientCyclesForCreateCanister = 403,
    SubnetNotFound = 404,
    NotHostedBySubnet = 405,
    CanisterRejectedMessage = 406,
    UnknownManagementMessage = 407,
    InvalidManagementPayload = 408,
    SnapshotImmutable = 409,
    InvalidSubnetAdmin = 410,
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
    FunctionNotFound = 513,
    NonEmpty = 514,
    QueryCallGraphLoopDetected = 517,
    InsufficientCyclesInCall = 520,
    WasmEngineError = 521,
    InstructionLimitExceeded = 522,
    MemoryAccessLimitExceeded = 524,
    QueryCallGraphTooDeep = 525,
    QueryCallGraphTotalInstructionLimitExceeded = 526,
    CompositeQueryInReplicatedMode = 527,
    QueryTimeLimitExceeded = 528,
    QueryCallGraphInternal = 529,
    InsufficientCyclesInComputeAllocation = 530,
    InsufficientCyclesInMemoryAllocation = 531,
    InsufficientCyclesInMemoryGrow = 532,
    ReservedCyclesLimitExceededInMemoryAllocation = 533,
    ReservedCyclesLimitExceededInMemoryGrow = 534,
    InsufficientCyclesInMessageMemoryGrow = 535,
    MethodNotFound = 536,
    ModuleNotFound = 537,
    AlreadyInstalled = 538,
    WasmMemoryLimitExceeded = 539,
    ReservedCyclesLimitIsTooLow = 540,
    InvalidControllerOrSubnetAdmin = 541,
    StatusAccessDenied = 542,
    DeadlineExpired = 601,
    ResponseDropped = 602,
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
        match self as u32 / 100 {
            1 => RejectCode::SysFatal,
            2 => RejectCode::SysTransient,
            3 => RejectCode::DestinationInvalid,
            4 => RejectCode::CanisterReject,
            6 => RejectCode::SysUnknown,
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
    #[must_use]
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: error.reject_code(),
            message: message.into(),
            error_code: Some(error),
        }
    }

    /// A failure that names the canister it happened in.
    #[must_use]
    pub fn of(canister: Principal, error: ErrorCode, message: &str) -> Self {
        Self::new(error, format!("Error from Canister {canister}: {message}"))
    }

    pub(crate) fn by_canister(message: String) -> Self {
        Self {
            code: RejectCode::CanisterReject,
            message,
            error_code: Some(ErrorCode::CanisterRejectedMessage),
        }
    }

    /// There is no room to remember another update call.
    pub(crate) fn history_full() -> Self {
        let message = "The subnet takes no more calls for now";
        Self::new(ErrorCode::IngressHistoryFull, message)
    }

    /// A best-effort call that was not answered in time; its callee may have executed it.
    pub(crate) fn deadline_expired() -> Self {
        Self::new(ErrorCode::DeadlineExpired, "Call deadline has expired.")
    }

    /// The reject of a callback that failed, and whose cleanup failed too.
    pub(crate) fn and_cleanup(self, cleanup: &Self) -> Self {
        let callback = Trap::without_help(&self.message);
        let cleanup = Trap::without_help(&cleanup.message);
        // Which canister it is has been said.
        let cleanup = cleanup
            .strip_prefix("Error from Canister ")
            .and_then(|text| text.split_once(": "))
            .map_or(cleanup, |(_, text)| text);
        let message = format!("{callback}\n\ncall_on_cleanup also failed:\n\n{cleanup}");
        Self { message, ..self }
    }

    pub(crate) fn not_found(canister: Principal) -> Self {
        Self::new(
            ErrorCode::CanisterNotFound,
            format!("Canister {canister} not found"),
        )
    }
}
