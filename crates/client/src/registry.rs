//! The `registry` canister: organisations.
//!
//! How an application becomes an organisation: the applicant calls
//! [`apply_for_organisation`](RegistryClient::apply_for_organisation), which opens a proposal; governors read the proposal
//! certified ([`proposal`](RegistryClient::proposal)), look at what it would do, and approve exactly that
//! ([`approve`](RegistryClient::approve) with its hash).

mod records;

use std::fmt;

use candid::{CandidType, Principal};
use indus_api::certified::CertifiedListArgs;
use indus_api::paging::{Page, PageArgs};
use indus_api::registry::{
    Access, Action, ApproveArgs, CancelArgs, CanisterEntry, CheckAccessArgs, Governor, GrantRecord,
    ORGANISATIONS, Organisation, OrganisationKey, OrganisationProfile, OrganisationRecord,
    PROPOSALS, Proposal, ProposalRecord, ProposeArgs, RejectArgs, ServiceRecord, access, id_key,
    organisation_key, organisation_path, path,
};
use indus_api::service::ServiceInfo;
use indus_api::{CertifiedRead, Error};
use indus_verify::{Audit, LogHead, Lookup, Time, VerifiedWitness, VerifyError};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::audited::{AuditedCanister, CERTIFIED_LIST, CertifiedPage, CertifiedRecord};
use crate::connection::{CERTIFIED_READ, Connection, accepted, decode, unverified};
use crate::error::ClientError;
use crate::export::Export;

/// SHA-256 of a proposal's payload: what an approval binds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadHash([u8; 32]);

impl PayloadHash {
    /// Of the payload `bytes`.
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
impl fmt::Display for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadHash({self})")
    }
}

/// An organisation as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedOrganisation {
    pub organisation: Organisation,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

/// A proposal as the subnet certified it: the receipt of a decision, if it is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedProposal {
    pub proposal: Proposal,
    /// What it does, from its payload.
    pub action: Action,
    /// What an approval binds.
    pub hash: PayloadHash,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

