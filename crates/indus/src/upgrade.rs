//! An upgrade of a canister, exactly as the governors approved it; if it does not come up, the canister is what it was.
//!
//! ```text
//! order (certified) = module, argument = files ── previous module = what the subnet certifies
//!   └─► stop ─► snapshot ─► install ─► start ─► health check, in maintenance ─► confirm
//!                  │           └───── fails ───────┴─► stop ─► restore ─► start ─► wake
//!                  └◄────────────────────────────────────────────┘
//! ```
//!
//! Invariants
//! - Nothing is installed whose hash is not in an executed proposal that the subnet certifies.
//! - From the snapshot to the confirmation only the controller is answered, so that nothing that somebody was told is lost
//!   when the snapshot comes back.
//! - However it ends, but for the network's failure, the canister runs. After such a failure it can be carried out again: it goes on
//!   where the canister is. Only a snapshot that it took itself, and that is named then, is ever put back.
//!
//! Cost: about ten calls; the subnet keeps a copy of the canister meanwhile.

use candid::Principal;
use indus_api::registry::{Action, ProposalState, UpgradeOrder};
use indus_api::service::ServiceInfo;
use indus_client::{
    AuditedCanister, CertifiedHead, ClientError, Deployment, ModuleHash, RegistryClient,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::commands::proposal;
use crate::console::Console;

/// What is to be done, with what, and by whom.
pub(crate) struct Upgrade<'a> {
    /// To read the proposal.
    pub(crate) registry: &'a RegistryClient,
    /// A controller of the canister.
    pub(crate) controller: &'a Deployment,
    pub(crate) proposal: u64,
    pub(crate) module: Vec<u8>,
    /// Candid of the new module's argument.
    pub(crate) argument: Vec<u8>,
    /// The snapshot that an earlier attempt took, after which the network failed.
    pub(crate) snapshot: Option<Vec<u8>>,
}

/// How it ended, if it ended well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The new module runs.
    Confirmed,
    /// The new module did not come up: the canister is what it was before.
    Restored { reason: String },
    /// The new module runs already, and was confirmed.
    Done,
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
    #[error(
        "the new module does not come up ({0}); name the snapshot to go back to, which the attempt that installed it said"
    )]
    NoSnapshot(String),
    #[error(
        "the new module does not come up ({reason}), and {canister} is not back yet: {error}; try again, with snapshot {snapshot}"
    )]
    NotRestored {
        canister: Principal,
        snapshot: String,
        reason: String,
        error: Box<Self>,
    },
    #[error("what was restored is not what was kept: {0}")]
    NotTheSame(String),
}

/// What a canister said before.
struct Before {
    info: ServiceInfo,
    head: CertifiedHead,
}

