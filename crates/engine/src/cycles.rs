//! What things cost, in cycles, and where all cycles are.
//!
//! Prices are those of a subnet of 13 nodes (`docs/localnet.md`), or nothing: on system subnets, and where the
//! configuration says so. A canister is *frozen* while its balance is below what it will pay for memory and
//! compute within its freezing threshold; it may not start anything that would take it below.
//!
//! Invariant: minted = balances + in flight + burned ([`Ledger`]). Every change of a balance is one of: minted,
//! burned, or moved to or from something in flight.

use crate::{CostSchedule, SubnetConfig};

/// Nodes of the subnets that are imitated.
pub(crate) const NODES: u32 = 13;

const GIB: u128 = 1 << 30;
const NS: u128 = 1_000_000_000;

/// Longest answer of a call, in bytes: what its caller pays for before.
pub(crate) const MAX_RESPONSE_BYTES: u64 = 2 * 1024 * 1024;
/// How often memory and compute are charged, in nanoseconds.
pub(crate) const CHARGE_NS: u64 = 10 * 1_000_000_000;

/// What a subnet takes for what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prices {
    free: bool,
}

/// What a canister occupies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupied {
    /// Bytes that it uses, or has had reserved for it.
    pub(crate) memory: u64,
    /// Percents of a core that are reserved for it.
    pub(crate) compute: u64,
}

impl Prices {
    pub(crate) fn of(config: &SubnetConfig) -> Self {
        Self {
            free: config.kind.is_system() || config.cost_schedule == CostSchedule::Free,
        }
    }

    pub(crate) fn is_free(self) -> bool {
        self.free
    }

    fn unless_free(self, cycles: u128) -> u128 {
        if self.free { 0 } else { cycles }
    }

    /// A message that executes so many instructions. 64-bit modules pay twice for an instruction.
    pub(crate) fn execution(self, instructions: u64, memory64: bool) -> u128 {
        let weight = if memory64 { 2 } else { 1 };
        self.unless_free(5_000_000 + u128::from(instructions) * weight)
    }

    /// An update call from outside, by the bytes of its method name and argument.
    pub(crate) fn ingress(self, bytes: u64) -> u128 {
        self.unless_free(1_200_000 + 2_000 * u128::from(bytes))
    }

    /// Sending a call to another canister, by the bytes of its method name and argument.
    pub(crate) fn request(self, bytes: u64) -> u128 {
        self.unless_free(260_000 + self.transmission(bytes))
    }

    /// Sending so many bytes between canisters.
    pub(crate) fn transmission(self, bytes: u64) -> u128 {
        self.unless_free(1_000 * u128::from(bytes))
    }

    /// What a caller must have for a call: sending it, its longest answer, and the most expensive callback. What is not
    /// needed of the latter two comes back.
    pub(crate) fn call(self, bytes: u64, callback_limit: u64, memory64: bool) -> u128 {
        self.request(bytes) + self.response_reserve(callback_limit, memory64)
    }

    /// The part of [`Self::call`] that is set aside for the answer.
    pub(crate) fn response_reserve(self, callback_limit: u64, memory64: bool) -> u128 {
        self.transmission(MAX_RESPONSE_BYTES) + self.execution(callback_limit, memory64)
    }

    /// Creating a canister.
    pub(crate) fn creation(self) -> u128 {
        self.unless_free(500_000_000_000)
    }

    /// An HTTPS outcall, by the bytes of its request and of the longest response.
    pub(crate) fn http_request(self, request: u64, response: u64) -> u128 {
        let nodes = u128::from(NODES);
        self.unless_free(
            (3_000_000 + 60_000 * nodes + 400 * u128::from(request) + 800 * u128::from(response))
                * nodes,
        )
    }

    /// What a canister pays for memory and compute over a time.
    pub(crate) fn occupation(self, occupied: Occupied, nanos: u64) -> u128 {
        let memory = u128::from(occupied.memory) * 127_000 * u128::from(nanos) / (GIB * NS);
        let compute = u128::from(occupied.compute) * 10_000_000 * u128::from(nanos) / NS;
        self.unless_free(memory + compute)
    }

    /// The balance below which a canister is frozen.
    pub(crate) fn freezing_reserve(self, occupied: Occupied, threshold_seconds: u64) -> u128 {
        let a_day = self.occupation_per_day(occupied);
        a_day * u128::from(threshold_seconds) / 86_400
    }

    /// What a canister pays for memory and compute in a day.
    pub(crate) fn occupation_per_day(self, occupied: Occupied) -> u128 {
        self.occupation(occupied, 86_400 * 1_000_000_000)
    }
}

/// Cycles that came into being and went out of it, on one subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) minted: u128,
    pub(crate) burned: u128,
}

/// Where all cycles of a network are. Always: minted = balances + in flight + burned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CyclesAudit {
    pub minted: u128,
    /// Of all canisters together.
    pub balances: u128,
    /// With calls and answers that are under way, and set aside for answers.
    pub in_flight: u128,
    pub burned: u128,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubnetKind;

    fn normal() -> Prices {
        Prices::of(&SubnetConfig::of(SubnetKind::Application))
    }

    #[test]
    fn prices_are_those_of_thirteen_nodes() {
        let prices = normal();
        assert_eq!(prices.execution(1_000, false), 5_001_000);
        assert_eq!(prices.execution(1_000, true), 5_002_000);
        assert_eq!(prices.ingress(500), 2_200_000);
        assert_eq!(prices.request(10), 270_000);
        assert_eq!(prices.http_request(0, 0), 49_140_000);
        let gib = Occupied {
            memory: 1 << 30,
            compute: 0,
        };
        assert_eq!(prices.occupation(gib, 1_000_000_000), 127_000);
        assert_eq!(prices.freezing_reserve(gib, 86_400), 127_000 * 86_400);
    }

    #[test]
    fn system_subnets_and_free_ones_take_nothing() {
        let free = SubnetConfig {
            cost_schedule: CostSchedule::Free,
            ..SubnetConfig::of(SubnetKind::Application)
        };
        for config in [free, SubnetConfig::of(SubnetKind::System)] {
            let prices = Prices::of(&config);
            assert_eq!(prices.call(1_000, 40_000_000_000, false), 0);
            assert_eq!(
                prices.creation() + prices.ingress(9) + prices.http_request(1, 1),
                0
            );
        }
    }
}