/// Organisations with successive ids, none between them left out, as the subnet certified them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedOrganisationPage {
    /// In the order of their ids.
    pub organisations: Vec<CertifiedOrganisation>,
    /// Whether there are none with higher ids.
    pub end: bool,
    /// The audit log at that moment.
    pub head: LogHead,
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

    /// Opens a proposal.
    pub async fn propose(&self, args: &ProposeArgs) -> Result<Proposal, ClientError> {
        self.update("propose", args).await
    }

    /// Agrees to proposal `id` if its payload still has that hash. Governors only.
    pub async fn approve(&self, id: u64, payload: PayloadHash) -> Result<Proposal, ClientError> {
        let payload_hash = ByteBuf::from(payload.0.to_vec());
        self.update("approve", &ApproveArgs { id, payload_hash })
            .await
    }

    /// Refuses proposal `id` if its payload still has that hash. Governors only.
    pub async fn reject(
        &self,
        id: u64,
        payload: PayloadHash,
        reason: &str,
    ) -> Result<Proposal, ClientError> {
        let args = RejectArgs {
            id,
            payload_hash: ByteBuf::from(payload.0.to_vec()),
            reason: reason.into(),
        };
        self.update("reject", &args).await
    }

    /// Takes proposal `id` back: its proposer, of an application the applicant.
    pub async fn cancel(&self, id: u64, reason: &str) -> Result<Proposal, ClientError> {
        let reason = reason.into();
        self.update("cancel", &CancelArgs { id, reason }).await
    }

    /// Carries out approved proposal `id`, whose time has come.
    pub async fn execute(&self, id: u64) -> Result<Proposal, ClientError> {
        self.update("execute", &id).await
    }

    /// Has the registry ask the subnet about a canister of its inventory.
    pub async fn observe(&self, canister: Principal) -> Result<CanisterEntry, ClientError> {
        self.update("observe_canister", &canister).await
    }

    /// Proposal `id`, verified; `None` if the subnet certifies that there is none.
    pub async fn proposal(&self, id: u64) -> Result<Option<CertifiedProposal>, ClientError> {
        let path = path(PROPOSALS, &id_key(id));
        let paths = std::slice::from_ref(&path);
        let answer = self
            .connection
            .certified_read_unverified(self.canister, paths)
            .await?;
        let verified = self
            .connection
            .verify(self.canister, CERTIFIED_READ, &answer)?;
        let (certificate, witness) = verified;
        let Some(ProposalRecord::V1(proposal)) = leaf(&witness, &path)? else {
            return Ok(None);
        };
        if proposal.id != id {
            return Err(ClientError::WrongRecord {
                asked: id,
                found: proposal.id,
            });
        }
        Ok(Some(CertifiedProposal {
            hash: PayloadHash::of(&proposal.payload),
            action: decode::<(Action,)>(CERTIFIED_READ, &proposal.payload)?.0,
            proposal,
            certified_at: certificate.time(),
        }))
    }

    /// Whether an organisation may use an operation of a service, from certified records, at the time of their certificate.
    pub async fn access(&self, args: &CheckAccessArgs) -> Result<(Access, Time), ClientError> {
        let answer = self.access_answer_unverified(args).await?;
        self.verify_access(args, &answer)
    }

    /// The answer with its proof, for [`verify_access`](Self::verify_access).
    pub async fn access_answer_unverified(
        &self,
        args: &CheckAccessArgs,
    ) -> Result<CertifiedRead, ClientError> {
        let method = "certified_check_access";
        let (answer,): (Result<CertifiedRead, Error>,) = self
            .connection
            .query_unverified(self.canister, method, (args,))
            .await?;
        accepted(method, answer)
    }

    /// The same from an answer that was kept, without the network.
    pub fn verify_access(
        &self,
        args: &CheckAccessArgs,
        answer: &CertifiedRead,
    ) -> Result<(Access, Time), ClientError> {
        let method = "certified_check_access";
        let (certificate, witness) = self.connection.verify(self.canister, method, answer)?;
        let [organisation, service, grant] = Self::access_paths(args);
        let organisation: Option<OrganisationRecord> = leaf(&witness, &organisation)?;
        let service = leaf(&witness, &service)?;
        let grant = leaf(&witness, &grant)?;
        let at = certificate.time();
        let organisation = organisation.map(OrganisationRecord::into_current);
        let service = service.map(|ServiceRecord::V1(service)| service);
        let grant = grant.map(|GrantRecord::V1(grant)| grant);
        let access = access(
            organisation.as_ref(),
            service.as_ref(),
            grant.as_ref(),
            &args.operation,
            at.as_nanos(),
        );
        Ok((access, at))
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
        let (certificate, witness) =
            self.connection
                .verify(self.canister, CERTIFIED_READ, answer)?;
        let path = organisation_path(id);
        if witness.lookup(&path) == Lookup::Absent {
            return Ok(None);
        }
        let bytes = witness
            .leaf(&path)
            .map_err(|reason| unverified(CERTIFIED_READ, reason))?;
        organisation(CERTIFIED_READ, id, bytes, certificate.time()).map(Some)
    }

    /// The organisations with the ids behind `after` (from the first, without it), verified: `limit` of them, if there are
    /// as many, at most [`MAX_LIST`](indus_api::certified::MAX_LIST).
    pub async fn organisation_page(
        &self,
        after: Option<u64>,
        limit: u32,
    ) -> Result<CertifiedOrganisationPage, ClientError> {
        let args = CertifiedListArgs {
            collection: ORGANISATIONS.into(),
            after: after.map(|id| ByteBuf::from(organisation_key(id))),
            limit,
        };
        let CertifiedPage {
            records,
            end,
            head,
            certified_at,
        } = self.audited().page(&args).await?;
        Ok(CertifiedOrganisationPage {
            organisations: organisations(&records, certified_at)?,
            end,
            head,
            certified_at,
        })
    }

    /// All organisations at one head of the audit log, proved complete: [`AuditedCanister::export`].
    pub async fn all_organisations(
        &self,
        audit: &mut Audit,
    ) -> Result<(Vec<CertifiedOrganisation>, Export), ClientError> {
        let export = self.audited().export(ORGANISATIONS, audit).await?;
        let organisations = organisations(&export.records, export.certified_at)?;
        Ok((organisations, export))
    }

    /// The registry as any canister of the suite.
    #[must_use]
    pub fn audited(&self) -> AuditedCanister {
        AuditedCanister::new(self.connection.clone(), self.canister)
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
        args: &PageArgs<u64>,
    ) -> Result<Page<u64, Organisation>, ClientError> {
        let method = "list_organisations";
        let (answer,) = self
            .connection
            .query_unverified(self.canister, method, (args,))
            .await?;
        accepted(method, answer)
    }

    /// What the installation says of itself, as one node says.
    pub async fn service_info_unverified(&self) -> Result<ServiceInfo, ClientError> {
        self.audited().service_info_unverified().await
    }

    /// The governors, as one node says.
    pub async fn governors_unverified(&self) -> Result<Vec<Governor>, ClientError> {
        let method = "list_governors";
        let (answer,) = self
            .connection
            .query_unverified(self.canister, method, ())
            .await?;
        accepted(method, answer)
    }

    async fn update<T: CandidType + DeserializeOwned>(
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
}

