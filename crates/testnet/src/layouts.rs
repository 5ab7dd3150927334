//! Memories of canisters as released layouts have them, each with what it says.
//!
//! `<layout>.bin.gz` is the stable memory, packed; `<layout>.json` is what the canister must say when it is opened. Files are
//! never changed. A new layout is recorded once: `RECORD_LAYOUT=1 cargo test --release -p CANISTER`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    path::PathBuf,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ic_stable_structures::Memory;
use indus_kit::Kit;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const PAGE: usize = 65_536;

/// What every recorded canister says; besides it, each says what it alone knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basics {
    /// In hexadecimal digits.
    pub certified_root: String,
    /// Blocks of the audit log.
    pub blocks: u64,
    /// Records of each collection.
    pub records: BTreeMap<String, u64>,
    /// When it was recorded.
    pub time_ns: u64,
}

impl Basics {
    /// What this one says.
    #[must_use]
    pub fn of<M: Memory>(kit: &Kit<M>, time_ns: u64) -> Self {
        let certified = &kit.certified;
        let records = certified.collections().iter();
        Self {
            certified_root: hex::encode(certified.root_hash()),
            blocks: certified.log_len(),
            records: records
                .map(|one| (one.spec().name.to_owned(), one.len()))
                .collect(),
            time_ns,
        }
    }
}

/// The layouts of one canister.
#[derive(Clone, Debug)]
pub struct Layouts {
    folder: PathBuf,
}

impl Layouts {
    /// Those in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, layout: u32, ending: &str) -> PathBuf {
        self.folder.join(format!("{layout}.{ending}"))
    }

    /// Keeps `example`, if that is asked for and there is no such layout yet.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn record<M: Memory, F: Serialize>(&self, layout: u32, example: impl FnOnce() -> (M, F)) {
        if env::var_os("RECORD_LAYOUT").is_none() || self.file(layout, "bin.gz").exists() {
            return;
        }
        let (memory, facts) = example();
        fs::create_dir_all(&self.folder).expect("a folder");
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        let mut page = vec![0; PAGE];
        for number in 0..memory.size() {
            memory.read(number * PAGE as u64, &mut page);
            packed.write_all(&page).expect("packed");
        }
        let packed = packed.finish().expect("packed");
        fs::write(self.file(layout, "bin.gz"), packed).expect("written");
        let facts = serde_json::to_string_pretty(&facts).expect("facts") + "\n";
        fs::write(self.file(layout, "json"), facts).expect("written");
    }

    /// Reads a layout into the empty `memory`, and returns what it says.
    ///
    /// # Panics
    /// If there is none, or it can't be read.
    pub fn load<F: DeserializeOwned>(&self, layout: u32, memory: &impl Memory) -> F {
        let file = self.file(layout, "bin.gz");
        let packed = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut bytes = Vec::new();
        let mut unpacked = GzDecoder::new(&packed[..]);
        unpacked.read_to_end(&mut bytes).expect("unpacked");
        memory.grow((bytes.len() / PAGE) as u64);
        for (number, page) in (0_u64..).zip(bytes.chunks(PAGE)) {
            // Most of a canister's memory was never written.
            if page.iter().any(|byte| *byte != 0) {
                memory.write(number * PAGE as u64, page);
            }
        }
        let facts = fs::read(self.file(layout, "json")).expect("what it says");
        serde_json::from_slice(&facts).expect("facts")
    }
}
