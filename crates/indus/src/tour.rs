//! What a subnet's first days are like, in acts: each one signed by who does it, and each result verified.
//!
//! ```text
//! inventory   the canisters of the suite are declared, and observed to be what was declared
//! sites       data centres and nodes; a change that breaks the residency policy is refused before anybody votes
//! services    a service is published; access granted, refused, taken back, and each answer proved
//! officials   somebody enrols, takes office, acts, loses their devices, is recovered, leaves
//! messages    officials converse, encrypted and verified; what a node leaves out is noticed
//! apps        a startup deploys with plain icp-cli, a bad release undoes itself, one is rolled back; an agency releases with two persons
//! upgrades    a canister is upgraded as approved, under load; a bad upgrade is put back
//! audit       all canisters: fetched, verified without the network
//! ```
//!
//! The licences are an act of their own: [`crate::licensing`].

mod apps;
mod audit;
mod inventory;
mod messages;
mod officials;
mod services;
mod sites;
mod upgrades;

use indus_client::{ClientError, Connection, Deployment, Key};
use thiserror::Error;

use crate::council::{Council, CouncilError};
use crate::failure::Failure;
use crate::sites::Sites;
use crate::suite::Canisters;
use crate::upgrade::UpgradeError;

pub(crate) use apps::{Tools, deployed};
pub(crate) use audit::audited;
pub(crate) use inventory::declared;
pub(crate) use messages::conversed;
pub(crate) use officials::officials;
pub(crate) use services::services;
pub(crate) use sites::settled;
pub(crate) use upgrades::upgraded;

/// Where and with whom it is played.
pub(crate) struct Stage<'a> {
    /// Of nobody, with all canisters in its trust file.
    pub(crate) connection: Connection,
    /// Of whoever deployed the canisters.
    pub(crate) deployer: Deployment,
    /// One of each founding organisation, in their order; they are its administrators too.
    pub(crate) governors: &'a [Key],
    pub(crate) canisters: Canisters,
    /// The modules that these were installed from.
    pub(crate) app_hosting: &'a [u8],
    pub(crate) identity: &'a [u8],
    pub(crate) license_manager: &'a [u8],
    pub(crate) sites: &'a Sites,
    /// Ids of two organisations that were admitted.
    pub(crate) admitted: [u64; 2],
}

/// Why an act did not go as it should.
#[derive(Debug, Error)]
pub(crate) enum TourError {
    #[error("{act}: {reason}")]
    Client {
        act: &'static str,
        reason: ClientError,
    },
    #[error("{act}: {what}")]
    Unexpected { act: &'static str, what: String },
    #[error(transparent)]
    Council(#[from] CouncilError),
    #[error("arguments can't be encoded: {0}")]
    Arguments(#[from] candid::Error),
    #[error("upgrading: {0}")]
    Upgrade(#[from] UpgradeError),
    #[error("auditing: {0}")]
    Audit(#[from] Failure),
    #[error("a folder for it: {0}")]
    Folder(#[from] std::io::Error),
    #[error("conversing: {0}")]
    Messenger(#[from] indus_messenger::MessengerError),
}

/// Says in which act a call failed.
fn at(act: &'static str) -> impl Fn(ClientError) -> TourError + Copy {
    move |reason| TourError::Client { act, reason }
}

/// What should not have been.
fn unexpected(act: &'static str, what: impl Into<String>) -> TourError {
    let what = what.into();
    TourError::Unexpected { act, what }
}

/// The refusal that was due; anything else is an error.
fn refused<T>(
    act: &'static str,
    what: &str,
    answer: Result<T, impl Into<CouncilError>>,
) -> Result<indus_api::Error, TourError> {
    match answer.map_err(Into::into) {
        Ok(_) => Err(unexpected(act, format!("{what} was not refused"))),
        Err(CouncilError::Client(ClientError::Refused { error, .. })) => Ok(error),
        Err(error) => Err(error.into()),
    }
}
