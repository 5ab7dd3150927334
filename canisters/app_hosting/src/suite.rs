//! What is asked of others: identity says who callers are, the license manager who holds a licence, the registry what was decided, the
//! subnet creates canisters.

use candid::{CandidType, Principal};
use indus_api::{
    Error, Subject,
    decision::Decision,
    hosting::{AppOwner, engine::Settings},
    licences::{Entitlement, EntitlementArgs, PRODUCT},
};
use indus_kit::{
    calls::{Call, CallError, Canister as _, ask},
    guard::{Guard, Guards},
    shell,
    subjects::cache,
};
use serde::Deserialize;

use crate::{Hosting, SUBJECTS, configuration, creations::Creation};

/// How identity is called in errors.
pub(crate) const IDENTITY: &str = "identity";
const LICENSE_MANAGER: &str = "license_manager";
const REGISTRY: &str = "registry";
const SUBNET: &str = "the subnet";

/// Calls of people that wait for an answer of others: half of what the system's queue between two canisters holds.
const MAX_UNDER_WAY: usize = 250;

/// And of one caller, whose tools create several canisters at once.
const MAX_OF_CALLER: u8 = 16;

thread_local! {
    static UNDER_WAY: Guards<(Principal, u8)> = Guards::new("calls under way", MAX_UNDER_WAY);
}

#[derive(CandidType)]
struct CreateArgs<'a> {
    settings: Option<&'a Settings>,
}

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

/// So many calls of each caller at a time, and so many in all.
pub(crate) fn enter() -> Result<Guard<(Principal, u8)>, Error> {
    let caller = shell::context().authenticated()?;
    UNDER_WAY.with(|calls| calls.enter_one_of(&caller, MAX_OF_CALLER))
}

/// Asks identity who the caller is: a revocation holds at once.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let identity = shell::query(|state: &Hosting, _| Ok(state.in_force()?.identity))?;
    cache::pull(
        &SUBJECTS,
        shell::context(),
        Hosting::time_ns,
        async |caller| {
            ask::<Hosting, _>(identity, "subject_of", &caller)
                .await
                .map_err(|failed| failed.of(IDENTITY))
        },
    )
    .await
}

/// Whether who acts for this owner holds a valid licence now. Nobody is asked where none is needed.
pub(crate) async fn entitled(owner: AppOwner) -> Result<bool, Error> {
    let AppOwner::Person(person) = owner else {
        return Ok(false);
    };
    let manager = shell::query(|state: &Hosting, _| Ok(state.in_force()?.license_manager))?;
    let args = EntitlementArgs {
        person,
        product: PRODUCT.into(),
    };
    let entitlement: Result<Option<Entitlement>, Error> =
        ask::<Hosting, _>(manager, "check_entitlement", &args)
            .await
            .map_err(|failed| failed.of(LICENSE_MANAGER))?;
    Ok(entitlement?.is_some_and(|entitlement| entitlement.valid))
}

/// How a creation ended.
pub(crate) enum Outcome {
    Created(Principal),
    /// The subnet surely created none.
    Refused(Error),
    /// It may have; its answer can't be read.
    Lost(Error),
}

/// Has the subnet create a canister.
pub(crate) async fn create(creation: &Creation, settings: &Settings) -> Outcome {
    let args = CreateArgs {
        settings: Some(settings),
    };
    let management = Principal::management_canister();
    let call = match Call::new(management, "create_canister", &args) {
        Ok(call) => call.with_cycles(creation.cycles.into()),
        Err(failed) => return Outcome::Refused(failed.of(SUBNET)),
    };
    let reply = match call.suite::<Hosting>().await {
        Ok(reply) => reply,
        Err(failed @ (CallError::Malformed | CallError::Unknown)) => {
            return Outcome::Lost(failed.of(SUBNET));
        }
        Err(failed) => return Outcome::Refused(failed.of(SUBNET)),
    };
    match reply.candid::<Created>() {
        Ok(created) => Outcome::Created(created.canister_id),
        Err(failed) => Outcome::Lost(failed.of(SUBNET)),
    }
}

/// Asks the registry for a decision, and applies it.
pub(crate) async fn apply_decision(proposal: u64) -> Result<(), Error> {
    let registry = shell::query(|state: &Hosting, context| {
        let applied = configuration::is_applied(state, context, proposal)?;
        Ok((!applied).then_some(state.in_force()?.registry))
    })?;
    let Some(registry) = registry else {
        return Ok(());
    };
    let _under_way = enter()?;
    let decision: Result<Decision, Error> = ask::<Hosting, _>(registry, "get_decision", &proposal)
        .await
        .map_err(|failed| failed.of(REGISTRY))?;
    let decision = decision?;
    shell::update(|state: &mut Hosting, context| {
        configuration::apply(state, context, proposal, &decision)
    })
}
