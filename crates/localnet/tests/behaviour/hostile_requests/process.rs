//! The programs as processes of their own, whose memory can be measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much more memory a server may have after thousands of requests, in KiB: what its allocator keeps.
const GROWTH: u64 = 192 * 1024;

/// A running server, and the file in which it says where it listens.
pub(crate) struct Process {
    child: Child,
    said: PathBuf,
    _folder: TempDir,
}

impl Process {
    /// `localnet`, which writes a status file.
    pub(crate) fn localnet() -> Self {
        Self::start(|said| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_localnet"));
            command
                .args(["serve", "--port", "0", "--exit-with-stdin", "--status-file"])
                .arg(said);
            command
        })
    }

    /// `pocket-ic`, which writes a port file.
    pub(crate) fn pocket_ic() -> Self {
        Self::start(|said| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_pocket-ic"));
            command.args(["--ttl", "600", "--port-file"]).arg(said);
            command
        })
    }

    fn start(command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = TempDir::new().unwrap();
        let said = folder.path().join("listens");
        let child = command(&said)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            said,
            _folder: folder,
        }
    }

    /// The line that it writes when it listens.
    pub(crate) fn line(&mut self) -> String {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            if let Ok(line) = fs::read_to_string(&self.said)
                && line.ends_with('\n')
            {
                return line;
            }
            assert!(waited < PATIENCE, "it does not start");
            self.is_alive();
            thread::sleep(step);
            waited += step;
        }
    }

    pub(crate) fn is_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server has ended: {ended:?}");
    }

    /// Memory that is resident, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
    }

    /// It lives and its memory has not grown beyond what is allowed.
    pub(crate) fn is_as_before(&mut self, memory: u64) {
        self.is_alive();
        let now = self.memory();
        assert!(
            now < memory + GROWTH,
            "{memory} KiB before, {now} KiB after"
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
