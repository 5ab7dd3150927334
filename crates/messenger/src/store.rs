//! What a device keeps: its MLS keys, the logs that it has verified, its messages. One file, encrypted, changed in steps.
//!
//! ```text
//! step:  put, remove ──► changes in memory ── commit ──► one transaction of the file, on disk when it returns
//!                                          └─ discard ─► nothing
//! file:  HMAC(name) ──► nonce ‖ XChaCha20-Poly1305(value), bound to its place
//! ```
//!
//! Invariants
//! - A step is in the file as a whole or not at all, whenever the process is killed. So a key that was used is never there again, and
//!   what was decrypted is kept when the key that decrypted it is gone.
//! - Nothing in the file can be read, or moved to another place, without the device's key; its names and numbers neither.
//! - One process at a time has the file.
//!
//! What it can't do: an old copy of the file that is put back in place of a newer one is believed. Keys would be used again then;
//! don't restore it from a backup.

mod mls;
mod seal;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use seal::Seal;

const VALUES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("values");
/// Name of the record that says which device the file is of.
const FORMAT: &[u8] = b"format";
const VERSION: u32 = 1;
/// What nobody but the owner may have of the file.
const OF_OTHERS: u32 = 0o077;

/// Why a store can't be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the message store: {0}")]
    File(#[from] std::io::Error),
    #[error("the message store: {0}")]
    Database(String),
    #[error("the message store is of another device, or damaged")]
    Sealed,
    #[error(
        "others can use the message store (mode {mode:04o}); chmod 600 it if nobody else has read it"
    )]
    Readable { mode: u32 },
    #[error("the message store is of another version of this program ({0})")]
    Version(u32),
    #[error("what is kept as {0} can't be read")]
    Record(&'static str),
}

fn database(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(error.into().to_string())
}

/// Changes of one step: what is put, and what is removed.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The file, and the changes of the step that is under way.
pub struct Store {
    database: Database,
    seal: Seal,
    changes: Mutex<Changes>,
}

/// How far a step was.
pub(crate) struct Mark(Changes);

