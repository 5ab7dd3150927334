//! Tables: collections whose records are Candid of one type.
//!
//! A record's type is a variant whose tag is its version. [`Table::put`] makes the change of an event; nothing is written
//! but by [`Certified::record`], so reads and events can't disagree.
//!
//! Cost: that of the collection, and of [`encoding`].

use std::marker::PhantomData;

use candid::CandidType;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
};
use serde::de::DeserializeOwned;

use crate::{
    Certified, Change, CollectionId,
    codes::{RECORD_NOT_DECODED, RECORD_NOT_ENCODED, internal},
    encoding,
    paging::PageRequest,
};

/// A collection of records `R`.
#[derive(Debug)]
pub struct Table<R> {
    id: CollectionId,
    record: PhantomData<fn() -> R>,
}

impl<R: CandidType + DeserializeOwned + 'static> Table<R> {
    /// The collection at this place of the canister's list.
    #[must_use]
    pub const fn new(place: usize) -> Self {
        Self {
            id: CollectionId(place),
            record: PhantomData,
        }
    }

    /// The collection.
    #[must_use]
    pub const fn id(&self) -> CollectionId {
        self.id
    }

    /// Records in it.
    #[must_use]
    pub fn len<M: Memory>(&self, certified: &Certified<M>) -> u64 {
        certified.collection(self.id).len()
    }

    /// Whether there is a record.
    #[must_use]
    pub fn contains<M: Memory>(&self, certified: &Certified<M>, key: &[u8]) -> bool {
        certified.collection(self.id).contains(key)
    }

    /// A record's exact bytes.
    #[must_use]
    pub fn bytes<M: Memory>(&self, certified: &Certified<M>, key: &[u8]) -> Option<Vec<u8>> {
        certified.get(self.id, key)
    }

    /// A record.
    ///
    /// # Errors
    /// [`Error::Internal`] if the stored bytes are not one.
    pub fn get<M: Memory>(&self, certified: &Certified<M>, key: &[u8]) -> Result<Option<R>, Error> {
        let bytes = self.bytes(certified, key);
        bytes.map(|bytes| decoded(&bytes)).transpose()
    }

    /// Records behind `after`, or all, in the order of their keys.
    pub fn after<'a, M: Memory>(
        &self,
        certified: &'a Certified<M>,
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (Vec<u8>, Result<R, Error>)> + use<'a, M, R> {
        let stored = certified.collection(self.id).after(after);
        stored.map(|(key, bytes)| (key, decoded(&bytes)))
    }

    /// A page of a table whose keys are ids. `item` says what it shows of a record, or nothing to leave it out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the limit; [`Error::Internal`] for bytes that are no record; those of `item`.
    pub fn page<M: Memory, T>(
        &self,
        certified: &Certified<M>,
        args: PageArgs<u64>,
        mut item: impl FnMut(R) -> Result<Option<T>, Error>,
    ) -> Result<Page<u64, T>, Error> {
        let after = args.after.map(u64::to_be_bytes);
        let after = after.as_ref().map(|key| &key[..]);
        PageRequest::checked(args)?.answer(
            self.after(certified, after),
            |(key, _)| id_of(key),
            |(_, record)| item(record?),
        )
    }

    /// The change that stores a record.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be encoded.
    pub fn put(&self, key: &[u8], record: &R) -> Result<Change, Error> {
        let record = encoding::encode(record).map_err(|_| internal(RECORD_NOT_ENCODED))?;
        Ok(Change {
            collection: self.id,
            key: key.to_vec(),
            record: Some(record),
        })
    }

    /// The change that removes a record.
    #[must_use]
    pub fn removed(&self, key: &[u8]) -> Change {
        Change {
            collection: self.id,
            key: key.to_vec(),
            record: None,
        }
    }
}

/// The id in a key of eight bytes, big-endian; 0 for any other key.
#[must_use]
pub fn id_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

fn decoded<R: CandidType + DeserializeOwned + 'static>(bytes: &[u8]) -> Result<R, Error> {
    encoding::decode(bytes).map_err(|_| internal(RECORD_NOT_DECODED))
}
