//! A service, and who may use it.

use indus_api::registry::{
    Access, Action, CheckAccessArgs, DataClass, GrantRequest, ServiceProfile,
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::inventory::RESPONSIBLE;
use super::{Council, Stage, TourError, at, unexpected};
use crate::console::Console;
use crate::when;

const ACT: &str = "opening a service";
/// Interface of the canister that serves it.
const INTERFACE: &str = include_str!("../../../../candid/license_manager.did");
const OPERATION: &str = "check_entitlement";
const OTHER: &str = "get_seat";
/// How long the access lasts: a year.
const VALID_NS: u64 = 365 * 86_400_000_000_000;

/// Publishes a service, grants one organisation access and not the other, and takes it back; each answer is proved.
pub(crate) async fn services(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let profile = ServiceProfile {
        organisation: RESPONSIBLE,
        slug: "licence-entitlements".into(),
        name: "Licence Entitlements".into(),
        canister: stage.canisters.license_manager,
        interface_hash: ByteBuf::from(Sha256::digest(INTERFACE).to_vec()),
        operations: vec![OPERATION.into(), OTHER.into()],
        data_class: DataClass::Official,
    };
    council
        .decided(Action::PublishService(profile.clone()))
        .await?;
    let reader = council.governor(2)?;
    let published = reader.services().await.map_err(at(ACT))?.value;
    let published = published.into_iter().find(|one| one.profile == profile);
    let service = published
        .ok_or_else(|| unexpected(ACT, "the service is not certified"))?
        .id;

    let [with, without] = stage.admitted;
    let grant = GrantRequest {
        service,
        organisation: with,
        operations: vec![OPERATION.into()],
        purpose: "Admit licensed staff to the app builder".into(),
        valid_until_ns: when::now().as_nanos().saturating_add(VALID_NS),
    };
    council.decided(Action::GrantAccess(grant)).await?;

    let check = async |organisation: u64, operation: &str, expected: fn(&Access) -> bool| {
        let args = CheckAccessArgs {
            organisation,
            service,
            operation: operation.into(),
        };
        let (access, _) = reader.access(&args).await.map_err(at(ACT))?;
        if expected(&access) {
            return Ok(());
        }
        let what = format!("access of {organisation} to {operation} is proved to be {access:?}");
        Err(unexpected(ACT, what))
    };
    check(with, OPERATION, |found| {
        matches!(found, Access::Allowed { .. })
    })
    .await?;
    check(with, OTHER, |found| *found == Access::OperationNotGranted).await?;
    check(without, OPERATION, |found| *found == Access::NoGrant).await?;

    let revoked = Action::RevokeAccess {
        service,
        organisation: with,
        reason: "End of the demonstration".into(),
    };
    council.decided(revoked).await?;
    check(with, OPERATION, |found| *found == Access::NoGrant).await?;
    console.line(format_args!(
        "service:       {} published; access of organisation {with} granted and proved, of {without} proved absent, taken back \
         and proved gone",
        profile.slug
    ));
    Ok(())
}
