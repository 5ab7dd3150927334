//! `bench [--check] [NAME…]`: runs the benchmarks whose names begin so (all, without a name), and keeps the results.
//!
//! With `--check` it keeps nothing, and compares with the results that are kept: worse by more than 2 % is a failure. Only
//! figures that the same compiler gave can be compared.
//!
//! Results go into `benches/results.json`, one entry a name, the newest alone; the table in `docs/performance.md` is made
//! from it. A target that is missed is marked in both, and the exit code is 1.
//!
//! Wall-clock times depend on the machine: they are medians, and the machine is named beside them.

#![allow(clippy::print_stdout, reason = "a command")]

mod apps;
mod audit;
mod conversations;
mod localnet;
mod machine;
mod memory;
mod messages;
mod modules;
mod net;
mod report;
mod server;
mod structures;
mod suite;
mod tour;
mod upgrade;

use std::process::ExitCode;

use anyhow::Context as _;
use report::{Direction, Measured, Results};

/// One benchmark: its name, its unit, its target, and how it is measured.
struct Benchmark {
    name: &'static str,
    unit: &'static str,
    target: Option<f64>,
    direction: Direction,
    measure: fn() -> anyhow::Result<f64>,
}

type Measure = fn() -> anyhow::Result<f64>;

const fn at_most(
    name: &'static str,
    unit: &'static str,
    target: f64,
    measure: Measure,
) -> Benchmark {
    Benchmark {
        name,
        unit,
        target: Some(target),
        direction: Direction::Less,
        measure,
    }
}

const fn at_least(
    name: &'static str,
    unit: &'static str,
    target: f64,
    measure: Measure,
) -> Benchmark {
    Benchmark {
        name,
        unit,
        target: Some(target),
        direction: Direction::More,
        measure,
    }
}

/// Less is better, and nothing is asked for.
const fn shown(name: &'static str, unit: &'static str, measure: Measure) -> Benchmark {
    Benchmark {
        name,
        unit,
        target: None,
        direction: Direction::Less,
        measure,
    }
}

const INSTRUCTIONS: &str = "instructions";

