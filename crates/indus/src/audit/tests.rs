//! Audits of a canister that runs here, on a subnet with a key of its own: what it certifies is fetched whole, whatever happens
//! meanwhile, and whatever is changed in the folder is found and named.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use ic_stable_structures::VectorMemory;
use indus_api::CertifiedRead;
use indus_api::certified::CertifiedListArgs;
use indus_api::icrc3::{GetBlocksArgs, TipCertificate};
use indus_api::service::ServiceInfo;
use indus_client::ClientError;
use indus_kit::subjects::ReadRule;
use indus_kit::{Change, CollectionId, CollectionSpec, Context, Definition, Event, Kit, Memories};
use indus_verify::{RootKey, StoredBlock, StoredRecord, Time, TimeBound};
use tempfile::TempDir;
use testnet::Subnet;

use super::*;
use crate::audit::source::Source;

const SUBNET: Subnet = Subnet::new(1);
const THINGS: CollectionId = CollectionId(0);
const SECRETS: CollectionId = CollectionId(1);
const CHANGED: &str = "things.changed";

static DEFINITION: Definition = Definition {
    kind: "example",
    about: "What is audited.",
    version: "1.0.0",
    layout: 1,
    collections: &[
        collection("things", 8, 0, ReadRule::Public),
        collection("secrets", 32, 2, ReadRule::Owner),
        collection("nothing", 8, 4, ReadRule::Public),
    ],
    block_types: &[CHANGED],
};

const fn collection(
    name: &'static str,
    key_bytes: usize,
    memory: u8,
    rule: ReadRule,
) -> CollectionSpec {
    CollectionSpec {
        name,
        key_bytes,
        records: memory,
        trie: memory + 1,
        rule,
        owner: |_| None,
    }
}

/// A canister that may be written to at each call, and may stop answering.
struct Canister {
    kit: RefCell<Kit<VectorMemory>>,
    time_ns: Cell<u64>,
    calls: Cell<u64>,
    /// So many calls more come with a write.
    busy: Cell<u64>,
    /// No call from this one on is answered.
    dies_at: Cell<u64>,
}

impl Canister {
    fn new() -> Self {
        let memories = Memories::create(VectorMemory::default());
        let mut kit = Kit::create(&memories, &DEFINITION).unwrap();
        let context = Context {
            caller: Self::id(),
            time_ns: 1,
        };
        kit.installed(&context, Vec::new()).unwrap();
        kit.certified.commit();
        Self {
            kit: RefCell::new(kit),
            time_ns: Cell::new(1),
            calls: Cell::new(0),
            busy: Cell::new(0),
            dies_at: Cell::new(u64::MAX),
        }
    }

    /// With so many things, and some secrets.
    fn with(things: u64) -> Self {
        let canister = Self::new();
        for number in 0..things {
            canister.put(
                THINGS,
                number.to_be_bytes().to_vec(),
                Some(format!("thing {number}").into_bytes()),
            );
        }
        for number in 0..5 {
            canister.put(SECRETS, vec![number; 32], Some(vec![number; 40]));
        }
        canister
    }

    fn id() -> Principal {
        Principal::from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 7, 1, 1])
    }

    fn put(&self, collection: CollectionId, key: Vec<u8>, record: Option<Vec<u8>>) {
        self.time_ns.set(self.time_ns.get() + 1_000_000_000);
        let mut kit = self.kit.borrow_mut();
        let event = Event {
            kind: CHANGED,
            actor: Self::id(),
            time_ns: self.time_ns.get(),
            changes: vec![Change {
                collection,
                key,
                record,
            }],
            details: vec![1, 2, 3],
        };
        kit.certified.record(event).unwrap();
        kit.certified.commit();
    }

    /// Something is changed, added or removed at each number.
    fn write(&self, number: u64) {
        let key = (number * 7_919 % 311).to_be_bytes().to_vec();
        let there = self.kit.borrow().certified.get(THINGS, &key).is_some();
        let record = (!there || !number.is_multiple_of(3)).then(|| number.to_be_bytes().to_vec());
        self.put(THINGS, key, record);
    }

    fn called(&self) -> Result<(), ClientError> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        if self.busy.get() > 0 {
            self.busy.set(self.busy.get() - 1);
            self.write(call);
        }
        if call >= self.dies_at.get() {
            return Err(ClientError::Http("it was killed".into()));
        }
        Ok(())
    }

    fn certified(&self, witness: Vec<u8>) -> CertifiedRead {
        let root = self.kit.borrow().certified.root_hash();
        let certificate = SUBNET.certificate(Self::id(), root, when::now().as_nanos());
        CertifiedRead {
            certificate: certificate.into(),
            witness: witness.into(),
        }
    }

    fn blocks(&self) -> u64 {
        self.kit.borrow().certified.log_len()
    }

    fn things(&self) -> usize {
        usize::try_from(self.kit.borrow().certified.collection(THINGS).len()).unwrap()
    }
}

