//! The audit of one canister's folder, without a network.
//!
//! ```text
//! SHA256SUMS ─► files                                          damage, by the name of the file
//! root key ─► head.certificate ─► head.witness ─► head         who certified what, and when
//! blocks ─► chain, log, changes ─► the head's log and last block, root of each collection
//! records/… ─► keys and leaf hashes of each collection, bytes ─► leaf hashes
//! root key ─► tip.certificate ─► the block with this index
//! root key ─► state.certificate ─► controllers, module hash
//! ```
//!
//! Everything that can be checked is, so that one damaged file doesn't hide another.

use std::collections::BTreeMap;
use std::io;
use std::io::ErrorKind;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use candid::{Nat, Principal};
use indus_api::audit::{LAST_BLOCK_HASH, LAST_BLOCK_INDEX};
use indus_api::service::ServiceInfo;
use indus_verify::{
    AuditError, Hash, RecordCheck, Replay, Replayed, RootKey, Time, TimeBound, VerifiedCertificate,
    VerifiedWitness, Verifier,
};
use serde::Serialize;

use crate::audit::folder::{
    BLOCKS, Folder, HEAD_CERTIFICATE, HEAD_WITNESS, RECORDS, SERVICE, STATE_CERTIFICATE, SUMS,
    TIP_CERTIFICATE, TIP_WITNESS, stream,
};
use crate::when;

/// Whom to believe, and how old certificates may be.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) root_key: RootKey,
    pub(crate) now: Time,
    pub(crate) bound: TimeBound,
    pub(crate) threads: NonZero<usize>,
}

/// Something that is wrong, and where: a file of the folder, with the block or the key if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) fault: String,
}

/// What was checked of a canister, and what is wrong.
#[derive(Debug, Serialize)]
pub(crate) struct CanisterReport {
    pub(crate) canister: String,
    pub(crate) verified: bool,
    /// What the canister says of itself; not certified.
    pub(crate) service: Option<ServiceInfo>,
    pub(crate) head: Option<HeadReport>,
    pub(crate) tip: Option<TipReport>,
    pub(crate) block_types: Vec<BlockTypeReport>,
    pub(crate) collections: Vec<CollectionReport>,
    pub(crate) state: Option<StateReport>,
    pub(crate) findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
pub(crate) struct HeadReport {
    pub(crate) certified_at: String,
    pub(crate) certified_at_ns: String,
    /// None is the root subnet.
    pub(crate) subnet: Option<String>,
    pub(crate) blocks: u64,
    /// RFC 9162 root of the log.
    pub(crate) log_root: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct TipReport {
    pub(crate) certified_at: String,
    pub(crate) index: u64,
    pub(crate) hash: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct BlockTypeReport {
    pub(crate) name: String,
    pub(crate) blocks: u64,
    pub(crate) first_at: String,
    pub(crate) last_at: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct CollectionReport {
    pub(crate) name: String,
    pub(crate) records: usize,
    /// Records whose bytes everybody may read, and were compared.
    pub(crate) readable: usize,
    pub(crate) bytes: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct StateReport {
    pub(crate) certified_at: String,
    pub(crate) controllers: Vec<String>,
    pub(crate) module_hash: Option<String>,
}

/// Audits the folder of `canister`.
pub(crate) fn check(folder: &Folder, canister: Principal, settings: &Settings) -> CanisterReport {
    let mut check = Check {
        folder,
        canister,
        settings,
        verifier: Verifier::new(settings.root_key.clone()),
        report: CanisterReport {
            canister: canister.to_text(),
            verified: false,
            service: None,
            head: None,
            tip: None,
            block_types: Vec::new(),
            collections: Vec::new(),
            state: None,
            findings: Vec::new(),
        },
    };
    check.sums();
    check.state();
    check.service();
    let tip = check.tip();
    if let Some(witness) = check.head()
        && let Some(replayed) = check.log(&witness, tip)
    {
        check.records(&replayed);
    }
    let mut report = check.report;
    report.verified = report.findings.is_empty();
    report
}

struct Check<'a> {
    folder: &'a Folder,
    canister: Principal,
    settings: &'a Settings,
    verifier: Verifier,
    report: CanisterReport,
}

impl Check<'_> {
    fn found(&mut self, place: impl Into<String>, fault: impl ToString) {
        self.report.findings.push(Finding {
            place: place.into(),
            fault: fault.to_string(),
        });
    }

    fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        match self.folder.read(name) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.found(name, unreadable(&error));
                None
            }
        }
    }