#[rustfmt::skip]
const BENCHMARKS: &[Benchmark] = &[
    at_most("localnet_first_call_ms", "ms", 1_000.0, localnet::first_call),
    at_most("localnet_install_cold_ms", "ms", 3_000.0, localnet::install_cold),
    at_most("localnet_install_warm_ms", "ms", 100.0, localnet::install_warm),
    at_least("localnet_updates_per_s", "calls/s", 1_000.0, localnet::updates),
    at_least("localnet_queries_per_s", "calls/s", 3_000.0, localnet::queries),
    at_most("localnet_trap_1gib_ms", "ms", 2.0, memory::trap),
    at_most("localnet_commit_1gib_ms", "ms", 5.0, memory::commit),
    at_most("localnet_idle_mb", "MB", 200.0, localnet::idle),
    // The same at 10,000, in seconds: what CI compares with the committed results.
    shown("small_sha256_block", INSTRUCTIONS, || Ok(structures::small()?.sha256_block)),
    shown("small_map_insert", INSTRUCTIONS, || Ok(structures::small()?.map_insert)),
    shown("small_record_insert", INSTRUCTIONS, || Ok(structures::small()?.record_insert)),
    shown("small_record_insert_peer", INSTRUCTIONS, || Ok(structures::small()?.peer_insert)),
    shown("small_map_read", INSTRUCTIONS, || Ok(structures::small()?.read)),
    shown("small_log_append", INSTRUCTIONS, || Ok(structures::small()?.log_append)),
    shown("small_audit_event", INSTRUCTIONS, || Ok(structures::small_events()?.add)),
    shown("small_audit_event_change", INSTRUCTIONS, || Ok(structures::small_events()?.change)),
    shown("small_registry_write", INSTRUCTIONS, || Ok(suite::small()?.registry.write)),
    shown("small_registry_check_access", INSTRUCTIONS, || Ok(suite::small()?.registry.check_access)),
    shown("small_subject_remote", INSTRUCTIONS, || Ok(suite::small()?.identity.remote)),
    shown("small_person_register", INSTRUCTIONS, || Ok(suite::small()?.identity.register)),
    shown("small_seat_grant", INSTRUCTIONS, || Ok(suite::small()?.licences.grant)),
    shown("small_app_create", INSTRUCTIONS, || suite::create_app(10_000)),
    shown("small_message_post", INSTRUCTIONS, || Ok(conversations::small()?.post)),
    shown("small_commit_100", INSTRUCTIONS, || Ok(conversations::commits(100)?.update)),
    // A million records.
    at_most("map_insert_1m", INSTRUCTIONS, 320_000.0, || Ok(structures::large()?.map_insert)),
    shown("record_insert_1m", INSTRUCTIONS, || Ok(structures::large()?.record_insert)),
    shown("record_insert_1m_peer", INSTRUCTIONS, || Ok(structures::large()?.peer_insert)),
    at_most("map_insert_1m_ratio", "", 0.45, || structures::large().map(|f| f.record_insert / f.peer_insert)),
    at_most("map_read_1m", INSTRUCTIONS, 100_000.0, || Ok(structures::large()?.read)),
    shown("map_witness_1m", "bytes", || Ok(structures::large()?.witness_bytes)),
    shown("map_witness_1m_peer", "bytes", || Ok(structures::large()?.peer_witness_bytes)),
    at_most("map_witness_1m_ratio", "", 0.8, || structures::large().map(|f| f.witness_bytes / f.peer_witness_bytes)),
    at_most("log_append", INSTRUCTIONS, 150_000.0, || Ok(structures::large()?.log_append)),
    at_most("trie_bytes", "bytes", 160.0, || Ok(structures::large()?.trie_bytes)),
    at_most("audit_event_1m", INSTRUCTIONS, 400_000.0, || Ok(structures::large_events()?.add)),
    at_most("audit_event_1m_change", INSTRUCTIONS, 400_000.0, || Ok(structures::large_events()?.change)),
    at_most("audit_verify_ratio", "", 2.0, audit::ratio),
    at_most("audit_verify_1m_s", "s", 5.0, audit::seconds),
    // The canisters, with a million organisations and a million persons.
    at_most("registry_write_1m", INSTRUCTIONS, 1_000_000.0, || Ok(suite::large()?.registry.write)),
    at_most("registry_check_access_1m", INSTRUCTIONS, 200_000.0, || Ok(suite::large()?.registry.check_access)),
    shown("registry_check_access_1m_absent", INSTRUCTIONS, || Ok(suite::large()?.registry.check_access_absent)),
    at_most("subject_cached", INSTRUCTIONS, 50_000.0, || Ok(suite::large()?.identity.cached)),
    shown("subject_cached_query", INSTRUCTIONS, || Ok(suite::large()?.identity.cached_query)),
    at_most("subject_remote", INSTRUCTIONS, 2_000_000.0, || Ok(suite::large()?.identity.remote)),
    at_most("person_register_1m", INSTRUCTIONS, 2_000_000.0, || Ok(suite::large()?.identity.register)),
    at_most("seat_grant", INSTRUCTIONS, 1_500_000.0, || Ok(suite::large()?.licences.grant)),
    shown("seat_grant_total", INSTRUCTIONS, || Ok(suite::large()?.licences.grant_total)),
    // A conversation with a million messages, and large groups.
    at_most("message_post_1m", INSTRUCTIONS, 600_000.0, || Ok(conversations::long()?.post)),
    at_most("messages_fetch_100", INSTRUCTIONS, 20_000_000.0, || Ok(conversations::long()?.fetch)),
    at_most("messages_fetch_100_ratio", "", 1.25, || Ok(conversations::long()?.fetch_ratio)),
    at_most("message_bytes", "bytes", 1_000.0, || Ok(conversations::long()?.message_bytes)),
    shown("message_bytes_without_audit", "bytes", || Ok(conversations::long()?.message_bytes_log)),
    at_most("commit_100", INSTRUCTIONS, 10_000_000.0, || Ok(conversations::commits(100)?.update)),
    shown("commit_100_add", INSTRUCTIONS, || conversations::commits(100)?.add.context("there is room")),
    at_most("commit_1000", INSTRUCTIONS, 60_000_000.0, || Ok(conversations::commits(1_000)?.update)),
    at_most("app_create_100k", INSTRUCTIONS, 3_000_000.0, || suite::create_app(100_000)),
    // Whole commands of a founder.
    at_most("app_create_s", "s", 2.0, || Ok(apps::figures()?.create)),
    at_most("deploy_ratio", "", 1.2, || apps::figures().map(|f| f.deploy / f.plain)),
    shown("deploy_s", "s", || Ok(apps::figures()?.deploy)),
    shown("deploy_s_plain", "s", || Ok(apps::figures()?.plain)),
    at_most("rollback_s", "s", 2.0, || Ok(apps::figures()?.rollback)),
    at_most("licence_tour_s", "s", 60.0, tour::seconds),
    at_most("message_e2e_ms", "ms", 100.0, messages::end_to_end),
    at_least("messages_per_s", "messages/s", 100.0, messages::rate),
    at_most("upgrade_1m", INSTRUCTIONS, 2_000_000.0, || Ok(upgrade::figures()?.many)),
    at_most("upgrade_1m_difference", "%", 1.0, || Ok(upgrade::figures()?.difference())),
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
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let check = names.first().is_some_and(|name| name == "--check");
    if check {
        names.remove(0);
    }
    let chosen: Vec<&Benchmark> = BENCHMARKS
        .iter()
        .filter(|b| names.is_empty() || names.iter().any(|name| b.name.starts_with(name)))
        .collect();
    if chosen.is_empty() {
        let all: Vec<_> = BENCHMARKS.iter().map(|b| b.name).collect();
        anyhow::bail!("no such benchmark; there are {}", all.join(", "));
    }
    let project = machine::project()?;
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
        println!("{measured}");
        if check {
            all_reached &= compares(&measured, results.get(benchmark.name));
            continue;
        }
        all_reached &= measured.is_reached();
        results.put(measured);
    }
    if check {
        return Ok(all_reached);
    }
    results.save()?;
    results.document(&project.join("docs/performance.md"))?;
    Ok(all_reached)
}

/// Whether a result is as good as the one that is kept, if they can be compared.
fn compares(measured: &Measured, kept: Option<&Measured>) -> bool {
    match kept {
        Some(kept) if kept.compiler == measured.compiler => {
            let worse = measured.is_worse_than(kept);
            if worse {
                println!("{}: it was {}", measured.name, kept.value);
            }
            !worse
        }
        _ => {
            println!("{}: nothing to compare it with", measured.name);
            true
        }
    }
}
