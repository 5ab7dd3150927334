//! `bench [NAME…]`: runs the benchmarks whose names begin so (all, without a name), and keeps the results.
//!
//! Results go into `benches/results.json`, one entry a name, the newest alone; the table in `docs/performance.md` is made
//! from it. A target that is missed is marked in both, and the exit code is 1.
//!
//! Wall-clock times depend on the machine: they are medians, and the machine is named beside them.

#![allow(clippy::print_stdout, reason = "a command")]

mod localnet;
mod machine;
mod memory;
mod modules;
mod net;
mod report;
mod server;
mod structures;

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use report::{Direction, Measured, Results};

/// One benchmark: its name, its unit, its target, and how it is measured.
struct Benchmark {
    name: &'static str,
    unit: &'static str,
    target: f64,
    direction: Direction,
    measure: fn() -> anyhow::Result<f64>,
}

const fn at_most(
    name: &'static str,
    unit: &'static str,
    target: f64,
    measure: fn() -> anyhow::Result<f64>,
) -> Benchmark {
    Benchmark {
        name,
        unit,
        target,
        direction: Direction::Less,
        measure,
    }
}

const fn at_least(
    name: &'static str,
    unit: &'static str,
    target: f64,
    measure: fn() -> anyhow::Result<f64>,
) -> Benchmark {
    Benchmark {
        name,
        unit,
        target,
        direction: Direction::More,
        measure,
    }
}

const BENCHMARKS: &[Benchmark] = &[
    at_most(
        "localnet_first_call_ms",
        "ms",
        1_000.0,
        localnet::first_call,
    ),
    at_most(
        "localnet_install_cold_ms",
        "ms",
        3_000.0,
        localnet::install_cold,
    ),
    at_most(
        "localnet_install_warm_ms",
        "ms",
        100.0,
        localnet::install_warm,
    ),
    at_least(
        "localnet_updates_per_s",
        "calls/s",
        1_000.0,
        localnet::updates,
    ),
    at_least(
        "localnet_queries_per_s",
        "calls/s",
        3_000.0,
        localnet::queries,
    ),
    at_most("localnet_trap_1gib_ms", "ms", 2.0, memory::trap),
    at_most("localnet_commit_1gib_ms", "ms", 5.0, memory::commit),
    at_most("localnet_idle_mb", "MB", 200.0, localnet::idle),
    at_most("sha256_block", "instructions", 5_000.0, || {
        Ok(structures::small()?.sha256_block)
    }),
    at_most("map_insert_10k", "instructions", 320_000.0, || {
        Ok(structures::small()?.map_insert)
    }),
    at_most("map_insert_10k_ratio", "", 0.45, || {
        structures::small().map(|f| f.record_insert / f.peer_insert)
    }),
    at_most("map_read_10k", "instructions", 100_000.0, || {
        Ok(structures::small()?.read)
    }),
    at_most("map_witness_10k_ratio", "", 0.8, || {
        structures::small().map(|f| f.witness_bytes / f.peer_witness_bytes)
    }),
    at_most("log_append_10k", "instructions", 150_000.0, || {
        Ok(structures::small()?.log_append)
    }),
    at_most("map_insert_1m", "instructions", 320_000.0, || {
        Ok(structures::large()?.map_insert)
    }),
    at_most("map_insert_1m_ratio", "", 0.45, || {
        structures::large().map(|f| f.record_insert / f.peer_insert)
    }),
    at_most("map_read_1m", "instructions", 100_000.0, || {
        Ok(structures::large()?.read)
    }),
    at_most("map_witness_1m_ratio", "", 0.8, || {
        structures::large().map(|f| f.witness_bytes / f.peer_witness_bytes)
    }),
    at_most("log_append", "instructions", 150_000.0, || {
        Ok(structures::large()?.log_append)
    }),
    at_most("trie_bytes", "bytes", 160.0, || {
        Ok(structures::large()?.trie_bytes)
    }),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&Benchmark> = BENCHMARKS
        .iter()
        .filter(|b| names.is_empty() || names.iter().any(|name| b.name.starts_with(name)))
        .collect();
    if chosen.is_empty() {
        let all: Vec<_> = BENCHMARKS.iter().map(|b| b.name).collect();
        anyhow::bail!("no such benchmark; there are {}", all.join(", "));
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("benches/ is in the project")?;
    let mut results = Results::load(&project.join("benches/results.json"))?;
    let mut all_reached = true;
    for benchmark in chosen {
        eprintln!("bench: {} …", benchmark.name);
        let value = (benchmark.measure)().with_context(|| benchmark.name.to_owned())?;
        let measured = Measured {
            name: benchmark.name.to_owned(),
            value: report::rounded(value),
            unit: benchmark.unit.to_owned(),
            target: benchmark.target,
            direction: benchmark.direction,
            commit: machine::commit(project),
            compiler: machine::compiler(),
            machine: machine::describe(),
        };
        all_reached &= measured.is_reached();
        println!("{measured}");
        results.put(measured);
    }
    results.save()?;
    results.document(&project.join("docs/performance.md"))?;
    Ok(all_reached)
}