    /// Each file there is, and no other, has the hash that is kept of it.
    fn sums(&mut self) {
        let sums = match self.folder.sums() {
            Ok(sums) => sums,
            Err(fault) => return self.found(SUMS, fault),
        };
        let files = match self.folder.files() {
            Ok(files) => files,
            Err(error) => return self.found(RECORDS, unreadable(&error)),
        };
        for name in sums.keys().filter(|name| !files.contains(name)) {
            let fault = format!("{SUMS} lists it, and it is not there");
            self.found(name.as_str(), fault);
        }
        let faults = on_threads(self.settings.threads, &files, |name| match sums.get(name) {
            None => Some(format!("{SUMS} does not list it")),
            Some(expected) => match self.folder.sum(name) {
                Ok(sum) if sum == *expected => None,
                Ok(_) => Some(format!("its SHA-256 is not the one in {SUMS}")),
                Err(error) => Some(unreadable(&error)),
            },
        });
        for (name, fault) in faults {
            self.found(name, fault);
        }
    }

    fn certificate(&mut self, name: &str) -> Option<VerifiedCertificate> {
        let bytes = self.read(name)?;
        let (now, bound) = (self.settings.now, self.settings.bound);
        let certificate = self.verifier.certificate(&bytes, self.canister, now, bound);
        certificate.map_err(|error| self.found(name, error)).ok()
    }

    fn witness(
        &mut self,
        certificate: &VerifiedCertificate,
        name: &str,
    ) -> Option<VerifiedWitness> {
        let bytes = self.read(name)?;
        let witness = certificate.witness(&bytes);
        witness.map_err(|error| self.found(name, error)).ok()
    }

    fn head(&mut self) -> Option<VerifiedWitness> {
        let certificate = self.certificate(HEAD_CERTIFICATE)?;
        let witness = self.witness(&certificate, HEAD_WITNESS)?;
        let head = witness.log_head();
        let head = head.map_err(|error| self.found(HEAD_WITNESS, error)).ok()?;
        self.report.head = Some(HeadReport {
            certified_at: when::utc(certificate.time()),
            certified_at_ns: certificate.time().as_nanos().to_string(),
            subnet: certificate.subnet().map(|subnet| subnet.to_text()),
            blocks: head.size,
            log_root: hex::encode(head.root),
        });
        Some(witness)
    }

    /// Index and hash of the block that the tip certifies.
    fn tip(&mut self) -> Option<(u64, Hash)> {
        let certificate = self.certificate(TIP_CERTIFICATE)?;
        let witness = self.witness(&certificate, TIP_WITNESS)?;
        let Some((index, hash)) = last_block(&witness) else {
            self.found(TIP_WITNESS, "it shows no last block");
            return None;
        };
        self.report.tip = Some(TipReport {
            certified_at: when::utc(certificate.time()),
            index,
            hash: hex::encode(hash),
        });
        Some((index, hash))
    }

    /// All blocks, against the head.
    fn log(&mut self, witness: &VerifiedWitness, tip: Option<(u64, Hash)>) -> Option<Replayed> {
        let mut replay = Replay::new(self.settings.threads);
        if let Some((index, _)) = tip {
            replay.watch(index);
        }
        let read = stream(&self.folder.path(BLOCKS), |bytes| replay.read(bytes));
        let size = replay.size();
        let outcome = match read {
            Err(error) => Err((String::from(BLOCKS), unreadable(&error))),
            Ok(Err(error)) => Err(block_place(error)),
            Ok(Ok(0)) => replay.check(witness).map_err(block_place),
            Ok(Ok(left)) => Err((
                format!("{BLOCKS}, block {size}"),
                format!("the file ends inside of it, after {left} bytes"),
            )),
        };
        let replayed = match outcome {
            Ok(replayed) => replayed,
            Err((place, fault)) => {
                self.found(place, fault);
                return None;
            }
        };
        if let Some((index, hash)) = tip {
            match replayed.watched {
                Some(found) if found == hash => {}
                Some(_) => self.found(TIP_WITNESS, format!("block {index} has another hash")),
                None => self.found(TIP_WITNESS, format!("block {index} is behind the head")),
            }
        }
        let types = replayed.block_types.iter();
        self.report.block_types = types
            .map(|(name, summary)| BlockTypeReport {
                name: name.clone(),
                blocks: summary.blocks,
                first_at: when::utc(summary.first),
                last_at: when::utc(summary.last),
            })
            .collect();
        Some(replayed)
    }

