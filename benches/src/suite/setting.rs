//! The canisters on a subnet, and calls of people who are told apart.

use std::fmt::Debug;

use anyhow::{Context as _, anyhow};
use candid::{CandidType, Decode, Principal};
use ic_stable_structures::VectorMemory;
use indus_api::{Error, licences};
use serde::de::DeserializeOwned;

use super::{identity, licences as seats, registry};
use crate::net::Net;
pub(super) use crate::net::key;

/// Longer than the interval of the job that prepares what queries need: a minute.
pub(super) const WARM_UP_NS: u64 = 61_000_000_000;

/// See the [module](self).
pub(super) struct Suite {
    pub(super) net: Net,
    pub(super) registry: Principal,
    pub(super) identity: Principal,
    pub(super) license_manager: Principal,
    /// Without a module, but where that is measured.
    pub(super) hosting: Principal,
}

impl Suite {
    /// With so many organisations and persons, and applications in their order, which is returned.
    pub(super) fn new(records: u64) -> anyhow::Result<(Self, Vec<u64>)> {
        let mut net = Net::new()?;
        let mut suite = Self {
            registry: net.create()?,
            identity: net.create()?,
            license_manager: net.create()?,
            hosting: net.create()?,
            net,
        };
        let memory = VectorMemory::default();
        registry::fill(memory.clone(), records)?;
        suite
            .net
            .begin(suite.registry, "registry", &registry::init(), &memory)?;

        let init = indus_api::identity::InitArgs {
            registry: suite.registry,
            configuration: indus_api::identity::Configuration {
                suite_canisters: vec![suite.license_manager, suite.hosting],
                recovery_delay_ns: None,
            },
        };
        let memory = VectorMemory::default();
        let persons = identity::fill(memory.clone(), suite.identity, init.clone(), records)?;
        suite
            .net
            .begin(suite.identity, "identity", &init, &memory)?;

        let init = licences::InitArgs {
            identity: suite.identity,
            registry: suite.registry,
            configuration: Some(seats::configuration()),
        };
        let memory = VectorMemory::default();
        let order = seats::fill(memory.clone(), init.clone(), &persons)?;
        suite
            .net
            .begin(suite.license_manager, "license_manager", &init, &memory)?;
        suite.net.pass(WARM_UP_NS);
        Ok((suite, order))
    }

    /// An update that has to succeed.
    pub(super) fn update<R: CandidType + DeserializeOwned>(
        &mut self,
        caller: Principal,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> anyhow::Result<R> {
        let reply = self.net.reply_to(caller, canister, method, argument)?;
        let reply = Decode!(&reply, Result<R, Error>)?;
        reply.with_context(|| method.to_owned())
    }

    /// What a query answers.
    pub(super) fn query<R: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> anyhow::Result<Result<R, Error>> {
        let reply = self.net.answer_to(caller, canister, method, argument)?;
        Ok(Decode!(&reply, Result<R, Error>)?)
    }

    /// What the three have executed, timers left out.
    pub(super) fn spent(&self) -> Spent {
        Spent {
            registry: self.net.instructions(self.registry),
            identity: self.net.instructions(self.identity),
            license_manager: self.net.instructions(self.license_manager),
        }
    }
}

/// Instructions of each canister.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    pub(super) registry: u64,
    pub(super) identity: u64,
    pub(super) license_manager: u64,
}

impl Spent {
    pub(super) fn total(self) -> u64 {
        self.registry + self.identity + self.license_manager
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            registry: self.registry - before.registry,
            identity: self.identity - before.identity,
            license_manager: self.license_manager - before.license_manager,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            registry: self.registry + other.registry,
            identity: self.identity + other.identity,
            license_manager: self.license_manager + other.license_manager,
        }
    }
}

/// The mean of some calls.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn mean(sum: u64, calls: u32) -> f64 {
    sum as f64 / f64::from(calls)
}

/// Says that an answer is another one than the measured work gives.
pub(super) fn unexpected(what: &str, answer: &impl Debug) -> anyhow::Error {
    anyhow!("{what}: {answer:?}")
}
