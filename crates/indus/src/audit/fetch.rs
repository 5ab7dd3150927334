//! Fetches what an audit of one canister needs, and goes on where a fetch ended.
//!
//! ```text
//! head ─► pages of each collection, appended ─┐
//!                                             ├─► changed in between? ─► read those records again ─┐
//! tip, head ─► blocks up to it, appended ─────┘        ▲                                           │
//!                                                      └──────── the next head ◄───────────────────┘
//! nothing changed ─► head, tip, state, service ─► SHA256SUMS
//! ```
//!
//! The canister may be written to all the while. A record that no block names since the log had the size `since`, is as it was
//! read; one that a block names has the leaf that the last of them gives it, or is read again. So a complete folder goes on too:
//! only what has changed is read.
//!
//! Invariants
//! - Nothing is appended that a verified certificate doesn't show, but for the blocks, which the audit verifies.
//! - No page is of an earlier log than `since`, no head of an earlier one than a page, or changes would be missed.
//! - Killed at any moment, it leaves a folder that the next fetch completes.
//!
//! Cost: a query for each hundred records, one for each hundred blocks; in memory one page, and what changed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::audit::MAX_BLOCKS;
use indus_api::certified::{CertifiedListArgs, DATA, MAX_LIST};
use indus_client::key_before;
use indus_verify::{
    BlockFault, Hash, RecordFault, RootKey, StoredBlock, StoredRecord, TimeBound, VerifiedWitness,
    Verifier, VerifyError, store_page,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::audit::check::last_block;
use crate::audit::folder::{
    BLOCKS, Folder, HEAD_CERTIFICATE, HEAD_WITNESS, PROGRESS, SERVICE, STATE_CERTIFICATE,
    TIP_CERTIFICATE, TIP_WITNESS, remove, stream,
};
use crate::audit::source::Source;
use crate::failure::Failure;
use crate::when;

/// How often it is tried to bring everything to one head. Each time only what changed since the time before is read.
const MAX_ROUNDS: u32 = 20;
/// With more changes of a collection than this it is read anew, so that they need not be in memory.
const MAX_CHANGES: usize = 200_000;
const FORMAT: u32 = 1;

/// How far the folder is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    format: u32,
    collections: BTreeMap<String, Reading>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    /// Size of a log that all of its pages are at least of.
    since: u64,
    /// Size of the longest log that a page is of.
    newest: u64,
    /// All pages were read.
    whole: bool,
}

/// What a canister certifies at a head.
struct Head {
    answer: CertifiedRead,
    size: u64,
    collections: Vec<String>,
}

/// What the log says last of keys: the hash of the leaf, or that it was removed.
type Changes = BTreeMap<Vec<u8>, Option<Hash>>;

/// A record that was read.
struct Record {
    leaf: Hash,
    bytes: Option<Vec<u8>>,
}

/// A page of a collection, verified.
struct Page {
    records: Vec<(Vec<u8>, Record)>,
    end: bool,
    size: u64,
}

/// What was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Blocks in the folder.
    pub(crate) blocks: u64,
    /// Of them, those that came now.
    pub(crate) new_blocks: u64,
    /// Pages that were read.
    pub(crate) pages: u64,
}

/// Fetches `canister` into `folder`.
pub(crate) async fn fetch(
    source: &impl Source,
    canister: Principal,
    root_key: RootKey,
    folder: &Folder,
) -> Result<Fetched, Failure> {
    let mut fetch = Fetch {
        source,
        canister,
        verifier: Verifier::new(root_key),
        folder,
        progress: Progress::default(),
        fetched: Fetched::default(),
    };
    fetch.run().await?;
    Ok(fetch.fetched)
}

struct Fetch<'a, S> {
    source: &'a S,
    canister: Principal,
    verifier: Verifier,
    folder: &'a Folder,
    progress: Progress,
    fetched: Fetched,
}