    /// The records of all collections, against what the log made of them.
    fn records(&mut self, replayed: &Replayed) {
        for (name, leaves) in &replayed.collections {
            let Some(path) = self.folder.records(name) else {
                self.found(RECORDS, format!("no file can be named {name:?}"));
                continue;
            };
            if leaves.is_empty() && !path.exists() {
                continue;
            }
            let mut check = RecordCheck::new(leaves, self.settings.threads);
            let outcome = match stream(&path, |bytes| check.read(bytes)) {
                Err(error) => Err(unreadable(&error)),
                Ok(Err(fault)) => Err(fault.to_string()),
                Ok(Ok(0)) => check.end().map_err(|fault| fault.to_string()),
                Ok(Ok(left)) => Err(format!("it ends inside of a record, after {left} bytes")),
            };
            match outcome {
                Ok(counts) => self.report.collections.push(CollectionReport {
                    name: name.clone(),
                    records: counts.records,
                    readable: counts.readable,
                    bytes: counts.bytes,
                }),
                Err(fault) => self.found(format!("{RECORDS}/{name}"), fault),
            }
        }
        // A collection that no block names has no records.
        for file in self.folder.files().unwrap_or_default() {
            let name = file.strip_prefix(RECORDS).map(|name| &name[1..]);
            let known = name.is_none_or(|name| replayed.collections.contains_key(name));
            let empty = || {
                self.folder
                    .path(&file)
                    .metadata()
                    .is_ok_and(|file| file.len() == 0)
            };
            if !known && !empty() {
                self.found(file, "the log knows no such collection");
            }
        }
    }

    fn state(&mut self) {
        let Some(certificate) = self.certificate(STATE_CERTIFICATE) else {
            return;
        };
        match (certificate.controllers(), certificate.module_hash()) {
            (Ok(controllers), Ok(module_hash)) => {
                self.report.state = Some(StateReport {
                    certified_at: when::utc(certificate.time()),
                    controllers: controllers.iter().map(Principal::to_text).collect(),
                    module_hash: module_hash.map(hex::encode),
                });
            }
            (Err(error), _) | (_, Err(error)) => self.found(STATE_CERTIFICATE, error),
        }
    }

    fn service(&mut self) {
        let Some(bytes) = self.read(SERVICE) else {
            return;
        };
        match serde_json::from_slice(&bytes) {
            Ok(service) => self.report.service = Some(service),
            Err(error) => self.found(SERVICE, error),
        }
    }
}

/// Index and hash of the certified last block.
pub(crate) fn last_block(witness: &VerifiedWitness) -> Option<(u64, Hash)> {
    let mut index = witness.leaf(&[LAST_BLOCK_INDEX]).ok()?;
    let index = u64::try_from(&Nat::decode(&mut index).ok()?.0).ok()?;
    let hash = witness.leaf(&[LAST_BLOCK_HASH]).ok()?;
    Some((index, hash.try_into().ok()?))
}

/// Where in the blocks an error is, and what it is.
fn block_place(error: AuditError) -> (String, String) {
    match error {
        AuditError::Block { index, fault } => {
            (format!("{BLOCKS}, block {index}"), fault.to_string())
        }
        AuditError::Witness(error) => (HEAD_WITNESS.into(), error.to_string()),
        error => (BLOCKS.into(), error.to_string()),
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => String::from("it is not there"),
        _ => format!("it can't be read: {error}"),
    }
}

/// What `f` says of each item that it says something of, on so many threads; in the order of the items.
fn on_threads<R: Send>(
    threads: NonZero<usize>,
    items: &[String],
    f: impl Fn(&str) -> Option<R> + Sync,
) -> BTreeMap<String, R> {
    let next = AtomicUsize::new(0);
    let said = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..threads.get().min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(result) = f(item) {
                        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                        said.insert(item.clone(), result);
                    }
                }
            });
        }
    });
    said.into_inner().unwrap_or_else(PoisonError::into_inner)
}
