//! The `registry` canister: organisations.
//!
//! How an application becomes an organisation: the applicant calls
//! [`apply_for_organisation`](RegistryClient::apply_for_organisation); a governor reads the application certified
//! ([`organisation`](RegistryClient::organisation)), looks at it, and approves exactly those bytes
//! ([`approve_organisation`](RegistryClient::approve_organisation) with their hash).

use std::fmt;

use candid::Principal;
use indus_api::registry::{
    ApproveArgs, CloseArgs, ListArgs, Organisation, OrganisationKey, OrganisationPage,
    OrganisationProfile, OrganisationRecord, organisation_path,
};
use indus_api::service::ServiceInfo;
use indus_api::{CertifiedRead, Error};
use indus_verify::{Lookup, Time};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::connection::{Connection, accepted, unverified};
use crate::error::ClientError;

/// SHA-256 of the certified bytes of an application: what an approval binds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApplicationHash([u8; 32]);

impl ApplicationHash {
    /// Of the certified leaf `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Hexadecimal.
impl fmt::Display for ApplicationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ApplicationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplicationHash({self})")
    }
}

/// An organisation as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedOrganisation {
    pub organisation: Organisation,
    /// Hash of the certified bytes: of a pending application, what an approval binds.
    pub hash: ApplicationHash,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

/// The registry, on behalf of one caller.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    connection: Connection,
    canister: Principal,
}

impl RegistryClient {
    /// The canister that the connection's trust file calls `registry`.
    ///
    /// Errors: [`ClientError::Trust`] if there is none.
    pub fn new(connection: Connection) -> Result<Self, ClientError> {
        let canister = connection.trust().canister("registry")?;
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

    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Applies for an organisation; its caller is the applicant.
    pub async fn apply_for_organisation(
        &self,
        profile: &OrganisationProfile,
    ) -> Result<Organisation, ClientError> {
        self.update("apply_for_organisation", profile).await
    }

    /// Approves application `id` if its certified bytes still have the hash `application`. Governors only.
    pub async fn approve_organisation(
        &self,
        id: u64,
        application: ApplicationHash,
    ) -> Result<Organisation, ClientError> {
        let application_hash = ByteBuf::from(application.0.to_vec());
        self.update(
            "approve_organisation",
            &ApproveArgs {
                id,
                application_hash,
            },
        )
        .await
    }

    /// Closes a pending application: the applicant withdraws it, a governor rejects it.
    pub async fn close_application(
        &self,
        id: u64,
        reason: &str,
    ) -> Result<Organisation, ClientError> {
        self.update(
            "close_application",
            &CloseArgs {
                id,
                reason: reason.into(),
            },
        )
        .await
    }

    /// Organisation `id`, verified; `None` if the subnet certifies that there is none.
    pub async fn organisation(
        &self,
        id: u64,
    ) -> Result<Option<CertifiedOrganisation>, ClientError> {
        let answer = self.organisation_answer_unverified(id).await?;
        self.verify_organisation(id, &answer)
    }

    /// The registry's answer about organisation `id` with its proof, for
    /// [`verify_organisation`](Self::verify_organisation).
    pub async fn organisation_answer_unverified(
        &self,
        id: u64,
    ) -> Result<CertifiedRead, ClientError> {
        self.connection
            .certified_read_unverified(self.canister, &[organisation_path(id)])
            .await
    }

    /// Verifies an answer about organisation `id` without the network; `None` if it proves that there is none.
    ///
    /// Errors: as [`Connection::verify`]; [`ClientError::WrongRecord`] if the record under that key is another's.
    pub fn verify_organisation(
        &self,
        id: u64,
        answer: &CertifiedRead,
    ) -> Result<Option<CertifiedOrganisation>, ClientError> {
        let (certificate, witness) = self.connection.verify(self.canister, answer)?;
        let path = organisation_path(id);
        if witness.lookup(&path) == Lookup::Absent {
            return Ok(None);
        }
        let bytes = witness
            .leaf(&path)
            .map_err(|reason| unverified("certified_read", reason))?;
        let OrganisationRecord::V1(organisation) = witness
            .value(&path)
            .map_err(|reason| unverified("certified_read", reason))?;
        if organisation.id != id {
            return Err(ClientError::WrongRecord {
                asked: id,
                found: organisation.id,
            });
        }
        let hash = ApplicationHash::of(bytes);
        Ok(Some(CertifiedOrganisation {
            organisation,
            hash,
            certified_at: certificate.time(),
        }))
    }

    /// An organisation by id or slug, as one node says.
    pub async fn organisation_unverified(
        &self,
        key: &OrganisationKey,
    ) -> Result<Organisation, ClientError> {
        let method = "get_organisation";
        let (answer,) = self
            .connection
            .query_unverified(self.canister, method, (key,))
            .await?;
        accepted(method, answer)
    }

    /// A page of organisations, as one node says.
    pub async fn organisations_unverified(
        &self,
        args: &ListArgs,
    ) -> Result<OrganisationPage, ClientError> {
        let method = "list_organisations";
        let (answer,) = self
            .connection
            .query_unverified(self.canister, method, (args,))
            .await?;
        accepted(method, answer)
    }

    /// What the installation says of itself, as one node says.
    pub async fn service_info_unverified(&self) -> Result<ServiceInfo, ClientError> {
        let (info,) = self
            .connection
            .query_unverified(self.canister, "service_info", ())
            .await?;
        Ok(info)
    }

    /// The governors, as one node says.
    pub async fn governors_unverified(&self) -> Result<Vec<Principal>, ClientError> {
        let method = "list_governors";
        let (answer,) = self
            .connection
            .query_unverified(self.canister, method, ())
            .await?;
        accepted(method, answer)
    }

    async fn update(
        &self,
        method: &str,
        argument: &impl candid::CandidType,
    ) -> Result<Organisation, ClientError> {
        let (answer,): (Result<Organisation, Error>,) = self
            .connection
            .update(self.canister, self.canister, method, (argument,))
            .await?;
        accepted(method, answer)
    }
}