impl Source for Canister {
    async fn head(&self) -> Result<CertifiedRead, ClientError> {
        self.called()?;
        let witness = self.kit.borrow().certified.witness_of_head().unwrap();
        Ok(self.certified(witness))
    }

    async fn page(&self, args: &CertifiedListArgs) -> Result<CertifiedRead, ClientError> {
        self.called()?;
        let witness = self
            .kit
            .borrow()
            .certified
            .witness_of_list(args, None)
            .unwrap();
        Ok(self.certified(witness))
    }

    async fn tip(&self) -> Result<Option<TipCertificate>, ClientError> {
        self.called()?;
        let witness = self.kit.borrow().certified.witness_of_tip().unwrap();
        let answer = self.certified(witness.unwrap());
        Ok(Some(TipCertificate {
            certificate: answer.certificate,
            hash_tree: answer.witness,
        }))
    }

    async fn blocks(&self, start: u64, length: u64) -> Result<Vec<u8>, ClientError> {
        self.called()?;
        let range = GetBlocksArgs {
            start: start.into(),
            length: length.into(),
        };
        let blocks = self.kit.borrow().certified.blocks(&[range]).unwrap();
        Ok(candid::encode_one(blocks).unwrap())
    }

    async fn state(&self) -> Result<Vec<u8>, ClientError> {
        self.called()?;
        let controllers = [Principal::from_slice(&[4])];
        Ok(SUBNET.canister_state(Self::id(), &controllers, [9; 32], when::now().as_nanos()))
    }

    async fn info(&self) -> Result<ServiceInfo, ClientError> {
        self.called()?;
        let context = Context {
            caller: Self::id(),
            time_ns: self.time_ns.get(),
        };
        Ok(self.kit.borrow().service_info(&context, 0))
    }
}

fn root_key() -> RootKey {
    RootKey::from_der(&SUBNET.root_key_der()).unwrap()
}

fn settings() -> Settings {
    Settings {
        root_key: root_key(),
        now: when::now(),
        bound: when::bound(None),
        threads: NonZero::new(2).unwrap(),
    }
}

/// An audit's folder, with the canister's in it.
struct Place {
    audit: TempDir,
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        let audit = tempfile::tempdir().unwrap();
        let folder = Folder::of(audit.path(), Canister::id());
        Self { audit, folder }
    }

    fn fetched(canister: &Canister) -> Self {
        let place = Self::new();
        place.fetch(canister).unwrap();
        place
    }

    fn fetch(&self, canister: &Canister) -> Result<fetch::Fetched, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(fetch::fetch(
            canister,
            Canister::id(),
            root_key(),
            &self.folder,
        ))
    }

    fn check(&self) -> CanisterReport {
        check::check(&self.folder, Canister::id(), &settings())
    }

    fn verified(&self) -> CanisterReport {
        let report = self.check();
        assert_eq!(report.findings, [], "{report:?}");
        assert!(report.verified);
        report
    }

    /// Whether a fetch has read all records of a collection.
    fn is_whole(&self, collection: &str) -> bool {
        let progress = self.folder.read(folder::PROGRESS).unwrap();
        let progress: serde_json::Value = serde_json::from_slice(&progress).unwrap();
        progress["collections"][collection]["whole"] == true
    }

    fn files(&self) -> Vec<String> {
        let mut files = self.folder.files().unwrap();
        files.push(folder::SUMS.into());
        files
    }

    /// What is found when a file has this content; with new sums, if the one who changed it makes them.
    fn with(&self, file: &str, content: &[u8], sums: bool) -> Vec<Finding> {
        let path = self.folder.path(file);
        let (before, sums_before) = (
            fs::read(&path).unwrap(),
            self.folder.read(folder::SUMS).unwrap(),
        );
        fs::write(&path, content).unwrap();
        if sums {
            self.folder.seal().unwrap();
        }
        let findings = self.check().findings;
        fs::write(&path, before).unwrap();
        fs::write(self.folder.path(folder::SUMS), sums_before).unwrap();
        findings
    }
}

