//! What the registry's governors decide about the canister itself ([`indus_api::decision`]).
//!
//! Whoever calls `apply_decision` has the canister pull the decision. What every canister makes sure of is here; whether the configuration
//! can be is for the canister to say.
//!
//! Invariant: decisions are applied in the order of their ids, each once.

use candid::{CandidType, Principal};
use indus_api::{
    Error,
    decision::{Decision, MAX_CONFIGURATION_BYTES},
};
use serde::de::DeserializeOwned;

use crate::{
    Context, arguments,
    calls::{Canister, ask},
    refusals::conflict,
    text::invalid,
};

/// Whether decision `proposal` is the `last` one that was applied, so that there is nothing to pull. For who may have one applied.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::Conflict`] for a decision before the last one.
pub fn is_applied(context: &Context, last: Option<u64>, proposal: u64) -> Result<bool, Error> {
    context.authenticated()?;
    match last {
        Some(last) if last > proposal => Err(conflict(format!("decision {last} was applied"))),
        last => Ok(last == Some(proposal)),
    }
}

/// Asks the registry for a decision.
///
/// # Errors
/// [`Error::Unavailable`], which names the registry; what the registry refuses with.
pub async fn pull<C: Canister>(registry: Principal, proposal: u64) -> Result<Decision, Error> {
    ask::<C, Result<Decision, Error>>(registry, "get_decision", &proposal)
        .await
        .map_err(|failed| failed.of("registry"))?
}

/// The configuration that a decision gives the canister `own`.
///
/// # Errors
/// [`Error::Invalid`] for another decision than `proposal`, or another canister's, or bytes that are no configuration.
pub fn configuration<T: CandidType + DeserializeOwned + 'static>(
    own: Principal,
    proposal: u64,
    decision: &Decision,
) -> Result<T, Error> {
    if decision.proposal != proposal || decision.canister != own {
        let reason = "must be a decision about this canister";
        return Err(invalid("proposal", reason));
    }
    Some(&decision.configuration)
        .filter(|bytes| bytes.len() <= MAX_CONFIGURATION_BYTES)
        .and_then(|bytes| arguments::decode(bytes).ok())
        .ok_or_else(|| invalid("configuration", "must be one of this canister, in Candid"))
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;

    const OWN: Principal = Principal::from_slice(&[7]);

    fn by(caller: Principal) -> Context {
        Context { caller, time_ns: 1 }
    }

    fn decision(configuration: &impl CandidType) -> Decision {
        Decision {
            proposal: 5,
            canister: OWN,
            configuration: ByteBuf::from(candid::encode_one(configuration).unwrap()),
            executed_at_ns: 1,
        }
    }

    fn field<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
        match refused {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decisions_are_applied_in_their_order_each_once() {
        let somebody = by(OWN);
        assert_eq!(is_applied(&somebody, None, 5), Ok(false));
        assert_eq!(is_applied(&somebody, Some(4), 5), Ok(false));
        assert_eq!(is_applied(&somebody, Some(5), 5), Ok(true));
        let earlier = is_applied(&somebody, Some(6), 5);
        assert!(matches!(earlier, Err(Error::Conflict { .. })));
        let nobody = is_applied(&by(Principal::anonymous()), Some(5), 5);
        assert!(matches!(nobody, Err(Error::Unauthorized { .. })));
    }

    #[test]
    fn a_decision_is_for_whom_it_is_about() {
        let seven = decision(&7_u64);
        assert_eq!(configuration::<u64>(OWN, 5, &seven), Ok(7));
        let other = Principal::from_slice(&[8]);
        assert_eq!(field(configuration::<u64>(other, 5, &seven)), "proposal");
        assert_eq!(field(configuration::<u64>(OWN, 6, &seven)), "proposal");
    }

    #[test]
    fn bytes_that_are_no_configuration_are_refused() {
        let text = decision(&"seven");
        assert_eq!(field(configuration::<u64>(OWN, 5, &text)), "configuration");
        let long = decision(&"a".repeat(MAX_CONFIGURATION_BYTES));
        let refused = configuration::<String>(OWN, 5, &long);
        assert_eq!(field(refused), "configuration");
    }
}
