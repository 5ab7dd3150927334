//! How much one message may execute, by the context that it runs in.

use crate::{SubnetConfig, ic0::Context, wasm::costs};

/// Instruction limits of a subnet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// What every limit is multiplied by.
    factor: u64,
}

/// How much more a subnet for benchmarks lets a message execute.
const BENCHMARKING: u64 = 10_000;

impl Limits {
    pub(crate) fn of(config: &SubnetConfig) -> Self {
        let factor = if config.benchmarking { BENCHMARKING } else { 1 };
        Self { factor }
    }

    /// Instructions of a message in this context; installations count all their hooks together.
    pub(crate) fn of_context(self, context: Context) -> u64 {
        let limit = match context {
            Context::Query
            | Context::Transform
            | Context::CompositeQuery
            | Context::ReplicatedQuery => costs::QUERY_LIMIT,
            Context::Inspect => costs::INSPECT_LIMIT,
            Context::Start | Context::Init | Context::PreUpgrade => costs::INSTALL_LIMIT,
            _ => costs::MESSAGE_LIMIT,
        };
        limit.saturating_mul(self.factor)
    }
}