impl<S: Source> Fetch<'_, S> {
    async fn run(&mut self) -> Result<(), Failure> {
        let folder = self.folder;
        folder.create().map_err(at(&folder.path("")))?;
        folder.unseal().map_err(at(&folder.path("")))?;
        self.progress = self.load()?;
        self.fetched.blocks = self.count_blocks()?;
        for _ in 0..MAX_ROUNDS {
            // The tip first: it is of a block that the head has.
            let tip = self.source.tip().await.map_err(Failure::failed)?;
            let head = self.head().await?;
            self.read_collections(&head).await?;
            self.read_blocks(head.size).await?;
            if !self.roll_forward(head.size).await? {
                continue;
            }
            let tip = tip.ok_or_else(|| Failure::failed("the canister certifies no last block"))?;
            let answer = CertifiedRead {
                certificate: tip.certificate,
                witness: tip.hash_tree,
            };
            let witness = self.verify(&answer)?;
            if last_block(&witness).is_none_or(|(index, _)| index >= head.size) {
                continue;
            }
            self.write(HEAD_CERTIFICATE, &head.answer.certificate)?;
            self.write(HEAD_WITNESS, &head.answer.witness)?;
            self.write(TIP_CERTIFICATE, &answer.certificate)?;
            self.write(TIP_WITNESS, &answer.witness)?;
            let state = self.source.state().await.map_err(Failure::failed)?;
            self.write(STATE_CERTIFICATE, &state)?;
            let info = self.source.info().await.map_err(Failure::failed)?;
            let info = serde_json::to_vec_pretty(&info).map_err(Failure::failed)?;
            self.write(SERVICE, &info)?;
            self.save()?;
            return folder.seal().map_err(at(&folder.path("")));
        }
        Err(Failure::Failed(format!(
            "{} still changed when it was read for the {MAX_ROUNDS}th time; fetch again",
            self.canister
        )))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.folder.write(name, bytes);
        written.map_err(at(&self.folder.path(name)))
    }

    /// What an earlier fetch left. Of what it can't be told, nothing was read.
    fn load(&self) -> Result<Progress, Failure> {
        let empty = Progress {
            format: FORMAT,
            ..Progress::default()
        };
        match self.folder.read(PROGRESS) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(progress) => {
                    let Progress { format, .. } = progress;
                    if format == FORMAT {
                        Ok(progress)
                    } else {
                        Ok(empty)
                    }
                }
                Err(_) => Ok(empty),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(empty),
            Err(error) => Err(at(&self.folder.path(PROGRESS))(error)),
        }
    }

    fn save(&self) -> Result<(), Failure> {
        let bytes = serde_json::to_vec_pretty(&self.progress).map_err(Failure::failed)?;
        self.write(PROGRESS, &bytes)
    }

    fn verify(&self, answer: &CertifiedRead) -> Result<VerifiedWitness, Failure> {
        let bound = TimeBound::within(indus_client::MAX_CERTIFICATE_AGE);
        self.verifier
            .certificate(&answer.certificate, self.canister, when::now(), bound)
            .and_then(|certificate| certificate.witness(&answer.witness))
            .map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &VerifyError) -> Failure {
        Failure::Failed(format!(
            "an answer of {} can't be verified: {error}",
            self.canister
        ))
    }

    /// A node that is behind the others.
    fn older(&self, size: u64, known: u64) -> Failure {
        Failure::Failed(format!(
            "an answer of {} is of a log of {size} blocks, of which {known} were read already; fetch again",
            self.canister
        ))
    }

    async fn head(&self) -> Result<Head, Failure> {
        let answer = self.source.head().await.map_err(Failure::failed)?;
        let witness = self.verify(&answer)?;
        let size = witness
            .log_head()
            .map_err(|error| self.refused(&error))?
            .size;
        if size < self.fetched.blocks {
            return Err(self.older(size, self.fetched.blocks));
        }
        let entries = match witness.entries(&[DATA], None, Bound::Unbounded) {
            Ok(page) => page.entries,
            Err(VerifyError::Absent { .. }) => Vec::new(),
            Err(error) => return Err(self.refused(&error)),
        };
        let name = |label: &[u8]| match str::from_utf8(label) {
            Ok(name) if self.folder.records(name).is_some() => Ok(name.to_owned()),
            _ => Err(Failure::Failed(format!("no file can be named {label:?}"))),
        };
        let collections = entries.iter().map(|entry| name(entry.label));
        Ok(Head {
            size,
            collections: collections.collect::<Result<_, _>>()?,
            answer,
        })
    }

    fn records(&self, collection: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.records(collection);
        path.ok_or_else(|| Failure::Failed(format!("no file can be named {collection:?}")))
    }

    /// The page behind `after`, of a log of at least `known` blocks.
    async fn page(
        &mut self,
        collection: &str,
        after: Option<Vec<u8>>,
        known: u64,
    ) -> Result<Page, Failure> {
        let args = CertifiedListArgs {
            collection: collection.into(),
            after: after.clone().map(ByteBuf::from),
            limit: MAX_LIST,
        };
        let answer = self.source.page(&args).await.map_err(Failure::failed)?;
        let witness = self.verify(&answer)?;
        let path = [DATA.as_bytes(), collection.as_bytes()];
        let read = || {
            let page = witness.entries(&path, after.as_deref(), Bound::Unbounded)?;
            Ok((page, witness.log_head()?.size))
        };
        let (page, size) = read().map_err(|error| self.refused(&error))?;
        if size < known {
            return Err(self.older(size, known));
        }
        self.fetched.pages += 1;
        let records = page.entries.iter().map(|entry| {
            let record = Record {
                leaf: entry.hash,
                bytes: entry.leaf.map(<[u8]>::to_vec),
            };
            (entry.label.to_vec(), record)
        });
        Ok(Page {
            records: records.collect(),
            end: page.end,
            size,
        })
    }

    /// Reads the collections that were not read to their end.
    async fn read_collections(&mut self, head: &Head) -> Result<(), Failure> {
        for name in &head.collections {
            let path = self.records(name)?;
            let known = self.progress.collections.get(name).copied();
            let mut reading = match known {
                // A file that was removed is read anew.
                Some(known) if path.exists() => known,
                _ => {
                    remove(&path).map_err(at(&path))?;
                    Reading {
                        since: head.size,
                        ..Reading::default()
                    }
                }
            };
            self.progress.collections.insert(name.clone(), reading);
            if reading.whole {
                continue;
            }
            // What it is since must be known before the first page is kept.
            self.save()?;
            let mut after = last_key(&path)?;
            let mut file = append(&path)?;
            while !reading.whole {
                let page = self.page(name, after, reading.since).await?;
                let mut bytes = Vec::new();
                for (key, record) in &page.records {
                    store(key, record, &mut bytes)?;
                }
                // Before its records, so that no newer one is kept than is known of.
                if page.size > reading.newest {
                    reading.newest = page.size;
                    self.progress.collections.insert(name.clone(), reading);
                    self.save()?;
                }
                file.write_all(&bytes).map_err(at(&path))?;
                after = page.records.last().map(|(key, _)| key.clone());
                reading.whole = page.end;
            }
            file.sync_all().map_err(at(&path))?;
            self.progress.collections.insert(name.clone(), reading);
            self.save()?;
        }
        Ok(())
    }

    /// How many whole blocks are in the folder; a part of one behind them is removed.
    fn count_blocks(&self) -> Result<u64, Failure> {
        let path = self.folder.path(BLOCKS);
        let mut count = 0;
        let whole = |bytes: &[u8]| {
            each_block(bytes, |_| {
                count += 1;
                Ok(())
            })
        };
        cut_off(&path, whole)?;
        Ok(count)
    }

    async fn read_blocks(&mut self, size: u64) -> Result<(), Failure> {
        let path = self.folder.path(BLOCKS);
        let mut file = append(&path)?;
        while self.fetched.blocks < size {
            let start = self.fetched.blocks;
            let length = (size - start).min(MAX_BLOCKS);
            let reply = self.source.blocks(start, length).await;
            let mut bytes = Vec::new();
            let count = store_page(&reply.map_err(Failure::failed)?, start, size, &mut bytes)
                .map_err(Failure::failed)?;
            file.write_all(&bytes).map_err(at(&path))?;
            self.fetched.blocks += count;
            self.fetched.new_blocks += count;
        }
        file.sync_all().map_err(at(&path))
    }

    /// Brings all collections to the head of a log of `size` blocks; whether they are there.
    async fn roll_forward(&mut self, size: u64) -> Result<bool, Failure> {
        let mut settled = true;
        let mut changes = self.changes()?;
        for (name, reading) in self.progress.collections.clone() {
            let path = self.records(&name)?;
            let changes = changes.remove(&name).unwrap_or_default();
            if reading.newest > size {
                // A page of a later state can't be rolled back.
                settled = false;
            } else if changes.len() > MAX_CHANGES {
                remove(&path).map_err(at(&path))?;
                settled = false;
            } else if self.update(&name, &path, &changes, size).await? {
                let reading = Reading {
                    since: size,
                    newest: size,
                    whole: true,
                };
                self.progress.collections.insert(name, reading);
            } else {
                settled = false;
            }
        }
        Ok(settled)
    }

    /// What the blocks say of each collection since it was read.
    fn changes(&self) -> Result<BTreeMap<String, Changes>, Failure> {
        let path = self.folder.path(BLOCKS);
        let since = |name: &str| self.progress.collections.get(name).map(|known| known.since);
        let first = self
            .progress
            .collections
            .values()
            .map(|known| known.since)
            .min();
        let mut changed: BTreeMap<String, Changes> = BTreeMap::new();
        let mut index = 0;
        let read = stream(&path, |bytes| {
            each_block(bytes, |block| {
                let this = index;
                index += 1;
                if first.is_none_or(|first| this < first) {
                    return Ok(());
                }
                for change in block.changes()? {
                    if since(&change.collection).is_none_or(|since| this < since) {
                        continue;
                    }
                    let leaf = change.leaf.map(|leaf| leaf.into_vec().try_into());
                    let leaf = leaf.transpose().map_err(|_| BlockFault::Stored)?;
                    let changes = changed.entry(change.collection).or_default();
                    // One more than are used tells that there are too many.
                    if changes.len() <= MAX_CHANGES {
                        changes.insert(change.key.into_vec(), leaf);
                    }
                }
                Ok(())
            })
        });
        read.map_err(at(&path))?.map_err(Failure::failed)?;
        Ok(changed)
    }

    /// Brings the records of a collection to the state after `changes`, in a log of `size` blocks; whether they are, or some
    /// have changed again.
    async fn update(
        &mut self,
        name: &str,
        path: &Path,
        changes: &Changes,
        size: u64,
    ) -> Result<bool, Failure> {
        // Those that are as the log says last.
        let mut kept = BTreeSet::new();
        let mut gone = false;
        let look = |record: &StoredRecord<'_>| {
            match changes.get(record.key) {
                Some(Some(leaf)) if leaf == record.leaf => drop(kept.insert(record.key.to_vec())),
                Some(None) => gone = true,
                _ => {}
            }
            Ok(())
        };
        let mut look = look;
        let read = stream(path, |bytes| each_record(bytes, &mut look));
        read.map_err(at(path))?.map_err(Failure::failed)?;
        let mut stale: BTreeMap<Vec<u8>, Hash> = changes
            .iter()
            .filter_map(|(key, leaf)| Some((key.clone(), (*leaf)?)))
            .filter(|(key, _)| !kept.contains(key))
            .collect();
        if stale.is_empty() && !gone {
            return Ok(true);
        }
        let mut read: BTreeMap<Vec<u8>, Record> = BTreeMap::new();
        let mut settled = true;
        while let Some((first, _)) = stale.first_key_value() {
            let page = self.page(name, key_before(first), size).await?;
            let reached = page.records.last().map(|(key, _)| key.clone());
            for (key, record) in page.records {
                match stale.remove(&key) {
                    Some(leaf) if leaf == record.leaf => drop(read.insert(key, record)),
                    Some(_) => settled = false,
                    None => {}
                }
            }
            // Of those that the page reaches, what is not there was removed since.
            let behind = match reached {
                Some(reached) if !page.end => stale.split_off(&reached),
                _ => BTreeMap::new(),
            };
            settled &= stale.is_empty();
            stale = behind;
        }
        let write = |file: &mut File| merge(path, file, changes, &kept, &read);
        self.folder.replace(path, write).map_err(at(path))?;
        Ok(settled)
    }
}

