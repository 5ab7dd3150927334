//! Why a message execution ended early.

use std::fmt;

use candid::Principal;

use crate::{ErrorCode, Reject};

/// What ended an execution before it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The canister called `ic0.trap` with this text.
    Called(String),
    /// WebAssembly trapped; the text is that of the Internet Computer.
    Wasm(&'static str),
    /// The canister broke a rule of the system API.
    Contract(String),
    /// It ran for too long, as a system call finds, which does not know for how long it may.
    OutOfInstructions,
    /// It executed more than so many instructions.
    InstructionLimit(u64),
    /// A callback that the table does not have.
    NoFunction(u64),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(text) => write!(f, "Canister called `ic0.trap` with message: '{text}'"),
            Self::Wasm(text) => write!(f, "Canister trapped: {text}"),
            Self::Contract(text) => write!(f, "Canister violated contract: {text}"),
            Self::OutOfInstructions => f.write_str(
                "Canister exceeded the limit of instructions for single message execution.",
            ),
            Self::InstructionLimit(limit) => write!(
                f,
                "Canister exceeded the limit of {limit} instructions for single message execution."
            ),
            Self::NoFunction(function) => write!(
                f,
                "Canister requested to invoke a non-existent Wasm function {function} from table 0"
            ),
        }
    }
}

impl std::error::Error for Trap {}

impl Trap {
    pub(crate) fn contract(text: impl Into<String>) -> Self {
        Self::Contract(text.into())
    }

    /// Said where a function is called with other arguments than it takes.
    pub(crate) const BAD_SIGNATURE: &'static str =
        "function invocation does not match its signature";

    /// What wasmtime reports of a message that may execute `limit` instructions, said as the Internet Computer
    /// says it.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error, limit: u64) -> Self {
        use wasmtime::Trap as T;
        match (error.downcast_ref::<Self>(), error.downcast_ref::<T>()) {
            (Some(Self::OutOfInstructions), _) | (_, Some(T::OutOfFuel)) => {
                Self::InstructionLimit(limit)
            }
            (Some(trap), _) => trap.clone(),
            (_, Some(T::StackOverflow)) => Self::Wasm("stack overflow"),
            (_, Some(T::MemoryOutOfBounds)) => Self::Wasm("heap out of bounds"),
            (_, Some(T::TableOutOfBounds)) => Self::Wasm("table out of bounds"),
            (_, Some(T::IntegerDivisionByZero)) => Self::Wasm("integer division by 0"),
            (_, Some(T::UnreachableCodeReached)) => Self::Wasm("unreachable"),
            (_, Some(T::BadSignature)) => Self::contract(Self::BAD_SIGNATURE),
            _ => Self::Wasm("unknown"),
        }
    }

    /// The reject that a caller sees.
    pub(crate) fn reject(&self, canister: Principal) -> Reject {
        let code = match self {
            Self::Called(_) => ErrorCode::CalledTrap,
            Self::Wasm(_) => ErrorCode::Trapped,
            Self::Contract(_) => ErrorCode::ContractViolation,
            Self::OutOfInstructions | Self::InstructionLimit(_) => {
                ErrorCode::InstructionLimitExceeded
            }
            Self::NoFunction(_) => ErrorCode::FunctionNotFound,
        };
        Reject::of(canister, code, &self.to_string())
    }
}
