//! Programs under test as processes, and which processes there are.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of `indus up` with folders of its own. Killed when dropped.
pub struct Run {
    child: Child,
    stdout: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Run {
    /// Starts `indus up` in the project with `arguments` more.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // localnet's command line names a file in the folder for temporary files: so it can be told from others.
        let mut child = Command::new(program("indus"))
            .arg("up")
            .arg("--project")
            .arg(crate::project())
            .arg("--trust")
            .arg(folder.path().join("trust.json"))
            // The seats are a test of their own: they take as long as all the rest.
            .args(["--applicants", "0"])
            .args(arguments)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdout,
            folder,
        }
    }

    /// The run's own folder: its trust file is `trust.json` there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads lines until one starts with `beginning`, which must come.
    pub fn read_until(&mut self, beginning: &str) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            if self.stdout.read_line(&mut seen).unwrap() == 0 {
                panic!("no line starts with {beginning:?}: {seen}{}", self.rest().2);
            }
            if seen[start..].starts_with(beginning) {
                return seen[start..].trim_end().into();
            }
        }
    }

    /// Waits for its end: status, the rest of its standard output, its standard error.
    pub fn end(mut self) -> (ExitStatus, String, String) {
        self.rest()
    }

    fn rest(&mut self) -> (ExitStatus, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (self.child.wait().unwrap(), stdout, stderr)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Fails only if it has ended; its localnet ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ids of the processes whose command line contains `text`.
pub fn processes_with(text: &str) -> Vec<u32> {
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| pid(entry.unwrap()));
    let contains = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    pids.filter(contains).collect()
}

/// Sends the signal called `name` (`INT`, `KILL` …) to process `pid`.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

/// Waits until `condition` holds, which it must.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        sleep(Duration::from_millis(20));
    }
}
