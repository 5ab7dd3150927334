//! Canisters of the network that icp-cli asks before it creates one of its own.
//!
//! | id | on the Internet Computer | answered here |
//! | --- | --- | --- |
//! | `rkp4c-7iaaa-aaaaa-aaaca-cai` | cycles minting canister | `get_default_subnets` |
//! | `um5iw-rqaaa-aaaaq-qaaba-cai` | cycles ledger | `create_canister` ([`ledger`]) |
//! | `q6cfj-fyaaa-aaaar-qb77q-cai` | registry of cloud engines | `getEngineOperatorBySubnet`, `setEngineOperator` ([`engines`]) |
//!
//! Only their modules' publishers could give these canisters out, so this program answers in their place: with certificates
//! and signatures of the subnets whose ids these are, to users alone. Any other method is refused as one that they don't
//! have, a canister that calls them is told that they don't exist, and whoever creates a canister at such an id is asked
//! instead.

mod engines;
mod ledger;

use std::sync::Arc;

use candid::{CandidType, Principal, encode_one};
use engine::{ErrorCode, Ingress, Reject, SubnetKind};
use serde::Deserialize;

use self::{engines::Engines, ledger::Ledger};
use crate::{effective::decode, executor::Executor};

const MINTING: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 4, 1, 1]);
const LEDGER: Principal = Principal::from_slice(&[0, 0, 0, 0, 2, 0x10, 0, 2, 1, 1]);
const ENGINES: Principal = Principal::from_slice(&[0, 0, 0, 0, 2, 0x30, 0x0f, 0xff, 1, 1]);

/// All of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct NetworkCanisters {
    executor: Executor,
    engines: Arc<Engines>,
    ledger: Arc<Ledger>,
}

/// One of them, to be called.
pub(crate) struct NetworkCanister {
    id: Principal,
    network: NetworkCanisters,
}

impl NetworkCanisters {
    pub(crate) fn new(executor: Executor) -> Self {
        Self {
            engines: Arc::new(Engines::default()),
            ledger: Arc::new(Ledger::new(executor.clone())),
            executor,
        }
    }

    /// The one of this id, unless somebody has created a canister there.
    pub(crate) fn at(&self, id: &Principal) -> Option<NetworkCanister> {
        let is_ours = [MINTING, LEDGER, ENGINES].contains(id);
        let is_free = || self.executor.reader().subnet_of(id).is_none();
        (is_ours && is_free()).then(|| NetworkCanister {
            id: *id,
            network: self.clone(),
        })
    }

    /// Where users may create canisters.
    fn subnets(&self) -> Vec<Principal> {
        let topology = self.executor.reader().topology();
        let of_users = topology.into_iter().filter(|subnet| {
            let kind = subnet.config.kind;
            matches!(kind, SubnetKind::Application | SubnetKind::CloudEngine)
        });
        of_users.map(|subnet| subnet.id).collect()
    }
}

impl NetworkCanister {
    /// Answers a query.
    ///
    /// # Errors
    /// [`ErrorCode::MethodNotFound`]; [`ErrorCode::CalledTrap`] for an argument that can't be decoded.
    pub(crate) fn query(&self, method: &str, arg: &[u8]) -> Result<Vec<u8>, Reject> {
        self.read(method, arg).unwrap_or_else(|| {
            let message = format!("Canister has no query method '{}'", quoted(method));
            Err(Reject::of(self.id, ErrorCode::MethodNotFound, &message))
        })
    }

    /// Answers an update call; a query method too, as canisters do.
    ///
    /// # Errors
    /// As [`NetworkCanister::query`], and what the creation of a canister may fail with.
    pub(crate) fn update(
        &self,
        call: &Ingress,
    ) -> impl Future<Output = Result<Vec<u8>, Reject>> + Send + 'static {
        let Self { id, network } = self;
        let (id, network, call) = (*id, network.clone(), call.clone());
        async move {
            match (id, call.method.as_str()) {
                (LEDGER, "create_canister") => {
                    let args = argument(id, &call.arg)?;
                    let subnets = network.subnets();
                    encoded(id, &network.ledger.create(&call, args, &subnets).await?)
                }
                (ENGINES, "setEngineOperator") => {
                    let args = argument(id, &call.arg)?;
                    let subnets = network.subnets();
                    encoded(id, &network.engines.set(call.sender, args, &subnets))
                }
                (_, method) => Self { id, network }
                    .read(method, &call.arg)
                    .unwrap_or_else(|| {
                        let message = format!("Canister has no update method '{}'", quoted(method));
                        Err(Reject::of(id, ErrorCode::MethodNotFound, &message))
                    }),
            }
        }
    }

    /// Answers a method that changes nothing; None where there is none of this name.
    fn read(&self, method: &str, arg: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
        let Self { id, network } = self;
        match (*id, method) {
            (MINTING, "get_default_subnets") => Some(encoded(*id, &network.subnets())),
            (ENGINES, "getEngineOperatorBySubnet") => {
                let args = argument(*id, arg);
                Some(args.and_then(|args| encoded(*id, &network.engines.of(&args))))
            }
            _ => None,
        }
    }
}

/// Decodes an argument from anybody with bounded work.
fn argument<T: CandidType + for<'a> Deserialize<'a>>(
    id: Principal,
    arg: &[u8],
) -> Result<T, Reject> {
    decode(arg).ok_or_else(|| {
        let message = "Canister called `ic0.trap` with message: the argument can't be decoded";
        Reject::of(id, ErrorCode::CalledTrap, message)
    })
}

fn encoded<T: CandidType>(id: Principal, value: &T) -> Result<Vec<u8>, Reject> {
    encode_one(value).map_err(|error| Reject::of(id, ErrorCode::CalledTrap, &error.to_string()))
}

/// As much of a name as a refusal repeats.
fn quoted(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_those_of_the_internet_computer() {
        for (id, text) in [
            (MINTING, "rkp4c-7iaaa-aaaaa-aaaca-cai"),
            (LEDGER, "um5iw-rqaaa-aaaaq-qaaba-cai"),
            (ENGINES, "q6cfj-fyaaa-aaaar-qb77q-cai"),
        ] {
            assert_eq!(id.to_text(), text);
        }
    }
}