impl Store {
    /// Opens the store in `path`, or begins one, with the 32 secret bytes of its device.
    ///
    /// # Errors
    /// [`StoreError`]; another process that has it open is a [`StoreError::Database`].
    pub fn open(path: &Path, secret: &[u8; 32]) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        if mode & OF_OTHERS != 0 {
            return Err(StoreError::Readable { mode });
        }
        let database = Database::builder()
            .create_with_backend(FileBackend::new(file).map_err(self::database)?)
            .map_err(self::database)?;
        let writing = database.begin_write().map_err(self::database)?;
        let is_empty = {
            let table = writing.open_table(VALUES).map_err(self::database)?;
            redb::ReadableTableMetadata::is_empty(&table).map_err(self::database)?
        };
        writing.commit().map_err(self::database)?;
        let store = Self {
            database,
            seal: Seal::new(secret),
            changes: Mutex::default(),
        };
        if is_empty {
            store.put_record(FORMAT, &VERSION)?;
            store.commit()?;
        }
        match store.record::<u32>(FORMAT, "the format")? {
            Some(VERSION) => Ok(store),
            Some(other) => Err(StoreError::Version(other)),
            None => Err(StoreError::Sealed),
        }
    }

    /// What is kept under a name, with the changes of this step.
    pub(crate) fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(changed) = self.changes().get(name) {
            return Ok(changed.clone());
        }
        let place = self.seal.place(name);
        let reading = self.database.begin_read().map_err(database)?;
        let table = reading.open_table(VALUES).map_err(database)?;
        let sealed = table.get(&place).map_err(database)?;
        let value = sealed.map(|sealed| self.seal.open(&place, sealed.value()));
        value.transpose()
    }

    /// Keeps something under a name, when this step is committed.
    pub(crate) fn put(&self, name: &[u8], value: Vec<u8>) {
        self.changes().insert(name.to_vec(), Some(value));
    }

    /// Keeps nothing under a name any more.
    pub(crate) fn remove(&self, name: &[u8]) {
        self.changes().insert(name.to_vec(), None);
    }

    /// A record; `what` names it if it can't be read.
    pub(crate) fn record<T: DeserializeOwned>(
        &self,
        name: &[u8],
        what: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let bytes = self.get(name)?;
        bytes
            .map(|bytes| ciborium::from_reader(bytes.as_slice()))
            .transpose()
            .map_err(|_| StoreError::Record(what))
    }

    pub(crate) fn put_record<T: Serialize>(
        &self,
        name: &[u8],
        record: &T,
    ) -> Result<(), StoreError> {
        self.put(name, encoded(record)?);
        Ok(())
    }

    /// How far this step is, for [`Store::back_to`].
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.changes().clone())
    }

    /// Undoes what this step did since.
    pub(crate) fn back_to(&self, mark: Mark) {
        *self.changes() = mark.0;
    }

    /// Undoes this step.
    pub(crate) fn discard(&self) {
        self.changes().clear();
    }

    /// Ends this step: when it returns, all of it is on disk.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        let mut changes = self.changes();
        if changes.is_empty() {
            return Ok(());
        }
        let writing = self.database.begin_write().map_err(database)?;
        {
            let mut table = writing.open_table(VALUES).map_err(database)?;
            for (name, value) in &*changes {
                let place = self.seal.place(name);
                match value {
                    Some(value) => {
                        let sealed = self.seal.close(&place, value)?;
                        table.insert(&place, sealed.as_slice()).map_err(database)?;
                    }
                    None => {
                        table.remove(&place).map_err(database)?;
                    }
                }
            }
        }
        writing.commit().map_err(database)?;
        changes.clear();
        Ok(())
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CBOR of something that this crate, or openmls, keeps.
fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|_| StoreError::Record("something that can't be written"))?;
    Ok(bytes)
}

/// The number of something in its row, as a name.
pub(crate) fn name(kind: &str, numbers: &[u64]) -> Vec<u8> {
    let mut name = kind.as_bytes().to_vec();
    for number in numbers {
        name.extend(number.to_be_bytes());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Store, StoreError> {
        Store::open(path, &[7; 32])
    }

    #[test]
    fn a_step_is_kept_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device/store");
        let store = open(&path).unwrap();
        store.put(b"one", b"1".to_vec());
        store.put(b"two", b"2".to_vec());
        store.commit().unwrap();
        store.put(b"one", b"other".to_vec());
        let mark = store.mark();
        store.remove(b"two");
        assert_eq!(store.get(b"two").unwrap(), None);
        store.back_to(mark);
        assert_eq!(store.get(b"two").unwrap().unwrap(), b"2");
        assert_eq!(store.get(b"one").unwrap().unwrap(), b"other");
        drop(store);

        let store = open(&path).unwrap();
        assert_eq!(store.get(b"one").unwrap().unwrap(), b"1");
        store.remove(b"one");
        store.discard();
        store.remove(b"two");
        store.commit().unwrap();
        drop(store);
        let store = open(&path).unwrap();
        assert_eq!(store.get(b"one").unwrap().unwrap(), b"1");
        assert_eq!(store.get(b"two").unwrap(), None);
    }

    #[test]
    fn nobody_else_reads_it_and_nothing_is_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = open(&path).unwrap();
        let secret = b"the minister's secret".as_slice();
        store.put(b"a conversation's name", secret.to_vec());
        store.commit().unwrap();
        assert!(matches!(open(&path), Err(StoreError::Database(_))));
        drop(store);
        let bytes = fs::read(&path).unwrap();
        for clear in [secret, b"a conversation's name"] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear));
        }
        assert!(matches!(
            Store::open(&path, &[8; 32]),
            Err(StoreError::Sealed)
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            open(&path),
            Err(StoreError::Readable { mode: 0o640 })
        ));
    }
}
