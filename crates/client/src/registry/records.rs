//! Records of the registry, one or all of a collection, each certified under the key that its contents name.
//!
//! Invariants
//! - Pages follow each other without a gap: nothing is left out of a page, and the next one begins where it ended. They
//!   are of moments one after the other; whoever needs all records of one moment exports the collection.
//! - A record under a key of another record is an error, never an answer.
//!
//! Cost: a round trip and two BLS checks for a record, or for a page of [`MAX_LIST`].

use candid::{CandidType, Principal};
use indus_api::CertifiedRead;
use indus_api::certified::{CertifiedListArgs, MAX_LIST};
use indus_api::registry::{
    CANISTERS, CanisterEntry, CanisterRecord, CheckAccessArgs, GRANTS, POLICIES, PROPOSALS,
    PolicyRecord, Proposal, ProposalRecord, ResidencyStatement, SERVICES, SITES, STATEMENT_KEY,
    Service, ServiceRecord, Site, SiteRecord, grant_key, id_key, organisation_path, path,
    principal_key, slug_key,
};
use indus_verify::{Time, VerifyError};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use super::{CERTIFIED_LIST, CERTIFIED_READ, RegistryClient, decode, leaf, unverified};
use crate::audited::CertifiedRecord;
use crate::error::ClientError;

/// Something as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified<T> {
    pub value: T,
    /// When the subnet's state was like this; of several pages, when the first was.
    pub certified_at: Time,
}

/// How the records of a collection are written.
trait Recorded: Sized {
    type Record: CandidType + DeserializeOwned;
    const COLLECTION: &'static str;
    fn from_record(record: Self::Record) -> Self;
    fn key(&self) -> Vec<u8>;
}

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
        self.records().await
    }

    /// All services, in the order of their ids.
    pub async fn services(&self) -> Result<Certified<Vec<Service>>, ClientError> {
        self.records().await
    }

    /// Service `id`; `None` if the subnet certifies that there is none.
    pub async fn service(&self, id: u64) -> Result<Certified<Option<Service>>, ClientError> {
        self.record(&id_key(id)).await
    }

    /// All canisters of the inventory, in no order that means anything.
    pub async fn canisters(&self) -> Result<Certified<Vec<CanisterEntry>>, ClientError> {
        self.records().await
    }

    /// A canister of the inventory; `None` if the subnet certifies that it is not in it.
    pub async fn canister_entry(
        &self,
        canister: Principal,
    ) -> Result<Certified<Option<CanisterEntry>>, ClientError> {
        self.record(&principal_key(canister)).await
    }

    /// All sites, in no order that means anything.
    pub async fn sites(&self) -> Result<Certified<Vec<Site>>, ClientError> {
        self.records().await
    }

    /// Where the subnet is, as of the last change of its sites and nodes; `None` if none was ever recorded.
    pub async fn residency(&self) -> Result<Certified<Option<ResidencyStatement>>, ClientError> {
        let path = path(POLICIES, &STATEMENT_KEY);
        let answer = self
            .connection
            .certified_read_unverified(self.canister, std::slice::from_ref(&path))
            .await?;
        let (certificate, witness) =
            self.connection
                .verify(self.canister, CERTIFIED_READ, &answer)?;
        let value = match leaf(&witness, &path)? {
            None => None,
            Some(PolicyRecord::StatementV1(statement)) => Some(statement),
            Some(_) => {
                return Err(ClientError::WrongKey {
                    collection: POLICIES,
                    key: hex::encode(STATEMENT_KEY),
                });
            }
        };
        Ok(Certified {
            value,
            certified_at: certificate.time(),
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

    async fn record<T: Recorded>(&self, key: &[u8]) -> Result<Certified<Option<T>>, ClientError> {
        let path = path(T::COLLECTION, key);
        let answer: CertifiedRead = self
            .connection
            .certified_read_unverified(self.canister, std::slice::from_ref(&path))
            .await?;
        let (certificate, witness) =
            self.connection
                .verify(self.canister, CERTIFIED_READ, &answer)?;
        let value = leaf(&witness, &path)?
            .map(|record| keyed::<T>(record, key))
            .transpose()?;
        Ok(Certified {
            value,
            certified_at: certificate.time(),
        })
    }

    async fn records<T: Recorded>(&self) -> Result<Certified<Vec<T>>, ClientError> {
        let mut args = CertifiedListArgs {
            collection: T::COLLECTION.into(),
            after: None,
            limit: MAX_LIST,
        };
        let mut value = Vec::new();
        let mut first = None;
        loop {
            let page = self.audited().page(&args).await?;
            let certified_at = *first.get_or_insert(page.certified_at);
            for record in &page.records {
                value.push(readable::<T>(record)?);
            }
            if page.end {
                return Ok(Certified {
                    value,
                    certified_at,
                });
            }
            let Some(last) = page.records.last() else {
                // Otherwise the same page would be asked for again, for ever.
                return Err(ClientError::Incomplete {
                    collection: T::COLLECTION.into(),
                });
            };
            args.after = Some(ByteBuf::from(last.key.clone()));
        }
    }
}

fn readable<T: Recorded>(record: &CertifiedRecord) -> Result<T, ClientError> {
    let Some(bytes) = &record.bytes else {
        let path = format!("{}/{}", T::COLLECTION, hex::encode(&record.key));
        return Err(unverified(CERTIFIED_LIST, VerifyError::Unknown { path }));
    };
    let (value,): (T::Record,) = decode(CERTIFIED_LIST, bytes)?;
    keyed(value, &record.key)
}

fn keyed<T: Recorded>(record: T::Record, key: &[u8]) -> Result<T, ClientError> {
    let value = T::from_record(record);
    if value.key() == key {
        Ok(value)
    } else {
        Err(ClientError::WrongKey {
            collection: T::COLLECTION,
            key: hex::encode(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(key: &[u8], bytes: Option<Vec<u8>>) -> Result<Site, ClientError> {
        readable(&CertifiedRecord {
            key: key.to_vec(),
            leaf: indus_verify::leaf_hash(bytes.as_deref().unwrap_or_default()),
            bytes,
        })
    }

    #[test]
    fn only_a_readable_record_of_its_type_under_its_own_key_is_an_answer() {
        let lahore = Site {
            slug: "lahore-1".into(),
            city: "Lahore".into(),
            country: "PK".into(),
            operator: "ntc".into(),
        };
        let bytes = candid::encode_one(SiteRecord::V1(lahore.clone())).unwrap();
        let key = slug_key("lahore-1");
        assert_eq!(site(&key, Some(bytes.clone())).unwrap(), lahore);
        assert!(matches!(
            site(&slug_key("quetta-1"), Some(bytes)),
            Err(ClientError::WrongKey { .. })
        ));
        assert!(matches!(
            site(&key, None),
            Err(ClientError::Unverified { .. })
        ));
        let other = candid::encode_one(7_u8).unwrap();
        assert!(matches!(
            site(&key, Some(other)),
            Err(ClientError::Reply { .. })
        ));
    }
}
