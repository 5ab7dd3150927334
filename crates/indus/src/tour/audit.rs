//! The end: all canisters, audited as anybody can.

use tempfile::TempDir;

use super::{TourError, unexpected};
use crate::audit::{self, Audited};
use crate::console::Console;
use candid::Principal;
use indus_client::Connection;

/// Fetches all that these canisters certify into a folder of its own, and verifies it from there, without the network.
pub(crate) async fn audited(
    connection: &Connection,
    canisters: &[(&str, Principal)],
    console: &mut Console,
) -> Result<(), TourError> {
    let folder = TempDir::with_prefix("indus-audit-")?;
    let ids: Vec<Principal> = canisters.iter().map(|(_, canister)| *canister).collect();
    let found = audit::of_network(connection, &ids, folder.path()).await?;
    for (
        (name, canister),
        Audited {
            blocks,
            records,
            findings,
        },
    ) in canisters.iter().zip(found)
    {
        if let Some(first) = findings.first() {
            return Err(unexpected("auditing", format!("{name}: {first}")));
        }
        console.line(format_args!(
            "audited:       {name} {canister}: {blocks} blocks from the first to the certified last one, {records} records, \
             controllers and module, all as certified"
        ));
    }
    Ok(())
}
