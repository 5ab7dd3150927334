//! Why a message execution ended early, in the words of the replica.

use std::fmt;

use candid::Principal;

use crate::{ErrorCode, Reject};

/// Page that the replica's advice links to.
const DOCUMENTATION: &str = "https://internetcomputer.org/docs/current/references/execution-errors";

/// What the replica says where a module, more likely than its author, is wrong.
const TOOLCHAIN: &str = "If you are running this canister in a test environment (e.g., dfx), make sure the test \
     environment is up to date. Otherwise, this is likely an error with the compiler/CDK toolchain being used to \
     build the canister. Please report the error to IC devs on the forum: https://forum.dfinity.org and include \
     which language/CDK was used to create the canister.";

const TRAPPED: &str = "Consider gracefully handling failures from this canister or altering the canister to handle \
     exceptions.";
const OUT_OF_INSTRUCTIONS: Advice = Advice::new(
    "Try optimizing this method to consume fewer instructions or split the work across multiple messages.",
    "instruction-limit-exceeded",
);
const MEMORY_ACCESS: Advice = Advice::new(
    "Try optimizing the use of stable memory so that individual messages don't need to access as much stable \
     memory.",
    "memory-access-limit-exceeded",
);
/// Said by this server only: the Internet Computer's nodes have other limits.
const OUT_OF_MEMORY: &str = "The canisters of this server together hold all the memory that they may: remove some, \
     or let them hold more.";
const MEMORY_GROW: Advice = Advice::new(
    "Try topping up the canister.",
    "insufficient-cycles-in-memory-grow",
);
const WASM_MEMORY: Advice = Advice::new(
    "Try checking the canister for a possible memory leak or modifying it to use more stable memory instead of \
     Wasm memory.",
    "wasm-memory-limit-exceeded",
);

/// What a client is told to do about an error, and the section of the documentation about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    suggestion: &'static str,
    section: &'static str,
}

impl Advice {
    /// Nothing.
    pub(crate) const NONE: Self = Self::new("", "");

    pub(crate) const fn new(suggestion: &'static str, section: &'static str) -> Self {
        Self {
            suggestion,
            section,
        }
    }
}

