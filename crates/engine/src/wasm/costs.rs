//! Weights of Wasm operators and system calls, as the Internet Computer counts instructions.
//!
//! wasmtime charges these as fuel while it runs. It adds 1 at every function entry, so calls weigh 1 less
//! here; a system call gives that 1 back, and a message takes 1 off. Weights are bytes, and what changes a
//! table is preceded by a mark: `canister_module` inserts operators that make up the rest of these.

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
    ($($weight:literal: $($operator:ident)+;)+ loads and stores: $($access:ident)+;) => {
        /// The weight of each operator; those not named weigh 1.
        pub(crate) fn operators(memory64: bool) -> OperatorCost {
            let mut costs = OperatorCost::new();
            $($(costs.$operator = $weight;)+)+
            if memory64 {
                $(costs.$access = 2;)+
            }
            // Bytes and elements that bulk operators move weigh 1 each, which is wasmtime's default too; but
            // growing costs the same however much is asked for.
            costs.variable.table_grow_per_element = 0;
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
       F32Copysign ReturnCall TableSet
       I8x16ShrU I16x8Shl I16x8ShrS I16x8ShrU I32x4Shl I32x4ShrS I32x4ShrU I64x2Shl I64x2ShrU
       I8x16LtU I8x16GtU I16x8LtU I16x8GtU I32x4LtU I32x4GtU I32x4Mul
       I16x8ExtAddPairwiseI8x16U I16x8ExtMulHighI8x16S I16x8ExtMulHighI8x16U
       I32x4ExtMulLowI16x8S I32x4ExtMulHighI16x8S I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8U
       F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F32x4Abs F32x4Neg F32x4Add F32x4Sub F32x4Mul
       F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F64x2Abs F64x2Neg F64x2Add F64x2Sub F64x2Mul
       I32x4TruncSatF32x4S I32x4TruncSatF64x2SZero;
    3: F32Div F64Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge
       F32ConvertI32S F32ConvertI64S F64ConvertI32S F64ConvertI64S
       I8x16Shuffle I8x16Popcnt I8x16Shl I8x16ShrS I64x2ShrS
       I32x4ExtAddPairwiseI16x8U I32x4TruncSatF64x2UZero;
    4: Call I64x2Mul F32x4Min F32x4Max F64x2Min I32x4TruncSatF32x4U F32x4ConvertI32x4U;
    5: F64Div F32Sqrt RefIsNull TableGet F32x4Sqrt F64x2Max;
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
    97: TableFill TableCopy TableInit;
    100: TableSize MemoryFill MemoryCopy MemoryInit;
    130: RefFunc;
    255: MemoryGrow TableGrow DataDrop ElemDrop;
    loads and stores:
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
        I64Load8S I64Load8U I64Load16S I64Load16U I64Load32S I64Load32U
        I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32
        V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U V128Load32x2S V128Load32x2U
        V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat V128Load32Zero V128Load64Zero
        V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane
        V128Store V128Store8Lane V128Store16Lane V128Store32Lane V128Store64Lane;
}
