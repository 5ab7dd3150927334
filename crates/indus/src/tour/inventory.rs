//! The suite's canisters in the inventory, and the registry looking at them.

use candid::Principal;
use indus_api::registry::{Action, CanisterProfile, DataClass, Drift};
use indus_client::ModuleHash;
use serde_bytes::ByteBuf;

use super::{Council, Stage, TourError, at, unexpected};
use crate::console::Console;

const ACT: &str = "declaring canisters";

/// The organisation that answers for the suite.
pub(super) const RESPONSIBLE: u64 = 1;

/// Declares each canister of the suite with the module that it runs, and has it looked at.
pub(crate) async fn declared(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let canisters = [
        (stage.canisters.registry, "registry"),
        (stage.canisters.identity, "identity"),
        (stage.canisters.license_manager, "license-manager"),
        (stage.canisters.messaging, "messaging"),
        (stage.canisters.app_hosting, "app-hosting"),
        (stage.canisters.lifeline, "lifeline"),
    ];
    for (canister, name) in canisters {
        let running = stage.deployer.module_hash(canister).await;
        let running = running.map_err(at(ACT))?;
        let running = running.ok_or_else(|| unexpected(ACT, format!("{name} has no module")))?;
        council.decided(record(canister, name, &running)).await?;
        expect(council, canister, Drift::Match).await?;
    }
    console.line("inventory:     6 canisters of the suite declared, 3 of 5 each; observed to run the declared modules");
    Ok(())
}

/// The action that declares it.
pub(super) fn record(canister: Principal, name: &str, module: &ModuleHash) -> Action {
    Action::RecordCanister(CanisterProfile {
        canister,
        organisation: RESPONSIBLE,
        name: name.into(),
        module_hash: Some(ByteBuf::from(module.as_bytes().to_vec())),
        data_class: DataClass::Official,
    })
}

/// Has the registry look at a canister: it should find this, and certify it.
pub(super) async fn expect(
    council: &Council,
    canister: Principal,
    drift: Drift,
) -> Result<(), TourError> {
    let governor = council.governor(1)?;
    governor.observe(canister).await.map_err(at(ACT))?;
    let found = governor.canister_entry(canister).await.map_err(at(ACT))?;
    match found.value {
        Some(entry) if entry.drift == drift => Ok(()),
        other => Err(unexpected(
            ACT,
            format!("{canister} should be {drift:?}, and is certified as {other:?}"),
        )),
    }
}