/// Whether a finding names the file.
fn names(findings: &[Finding], file: &str) -> bool {
    findings
        .iter()
        .any(|finding| finding.place.starts_with(file))
}

/// Some of the bytes of a file, the first and the last among them.
fn sample(length: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(16).max(1);
    (0..length).step_by(step).chain([length - 1])
}

/// Where each thing of a file is.
fn frames<'a>(
    mut bytes: &'a [u8],
    next: impl Fn(&'a [u8]) -> Option<&'a [u8]>,
) -> Vec<Range<usize>> {
    let (length, mut frames) = (bytes.len(), Vec::new());
    while let Some(rest) = next(bytes) {
        frames.push(length - bytes.len()..length - rest.len());
        bytes = rest;
    }
    frames
}

fn next_block(bytes: &[u8]) -> Option<&[u8]> {
    StoredBlock::read(bytes).unwrap().map(|(_, rest)| rest)
}

fn next_record(bytes: &[u8]) -> Option<&[u8]> {
    StoredRecord::read(bytes).unwrap().map(|(_, rest)| rest)
}

#[test]
fn all_that_a_canister_certifies_is_fetched_and_verified() {
    let canister = Canister::with(250);
    let place = Place::new();
    let fetched = place.fetch(&canister).unwrap();
    assert_eq!((fetched.blocks, fetched.new_blocks), (256, 256));
    let report = place.verified();
    let counts: Vec<_> = report
        .collections
        .iter()
        .map(|c| (c.name.as_str(), c.records, c.readable))
        .collect();
    // Of what not everybody may read there are keys and hashes.
    assert_eq!(counts, [("secrets", 5, 0), ("things", 250, 250)]);
    assert_eq!(report.head.unwrap().blocks, 256);
    assert_eq!(report.tip.unwrap().index, 255);
    let state = report.state.unwrap();
    assert_eq!(state.module_hash, Some(hex::encode([9; 32])));
    assert_eq!(state.controllers, [Principal::from_slice(&[4]).to_text()]);
    let types: BTreeMap<_, _> = report
        .block_types
        .iter()
        .map(|t| (t.name.as_str(), t.blocks))
        .collect();
    assert_eq!(types[CHANGED], 255);
    assert_eq!(report.service.unwrap().name, "example");
}

#[test]
fn a_canister_that_is_written_to_meanwhile_is_fetched_as_it_was_at_one_head() {
    for busy in [1, 3, 8, 20, 40] {
        let canister = Canister::with(300);
        canister.busy.set(busy);
        let place = Place::fetched(&canister);
        let report = place.verified();
        assert!(report.head.unwrap().blocks > 306, "{busy} writes");
        canister.busy.set(0);
        place.fetch(&canister).unwrap();
        let report = place.verified();
        assert_eq!(report.head.unwrap().blocks, canister.blocks());
        assert_eq!(report.collections[1].records, canister.things());
    }
}

