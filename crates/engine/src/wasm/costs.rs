//! Weights of Wasm operators and system calls, as the Internet Computer counts instructions.
//!
//! wasmtime charges these as fuel while it runs. It adds 1 at every function entry, so calls weigh 1 less
//! here; a system call gives that 1 back, and a message takes 1 off. Weights are bytes: what weighs 300
//! (growing a memory, dropping a segment) counts 255.

use wasmtime::OperatorCost;

/// Instructions that one message may execute.
pub(crate) const MESSAGE_LIMIT: u64 = 40_000_000_000;
/// Instructions that one query may execute.
pub(crate) const QUERY_LIMIT: u64 = 5_000_000_000;
/// Instructions of an installation or an upgrade, all hooks together.
pub(crate) const INSTALL_LIMIT: u64 = 300_000_000_000;
/// Instructions of `canister_inspect_message`.
pub(crate) const INSPECT_LIMIT: u64 = 200_000_000;
/// Charge of a page of stable memory, once per message and written page. Bytes moved cost 1 each besides.
pub(crate) const PER_BYTE: u64 = 1;

/// Fixed charge of a system call, on top of the `call`.
pub(crate) fn system_call(name: &str) -> u64 {
    match name {
        "stable64_read" | "stable64_write" | "stable64_size" | "stable_read" | "stable_write"
        | "stable_size" => 20,
        "stable64_grow" | "stable_grow" | "debug_print" => 100,
        "performance_counter" => 200,
        "is_controller" => 1_000,
        "call_new" => 1_500,
        "call_perform" => 5_000,
        _ => 500,
    }
}

macro_rules! weights {
    ($($weight:literal: $($operator:ident)+;)+) => {
        /// The weight of each operator; those not named weigh 1.
        pub(crate) fn operators() -> OperatorCost {
            let mut costs = OperatorCost::new();
            $($(costs.$operator = $weight;)+)+
            costs
        }
    };
}

weights! {
    0: Block Loop Else End;
    1: Nop Drop Return Unreachable F32Abs F64Abs F32Neg F64Neg RefNull;
    2: GlobalGet GlobalSet If Br BrIf BrTable
       F32Add F32Sub F32Mul F32Ceil F32Floor F32Trunc F32Nearest
       F64Add F64Sub F64Mul F64Ceil F64Floor F64Trunc F64Nearest
       F32Copysign ReturnCall
       I16x8Shl I16x8ShrS I16x8ShrU I32x4Shl I32x4ShrS I32x4ShrU I64x2Shl I64x2ShrU I8x16ShrU
       I8x16LtU I8x16GtU I16x8LtU I16x8GtU I32x4LtU I32x4GtU I32x4Mul
       F32x4Add F32x4Sub F32x4Mul F64x2Add F64x2Sub F64x2Mul;
    3: F32Div F64Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge
       F32ConvertI32S F32ConvertI64S F64ConvertI32S F64ConvertI64S
       I8x16Shuffle I8x16Popcnt I8x16Shl I8x16ShrS I64x2ShrS;
    4: Call I64x2Mul F32x4Min F32x4Max F64x2Min;
    5: F64Div F32Sqrt RefIsNull TableGet TableSet F32x4Sqrt F64x2Max;
    8: F64Sqrt;
    9: CallIndirect;
    10: I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU F32x4Div;
    12: F64x2Div;
    14: F64x2Sqrt;
    16: F32ConvertI32U F32ConvertI64U F64ConvertI32U F64ConvertI64U;
    18: F32Min F32Max F64Min F64Max;
    20: MemorySize I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U
        I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U
        I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
        I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U;
    59: ReturnCallIndirect;
    100: TableSize MemoryFill MemoryCopy MemoryInit TableFill TableCopy TableInit;
    130: RefFunc;
    255: MemoryGrow TableGrow DataDrop ElemDrop;
}
