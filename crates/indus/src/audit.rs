//! `indus audit`: fetches all that canisters certify, verifies it without a network, and reports.

mod check;
mod fetch;
mod folder;
mod report;
mod source;
#[cfg(test)]
mod tests;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_client::{Connection, Url};
use sha2::{Digest, Sha256};

use crate::audit::check::{CanisterReport, Finding, Settings};
use crate::audit::folder::Folder;
use crate::audit::report::Report;
use crate::audit::source::Network;
use crate::console::Console;
use crate::failure::Failure;
use crate::root_key;
use crate::when;

/// Audits canisters: fetch all that they certify, verify it offline, report.
#[derive(Subcommand)]
pub(crate) enum Command {
    Fetch(FetchOptions),
    Verify(VerifyOptions),
    Report(ReportOptions),
}

/// Fetches all that canisters certify into a folder. Run again, it goes on where it ended.
#[derive(Args)]
pub(crate) struct FetchOptions {
    /// Where the network's HTTP interface is, such as http://127.0.0.1:8000.
    #[arg(long, value_name = "URL")]
    url: Url,
    /// The network's root key: DER, PEM, hexadecimal, or a trust file. Get it from somebody you trust.
    #[arg(long, value_name = "KEY_FILE")]
    root_key: PathBuf,
    /// A canister; can be given many times.
    #[arg(long = "canister", value_name = "ID", required = true)]
    canisters: Vec<Principal>,
    /// The folder.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Verifies a folder that was fetched, offline, and names whatever is wrong.
#[derive(Args)]
pub(crate) struct VerifyOptions {
    #[command(flatten)]
    what: What,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a folder as `indus audit verify` does, and writes report.json and report.html.
#[derive(Args)]
pub(crate) struct ReportOptions {
    #[command(flatten)]
    what: What,
    /// Where the report is written, in place of what is there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args)]
struct What {
    /// The folder, as `indus audit fetch` writes it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The network's root key: DER, PEM, hexadecimal, or a trust file. Get it from somebody you trust.
    #[arg(long, value_name = "KEY_FILE")]
    root_key: PathBuf,
    /// Refuse certificates that are older, such as 5m, 24h, 30d [default: any age].
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    max_age: Option<Duration>,
}

/// Does it.
pub(crate) async fn audit(command: Command, console: &mut Console) -> Result<(), Failure> {
    match command {
        Command::Fetch(options) => fetch(options, console).await,
        Command::Verify(options) => verify(&options, console),
        Command::Report(options) => report(&options, console),
    }
}

/// What an audit found of one canister.
pub(crate) struct Audited {
    pub(crate) blocks: u64,
    pub(crate) records: usize,
    /// What is wrong, each with its place.
    pub(crate) findings: Vec<String>,
}

/// Fetches these canisters of the connection's subnet into `folder`, and verifies what came, from there.
pub(crate) async fn of_network(
    connection: &Connection,
    canisters: &[Principal],
    folder: &Path,
) -> Result<Vec<Audited>, Failure> {
    let root_key = &connection.trust().root_key;
    let settings = Settings {
        root_key: root_key.clone(),
        now: when::now(),
        bound: when::bound(None),
        threads: threads(),
    };
    let mut found = Vec::new();
    for canister in canisters.iter().copied() {
        let source = Network::new(connection.clone(), canister);
        let folder = Folder::of(folder, canister);
        fetch::fetch(&source, canister, root_key.clone(), &folder).await?;
        let settings = Settings {
            now: when::now(),
            ..settings.clone()
        };
        let report = check::check(&folder, canister, &settings);
        let findings = report.findings.iter();
        let findings = findings.map(|Finding { place, fault }| format!("{place}: {fault}"));
        found.push(Audited {
            blocks: report.head.map_or(0, |head| head.blocks),
            records: report.collections.iter().map(|one| one.records).sum(),
            findings: findings.collect(),
        });
    }
    Ok(found)
}

async fn fetch(options: FetchOptions, console: &mut Console) -> Result<(), Failure> {
    let root_key = root_key::load(&options.root_key)?;
    let threads = threads();
    for canister in options.canisters {
        console.line(format_args!("{canister}: fetching"));
        let connection = Connection::to_subnet_of(canister, options.url.clone(), root_key.clone())
            .await
            .map_err(Failure::failed)?;
        let source = Network::new(connection, canister);
        let folder = Folder::of(&options.out, canister);
        let fetched = fetch::fetch(&source, canister, root_key.clone(), &folder).await?;
        console.line(format_args!(
            "{canister}: {} blocks, {} of them new; {} pages of records",
            fetched.blocks, fetched.new_blocks, fetched.pages
        ));
        let settings = Settings {
            root_key: root_key.clone(),
            now: when::now(),
            bound: when::bound(None),
            threads,
        };
        let report = check::check(&folder, canister, &settings);
        if let Some(Finding { place, fault }) = report.findings.first() {
            return Err(Failure::Failed(format!(
                "what {canister} answered is not what it certified: {place}: {fault}"
            )));
        }
    }
    console.line(format_args!(
        "complete, and verified: {}",
        options.out.display()
    ));
    Ok(())
}

fn verify(options: &VerifyOptions, console: &mut Console) -> Result<(), Failure> {
    let report = checked(&options.what)?;
    if options.json {
        let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
        console.line(json);
    } else {
        show(&report, console);
    }
    outcome(&report)
}

fn report(options: &ReportOptions, console: &mut Console) -> Result<(), Failure> {
    let report = checked(&options.what)?;
    let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
    let unwritten = |error| Failure::file(&options.out, error);
    fs::create_dir_all(&options.out).map_err(unwritten)?;
    fs::write(options.out.join("report.json"), json + "\n").map_err(unwritten)?;
    fs::write(options.out.join("report.html"), report.html()).map_err(unwritten)?;
    show(&report, console);
    console.line(format_args!(
        "report:      {}",
        options.out.join("report.html").display()
    ));
    outcome(&report)
}

/// Audits all canisters of a folder.
fn checked(what: &What) -> Result<Report, Failure> {
    let root_key = root_key::load(&what.root_key)?;
    let settings = Settings {
        now: when::now(),
        bound: when::bound(what.max_age),
        threads: threads(),
        root_key,
    };
    folder_report(&what.folder, &settings)
}

fn folder_report(folder: &Path, settings: &Settings) -> Result<Report, Failure> {
    let (canisters, others) =
        Folder::canisters(folder).map_err(|error| Failure::file(folder, error))?;
    if canisters.is_empty() {
        return Err(Failure::file(folder, "no canister was fetched into it"));
    }
    let findings: Vec<Finding> = others
        .into_iter()
        .map(|place| Finding {
            place,
            fault: String::from("it is not the folder of a canister"),
        })
        .collect();
    let canisters: Vec<CanisterReport> = canisters
        .into_iter()
        .map(|canister| check::check(&Folder::of(folder, canister), canister, settings))
        .collect();
    Ok(Report {
        format: report::FORMAT,
        verified: findings.is_empty() && canisters.iter().all(|canister| canister.verified),
        checked_at: report::checked_at(),
        root_key_sha256: hex::encode(Sha256::digest(settings.root_key.as_der())),
        canisters,
        findings,
    })
}

fn show(report: &Report, console: &mut Console) {
    for canister in &report.canisters {
        console.line(format_args!("canister:    {}", canister.canister));
        if let Some(head) = &canister.head {
            console.line(format_args!(
                "  certified  {}, {} blocks",
                head.certified_at, head.blocks
            ));
        }
        for collection in &canister.collections {
            console.line(format_args!(
                "  records    {} of {}, {} with their contents",
                collection.records, collection.name, collection.readable
            ));
        }
        if let Some(state) = &canister.state {
            let module = state.module_hash.as_deref().unwrap_or("none");
            console.line(format_args!("  module     {module}"));
            console.line(format_args!(
                "  controlled by {}",
                state.controllers.join(", ")
            ));
        }
    }
    for (canister, Finding { place, fault }) in report.all_findings() {
        let canister = canister.map(|canister| format!("{canister}/"));
        console.line(format_args!(
            "WRONG:       {}{place}: {fault}",
            canister.unwrap_or_default()
        ));
    }
    if report.verified {
        console.line("verified: everything is as it was certified");
    }
}

fn outcome(report: &Report) -> Result<(), Failure> {
    let mut findings = report.all_findings();
    let Some((canister, Finding { place, fault })) = findings.next() else {
        return Ok(());
    };
    let canister = canister.map(|canister| format!("{canister}/"));
    let first = format!("{}{place}: {fault}", canister.unwrap_or_default());
    let more = match findings.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Err(Failure::Failed(format!("not verified: {first}{more}")))
}

/// One for each core.
fn threads() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}
