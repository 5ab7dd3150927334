//! Any canister of the suite, by the names of its methods and collections: signed calls with certified answers, certified
//! records.
//!
//! What only some may read is answered to a caller whom the canister knows. One that it doesn't know yet, or not any more, is
//! told so; the methods that say it have the canister ask identity then, once (`refresh_subject`), and read again.

use std::slice;

use candid::{CandidType, Principal};
use indus_api::identity::Credential;
use indus_api::{CertifiedRead, Error, Subject, signatures};
use indus_verify::signed_credential::to_jws;
use indus_verify::{Lookup, VerifiedWitness};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::audited::AuditedCanister;
use crate::connection::{CERTIFIED_READ, Connection, accepted, unverified};
use crate::error::ClientError;
use crate::records::{self, Certified, Recorded};

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
        Ok(Self::at(connection, canister))
    }

    /// The canister of this id.
    #[must_use]
    pub fn at(connection: Connection, canister: Principal) -> Self {
        Self {
            connection,
            canister,
        }
    }

    /// The canister's id.
    #[must_use]
    pub fn canister(&self) -> Principal {
        self.canister
    }

    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
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

    /// Calls a query, as one node answers it, for a caller whom the canister has to know.
    pub async fn query_as_subject_unverified<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<T, ClientError> {
        match self.query_unverified(method, argument).await {
            Err(error) if self.is_unknown(&error) => {
                self.refresh().await?;
                self.query_unverified(method, argument).await
            }
            answer => answer,
        }
    }

    /// The record under `key`, verified; `None` if the subnet certifies that there is none. For a caller whom the canister has
    /// to know, if not everybody may read it.
    pub async fn record<T: Recorded>(
        &self,
        key: &[u8],
    ) -> Result<Certified<Option<T>>, ClientError> {
        let Certified {
            value,
            certified_at,
        } = self.leaf(T::COLLECTION, key).await?;
        let value = value.map(|bytes| records::read(&bytes, key)).transpose()?;
        Ok(Certified {
            value,
            certified_at,
        })
    }

    /// The exact bytes of a record, for [`records::read`] and for hashes of what was read.
    pub async fn leaf(
        &self,
        collection: &str,
        key: &[u8],
    ) -> Result<Certified<Option<Vec<u8>>>, ClientError> {
        let path = records::path(collection, key);
        let read = || records::leaf(&self.connection, self.canister, &path);
        match read().await {
            Err(error) if self.is_unknown(&error) => {
                self.refresh().await?;
                read().await
            }
            answer => answer,
        }
    }

    /// All records of a collection that everybody may read, in the order of their keys, verified.
    pub async fn records<T: Recorded>(&self) -> Result<Certified<Vec<T>>, ClientError> {
        records::records(&self.audited()).await
    }

    /// The proof of what is at these paths, verified, to be kept. For a caller whom the canister has to know, if not everybody
    /// may read it.
    pub async fn proof(&self, paths: &[Vec<ByteBuf>]) -> Result<CertifiedRead, ClientError> {
        self.proved(paths).await.map(|(answer, _)| answer)
    }

    /// What is at these paths, with the proof that came, which was not verified.
    pub async fn certified_read_unverified(
        &self,
        paths: &[Vec<ByteBuf>],
    ) -> Result<CertifiedRead, ClientError> {
        let read = || {
            self.connection
                .certified_read_unverified(self.canister, paths)
        };
        match read().await {
            Err(error) if self.is_unknown(&error) => {
                self.refresh().await?;
                read().await
            }
            answer => answer,
        }
    }

    /// The proof, and what it proves.
    async fn proved(
        &self,
        paths: &[Vec<ByteBuf>],
    ) -> Result<(CertifiedRead, VerifiedWitness), ClientError> {
        let answer = self.certified_read_unverified(paths).await?;
        let (_, witness) = self
            .connection
            .verify(self.canister, CERTIFIED_READ, &answer)?;
        Ok((answer, witness))
    }

    /// A credential of this `identity` as a file that the canister signs: a compact JWS. None if the subnet certifies that it
    /// does not sign it.
    ///
    /// Errors: what a read with proof can have.
    pub async fn signed_credential(
        &self,
        credential: &Credential,
    ) -> Result<Option<String>, ClientError> {
        let message = credential.signed_message().unwrap_or_default();
        let path = signatures::path(&message);
        let (answer, witness) = self.proved(slice::from_ref(&path)).await?;
        if witness.lookup(&path) == Lookup::Absent {
            return Ok(None);
        }
        witness
            .leaf(&path)
            .and_then(|_| to_jws(credential, &answer.certificate, &answer.witness))
            .map(Some)
            .map_err(|reason| unverified(CERTIFIED_READ, reason))
    }

    fn is_unknown(&self, error: &ClientError) -> bool {
        let unavailable = matches!(error.refusal(), Some(Error::Unavailable { .. }));
        unavailable && self.connection.caller() != Principal::anonymous()
    }

    async fn refresh(&self) -> Result<(), ClientError> {
        let (answer,): (Result<Subject, Error>,) = self
            .connection
            .update(self.canister, self.canister, "refresh_subject", ())
            .await?;
        accepted("refresh_subject", answer).map(|_| ())
    }
}
