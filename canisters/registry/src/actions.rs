//! Actions: what proposals do. Each comes to a plan, or to the reason why it can't be done.
//!
//! Invariant: a plan is made from the state as it is, and changes nothing; carrying it out can't fail but for a full memory.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{Error, decision::MAX_CONFIGURATION_BYTES, registry::Action};
use indus_kit::{Context, text::invalid};

use crate::{
    governance, inventory, organisations, residency, services,
    state::{Plan, State, unauthorized},
};

/// Whether an action needs the constitutional quorum.
pub(crate) fn is_constitutional(action: &Action) -> bool {
    matches!(
        action,
        Action::SetGovernors { .. } | Action::SetQuorums(_) | Action::SetResidencyPolicy(_)
    )
}

/// Checks that somebody may propose an action.
pub(crate) fn check_proposer<M: Memory>(
    state: &State<M>,
    proposer: Principal,
    action: &Action,
) -> Result<(), Error> {
    if state.governance()?.organisation_of(proposer).is_some() {
        return Ok(());
    }
    let own = match action {
        Action::PublishService(profile) => Some(profile.organisation),
        Action::RetireService { service, .. } | Action::RevokeAccess { service, .. } => {
            services::publisher(state, *service)?
        }
        Action::GrantAccess(request) => services::publisher(state, request.service)?,
        _ => return Err(unauthorized("a governor")),
    };
    let administered = own.is_some_and(|id| {
        state
            .organisation(id)
            .is_ok_and(|one| one.administrators.contains(&proposer))
    });
    if administered {
        return Ok(());
    }
    Err(unauthorized(
        "a governor, or an administrator of the organisation that publishes the service",
    ))
}

/// What an action comes to, if the proposal with this id does it now.
pub(crate) fn plan<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: u64,
    action: Action,
) -> Result<Plan, Error> {
    match action {
        Action::Admit(_) => Err(invalid("action", "must be applied for")),
        Action::ChangeOrganisation {
            organisation,
            change,
        } => organisations::plan_change(state, context, proposal, organisation, change),
        Action::PublishService(profile) => services::plan_publish(state, context, profile),
        Action::RetireService { service, reason } => {
            services::plan_retire(state, context, service, &reason)
        }
        Action::GrantAccess(request) => services::plan_grant(state, context, proposal, request),
        Action::RevokeAccess {
            service,
            organisation,
            reason,
        } => services::plan_revoke(state, service, organisation, &reason),
        Action::RecordCanister(profile) => inventory::plan_record(state, profile),
        Action::RemoveCanister { canister, reason } => {
            inventory::plan_remove(state, canister, &reason)
        }
        Action::RecordSite(site) => residency::plan_site(state, context, site),
        Action::RemoveSite { slug } => residency::plan_remove_site(state, context, &slug),
        Action::RecordNode(node) => residency::plan_node(state, context, node),
        Action::RemoveNode { node } => residency::plan_remove_node(state, context, node),
        Action::SetResidencyPolicy(policy) => residency::plan_policy(state, context, policy),
        Action::Configure {
            canister,
            configuration,
        } => {
            if configuration.len() > MAX_CONFIGURATION_BYTES {
                let reason = format!("must be at most {MAX_CONFIGURATION_BYTES} bytes long");
                return Err(invalid("configuration", reason));
            }
            // The canister pulls it: the proposal itself is what it reads.
            inventory::check_known(state, canister).map(|()| Plan::default())
        }
        Action::Upgrade(order) => inventory::plan_upgrade(state, &order),
        Action::SetGovernors { governors } => governance::plan_governors(state, governors),
        Action::SetQuorums(quorums) => governance::plan_quorums(state, quorums),
    }
}
