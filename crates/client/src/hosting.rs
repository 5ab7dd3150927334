//! `app_hosting`, for those who deploy: apps, canisters for them, modules in chunks, releases followed to their end; and how it writes
//! what clients read of it.

use std::time::Duration;

use candid::Principal;
use indus_api::hosting::{
    APPS, App, AppRecord, CANISTERS, CONFIGURATION, CONFIGURATION_KEY, COSTS, CarryOutArgs,
    ConfigurationRecord, Cost, CostRecord, CreateAppArgs, HostedCanister, HostedCanisterRecord,
    InForce, ListCanistersArgs, ProposeReleaseArgs, RELEASES, Release, ReleaseOf, ReleaseRecord,
    ReleaseState, RollBackArgs, app_key, canister_key, cost_key,
    engine::{CreateCanisterArgs, CreateCanisterError, CreatedCanister},
    release_key,
};
use indus_api::paging::Page;
use serde_bytes::ByteBuf;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::records::{Certified, Recorded};
use crate::suite::SuiteCanister;
use crate::uploads;

/// The canister's name in a trust file.
pub const APP_HOSTING: &str = "app_hosting";
/// From one look at a release to the next.
const POLL: Duration = Duration::from_millis(100);

impl Recorded for App {
    type Record = AppRecord;
    const COLLECTION: &'static str = APPS;
    fn from_record(AppRecord::V1(app): AppRecord) -> Self {
        app
    }
    fn key(&self) -> Vec<u8> {
        app_key(self.id).to_vec()
    }
}

impl Recorded for HostedCanister {
    type Record = HostedCanisterRecord;
    const COLLECTION: &'static str = CANISTERS;
    fn from_record(HostedCanisterRecord::V1(canister): HostedCanisterRecord) -> Self {
        canister
    }
    fn key(&self) -> Vec<u8> {
        canister_key(self.canister).map_or_else(Vec::new, Vec::from)
    }
}

impl Recorded for Release {
    type Record = ReleaseRecord;
    const COLLECTION: &'static str = RELEASES;
    fn from_record(ReleaseRecord::V1(release): ReleaseRecord) -> Self {
        release
    }
    fn key(&self) -> Vec<u8> {
        release_key(self.id).to_vec()
    }
}

impl Recorded for Cost {
    type Record = CostRecord;
    const COLLECTION: &'static str = COSTS;
    fn from_record(CostRecord::V1(cost): CostRecord) -> Self {
        cost
    }
    fn key(&self) -> Vec<u8> {
        cost_key(self.app, self.month).to_vec()
    }
}

impl Recorded for InForce {
    type Record = ConfigurationRecord;
    const COLLECTION: &'static str = CONFIGURATION;
    fn from_record(ConfigurationRecord::V1(in_force): ConfigurationRecord) -> Self {
        in_force
    }
    fn key(&self) -> Vec<u8> {
        CONFIGURATION_KEY.to_vec()
    }
}

/// `app_hosting`, on behalf of one caller.
#[derive(Clone, Debug)]
pub struct HostingClient(SuiteCanister);

impl HostingClient {
    /// The one that the connection's trust file names.
    ///
    /// Errors: [`ClientError::Trust`] if there is none.
    pub fn new(connection: Connection) -> Result<Self, ClientError> {
        SuiteCanister::new(connection, APP_HOSTING).map(Self)
    }

    /// The canister below.
    #[must_use]
    pub fn canister(&self) -> &SuiteCanister {
        &self.0
    }

    /// Makes an app, or finds the one that was made so before.
    pub async fn create_app(&self, args: &CreateAppArgs) -> Result<App, ClientError> {
        self.0.update("create_app", args).await
    }

    /// Chooses the app that canisters are created for.
    pub async fn choose_app(&self, app: u64) -> Result<App, ClientError> {
        self.0.update("choose_app", &app).await
    }

    /// Creates a canister for the app that was chosen.
    ///
    /// Errors: [`ClientError::Refused`], in the words of the cycles ledger, and those of any call.
    pub async fn create_canister(&self) -> Result<Principal, ClientError> {
        const METHOD: &str = "create_canister";
        let args = CreateCanisterArgs {
            from_subaccount: None,
            created_at_time: None,
            amount: 0_u8.into(),
            creation_args: None,
        };
        let (connection, canister) = (self.0.connection(), self.0.canister());
        let (answer,): (Result<CreatedCanister, CreateCanisterError>,) = connection
            .update(canister, canister, METHOD, (args,))
            .await?;
        answer.map(|created| created.canister_id).map_err(|error| {
            let reason = match error {
                CreateCanisterError::GenericError { message, .. } => message,
                CreateCanisterError::FailedToCreate { error, .. } => error,
                other => format!("{other:?}"),
            };
            ClientError::Refused {
                method: METHOD.into(),
                error: indus_api::Error::Conflict { reason },
            }
        })
    }

    /// An app's canisters, each as it is certified. Which ones there are, one node says.
    pub async fn canisters_of(&self, app: u64) -> Result<Vec<HostedCanister>, ClientError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let args = ListCanistersArgs {
                app,
                after,
                limit: 100,
            };
            let page: Page<Principal, HostedCanister> =
                self.0.query_unverified("list_canisters", &args).await?;
            for listed in page.items {
                let found: Certified<Option<HostedCanister>> = self.0.record(&listed.key()).await?;
                all.extend(found.value);
            }
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Uploads a module, but for the chunks that are there.
    pub async fn upload(&self, of: ReleaseOf, module: &[u8]) -> Result<ByteBuf, ClientError> {
        uploads::upload(&self.0, of, module).await
    }

    /// Proposes a release of a module that was uploaded.
    pub async fn propose(&self, args: &ProposeReleaseArgs) -> Result<Release, ClientError> {
        self.0.update("propose_release", args).await
    }

    /// Brings the module of an earlier release back.
    pub async fn roll_back(&self, args: &RollBackArgs) -> Result<Release, ClientError> {
        self.0.update("roll_back", args).await
    }

    /// Has an upgrade of the suite carried out that the governors decided, with what was uploaded for it.
    pub async fn carry_out(&self, args: &CarryOutArgs) -> Result<Release, ClientError> {
        self.0.update("carry_out", args).await
    }

    /// Waits until a release is not running any more: how it is certified then.
    pub async fn followed(&self, release: u64) -> Result<Release, ClientError> {
        loop {
            let looked: Release = self.0.query_unverified("get_release", &release).await?;
            if !matches!(looked.state, ReleaseState::Running { .. }) {
                let key = release_key(release);
                let found: Certified<Option<Release>> = self.0.record(&key).await?;
                // A node that is behind the others may not know of it yet.
                if let Some(release) = found
                    .value
                    .filter(|found| !matches!(found.state, ReleaseState::Running { .. }))
                {
                    return Ok(release);
                }
            }
            sleep(POLL).await;
        }
    }

    /// What was said of a release that did not go live, as one node tells it to who may know.
    pub async fn message_unverified(&self, release: u64) -> Result<Option<String>, ClientError> {
        let method = "release_message";
        self.0.query_as_subject_unverified(method, &release).await
    }
}
