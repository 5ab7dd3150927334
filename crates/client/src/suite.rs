//! Any canister of the suite, by the names of its methods: signed calls with certified answers.

use candid::{CandidType, Principal};
use indus_api::Error;
use serde::de::DeserializeOwned;

use crate::audited::AuditedCanister;
use crate::connection::{Connection, accepted};
use crate::error::ClientError;

/// A canister of the suite, on behalf of one caller.
#[derive(Clone, Debug)]
pub struct SuiteCanister {
    connection: Connection,
    canister: Principal,
}

impl SuiteCanister {
    /// The canister that the connection's trust file calls `name`.
    ///
    /// Errors: [`ClientError::Trust`] if there is none.
    pub fn new(connection: Connection, name: &str) -> Result<Self, ClientError> {
        let canister = connection.trust().canister(name)?;
        Ok(Self {
            connection,
            canister,
        })
    }

    /// The canister's id.
    #[must_use]
    pub fn canister(&self) -> Principal {
        self.canister
    }

    /// The same canister for what only needs the standard endpoints.
    #[must_use]
    pub fn audited(&self) -> AuditedCanister {
        AuditedCanister::new(self.connection.clone(), self.canister)
    }

    /// Calls an update; its answer is certified by the subnet.
    pub async fn update<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<T, ClientError> {
        let (answer,): (Result<T, Error>,) = self
            .connection
            .update(self.canister, self.canister, method, (argument,))
            .await?;
        accepted(method, answer)
    }

    /// Calls a query, as one node answers it.
    pub async fn query_unverified<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<T, ClientError> {
        let (answer,): (Result<T, Error>,) = self
            .connection
            .query_unverified(self.canister, method, (argument,))
            .await?;
        accepted(method, answer)
    }
}
