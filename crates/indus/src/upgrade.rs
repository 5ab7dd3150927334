//! An upgrade of a canister of the suite, exactly as the governors approved it; app_hosting carries it out, of app_hosting the lifeline, and puts
//! the canister back if it does not come up.
//!
//! ```text
//! order (certified) = module, argument = files ─► upload ─► carry_out ─► followed ─► how it ended (certified)
//! ```
//!
//! Invariants
//! - Nothing is uploaded whose hash is not in an executed proposal that the subnet certifies.
//! - What went live goes on with the certified log of what was there before.
//! - It can be asked for again: what runs is followed, what went live is not done twice.

use indus_api::hosting::{CarryOutArgs, Ended, ReleaseOf, ReleaseState};
use indus_api::lifeline::{InterventionState, ModuleOf};
use indus_api::registry::{Action, ProposalState, UpgradeOrder};
use indus_client::{
    AuditedCanister, ClientError, HostingClient, LifelineClient, ModuleHash, RegistryClient,
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::commands::{app, proposal};
use crate::console::Console;

/// What is to be done, with what, and by whom.
pub(crate) struct Upgrade<'a> {
    /// To read the proposal, in the name of a governor who proposed or approved it.
    pub(crate) registry: &'a RegistryClient,
    pub(crate) proposal: u64,
    pub(crate) module: Vec<u8>,
    /// Candid of the new module's argument.
    pub(crate) argument: Vec<u8>,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The new module runs, healthy and confirmed.
    Live,
    /// It does not: the canister is what it was before, unless the reason says otherwise.
    NotLive { reason: String },
}

/// Why nothing was done, or not all of it.
#[derive(Debug, Error)]
pub(crate) enum UpgradeError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("there is no proposal {0}")]
    NoProposal(u64),
    #[error("proposal {0} does not upgrade a canister")]
    NoUpgrade(u64),
    #[error("proposal {id} is not executed: it is {state}")]
    NotExecuted { id: u64, state: String },
    #[error("{what} is {found}, and the governors approved {approved}")]
    Other {
        what: &'static str,
        found: String,
        approved: String,
    },
}

/// Has it carried out; `quiet` says nothing meanwhile.
pub(crate) async fn carry_out(
    upgrade: &Upgrade<'_>,
    quiet: bool,
    console: &mut Console,
) -> Result<Outcome, UpgradeError> {
    let order = approved(upgrade).await?;
    let proposal = upgrade.proposal;
    let connection = upgrade.registry.connection();
    let hosting = HostingClient::new(connection.clone())?;
    let by_lifeline = order.canister == hosting.canister().canister();
    let audited = AuditedCanister::new(connection.clone(), order.canister);
    // What does not answer may be what is to be mended.
    let before = audited.head().await.ok();
    let args = CarryOutArgs {
        proposal,
        argument: ByteBuf::from(upgrade.argument.clone()),
    };
    let mut told = |by: &str, id: u64| {
        if !quiet {
            console.line(format_args!(
                "upgrade:       {} to {}: {by} {id}",
                order.canister, order.version
            ));
        }
    };
    let how = if by_lifeline {
        let lifeline = LifelineClient::new(connection.clone())?;
        let of = ModuleOf::Decision { proposal };
        lifeline.upload(of, &upgrade.module).await?;
        let begun = lifeline.carry_out(&args).await?;
        told("intervention of the lifeline", begun.id);
        match lifeline.followed(begun.id).await?.state {
            InterventionState::Ended { how, .. } => Ok(how),
            other => Err(format!("{other:?}")),
        }
    } else {
        let of = ReleaseOf::Upgrade { proposal };
        hosting.upload(of, &upgrade.module).await?;
        let begun = hosting.carry_out(&args).await?;
        told("release of app_hosting", begun.id);
        match hosting.followed(begun.id).await?.state {
            ReleaseState::Ended { how, .. } => Ok(how),
            other => Err(format!("{other:?}")),
        }
    };
    match how {
        Ok(Ended::Live) => {
            if let Some(before) = before {
                let after = audited.head().await?;
                audited.prove_consistency(&before.head, &after.head).await?;
            }
            Ok(Outcome::Live)
        }
        Ok(how) => Ok(Outcome::NotLive {
            reason: app::ended(how),
        }),
        Err(reason) => Ok(Outcome::NotLive { reason }),
    }
}

/// The order, if it is one, and the files are what it names.
async fn approved(upgrade: &Upgrade<'_>) -> Result<UpgradeOrder, UpgradeError> {
    let id = upgrade.proposal;
    let found = upgrade.registry.proposal(id).await?;
    let found = found.ok_or(UpgradeError::NoProposal(id))?;
    let Action::Upgrade(order) = found.action else {
        return Err(UpgradeError::NoUpgrade(id));
    };
    if !matches!(found.proposal.state, ProposalState::Executed { .. }) {
        let state = proposal::state(&found.proposal.state);
        return Err(UpgradeError::NotExecuted { id, state });
    }
    let module = ModuleHash::of(&upgrade.module).to_string();
    equal("the module", &module, &order.module_hash)?;
    let argument = hex::encode(Sha256::digest(&upgrade.argument));
    equal("the argument", &argument, &order.argument_hash)?;
    Ok(order)
}

fn equal(what: &'static str, found: &str, approved: &[u8]) -> Result<(), UpgradeError> {
    let approved = hex::encode(approved);
    if found == approved {
        return Ok(());
    }
    Err(UpgradeError::Other {
        what,
        found: found.into(),
        approved,
    })
}
