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
    /// It ran for too long.
    OutOfInstructions,
    /// The machine had no memory for it.
    OutOfMemory(String),
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
            Self::OutOfMemory(text) => write!(f, "Canister cannot grow its memory usage: {text}"),
        }
    }
}

impl std::error::Error for Trap {}

impl Trap {
    pub(crate) fn contract(text: impl Into<String>) -> Self {
        Self::Contract(text.into())
    }

    /// What wasmtime reports, said as the Internet Computer says it.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error) -> Self {
        if let Some(trap) = error.downcast_ref::<Self>() {
            return trap.clone();
        }
        use wasmtime::Trap as T;
        match error.downcast_ref::<T>() {
            Some(T::OutOfFuel) => Self::OutOfInstructions,
            Some(T::StackOverflow) => Self::Wasm("stack overflow"),
            Some(T::MemoryOutOfBounds) => Self::Wasm("heap out of bounds"),
            Some(T::HeapMisaligned) => Self::Wasm("heap misaligned"),
            Some(T::TableOutOfBounds) => Self::Wasm("table out of bounds"),
            Some(T::IndirectCallToNull) => Self::Wasm("indirect call to null"),
            Some(T::BadSignature) => Self::Wasm("bad signature"),
            Some(T::IntegerOverflow) => Self::Wasm("integer overflow"),
            Some(T::IntegerDivisionByZero) => Self::Wasm("integer division by 0"),
            Some(T::BadConversionToInteger) => Self::Wasm("bad conversion to integer"),
            Some(T::UnreachableCodeReached) => Self::Wasm("unreachable"),
            _ => Self::OutOfMemory(format!("{error:#}")),
        }
    }

    /// The reject that a caller sees.
    pub(crate) fn reject(&self, canister: Principal) -> Reject {
        let code = match self {
            Self::Called(_) => ErrorCode::CalledTrap,
            Self::Wasm(_) => ErrorCode::Trapped,
            Self::Contract(_) => ErrorCode::ContractViolation,
            Self::OutOfInstructions => ErrorCode::InstructionLimitExceeded,
            Self::OutOfMemory(_) => ErrorCode::OutOfMemory,
        };
        Reject::of(canister, code, &self.to_string())
    }
}
