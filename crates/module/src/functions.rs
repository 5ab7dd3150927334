//! The functions of a module, one by one: valid WebAssembly, not too long, not too complex.
//!
//! Complexity estimates what a function costs the compiler: each operator has a weight, and branches and
//! calls weigh by far the most, as on the Internet Computer. It knows nothing of what takes this compiler more
//! than its share of time: loops deep in loops, tables of branches, and many locals that live across many
//! branches. These are held to a limit of their own ([`Shape`]), which no compiler's output comes near. All
//! limits hold before anything is compiled, so that a hostile module can't hold up a subnet.
//!
//! Functions don't depend on each other, so the code of a large module is checked on several threads; the
//! error is always that of the first bad function.

use std::{num::NonZero, thread};

use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, OperatorsReader,
    ValidatorResources,
};

use crate::{ModuleError, code, limits};

/// Code below this size is not worth a thread, in bytes.
const BYTES_PER_THREAD: usize = 128 * 1024;
/// Most threads.
const THREADS: usize = 8;

/// A function that is not checked yet.
pub(crate) type Unchecked<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Checks all functions of a module, in the order of the code section. Returns those that
/// [`crate::code`] inserts something into, by their place there.
pub(crate) fn check(functions: Vec<Unchecked<'_>>) -> Result<Vec<usize>, ModuleError> {
    let bytes: usize = functions.iter().map(|(_, body)| body.range().len()).sum();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (bytes / BYTES_PER_THREAD).clamp(1, cores.min(THREADS));
    let mut parts: Vec<Vec<Unchecked<'_>>> = Vec::new();
    let mut filled = usize::MAX;
    for function in functions {
        let size = function.1.range().len();
        if filled >= bytes.div_ceil(threads) {
            parts.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(part) = parts.last_mut() {
            part.push(function);
        }
    }
    let mut starts = Vec::new();
    let mut start = 0;
    for part in &parts {
        starts.push(start);
        start += part.len();
    }
    let mut parts = parts.into_iter().zip(starts);
    let Some((first, _)) = parts.next() else {
        return Ok(Vec::new());
    };
    thread::scope(|scope| {
        let others: Vec<_> = parts
            .map(|(part, start)| scope.spawn(move || check_part(part, start)))
            .collect();
        let mut result = check_part(first, 0);
        for other in others {
            let checked = other
                .join()
                .unwrap_or_else(|_| Err(ModuleError::Invalid("the check failed".to_owned())));
            result = result.and_then(|mut before| {
                before.extend(checked?);
                Ok(before)
            });
        }
        result
    })
}

fn check_part(functions: Vec<Unchecked<'_>>, start: usize) -> Result<Vec<usize>, ModuleError> {
    let mut rewritten = Vec::new();
    let mut allocations = FuncValidatorAllocations::default();
    for (index, (function, body)) in (start..).zip(functions) {
        let mut validator = function.into_validator(allocations);
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        let mut operators = OperatorsReader::new(reader);
        let (mut size, mut complexity) = (0, 0);
        let mut shape = Shape::new(u64::from(validator.len_locals()));
        let mut is_rewritten = false;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            validator.op(at, &operator)?;
            size += 1;
            complexity += weight(&operator);
            shape.add(&operator);
            is_rewritten |= code::is_site(&operator);
        }
        if is_rewritten {
            rewritten.push(index);
        }
        let complexity = match shape.cost() {
            cost if cost > limits::FUNCTION_COMPLEXITY => complexity.max(cost),
            _ => complexity,
        };
        operators.finish()?;
        if complexity > limits::FUNCTION_COMPLEXITY {
            return Err(ModuleError::FunctionTooComplex {
                index,
                is: complexity,
                limit: limits::FUNCTION_COMPLEXITY,
            });
        }
        if size > limits::FUNCTION_OPERATORS {
            return Err(ModuleError::FunctionTooLarge {
                index,
                is: size,
                limit: limits::FUNCTION_OPERATORS,
            });
        }
        allocations = validator.into_allocations();
    }
    Ok(rewritten)
}

/// What in the shape of a function makes compilation slow. The divisors are such that a function at the limit
/// takes about a second.
struct Shape {
    locals: u64,
    /// For each open block, whether it is a loop.
    blocks: Vec<bool>,
    depth: u64,
    branches: u64,
    loops: u64,
    tables: u64,
}

impl Shape {
    fn new(locals: u64) -> Self {
        Self {
            locals,
            blocks: Vec::new(),
            depth: 0,
            branches: 0,
            loops: 0,
            tables: 0,
        }
    }

    fn add(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Loop { .. } => {
                self.blocks.push(true);
                self.branches += 1;
                self.depth += 1;
                self.loops += 50 * self.depth;
            }
            Operator::Block { .. } | Operator::If { .. } => {
                self.blocks.push(false);
                self.branches += 1;
            }
            Operator::End => self.depth -= u64::from(self.blocks.pop() == Some(true)),
            Operator::Br { .. } | Operator::BrIf { .. } => self.branches += 1,
            Operator::BrTable { targets } => {
                let targets = u64::from(targets.len());
                self.branches += 1 + targets;
                self.tables += targets * targets / 400;
            }
            _ => {}
        }
    }

    fn cost(&self) -> u64 {
        self.loops + self.tables + self.locals * self.branches / 40
    }
}

macro_rules! weights {
    ($($weight:literal: $($operator:ident)+;)+) => {
        /// What an operator adds to the complexity of its function.
        fn weight(operator: &Operator<'_>) -> u64 {
            match operator {
                $($(Operator::$operator { .. })|+ => $weight,)+
                _ => 1,
            }
        }
    };
}

weights! {
    50: Block Loop If Br BrIf BrTable Call CallIndirect MemoryGrow TableGrow;
    14: TableGet;
    8: RefFunc;
    7: TableSet;
    6: RefIsNull;
    5: TableFill I64ExtendI32S I64ExtendI32U F32DemoteF64
       I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U
       I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U
       F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U
       F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U;
    4: F32Neg F32Abs F64Neg F64Abs MemoryCopy TableCopy TableInit;
    3: F32Copysign F64Copysign F64Eq MemoryFill
       I32RemU I32RemS I64RemU I64RemS I32DivU I32DivS I64DivU I64DivS
       I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
       I64Load8S I64Load8U I64Load16S I64Load16U I64Load32S I64Load32U
       I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
       I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U;
    2: GlobalGet Select MemorySize I32Popcnt I64Popcnt
       I32Store I32Store16 I32Store8 I64Store I64Store32 I64Store16 I64Store8 F64Store F32Store
       I32Eqz I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU
       I64Eqz I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU
       F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Ne F64Lt F64Gt F64Le F64Ge
       F32Ceil F64Ceil F32Floor F64Floor F32Sqrt F64Sqrt F32Trunc F64Trunc
       I32ReinterpretF32 I64ReinterpretF64 F32ReinterpretI32 F64ReinterpretI64
       I32WrapI64 I32Extend8S I32Extend16S I64Extend8S I64Extend16S I64Extend32S F64PromoteF32;
}