#[test]
fn a_fetch_that_is_killed_at_any_call_goes_on() {
    let calls = {
        let canister = Canister::with(250);
        Place::fetched(&canister);
        canister.calls.get()
    };
    for dies_at in 0..calls {
        let canister = Canister::with(250);
        let place = Place::new();
        canister.dies_at.set(dies_at);
        place.fetch(&canister).unwrap_err();
        let findings = place.check().findings;
        assert!(
            names(&findings, folder::SUMS),
            "an incomplete folder is verified"
        );
        // What was being written when it was killed ends somewhere.
        for file in place.folder.files().unwrap() {
            let unfinished = file
                .strip_prefix("records/")
                .is_some_and(|name| !place.is_whole(name));
            if file == folder::BLOCKS || unfinished {
                let path = place.folder.path(&file);
                let file = fs::File::options().write(true).open(path).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(length.saturating_sub(3)).unwrap();
            }
        }
        canister.dies_at.set(u64::MAX);
        for number in 0..3 {
            canister.write(number);
        }
        place.fetch(&canister).unwrap();
        assert_eq!(place.verified().head.unwrap().blocks, canister.blocks());
    }
}

#[test]
fn a_complete_folder_is_brought_forward_by_what_has_changed() {
    let canister = Canister::with(300);
    let place = Place::fetched(&canister);
    for number in 0..120 {
        canister.write(number);
    }
    let before = canister.calls.get();
    let fetched = place.fetch(&canister).unwrap();
    assert_eq!(fetched.new_blocks, 120);
    assert_eq!(place.verified().head.unwrap().blocks, canister.blocks());
    assert!(
        canister.calls.get() - before < 15,
        "more than the changes was read"
    );
    // A file that was removed is read again.
    fs::remove_file(place.folder.path("records/things")).unwrap();
    place.fetch(&canister).unwrap();
    place.verified();
    // A canister that has gone back is not followed.
    let other = Canister::with(100);
    let error = place.fetch(&other).unwrap_err().to_string();
    assert!(error.contains("is of a log of 106 blocks"), "{error}");
}

#[test]
fn whichever_byte_of_a_file_is_changed_the_file_is_named() {
    let place = Place::fetched(&Canister::with(40));
    let files = place.files();
    assert_eq!(files.len(), 12);
    for file in files {
        let content = fs::read(place.folder.path(&file)).unwrap();
        if content.is_empty() {
            continue;
        }
        for at in sample(content.len()) {
            let mut other = content.clone();
            other[at] ^= 0x20;
            let findings = place.with(&file, &other, false);
            // In the list of hashes a changed one is a file with another hash.
            let named = names(&findings, &file) || file == folder::SUMS && !findings.is_empty();
            assert!(named, "byte {at} of {file}: {findings:?}");
        }
        let cut = place.with(&file, &content[..content.len() - 1], false);
        assert!(!cut.is_empty(), "{file} without its end");
    }
    place.verified();
}

#[test]
fn who_makes_the_sums_anew_is_found_by_the_certificates() {
    let place = Place::fetched(&Canister::with(40));
    for file in [
        folder::HEAD_CERTIFICATE,
        folder::HEAD_WITNESS,
        folder::TIP_CERTIFICATE,
        folder::TIP_WITNESS,
        folder::STATE_CERTIFICATE,
    ] {
        let content = fs::read(place.folder.path(file)).unwrap();
        for at in sample(content.len()) {
            let mut other = content.clone();
            other[at] ^= 1;
            let findings = place.with(file, &other, true);
            // The head is of the same tree as its witness; either may be the one that is wrong.
            let stem = file.split('.').next().unwrap();
            assert!(names(&findings, stem), "byte {at} of {file}: {findings:?}");
        }
    }
    let blocks = fs::read(place.folder.path(folder::BLOCKS)).unwrap();
    for (index, frame) in frames(&blocks, next_block).into_iter().enumerate() {
        for at in [frame.start, frame.start + 6, frame.end - 40, frame.end - 1] {
            let mut other = blocks.clone();
            other[at] ^= 0x10;
            let findings = place.with(folder::BLOCKS, &other, true);
            let [finding] = &findings[..] else {
                panic!("byte {at}: {findings:?}");
            };
            assert_eq!(
                finding.place,
                format!("blocks, block {index}"),
                "byte {at}: {finding:?}"
            );
        }
    }
    for name in ["things", "secrets"] {
        let file = format!("records/{name}");
        let records = fs::read(place.folder.path(&file)).unwrap();
        for frame in frames(&records, next_record) {
            let (record, _) = StoredRecord::read(&records[frame.clone()])
                .unwrap()
                .unwrap();
            let key = format!("key 0x{}", hex::encode(record.key));
            // The key, its leaf hash, and the contents.
            let leaf = frame.start + 1 + record.key.len();
            for at in [leaf, leaf + 31, frame.end - 1] {
                let mut other = records.clone();
                other[at] ^= 0x10;
                let findings = place.with(&file, &other, true);
                let damaged_end = name == "secrets" && at == frame.end - 1;
                let named = findings
                    .iter()
                    .any(|f| f.place == file && (f.fault.starts_with(&key) || damaged_end));
                assert!(named, "byte {at} of {file}: {findings:?}");
            }
            let mut other = records.clone();
            other[frame.start + 1] ^= 0x80;
            assert!(names(&place.with(&file, &other, true), &file));
        }
    }
    place.verified();
}

