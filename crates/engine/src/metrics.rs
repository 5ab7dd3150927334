//! What the messages to each method have cost.

use std::collections::BTreeMap;

use candid::Principal;

use crate::MethodMetrics;

/// Most methods that are counted apart; a caller can invent names.
const MAX_METHODS: usize = 10_000;

/// Counters of a subnet.
#[derive(Default)]
pub(crate) struct Metrics {
    methods: BTreeMap<(Principal, String, &'static str), (u64, u64)>,
    instructions: u64,
}

impl Metrics {
    /// Counts one executed message.
    pub(crate) fn count(
        &mut self,
        canister: Principal,
        method: &str,
        kind: &'static str,
        instructions: u64,
    ) {
        self.instructions += instructions;
        let key = (canister, method.to_owned(), kind);
        if self.methods.len() >= MAX_METHODS && !self.methods.contains_key(&key) {
            return;
        }
        let (messages, total) = self.methods.entry(key).or_default();
        *messages += 1;
        *total += instructions;
    }

    /// What all messages have executed.
    pub(crate) fn instructions(&self) -> u64 {
        self.instructions
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = MethodMetrics> {
        self.methods
            .iter()
            .map(
                |((canister, method, kind), (messages, instructions))| MethodMetrics {
                    canister: *canister,
                    method: method.clone(),
                    kind,
                    messages: *messages,
                    instructions: *instructions,
                },
            )
    }
}
