//! Certified structures in instructions: this project's and ic-certified-map's, at the same work.
//!
//! Large states are laid out natively, by the code that runs in the canister, and loaded as stable memory. The peer's tree
//! has to grow on the heap, record by record: at a million records that takes minutes.

use std::sync::OnceLock;

use anyhow::Context as _;
use candid::{Decode, Encode, Principal, utils::ArgumentEncoder};
use ic_stable_structures::VectorMemory;
use structures::{Structures, Took};

use crate::{machine, net::Net};

/// Operations that a figure is the mean of.
const OPERATIONS: u64 = 1_000;
/// Records of the peer's tree in one message.
const PEER_SLICE: u64 = 20_000;
/// Appends to the log, half of them before it reaches its size.
const APPENDS: u64 = 1_024;

/// What was measured at one size. Instructions and bytes are means of one operation.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names, reason = "what they are of")]
pub(crate) struct Figures {
    pub(crate) map_insert: f64,
    pub(crate) record_insert: f64,
    pub(crate) peer_insert: f64,
    pub(crate) read: f64,
    pub(crate) witness_bytes: f64,
    pub(crate) peer_witness_bytes: f64,
    pub(crate) log_append: f64,
    /// Stable bytes of the trie for each record.
    pub(crate) trie_bytes: f64,
    pub(crate) sha256_block: f64,
}

/// The figures at 10,000 records.
pub(crate) fn small() -> anyhow::Result<&'static Figures> {
    static SMALL: OnceLock<Figures> = OnceLock::new();
    once(&SMALL, 10_000, 1 << 13)
}

/// The figures at a million records.
pub(crate) fn large() -> anyhow::Result<&'static Figures> {
    static LARGE: OnceLock<Figures> = OnceLock::new();
    once(&LARGE, 1_000_000, 1 << 20)
}

fn once(
    cell: &'static OnceLock<Figures>,
    records: u64,
    log: u64,
) -> anyhow::Result<&'static Figures> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let figures = measure(records, log)?;
    Ok(cell.get_or_init(|| figures))
}

/// Instructions of an audit event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    /// Of a new record with the next id.
    pub(crate) add: f64,
    /// Of a record that there is, at random.
    pub(crate) change: f64,
}

/// Audit events at 10,000 records.
pub(crate) fn small_events() -> anyhow::Result<Events> {
    static SMALL: OnceLock<Events> = OnceLock::new();
    events(&SMALL, 10_000)
}

/// Audit events at a million records.
pub(crate) fn large_events() -> anyhow::Result<Events> {
    static LARGE: OnceLock<Events> = OnceLock::new();
    events(&LARGE, 1_000_000)
}

fn events(cell: &'static OnceLock<Events>, records: u64) -> anyhow::Result<Events> {
    if let Some(known) = cell.get() {
        return Ok(*known);
    }
    let memory = VectorMemory::default();
    structures::events::fill(memory.clone(), records);
    let mut bench = Bench::load(&memory)?;
    bench.call("events_open", ())?;
    let next = records + 1;
    let (add, _) = bench.took("events_add", (next, next + OPERATIONS), OPERATIONS)?;
    let (change, _) = bench.took("events_change", (records, OPERATIONS), OPERATIONS)?;
    let events = Events { add, change };
    eprintln!("bench: {records} records: {events:?}");
    Ok(*cell.get_or_init(|| events))
}

/// The module that scripts/build made.
pub(crate) fn module(name: &str) -> anyhow::Result<Vec<u8>> {
    let project = machine::project()?;
    let file = project.join(format!("target/canisters/{name}.wasm.gz"));
    std::fs::read(&file)
        .with_context(|| format!("{}: scripts/build {name} makes it", file.display()))
}

struct Bench {
    net: Net,
    canister: Principal,
}

impl Bench {
    /// The canister with this stable memory, which is emptied.
    fn load(memory: &VectorMemory) -> anyhow::Result<Self> {
        let mut net = Net::new()?;
        let canister = net.install(module("structures")?, Encode!()?)?;
        net.load(canister, &memory.borrow())?;
        memory.borrow_mut().clear();
        Ok(Self { net, canister })
    }

    fn call(&mut self, method: &str, args: impl ArgumentEncoder) -> anyhow::Result<Vec<u8>> {
        let args = candid::encode_args(args)?;
        self.net.reply(self.canister, method, args)
    }

    /// Means of so many operations: instructions, bytes.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn took(
        &mut self,
        method: &str,
        args: impl ArgumentEncoder,
        operations: u64,
    ) -> anyhow::Result<(f64, f64)> {
        let took = Decode!(&self.call(method, args)?, Took)?;
        let mean = |sum: u64| sum as f64 / operations as f64;
        Ok((mean(took.instructions), mean(took.witness_bytes)))
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn measure(records: u64, log: u64) -> anyhow::Result<Figures> {
    let memory = VectorMemory::default();
    let trie_bytes = {
        let mut state = Structures::create(memory.clone());
        state.fill(0, records);
        state.fill_log(log - APPENDS / 2);
        state.trie_bytes() as f64 / records as f64
    };
    let mut bench = Bench::load(&memory)?;
    bench.call("open", ())?;
    let (sha256_block, _) = bench.took("sha256_blocks", (OPERATIONS,), OPERATIONS)?;
    let step = records / OPERATIONS;
    let (read, witness_bytes) = bench.took("read", (records, step), OPERATIONS)?;
    let at = |n: u64| (records + n * OPERATIONS, records + (n + 1) * OPERATIONS);
    let (map_insert, _) = bench.took("map_insert", at(0), OPERATIONS)?;
    let (record_insert, _) = bench.took("record_insert", at(1), OPERATIONS)?;
    let (log_append, _) = bench.took("log_append", (APPENDS,), APPENDS)?;
    for from in (0..records).step_by(usize::try_from(PEER_SLICE)?) {
        bench.call("peer_fill", (from, records.min(from + PEER_SLICE)))?;
    }
    let (_, peer_witness_bytes) = bench.took("peer_read", (records, step), OPERATIONS)?;
    // As many records certified in both when they begin.
    let (from, to) = at(0);
    bench.call("peer_fill", (from, to))?;
    let (peer_insert, _) = bench.took("peer_record_insert", at(2), OPERATIONS)?;
    let figures = Figures {
        map_insert,
        record_insert,
        peer_insert,
        read,
        witness_bytes,
        peer_witness_bytes,
        log_append,
        trie_bytes,
        sha256_block,
    };
    eprintln!("bench: {records} records: {figures:?}");
    Ok(figures)
}