#[test]
fn blocks_and_records_that_are_left_out_or_put_in_are_named() {
    let place = Place::fetched(&Canister::with(20));
    let blocks = fs::read(place.folder.path(folder::BLOCKS)).unwrap();
    let without =
        |bytes: &[u8], frame: &Range<usize>| [&bytes[..frame.start], &bytes[frame.end..]].concat();
    for frame in frames(&blocks, next_block) {
        let findings = place.with(folder::BLOCKS, &without(&blocks, &frame), true);
        assert!(names(&findings, folder::BLOCKS), "{findings:?}");
    }
    for end in sample(blocks.len()) {
        let findings = place.with(folder::BLOCKS, &blocks[..end], true);
        assert!(
            names(&findings, folder::BLOCKS),
            "{end} bytes: {findings:?}"
        );
    }
    for file in ["records/things", "records/secrets"] {
        let records = fs::read(place.folder.path(file)).unwrap();
        for frame in frames(&records, next_record) {
            let (record, _) = StoredRecord::read(&records[frame.clone()])
                .unwrap()
                .unwrap();
            let fault = format!("key 0x{}: the record is missing", hex::encode(record.key));
            let findings = place.with(file, &without(&records, &frame), true);
            assert_eq!(
                (findings[0].place.as_str(), &findings[0].fault),
                (file, &fault)
            );
            let twice = [&records[..frame.end], &records[frame.start..]].concat();
            assert!(names(&place.with(file, &twice, true), file));
        }
        assert!(names(&place.with(file, b"", true), file));
    }
    let stranger = place.folder.path("records/others");
    fs::write(&stranger, b"x").unwrap();
    place.folder.seal().unwrap();
    assert!(names(&place.check().findings, "records/others"));
}

