//! Records of the registry, one or all of a collection ([`crate::records`]).

use candid::Principal;
use indus_api::registry::{
    CANISTERS, CanisterEntry, CanisterRecord, CheckAccessArgs, GRANTS, POLICIES, PROPOSALS,
    PolicyRecord, Proposal, ProposalRecord, ResidencyStatement, SERVICES, SITES, STATEMENT_KEY,
    Service, ServiceRecord, Site, SiteRecord, grant_key, id_key, organisation_path, path,
    principal_key, slug_key,
};
use serde_bytes::ByteBuf;

use super::RegistryClient;
use crate::connection::{CERTIFIED_READ, decode};
use crate::error::ClientError;
use crate::records::{Certified, Recorded, leaf, record, records};

impl Recorded for Service {
    type Record = ServiceRecord;
    const COLLECTION: &'static str = SERVICES;
    fn from_record(ServiceRecord::V1(service): ServiceRecord) -> Self {
        service
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for Proposal {
    type Record = ProposalRecord;
    const COLLECTION: &'static str = PROPOSALS;
    fn from_record(ProposalRecord::V1(proposal): ProposalRecord) -> Self {
        proposal
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for CanisterEntry {
    type Record = CanisterRecord;
    const COLLECTION: &'static str = CANISTERS;
    fn from_record(CanisterRecord::V1(entry): CanisterRecord) -> Self {
        entry
    }
    fn key(&self) -> Vec<u8> {
        principal_key(self.profile.canister).to_vec()
    }
}

impl Recorded for Site {
    type Record = SiteRecord;
    const COLLECTION: &'static str = SITES;
    fn from_record(SiteRecord::V1(site): SiteRecord) -> Self {
        site
    }
    fn key(&self) -> Vec<u8> {
        slug_key(&self.slug).to_vec()
    }
}

impl RegistryClient {
    /// All proposals, in the order of their ids.
    pub async fn proposals(&self) -> Result<Certified<Vec<Proposal>>, ClientError> {
        records(&self.audited()).await
    }

    /// All services, in the order of their ids.
    pub async fn services(&self) -> Result<Certified<Vec<Service>>, ClientError> {
        records(&self.audited()).await
    }

    /// Service `id`; `None` if the subnet certifies that there is none.
    pub async fn service(&self, id: u64) -> Result<Certified<Option<Service>>, ClientError> {
        record(&self.connection, self.canister, &id_key(id)).await
    }

    /// All canisters of the inventory, in no order that means anything.
    pub async fn canisters(&self) -> Result<Certified<Vec<CanisterEntry>>, ClientError> {
        records(&self.audited()).await
    }

    /// A canister of the inventory; `None` if the subnet certifies that it is not in it.
    pub async fn canister_entry(
        &self,
        canister: Principal,
    ) -> Result<Certified<Option<CanisterEntry>>, ClientError> {
        record(&self.connection, self.canister, &principal_key(canister)).await
    }

    /// All sites, in no order that means anything.
    pub async fn sites(&self) -> Result<Certified<Vec<Site>>, ClientError> {
        records(&self.audited()).await
    }

    /// Where the subnet is, as of the last change of its sites and nodes; `None` if none was ever recorded.
    pub async fn residency(&self) -> Result<Certified<Option<ResidencyStatement>>, ClientError> {
        let path = path(POLICIES, &STATEMENT_KEY);
        let found = leaf(&self.connection, self.canister, &path).await?;
        let record = found
            .value
            .map(|bytes| decode::<(PolicyRecord,)>(CERTIFIED_READ, &bytes))
            .transpose()?;
        let value = match record {
            None => None,
            Some((PolicyRecord::StatementV1(statement),)) => Some(statement),
            Some(_) => {
                return Err(ClientError::WrongKey {
                    collection: POLICIES,
                    key: hex::encode(STATEMENT_KEY),
                });
            }
        };
        Ok(Certified {
            value,
            certified_at: found.certified_at,
        })
    }

    /// The paths whose records decide about an access: organisation, service, grant.
    #[must_use]
    pub fn access_paths(args: &CheckAccessArgs) -> [Vec<ByteBuf>; 3] {
        [
            organisation_path(args.organisation),
            path(SERVICES, &id_key(args.service)),
            path(GRANTS, &grant_key(args.service, args.organisation)),
        ]
    }
}