/// The record at a path, or none if it is proved absent.
fn leaf<R: CandidType + DeserializeOwned>(
    witness: &VerifiedWitness,
    path: &[ByteBuf],
) -> Result<Option<R>, ClientError> {
    if witness.lookup(path) == Lookup::Absent {
        return Ok(None);
    }
    let bytes = witness
        .leaf(path)
        .map_err(|reason| unverified(CERTIFIED_READ, reason))?;
    Ok(Some(decode::<(R,)>(CERTIFIED_READ, bytes)?.0))
}

/// Organisation `id` from its certified bytes.
fn organisation(
    method: &str,
    id: u64,
    bytes: &[u8],
    certified_at: Time,
) -> Result<CertifiedOrganisation, ClientError> {
    let (record,): (OrganisationRecord,) = decode(method, bytes)?;
    let organisation = record.into_current();
    if organisation.id != id {
        return Err(ClientError::WrongRecord {
            asked: id,
            found: organisation.id,
        });
    }
    Ok(CertifiedOrganisation {
        organisation,
        certified_at,
    })
}

/// Organisations from the records of their collection, which everybody may read.
fn organisations(
    records: &[CertifiedRecord],
    certified_at: Time,
) -> Result<Vec<CertifiedOrganisation>, ClientError> {
    let one = |record: &CertifiedRecord| {
        let key = hex::encode(&record.key);
        let Ok(id) = record.key[..].try_into().map(u64::from_be_bytes) else {
            return Err(ClientError::WrongKey {
                collection: ORGANISATIONS,
                key,
            });
        };
        let Some(bytes) = &record.bytes else {
            let path = format!("{ORGANISATIONS}/{key}");
            return Err(unverified(CERTIFIED_LIST, VerifyError::Unknown { path }));
        };
        organisation(CERTIFIED_LIST, id, bytes, certified_at)
    };
    records.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use indus_api::registry::{OrganisationKind, OrganisationStatus};

    use super::*;

    fn record(key: &[u8], id: u64) -> CertifiedRecord {
        let organisation = Organisation {
            id,
            profile: OrganisationProfile {
                slug: String::from("a"),
                name: String::from("A"),
                kind: OrganisationKind::Agency,
                parent: None,
                sector: String::from("it"),
                seat: String::from("Quetta"),
            },
            applicant: Principal::anonymous(),
            administrators: vec![Principal::anonymous()],
            status: OrganisationStatus::Pending,
            due_at_ns: 2,
            application: Some(1),
            steps: Vec::new(),
        };
        let bytes = candid::encode_one(OrganisationRecord::V2(organisation)).unwrap();
        CertifiedRecord {
            key: key.to_vec(),
            leaf: indus_verify::leaf_hash(&bytes),
            bytes: Some(bytes),
        }
    }

    fn fault(record: CertifiedRecord) -> String {
        organisations(&[record], Time::default())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn records_become_organisations() {
        let record = record(&organisation_key(7), 7);
        let read = organisations(&[record], Time::default()).unwrap();
        assert_eq!((read.len(), read[0].organisation.id), (1, 7));
    }

    #[test]
    fn a_record_under_a_wrong_key_without_bytes_or_of_another_type_is_refused() {
        assert_eq!(
            fault(record(&organisation_key(7), 8)),
            "asked for organisation 7, got organisation 8"
        );
        assert_eq!(
            fault(record(&[1, 2], 7)),
            "0102 is certified as a key of organisations, which has no such keys"
        );
        let hidden = CertifiedRecord {
            bytes: None,
            ..record(&organisation_key(7), 7)
        };
        assert_eq!(
            fault(hidden),
            "the answer to certified_list can't be verified: nothing is proved about organisations/0000000000000007"
        );
        let other = CertifiedRecord {
            bytes: Some(candid::encode_one("text").unwrap()),
            ..record(&organisation_key(7), 7)
        };
        assert!(
            fault(other).starts_with("the answer to certified_list is not of the expected type: ")
        );
    }
}
