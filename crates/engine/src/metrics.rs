//! What the messages to each method have cost, and what a subnet certifies of its load.

use std::collections::BTreeMap;

use candid::Principal;
use serde::Serialize;

use crate::{MethodMetrics, certification::cbor};

/// Most methods that are counted apart; a caller can invent names.
const MAX_METHODS: usize = 10_000;

/// What runs before a message is taken, and leaves nothing.
pub(crate) const INSPECT: &str = "canister_inspect_message";

/// Counters of a subnet.
#[derive(Default)]
pub(crate) struct Metrics {
    methods: BTreeMap<(Principal, String, &'static str), (u64, u64)>,
    instructions: u64,
    /// Messages, but for queries and inspections.
    messages: u64,
}

/// Load of a subnet, as it is certified under `/subnet/<id>/metrics` (IC interface specification, "Subnet information").
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Load {
    pub(crate) num_canisters: u64,
    pub(crate) canister_state_bytes: u64,
    /// Low and high half.
    consumed_cycles_total: BTreeMap<u8, u64>,
    pub(crate) update_transactions_total: u64,
}

impl Load {
    pub(crate) fn new(canisters: usize, state_bytes: u64, consumed: u128, messages: u64) -> Self {
        let half = |shift: u32| u64::try_from(consumed >> shift & u128::from(u64::MAX));
        let (low, high) = (half(0).unwrap_or(u64::MAX), half(64).unwrap_or(u64::MAX));
        let mut consumed_cycles_total = BTreeMap::from([(0, low)]);
        if high > 0 {
            consumed_cycles_total.insert(1, high);
        }
        Self {
            num_canisters: canisters as u64,
            canister_state_bytes: state_bytes,
            consumed_cycles_total,
            update_transactions_total: messages,
        }
    }

    pub(crate) fn cbor(&self) -> Vec<u8> {
        cbor(self)
    }
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
        if kind != "query" && method != INSPECT {
            self.messages += 1;
        }
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

    /// How many messages were executed, queries and inspections left out.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
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
