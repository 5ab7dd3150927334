//! The folder that an audit is made from: what nodes answered, one folder a canister.
//!
//! ```text
//! FOLDER/<canister id>/
//!   head.certificate, head.witness    log_head: the certified head of the log and roots of the collections (CBOR)
//!   tip.certificate, tip.witness      icrc3_get_tip_certificate: the last block (CBOR)
//!   state.certificate                 read_state: controllers and hash of the module (CBOR)
//!   service.json                      service_info; nobody certifies it
//!   blocks                            all blocks up to the head (indus_verify::StoredBlock, one behind the other)
//!   records/<collection>              all records at the head (indus_verify::StoredRecord, in the order of their keys)
//!   progress.json                     what the next fetch goes on from
//!   SHA256SUMS                        the hash of each of the other files, as sha256sum writes and checks it
//! ```
//!
//! Invariants
//! - Files but `blocks` and `records/…` are written beside and renamed. Those two grow at the end; what was cut off there when
//!   a fetch was killed is removed by the next.
//! - `SHA256SUMS` is written last, and removed before anything else changes: a folder without it is not complete.
//!
//! `SHA256SUMS` proves nothing to anybody who could have written the folder: certificates do. It finds damage where nothing is
//! certified, and names the file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use candid::Principal;
use sha2::{Digest, Sha256};

pub(crate) const HEAD_CERTIFICATE: &str = "head.certificate";
pub(crate) const HEAD_WITNESS: &str = "head.witness";
pub(crate) const TIP_CERTIFICATE: &str = "tip.certificate";
pub(crate) const TIP_WITNESS: &str = "tip.witness";
pub(crate) const STATE_CERTIFICATE: &str = "state.certificate";
pub(crate) const SERVICE: &str = "service.json";
pub(crate) const BLOCKS: &str = "blocks";
pub(crate) const PROGRESS: &str = "progress.json";
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Where collections are.
pub(crate) const RECORDS: &str = "records";
/// A file that is being written.
const PARTIAL: &str = "partial";

/// Read of a file at a time: some tens of thousands of blocks.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;
/// Largest file that is read as one: certificates and witnesses are smaller.
const MAX_WHOLE_BYTES: u64 = 8 * 1024 * 1024;
/// Longest name of a collection, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The folder of one canister.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// That of `canister` in the folder of an audit.
    pub(crate) fn of(audit: &Path, canister: Principal) -> Self {
        Self {
            path: audit.join(canister.to_text()),
        }
    }

    /// The canisters that there are folders of, and the names of what is no such folder.
    pub(crate) fn canisters(audit: &Path) -> io::Result<(Vec<Principal>, Vec<String>)> {
        let (mut canisters, mut others) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(audit)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            match Principal::from_text(&name) {
                Ok(canister) if canister.to_text() == name => canisters.push(canister),
                _ => others.push(name),
            }
        }
        canisters.sort_unstable();
        others.sort_unstable();
        Ok((canisters, others))
    }

    /// Makes it, if it isn't there.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(self.path.join(RECORDS))
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the records of a collection are; none if its name can't be that of a file.
    pub(crate) fn records(&self, collection: &str) -> Option<PathBuf> {
        let word =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let fits = (1..=MAX_NAME_BYTES).contains(&collection.len()) && collection.bytes().all(word);
        fits.then(|| self.path.join(RECORDS).join(collection))
    }

    /// All of a small file.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(name))?;
        file.take(MAX_WHOLE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_WHOLE_BYTES {
            let reason = format!("larger than {MAX_WHOLE_BYTES} bytes");
            return Err(io::Error::other(reason));
        }
        Ok(bytes)
    }

    /// Writes a file, in place of what is there.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.replace(&self.path(name), |file| file.write_all(bytes))
    }

    /// Writes the file at `path` anew with `content`.
    pub(crate) fn replace(
        &self,
        path: &Path,
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let partial = self.path(PARTIAL);
        let mut file = File::create(&partial)?;
        content(&mut file)?;
        file.sync_all()?;
        fs::rename(partial, path)
    }

    /// Says that it is not complete.
    pub(crate) fn unseal(&self) -> io::Result<()> {
        remove(&self.path(SUMS))
    }

    /// Says that it is complete, as it is now.
    pub(crate) fn seal(&self) -> io::Result<()> {
        remove(&self.path(PARTIAL))?;
        let mut sums = String::new();
        for name in self.files()? {
            sums.push_str(&format!("{}  {name}\n", self.sum(&name)?));
        }
        self.write(SUMS, sums.as_bytes())
    }

    /// The hashes that `SHA256SUMS` has, by the names of the files; or why it can't be read.
    pub(crate) fn sums(&self) -> Result<BTreeMap<String, String>, String> {
        let text = self.read(SUMS).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                String::from("it is not there: the fetch has not ended, run it again")
            }
            _ => error.to_string(),
        })?;
        let malformed = || String::from("it is not as sha256sum writes it");
        let text = String::from_utf8(text).map_err(|_| malformed())?;
        let mut sums = BTreeMap::new();
        for line in text.split_inclusive('\n') {
            let line = line.strip_suffix('\n').ok_or_else(malformed)?;
            let (sum, name) = line.split_once("  ").ok_or_else(malformed)?;
            if sums.insert(name.to_owned(), sum.to_owned()).is_some() {
                return Err(malformed());
            }
        }
        Ok(sums)
    }

    /// SHA-256 of a file, in hexadecimal.
    pub(crate) fn sum(&self, name: &str) -> io::Result<String> {
        let mut file = File::open(self.path(name))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1024 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hasher.finalize())),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    /// Names of all files but `SHA256SUMS`, in their order.
    pub(crate) fn files(&self) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != SUMS && name != RECORDS {
                files.push(name);
            }
        }
        for entry in fs::read_dir(self.path(RECORDS))? {
            let name = entry?.file_name();
            files.push(format!("{RECORDS}/{}", name.to_string_lossy()));
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a file of things that stand one behind the other. `take` gets some bytes, and says how many of them were whole
/// things. Returns how many bytes were left at the end.
pub(crate) fn stream<E>(
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<usize, E>,
) -> io::Result<Result<usize, E>> {
    let mut file = File::open(path)?;
    let mut buffer = Vec::new();
    loop {
        // Things are smaller than that, so some of them come each time.
        let chunk = (&mut file).take(CHUNK_BYTES as u64);
        let read = { chunk }.read_to_end(&mut buffer)?;
        match take(&buffer) {
            Ok(done) => drop(buffer.drain(..done)),
            Err(error) => return Ok(Err(error)),
        }
        if read < CHUNK_BYTES {
            return Ok(Ok(buffer.len()));
        }
    }
}
