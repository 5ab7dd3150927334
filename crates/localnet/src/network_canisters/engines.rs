//! The registry of cloud engines: which canister is asked to create others on which engine.
//!
//! On the Internet Computer the operators of the network write it. Here whoever comes first registers an engine's operator,
//! and may change it; everybody may on a network that mints cycles for everybody.

use std::collections::BTreeMap;

use candid::{CandidType, Principal};
use parking_lot::Mutex;
use serde::Deserialize;

#[derive(CandidType, Deserialize)]
pub(super) struct OperatorArgs {
    subnet_id: Option<Principal>,
}

#[derive(CandidType, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    engine_operator_id: Option<Principal>,
}

#[derive(CandidType, Deserialize)]
pub(super) struct SetOperatorArgs {
    subnet_id: Principal,
    engine_operator_id: Principal,
}

#[derive(CandidType, Debug, PartialEq, Eq)]
pub(super) enum SetOperatorResult {
    Ok,
    Err(String),
}

/// An engine's operator, and who registered it.
struct Registered {
    operator: Principal,
    by: Principal,
}

/// At most one entry for each subnet.
#[derive(Default)]
pub(super) struct Engines(Mutex<BTreeMap<Principal, Registered>>);

impl Engines {
    pub(super) fn of(&self, args: &OperatorArgs) -> Operator {
        let engines = self.0.lock();
        let registered = args.subnet_id.and_then(|subnet| engines.get(&subnet));
        Operator {
            engine_operator_id: registered.map(|registered| registered.operator),
        }
    }

    pub(super) fn set(
        &self,
        caller: Principal,
        args: SetOperatorArgs,
        subnets: &[Principal],
    ) -> SetOperatorResult {
        let subnet = args.subnet_id;
        if !subnets.contains(&subnet) {
            return SetOperatorResult::Err(format!(
                "subnet_id: users have no subnet {subnet} here"
            ));
        }
        let mut engines = self.0.lock();
        if let Some(registered) = engines.get(&subnet)
            && registered.by != caller
        {
            let by = registered.by;
            return SetOperatorResult::Err(format!("only {by}, who registered it, may change it"));
        }
        let registered = Registered {
            operator: args.engine_operator_id,
            by: caller,
        };
        engines.insert(subnet, registered);
        SetOperatorResult::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(n: u8) -> Principal {
        Principal::self_authenticating([n])
    }

    #[test]
    fn who_registered_an_operator_may_change_it_and_nobody_else() {
        let engines = Engines::default();
        let (engine, other) = (principal(1), principal(2));
        let (first, second) = (principal(3), principal(4));
        let set = |caller, subnet_id, engine_operator_id| {
            let args = SetOperatorArgs {
                subnet_id,
                engine_operator_id,
            };
            engines.set(caller, args, &[engine])
        };
        let operator = |subnet_id| engines.of(&OperatorArgs { subnet_id }).engine_operator_id;

        assert_eq!(operator(Some(engine)), None);
        assert_eq!(set(first, engine, principal(5)), SetOperatorResult::Ok);
        assert!(matches!(
            set(second, engine, principal(6)),
            SetOperatorResult::Err(_)
        ));
        assert_eq!(operator(Some(engine)), Some(principal(5)));
        assert_eq!(set(first, engine, principal(7)), SetOperatorResult::Ok);
        assert_eq!(operator(Some(engine)), Some(principal(7)));

        assert!(matches!(
            set(first, other, principal(5)),
            SetOperatorResult::Err(_)
        ));
        assert_eq!(operator(Some(other)), None);
        assert_eq!(operator(None), None);
    }
}
