//! Records of a canister of the suite, one or all of a collection, each certified under the key that its contents name.
//!
//! Invariants
//! - Pages follow each other without a gap: nothing is left out of a page, and the next one begins where it ended. They
//!   are of moments one after the other; whoever needs all records of one moment exports the collection.
//! - A record under a key of another record is an error, never an answer.
//!
//! Cost: a round trip and two BLS checks for a record, or for a page of [`MAX_LIST`].

use candid::{CandidType, Principal};
use indus_api::certified::{CertifiedListArgs, DATA, MAX_LIST};
use indus_verify::{Lookup, Time, VerifyError};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::audited::{AuditedCanister, CERTIFIED_LIST, CertifiedRecord};
use crate::connection::{CERTIFIED_READ, Connection, decode, unverified};
use crate::error::ClientError;

/// Something as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified<T> {
    pub value: T,
    /// When the subnet's state was like this; of several pages, when the first was.
    pub certified_at: Time,
}

/// How the records of a collection are written.
pub trait Recorded: Sized {
    /// The type of the leaves.
    type Record: CandidType + DeserializeOwned;
    /// The collection's name.
    const COLLECTION: &'static str;
    /// What a leaf holds.
    fn from_record(record: Self::Record) -> Self;
    /// Its key, by its contents.
    fn key(&self) -> Vec<u8>;
}

/// Reads the certified bytes of the record under `key`.
///
/// Errors: [`ClientError::Reply`] if they are of another type; [`ClientError::WrongKey`] if they are another record's.
pub fn read<T: Recorded>(bytes: &[u8], key: &[u8]) -> Result<T, ClientError> {
    let (record,): (T::Record,) = decode(CERTIFIED_READ, bytes)?;
    keyed(record, key)
}

/// Certified path of a record.
pub(crate) fn path(collection: &str, key: &[u8]) -> Vec<ByteBuf> {
    [DATA.as_bytes(), collection.as_bytes(), key]
        .map(|label| ByteBuf::from(label.to_vec()))
        .into()
}

/// The exact bytes at a certified path; none if the subnet certifies that there is nothing.
pub(crate) async fn leaf(
    connection: &Connection,
    canister: Principal,
    path: &[ByteBuf],
) -> Result<Certified<Option<Vec<u8>>>, ClientError> {
    let answer = connection
        .certified_read_unverified(canister, &[path.to_vec()])
        .await?;
    let (certificate, witness) = connection.verify(canister, CERTIFIED_READ, &answer)?;
    let value = match witness.lookup(path) {
        Lookup::Absent => None,
        _ => {
            let leaf = witness.leaf(path);
            let leaf = leaf.map_err(|reason| unverified(CERTIFIED_READ, reason))?;
            Some(leaf.to_vec())
        }
    };
    Ok(Certified {
        value,
        certified_at: certificate.time(),
    })
}

/// The record under a key.
pub(crate) async fn record<T: Recorded>(
    connection: &Connection,
    canister: Principal,
    key: &[u8],
) -> Result<Certified<Option<T>>, ClientError> {
    let found = leaf(connection, canister, &path(T::COLLECTION, key)).await?;
    let value = found.value.map(|bytes| read(&bytes, key)).transpose()?;
    Ok(Certified {
        value,
        certified_at: found.certified_at,
    })
}

/// All records of a collection, in the order of their keys.
pub(crate) async fn records<T: Recorded>(
    canister: &AuditedCanister,
) -> Result<Certified<Vec<T>>, ClientError> {
    let mut args = CertifiedListArgs {
        collection: T::COLLECTION.into(),
        after: None,
        limit: MAX_LIST,
    };
    let mut value = Vec::new();
    let mut first = None;
    loop {
        let page = canister.page(&args).await?;
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
    use indus_api::registry::{Site, SiteRecord, slug_key};

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
