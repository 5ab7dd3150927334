//! A server process of this benchmark's own, and what is done on it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use candid::{Encode, Principal};
use pocket_ic::{PocketIc, PocketIcBuilder};

/// Longest wait for the server to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that cargo built beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let program = here.with_file_name(name);
    if !program.is_file() {
        bail!(
            "{} is missing: cargo build --release --workspace --bins",
            program.display()
        );
    }
    Ok(program)
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server that keeps compiled modules in `cache`, and waits until it listens.
    pub(crate) fn start(cache: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port_file = folder.path().join("port");
        let child = Command::new(program("pocket-ic")?)
            .args(["--ttl", "300", "--port-file"])
            .arg(&port_file)
            .env("LOCALNET_CACHE", cache)
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self {
            child,
            url: String::new(),
            _folder: folder,
        };
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(text) = fs::read_to_string(&port_file)
                && let Some(port) = text.strip_suffix('\n')
            {
                server.url = format!("http://127.0.0.1:{port}/");
                return Ok(server);
            }
            sleep(Duration::from_millis(2));
        }
        bail!("the server does not listen")
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A new instance with one application subnet.
    pub(crate) fn instance(&self) -> anyhow::Result<PocketIc> {
        let url = self.url.parse().context("the server's address")?;
        Ok(PocketIcBuilder::new()
            .with_server_url(url)
            .with_application_subnet()
            .build())
    }

    /// An instance with a root subnet, whose key verifies, and an application subnet: to be built.
    pub(crate) fn two_subnets(&self) -> anyhow::Result<PocketIcBuilder> {
        let url = self.url.parse().context("the server's address")?;
        Ok(PocketIcBuilder::new()
            .with_server_url(url)
            .with_nns_subnet()
            .with_application_subnet())
    }

    /// Proportional share of the server's memory, in bytes (`/proc/<pid>/smaps_rollup`).
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next())
            .context("no Pss")?;
        Ok(kib.parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new canister with this module.
pub(crate) fn install(pic: &PocketIc, module: Vec<u8>) -> anyhow::Result<Principal> {
    let canister = pic.create_canister();
    pic.add_cycles(canister, 1_000_000_000_000_000);
    pic.install_canister(canister, module, Encode!()?, None);
    Ok(canister)
}

/// Calls an update method that must reply.
pub(crate) fn update(pic: &PocketIc, canister: Principal, method: &str) -> anyhow::Result<Vec<u8>> {
    pic.update_call(canister, Principal::anonymous(), method, Vec::new())
        .map_err(|reject| anyhow::anyhow!("{method}: {reject:?}"))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