#[test]
fn another_key_another_canister_an_old_certificate_and_strange_files_are_refused() {
    let place = Place::fetched(&Canister::with(3));
    let places = |settings: &Settings| {
        let report = check::check(&place.folder, Canister::id(), settings);
        report
            .findings
            .into_iter()
            .map(|finding| finding.place)
            .collect::<Vec<_>>()
    };
    let certificates = ["state.certificate", "tip.certificate", "head.certificate"];
    let other_key = RootKey::from_der(&Subnet::new(2).root_key_der()).unwrap();
    assert_eq!(
        places(&Settings {
            root_key: other_key,
            ..settings()
        }),
        certificates
    );
    let later = Time::from_nanos(when::now().as_nanos() + 60_000_000_000);
    let bound = TimeBound::within(Duration::from_secs(30));
    assert_eq!(
        places(&Settings {
            now: later,
            bound,
            ..settings()
        }),
        certificates
    );
    assert!(
        places(&Settings {
            now: later,
            ..settings()
        })
        .is_empty()
    );

    let other = Principal::from_slice(&[8]);
    let renamed = Folder::of(place.audit.path(), other);
    fs::rename(place.folder.path(""), renamed.path("")).unwrap();
    let report = check::check(&renamed, other, &settings());
    assert!(names(&report.findings, "head."), "{report:?}");
    fs::rename(renamed.path(""), place.folder.path("")).unwrap();

    for file in place.files() {
        let (path, away) = (place.folder.path(&file), place.audit.path().join("away"));
        fs::rename(&path, &away).unwrap();
        assert!(names(&place.check().findings, &file), "without {file}");
        fs::rename(&away, &path).unwrap();
    }
    fs::write(place.folder.path("more"), b"").unwrap();
    assert!(names(&place.check().findings, "more"));
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else_and_json() {
    let place = Place::fetched(&Canister::with(3));
    let mut service: ServiceInfo =
        serde_json::from_slice(&place.folder.read(folder::SERVICE).unwrap()).unwrap();
    service.name = String::from("<script src=\"https://example.org\">&'\u{202E}");
    place
        .folder
        .write(folder::SERVICE, &serde_json::to_vec(&service).unwrap())
        .unwrap();
    place.folder.seal().unwrap();
    let report = folder_report(place.audit.path(), &settings()).unwrap();
    assert!(report.verified);
    let page = report.html();
    assert!(page.contains("&lt;script src=&quot;https://example.org&quot;&gt;&amp;&#39;\u{FFFD}"));
    for element in [
        "<script", "<img", "<link", "<iframe", "url(", "src=\"", "href=",
    ] {
        assert!(!page.contains(element), "{element}");
    }
    assert!(page.contains("<td>things</td><td class=\"n\">3</td>"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["canisters"][0]["collections"][1]["records"], 3);
    assert_eq!(json["verified"], true);

    fs::write(place.audit.path().join("notes"), b"").unwrap();
    fs::remove_file(place.folder.path(folder::TIP_WITNESS)).unwrap();
    let report = folder_report(place.audit.path(), &settings()).unwrap();
    assert!(!report.verified && report.html().contains("tip.witness"));
    let named: Vec<_> = report
        .all_findings()
        .map(|(_, finding)| finding.place.as_str())
        .collect();
    assert_eq!(named[0], "notes");
}

#[test]
fn commands_end_with_the_code_that_says_what_happened() {
    let place = Place::fetched(&Canister::with(3));
    let key = place.audit.path().join("../root.key.of.a.test");
    let keys = tempfile::tempdir().unwrap();
    let key_file = keys.path().join("root.key");
    fs::write(&key_file, SUBNET.root_key_der()).unwrap();
    let what = |folder: PathBuf, root_key: PathBuf| What {
        folder,
        root_key,
        max_age: None,
    };
    let code = |what: What, json| {
        let options = VerifyOptions { what, json };
        verify(&options, &mut Console::new()).map_err(|failure| failure.exit_code())
    };
    let audit = place.audit.path().to_path_buf();
    assert_eq!(code(what(audit.clone(), key_file.clone()), true), Ok(()));
    assert_eq!(code(what(audit.clone(), key), false), Err(2));
    assert_eq!(
        code(what(keys.path().into(), key_file.clone()), false),
        Err(2)
    );
    assert_eq!(
        code(what(audit.join("missing"), key_file.clone()), false),
        Err(2)
    );
    let options = ReportOptions {
        what: what(audit.clone(), key_file.clone()),
        out: keys.path().join("made/on/the/way"),
    };
    report(&options, &mut Console::new()).unwrap();
    let json = fs::read(options.out.join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["verified"], true);
    fs::write(place.folder.path("more"), b"").unwrap();
    assert_eq!(code(what(audit, key_file), false), Err(1));
    // A report is written of what is wrong, too.
    fs::remove_dir_all(&options.out).unwrap();
    assert_eq!(
        report(&options, &mut Console::new())
            .unwrap_err()
            .exit_code(),
        1
    );
    assert!(options.out.join("report.html").exists());
}
