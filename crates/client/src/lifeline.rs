//! The lifeline, for those who keep it and for governors who upgrade app_hosting; and how it writes what clients read of it.

use std::time::Duration;

use indus_api::lifeline::{
    ApproveArgs, CarryOutArgs, INTERVENTIONS, Intervention, InterventionRecord, InterventionState,
    KEEPERS, KEEPERS_KEY, Keepers, KeepersRecord, ModuleOf, ProposeArgs, intervention_key,
};
use serde_bytes::ByteBuf;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::records::{Certified, Recorded};
use crate::suite::SuiteCanister;
use crate::uploads;

/// The canister's name in a trust file.
pub const LIFELINE: &str = "lifeline";
/// From one look at an intervention to the next.
const POLL: Duration = Duration::from_millis(100);

impl Recorded for Intervention {
    type Record = InterventionRecord;
    const COLLECTION: &'static str = INTERVENTIONS;
    fn from_record(InterventionRecord::V1(intervention): InterventionRecord) -> Self {
        intervention
    }
    fn key(&self) -> Vec<u8> {
        intervention_key(self.id).to_vec()
    }
}

impl Recorded for Keepers {
    type Record = KeepersRecord;
    const COLLECTION: &'static str = KEEPERS;
    fn from_record(KeepersRecord::V1(keepers): KeepersRecord) -> Self {
        keepers
    }
    fn key(&self) -> Vec<u8> {
        KEEPERS_KEY.to_vec()
    }
}

/// The lifeline, on behalf of one caller.
#[derive(Clone, Debug)]
pub struct LifelineClient(SuiteCanister);

impl LifelineClient {
    /// The one that the connection's trust file names.
    ///
    /// Errors: [`ClientError::Trust`] if there is none.
    pub fn new(connection: Connection) -> Result<Self, ClientError> {
        SuiteCanister::new(connection, LIFELINE).map(Self)
    }

    /// The canister below.
    #[must_use]
    pub fn canister(&self) -> &SuiteCanister {
        &self.0
    }

    /// Uploads a module, but for the chunks that are there.
    pub async fn upload(&self, of: ModuleOf, module: &[u8]) -> Result<ByteBuf, ClientError> {
        uploads::upload(&self.0, of, module).await
    }

    /// Proposes an action, and approves it.
    pub async fn propose(&self, args: &ProposeArgs) -> Result<Intervention, ClientError> {
        self.0.update("propose", args).await
    }

    /// Approves an intervention, exactly as it was read.
    pub async fn approve(&self, args: &ApproveArgs) -> Result<Intervention, ClientError> {
        self.0.update("approve", args).await
    }

    /// Has an upgrade of app_hosting carried out that the governors decided.
    pub async fn carry_out(&self, args: &CarryOutArgs) -> Result<Intervention, ClientError> {
        self.0.update("carry_out", args).await
    }

    /// An intervention as it is certified.
    pub async fn intervention(
        &self,
        id: u64,
    ) -> Result<Certified<Option<Intervention>>, ClientError> {
        self.0.record(&intervention_key(id)).await
    }

    /// Waits until an intervention is not running any more: how it is certified then.
    pub async fn followed(&self, id: u64) -> Result<Intervention, ClientError> {
        loop {
            let found = self.intervention(id).await?.value;
            let runs = |one: &Intervention| matches!(one.state, InterventionState::Running { .. });
            if let Some(ended) = found.filter(|one| !runs(one)) {
                return Ok(ended);
            }
            sleep(POLL).await;
        }
    }
}
