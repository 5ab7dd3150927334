//! Seats whose licences have expired, and those who are next.

use std::collections::BTreeMap;
use std::time::Duration;

use candid::Principal;
use indus_api::licences::{Seat, SeatState, id_key};
use indus_client::SuiteCanister;
use tokio::time::{Instant, sleep};

use super::{LicensingError, at, people::Registered};
use crate::console::Console;

/// Longest wait for the canister to grant a seat anew: it looks every ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until each of these seats was granted to another, by the canister itself, and has that one claim it.
pub(super) async fn passed_on(
    seats: &SuiteCanister,
    passing: &[Seat],
    applicants: &BTreeMap<Principal, Registered>,
    console: &mut Console,
) -> Result<(), LicensingError> {
    if passing.is_empty() {
        return Ok(());
    }
    console.begin(
        "expired seats, granted to who is next and claimed",
        passing.len(),
    );
    let give_up = Instant::now() + PATIENCE;
    for before in passing {
        let granted = loop {
            let found = seats.record::<Seat>(&id_key(before.seat)).await;
            match found.map_err(at("reading a seat"))?.value {
                Some(seat) if seat.application != before.application => break seat,
                _ if Instant::now() > give_up => {
                    let reason = format!("seat {} has not passed on", before.seat);
                    return Err(LicensingError::Recount(reason));
                }
                _ => sleep(PAUSE).await,
            }
        };
        let Some(next) = applicants.get(&granted.holder) else {
            let reason = format!("seat {} passed on to nobody who applied", granted.seat);
            return Err(LicensingError::Recount(reason));
        };
        if !matches!(granted.state, SeatState::Granted { .. }) {
            let reason = format!("seat {} is {:?}", granted.seat, granted.state);
            return Err(LicensingError::Recount(reason));
        }
        let claimed = next.licences.update::<Seat>("claim", &granted.seat).await;
        claimed.map_err(at("claiming a seat that passed on"))?;
        console.step();
    }
    Ok(())
}
