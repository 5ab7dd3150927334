//! The command `localnet`: serves a fresh network until it is told to stop.
//!
//! It prints one line when it listens and one when it stops; an error is one line on stderr and a non-zero exit code.
//! It stops, with exit code 0, at SIGINT, at SIGTERM, and with `--exit-with-stdin` at the end of its standard input, so
//! that it can't outlive the program that started it.

use std::{
    io::{self, Read as _, Write as _},
    net::IpAddr,
    path::PathBuf,
    process::ExitCode,
    thread,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::SubnetKind;
use localnet::{Config, Server, StatusFile, module_cache};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// A local subnet with the IC HTTP interface, for development and tests.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a fresh network. Its state is in memory and ends with it.
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// Port to listen on; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// What the subnet is that canisters are created on; on a cloud engine icp-cli asks for its operator
    #[arg(long, value_enum, default_value = "application")]
    subnet: Subnet,
    /// Write a line of JSON here once it listens, and remove it at the end
    #[arg(long, value_name = "FILE")]
    status_file: Option<PathBuf>,
    /// Stop when the standard input ends
    #[arg(long)]
    exit_with_stdin: bool,
    /// Derive all keys from these 32 bytes, for runs that must repeat; else they are random
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<[u8; 32]>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Subnet {
    Application,
    CloudEngine,
}

impl From<Subnet> for SubnetKind {
    fn from(subnet: Subnet) -> Self {
        match subnet {
            Subnet::Application => Self::Application,
            Subnet::CloudEngine => Self::CloudEngine,
        }
    }
}

fn seed(text: &str) -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    hex::decode_to_slice(text, &mut seed)
        .map_err(|_| "must be 64 hexadecimal digits".to_owned())?;
    Ok(seed)
}

fn main() -> ExitCode {
    let Command::Serve(options) = Cli::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let served = runtime.block_on(serve(options));
    // A message that still runs on the thread of the network is not waited for: its effects are gone anyway.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn serve(options: Serve) -> Result<(), String> {
    let listen = |error| format!("can't listen for signals: {error}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(listen)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(listen)?;

    let config = Config {
        address: options.bind,
        port: options.port,
        seed: options.seed.unwrap_or_else(rand::random),
        subnet: options.subnet.into(),
        module_cache: module_cache(),
    };
    let server = Server::start(config)
        .await
        .map_err(|error| error.to_string())?;
    let status_file = match &options.status_file {
        None => None,
        Some(path) => {
            let written = StatusFile::write(path, &server);
            Some(written.map_err(|error| format!("can't write {}: {error}", path.display()))?)
        }
    };
    say(&format!(
        "localnet listens on http://{} (application subnet {}); its state is in memory and ends with it",
        server.address(),
        server.identity().application_subnet
    ));
    let reason = tokio::select! {
        _ = interrupt.recv() => Ok("interrupted"),
        _ = terminate.recv() => Ok("terminated"),
        () = end_of_stdin(options.exit_with_stdin) => Ok("standard input ended"),
        () = server.failed() => Err("the network failed"),
    };
    drop(status_file);
    server.stop().await;
    say(&format!("localnet stops: {}", reason?));
    Ok(())
}

/// Ends at the end of the standard input if that is wanted, else never.
async fn end_of_stdin(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let (ended, end) = oneshot::channel();
    // Not on a thread of the runtime, which would wait for the read at shutdown.
    thread::spawn(move || {
        let mut chunk = [0; 1024];
        while io::stdin().read(&mut chunk).is_ok_and(|len| len > 0) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}

/// Prints a line. Nobody may be reading, and that is no reason to end.
fn say(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn fail(error: &str) -> ExitCode {
    eprintln!("localnet: {error}");
    ExitCode::FAILURE
}