/// Carries it out; `quiet` says nothing meanwhile.
pub(crate) async fn carry_out(
    upgrade: &Upgrade<'_>,
    quiet: bool,
    console: &mut Console,
) -> Result<Outcome, UpgradeError> {
    let order = approved(upgrade).await?;
    let (controller, canister) = (upgrade.controller, order.canister);
    let audited = AuditedCanister::new(controller.connection().clone(), canister);
    let running = running(controller, canister).await?;
    if running == hex::encode(&order.module_hash) {
        return resumed(upgrade, &audited, &order).await;
    }
    equal("the running module", &running, &order.previous_hash)?;
    // One that was interrupted may have left it stopped.
    controller.start(canister).await?;
    let before = Before {
        info: audited.service_info_unverified().await?,
        head: audited.head().await?,
    };
    controller.stop(canister).await?;
    let snapshot = match controller.take_snapshot(canister).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            controller.start(canister).await?;
            return Err(error.into());
        }
    };
    if !quiet {
        console.line(format_args!(
            "upgrade:       {canister} to {}: stopped, its {} blocks and {} bytes kept as snapshot {}",
            order.version,
            before.info.blocks,
            before.info.stable_bytes,
            hex::encode(&snapshot)
        ));
    }
    match installed(upgrade, &audited, &before).await {
        Ok(()) => {
            audited.confirm_upgrade().await?;
            controller.delete_snapshot(canister, &snapshot).await?;
            Ok(Outcome::Confirmed)
        }
        Err(reason) => {
            restored(
                controller,
                &audited,
                &order,
                &snapshot,
                Some(&before),
                reason,
            )
            .await
        }
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

/// Hash of the module that a canister runs, in hexadecimal.
async fn running(controller: &Deployment, canister: Principal) -> Result<String, UpgradeError> {
    let hash = controller.module_hash(canister).await?;
    Ok(hash.map_or_else(|| String::from("none"), |hash| hash.to_string()))
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

/// Installs the new module on the stopped canister, and looks whether it comes up; else says why not.
async fn installed(
    upgrade: &Upgrade<'_>,
    audited: &AuditedCanister,
    before: &Before,
) -> Result<(), String> {
    let (module, argument) = (upgrade.module.clone(), upgrade.argument.clone());
    let canister = audited.canister();
    let installed = upgrade.controller.upgrade(canister, module, argument).await;
    installed.map_err(|error| error.to_string())?;
    let started = upgrade.controller.start(canister).await;
    started.map_err(|error| error.to_string())?;
    healthy(audited, Some(before)).await
}

/// Looks whether the new module has taken all over: its certified log goes on from the one before, and each collection can
/// be read as it is certified.
async fn healthy(audited: &AuditedCanister, before: Option<&Before>) -> Result<(), String> {
    let info = audited.service_info_unverified().await;
    let info = info.map_err(|error| error.to_string())?;
    if !info.maintenance {
        return Err("it is not in maintenance".into());
    }
    let head = audited.head().await.map_err(|error| error.to_string())?;
    if let Some(before) = before {
        if info.name != before.info.name {
            return Err(format!("it is {}, not {}", info.name, before.info.name));
        }
        if head.head.size <= before.head.head.size {
            return Err("its log has not noted the upgrade".into());
        }
        let consistent = audited.prove_consistency(&before.head.head, &head.head);
        consistent.await.map_err(|error| error.to_string())?;
    }
    for collection in &info.collections {
        let args = indus_api::certified::CertifiedListArgs {
            collection: collection.name.clone(),
            after: None,
            limit: 1,
        };
        let page = audited.page(&args).await;
        page.map_err(|error| format!("{}: {error}", collection.name))?;
    }
    Ok(())
}

/// Goes on with an upgrade whose module is installed.
async fn resumed(
    upgrade: &Upgrade<'_>,
    audited: &AuditedCanister,
    order: &UpgradeOrder,
) -> Result<Outcome, UpgradeError> {
    let controller = upgrade.controller;
    let canister = audited.canister();
    controller.start(canister).await?;
    let info = audited.service_info_unverified().await;
    if info.is_ok_and(|info| !info.maintenance) {
        return Ok(Outcome::Done);
    }
    match (healthy(audited, None).await, &upgrade.snapshot) {
        (Ok(()), snapshot) => {
            audited.confirm_upgrade().await?;
            if let Some(snapshot) = snapshot {
                controller.delete_snapshot(canister, snapshot).await?;
            }
            Ok(Outcome::Confirmed)
        }
        (Err(reason), None) => Err(UpgradeError::NoSnapshot(reason)),
        (Err(reason), Some(snapshot)) => {
            restored(controller, audited, order, snapshot, None, reason).await
        }
    }
}

/// Puts the snapshot back, and says why.
async fn restored(
    controller: &Deployment,
    audited: &AuditedCanister,
    order: &UpgradeOrder,
    snapshot: &[u8],
    before: Option<&Before>,
    reason: String,
) -> Result<Outcome, UpgradeError> {
    match put_back(controller, audited, order, snapshot, before).await {
        Ok(()) => Ok(Outcome::Restored { reason }),
        Err(error) => Err(UpgradeError::NotRestored {
            canister: order.canister,
            snapshot: hex::encode(snapshot),
            reason,
            error: Box::new(error),
        }),
    }
}

async fn put_back(
    controller: &Deployment,
    audited: &AuditedCanister,
    order: &UpgradeOrder,
    snapshot: &[u8],
    before: Option<&Before>,
) -> Result<(), UpgradeError> {
    let canister = order.canister;
    controller.stop(canister).await?;
    controller.restore(canister, snapshot).await?;
    controller.start(canister).await?;
    let running = running(controller, canister).await?;
    equal("the restored module", &running, &order.previous_hash)?;
    // The subnet forgets when to call timers where a snapshot is loaded.
    audited.confirm_upgrade().await?;
    if let Some(before) = before {
        let head = audited.head().await?;
        let consistent = audited.prove_consistency(&before.head.head, &head.head);
        let consistent = consistent.await;
        consistent.map_err(|error| UpgradeError::NotTheSame(error.to_string()))?;
    }
    controller.delete_snapshot(canister, snapshot).await?;
    Ok(())
}