/// What ended an execution before it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The canister called `ic0.trap` with this text.
    Called(String),
    /// WebAssembly trapped; the text is that of the Internet Computer.
    Wasm(&'static str),
    /// The canister broke a rule of the system API that its compiler should keep.
    Contract(String),
    /// The canister broke a rule of the system API that its author should keep.
    Misuse(String, Advice),
    /// The same, said without the word contract.
    Refused(String),
    /// The canister named a principal that is too long to be one.
    Principal,
    /// A callback that the table does not have.
    NoFunction(u64),
    /// It ran for too long, as a system call finds, which does not know for how long it may.
    OutOfInstructions,
    /// It executed more than so many instructions.
    InstructionLimit(u64),
    /// It touched too many pages of its stable memory.
    MemoryAccess(String),
    /// It would be frozen if its memory grew by so many bytes; the cycles that it lacks, for its controllers.
    CannotPayGrowth { bytes: u64, missing: Option<u128> },
    /// Its heap grew beyond the limit that its controllers have set, both in bytes.
    WasmMemoryLimit { bytes: u64, limit: u64 },
    /// The canisters of this machine hold all the memory that they may.
    OutOfMemory,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(text) => write!(f, "Canister called `ic0.trap` with message: '{text}'"),
            Self::Wasm(text) => write!(f, "Canister trapped: {text}"),
            Self::Contract(text) | Self::Misuse(text, _) => {
                write!(f, "Canister violated contract: {text}")
            }
            Self::Refused(text) => f.write_str(text),
            Self::Principal => f.write_str("Canister provided invalid principal id"),
            Self::NoFunction(index) => write!(
                f,
                "Canister requested to invoke a non-existent Wasm function {index} from table 0"
            ),
            Self::OutOfInstructions => f.write_str(
                "Canister exceeded the limit of instructions for single message execution.",
            ),
            Self::InstructionLimit(limit) => write!(
                f,
                "Canister exceeded the limit of {limit} instructions for single message execution."
            ),
            Self::MemoryAccess(text) => {
                write!(f, "Canister exceeded memory access limits: {text}")
            }
            Self::CannotPayGrowth { bytes, missing } => {
                write!(
                    f,
                    "Canister cannot grow memory by {bytes} bytes due to insufficient cycles."
                )?;
                missing.map_or(Ok(()), |missing| {
                    write!(f, " At least {missing} additional cycles are required.")
                })
            }
            Self::WasmMemoryLimit { bytes, limit } => write!(
                f,
                "Canister exceeded its current Wasm memory limit of {limit} bytes. The peak Wasm memory usage was \
                 {bytes} bytes. If the canister reaches 4GiB, then it may stop functioning and may become \
                 unrecoverable. Please reach out to the canister owner to investigate the reason for the increased \
                 memory usage. It might be necessary to move data from the Wasm memory to the stable memory. If \
                 such high Wasm memory usage is expected and safe, then the developer can increase the Wasm memory \
                 limit in the canister settings."
            ),
            Self::OutOfMemory => f.write_str("Canister exceeded its allowed memory allocation"),
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

    /// The line that it leaves in the canister's log, if it leaves one.
    pub(crate) fn log_line(&self) -> Option<String> {
        match self {
            Self::Called(text) if text.is_empty() => Some("[TRAP]: (no message)".to_owned()),
            Self::Called(text) => Some(format!("[TRAP]: {text}")),
            Self::Wasm(text) => Some(format!("[TRAP]: {text}")),
            _ => None,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Called(_) => ErrorCode::CalledTrap,
            Self::Wasm(_) => ErrorCode::Trapped,
            Self::Contract(_) | Self::Misuse(..) | Self::Refused(_) | Self::Principal => {
                ErrorCode::ContractViolation
            }
            Self::NoFunction(_) => ErrorCode::FunctionNotFound,
            Self::OutOfInstructions | Self::InstructionLimit(_) => {
                ErrorCode::InstructionLimitExceeded
            }
            Self::MemoryAccess(_) => ErrorCode::MemoryAccessLimitExceeded,
            Self::CannotPayGrowth { .. } => ErrorCode::InsufficientCyclesInMemoryGrow,
            Self::WasmMemoryLimit { .. } => ErrorCode::WasmMemoryLimitExceeded,
            Self::OutOfMemory => ErrorCode::OutOfMemory,
        }
    }

    /// What a client is told besides the error itself.
    fn help(&self) -> String {
        let advice = match self {
            Self::Contract(_) | Self::Principal | Self::NoFunction(_) => {
                return TOOLCHAIN.to_owned();
            }
            Self::Refused(_) => Advice::NONE,
            Self::Called(_) => Advice::new(TRAPPED, "trapped-explicitly"),
            Self::Wasm(_) => Advice::new(TRAPPED, "trapped"),
            Self::Misuse(_, advice) => *advice,
            Self::OutOfInstructions | Self::InstructionLimit(_) => OUT_OF_INSTRUCTIONS,
            Self::MemoryAccess(_) => MEMORY_ACCESS,
            Self::CannotPayGrowth { .. } => MEMORY_GROW,
            Self::WasmMemoryLimit { .. } => WASM_MEMORY,
            Self::OutOfMemory => return OUT_OF_MEMORY.to_owned(),
        };
        if advice == Advice::NONE {
            return String::new();
        }
        let Advice {
            suggestion,
            section,
        } = advice;
        let link = match section {
            "" => String::new(),
            section => format!("{DOCUMENTATION}#{section}"),
        };
        format!("{suggestion} See documentation: {link}")
    }

    /// The text of a reject without what a client is told besides: its last line, where it is such.
    pub(crate) fn without_help(message: &str) -> &str {
        match message.rsplit_once(".\n") {
            Some((error, help)) if help == TOOLCHAIN || help.contains(" See documentation: ") => {
                error
            }
            _ => message,
        }
    }

    /// The reject that a caller sees.
    pub(crate) fn reject(&self, canister: Principal) -> Reject {
        let help = self.help();
        let text = if help.is_empty() {
            self.to_string()
        } else {
            format!("{self}.\n{help}")
        };
        Reject::of(canister, self.code(), &text)
    }
}
