//! The command `pocket-ic`: a server for the clients of PocketIC, started by them as they start DFINITY's.
//!
//! ```text
//!   pocket-ic --version                      "pocket-ic-server 16.1.0"; clients ask for theirs, so
//!                                            POCKET_IC_SERVER_VERSION says what is printed instead
//!   pocket-ic --port-file FILE [--ttl S] …   serves until it has been idle for S seconds
//! ```
//!
//! The port file is the handshake: it is created before anything else, and who finds it there leaves at once with exit
//! code 0, because another server is starting for the same client; the port is written, and a line feed, when it listens;
//! the file is removed at the end. It stops, with exit code 0, at SIGINT and at SIGTERM too.
//!
//! Compiled modules are kept in the folder that LOCALNET_CACHE names, or else in the user's cache folder; an empty
//! LOCALNET_CACHE keeps none.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use localnet::{PocketConfig, PocketServer, module_cache};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// The version that clients are told where the environment says no other.
const VERSION: &str = "16.1.0";
const VERSION_VARIABLE: &str = "POCKET_IC_SERVER_VERSION";

/// A server for the clients of PocketIC.
#[derive(Parser)]
#[command(name = "pocket-ic-server", disable_version_flag = true)]
struct Options {
    /// Print "pocket-ic-server" and a version: POCKET_IC_SERVER_VERSION, or else 16.1.0
    #[arg(short = 'V', long)]
    version: bool,
    /// Address to listen on
    #[arg(short, long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    ip_addr: IpAddr,
    /// Port to listen on; 0 takes any free one
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Write the port here once it listens; leave at once if the file exists
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Stop after so many seconds without a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    ttl: u64,
    /// Stop after so many seconds, whatever is going on
    #[arg(long, value_name = "SECONDS")]
    hard_ttl: Option<u64>,
    /// Taken and ignored: this server logs nothing
    #[arg(short, long, value_name = "LEVELS")]
    log_levels: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.version {
        let version = std::env::var(VERSION_VARIABLE).unwrap_or_else(|_| VERSION.to_owned());
        // Nobody may be reading, and that is no reason to fail.
        let _ = writeln!(io::stdout(), "pocket-ic-server {version}");
        return ExitCode::SUCCESS;
    }
    let port_file = match options.port_file.as_deref().map(PortFile::create) {
        None => None,
        Some(Ok(Some(file))) => Some(file),
        Some(Ok(None)) => return ExitCode::SUCCESS,
        Some(Err(error)) => return fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let served = runtime.block_on(serve(&options, port_file));
    // What still runs on the threads of the instances is not waited for: its effects are gone anyway.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn serve(options: &Options, mut port_file: Option<PortFile>) -> Result<(), String> {
    let listen = |error| format!("can't listen for signals: {error}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(listen)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(listen)?;
    let config = PocketConfig {
        address: options.ip_addr,
        port: options.port,
        module_cache: module_cache(),
    };
    let server = PocketServer::start(config).await.map_err(|error| {
        format!(
            "can't listen on {}:{}: {error}",
            options.ip_addr, options.port
        )
    })?;
    if let Some(file) = &mut port_file {
        file.write(server.address().port())?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = server.idle_for(Duration::from_secs(options.ttl)) => {}
        () = pass(options.hard_ttl) => {}
    }
    // First, so that no client finds a server that is going.
    drop(port_file);
    server.stop().await;
    Ok(())
}

async fn pass(seconds: Option<u64>) {
    match seconds {
        None => std::future::pending().await,
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
    }
}

/// The port file, as long as this lives.
struct PortFile {
    path: PathBuf,
    file: File,
}

impl PortFile {
    /// Creates the file; None where it exists.
    fn create(path: &Path) -> Result<Option<Self>, String> {
        match File::create_new(path) {
            Ok(file) => Ok(Some(Self {
                path: path.to_owned(),
                file,
            })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(format!("can't create {}: {error}", path.display())),
        }
    }

    fn write(&mut self, port: u16) -> Result<(), String> {
        let written = self.file.write_all(format!("{port}\n").as_bytes());
        written.map_err(|error| format!("can't write {}: {error}", self.path.display()))
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("pocket-ic: {error}");
    ExitCode::FAILURE
}