/// The records of `old` in their order, without those that changed unless they are `kept`, with those that were `read`.
fn merge(
    old: &Path,
    new: &mut File,
    changes: &Changes,
    kept: &BTreeSet<Vec<u8>>,
    read: &BTreeMap<Vec<u8>, Record>,
) -> io::Result<()> {
    let mut new = BufWriter::new(new);
    let mut read = read.iter().peekable();
    let mut bytes = Vec::new();
    let merged = stream(old, |stored| {
        bytes.clear();
        let done = each_record(stored, |record| {
            while let Some((key, added)) = read.next_if(|(key, _)| key[..] < *record.key) {
                stored_record(key, added).write(&mut bytes)?;
            }
            if !changes.contains_key(record.key) || kept.contains(record.key) {
                record.write(&mut bytes)?;
            }
            Ok(())
        });
        let done = done.map_err(io::Error::other)?;
        new.write_all(&bytes)?;
        Ok::<_, io::Error>(done)
    });
    merged??;
    bytes.clear();
    for (key, added) in read {
        let written = stored_record(key, added).write(&mut bytes);
        written.map_err(io::Error::other)?;
    }
    new.write_all(&bytes)?;
    new.flush()
}

fn stored_record<'a>(key: &'a [u8], record: &'a Record) -> StoredRecord<'a> {
    StoredRecord {
        key,
        leaf: &record.leaf,
        bytes: record.bytes.as_deref(),
    }
}

fn store(key: &[u8], record: &Record, file: &mut Vec<u8>) -> Result<(), Failure> {
    let written = stored_record(key, record).write(file);
    written.map_err(Failure::failed)
}

/// Shows `see` each whole block of `bytes`; how many bytes those are.
fn each_block(
    bytes: &[u8],
    mut see: impl FnMut(&StoredBlock<'_>) -> Result<(), BlockFault>,
) -> Result<usize, BlockFault> {
    let mut rest = bytes;
    while let Some((block, after)) = StoredBlock::read(rest)? {
        see(&block)?;
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}

/// Shows `see` each whole record of `bytes`; how many bytes those are.
fn each_record(
    bytes: &[u8],
    mut see: impl FnMut(&StoredRecord<'_>) -> Result<(), RecordFault>,
) -> Result<usize, RecordFault> {
    let mut rest = bytes;
    while let Some((record, after)) = StoredRecord::read(rest)? {
        see(&record)?;
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}

/// The key of the last whole record; a part of one behind it is removed.
fn last_key(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let mut last = None;
    let whole = |bytes: &[u8]| {
        each_record(bytes, |record| {
            last = Some(record.key.to_vec());
            Ok(())
        })
    };
    cut_off(path, whole)?;
    Ok(last)
}

/// Removes what is behind the last whole thing of a file, if there is a file.
fn cut_off<E: std::fmt::Display>(
    path: &Path,
    whole: impl FnMut(&[u8]) -> Result<usize, E>,
) -> Result<(), Failure> {
    let left = match stream(path, whole) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path)(error)),
        Ok(left) => left.map_err(|error| {
            Failure::Failed(format!(
                "{}: {error}; remove it and fetch again",
                path.display()
            ))
        })?,
    };
    if left == 0 {
        return Ok(());
    }
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        file.set_len(length - left as u64)
    };
    cut().map_err(at(path))
}

fn append(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(at(path))
}

/// An error of the file system, with the file.
fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Failed(format!("{}: {error}", path.display()))
}
