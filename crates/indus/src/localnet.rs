//! The `localnet` process that belongs to a run.
//!
//! Flow: spawn → it writes its status file once it serves → run → end its standard input and wait; kill it if it
//! doesn't end by itself.
//!
//! Invariants
//! - It never outlives the run: its standard input is a pipe from here, and it ends when that pipe does, even if
//!   this process is killed.
//! - It is in a process group of its own, so that Ctrl-C at a terminal reaches it through here only.
//! - What it says of itself (root key, ports) is read from a private folder that nothing else writes to.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candid::Principal;
use serde::Deserialize;
use tempfile::TempDir;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Longest wait for the status file.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for it to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How much of what it wrote to standard error is kept, in lines.
const TAIL_LINES: usize = 5;
const STATUS_VERSION: &str = "1";

/// What `localnet` writes once it serves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    v: String,
    /// Port of its HTTP interface on this machine.
    pub(crate) gateway_port: u16,
    /// DER form in hexadecimal.
    pub(crate) root_key: String,
    /// The subnet that canisters are created on.
    pub(crate) application_subnet: Principal,
    /// Where calls that create canisters are addressed.
    pub(crate) default_effective_canister_id: Principal,
}

/// Why there is no localnet.
#[derive(Debug, Error)]
pub(crate) enum LocalnetError {
    #[error("no localnet: there is none beside {}, nor in PATH; name one with --localnet", .0.display())]
    NotFound(PathBuf),
    #[error("localnet {} can't be started: {reason}", path.display())]
    Spawn { path: PathBuf, reason: io::Error },
    #[error("no folder for localnet's status file: {0}")]
    StatusFolder(io::Error),
    #[error("localnet's status file can't be used: {0}")]
    Status(String),
    #[error("localnet doesn't serve after {} s", START_LIMIT.as_secs())]
    Slow,
    /// It ended before it served, because of a port in use for example.
    #[error("localnet did not start ({how}): {said}")]
    NotStarted { how: String, said: String },
    /// `said` is the end of its standard error, in one line.
    #[error("localnet ended by itself ({how}): {said}")]
    Ended { how: String, said: String },
}

/// Finds the program: `named`, else beside this executable, else in PATH.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, LocalnetError> {
    if let Some(path) = named {
        return Ok(path.into());
    }
    let this = std::env::current_exe().unwrap_or_default();
    let beside = this.with_file_name("localnet");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("localnet"));
    [beside]
        .into_iter()
        .chain(in_path)
        .find(|path| path.is_file())
        .ok_or(LocalnetError::NotFound(this))
}

/// A running localnet.
pub(crate) struct Localnet {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

impl Localnet {
    /// Starts `program` on `port` of this machine (0: any free one).
    pub(crate) fn spawn(program: &Path, port: u16) -> Result<Self, LocalnetError> {
        let folder = tempfile::Builder::new()
            .prefix("indus-")
            .tempdir()
            .map_err(LocalnetError::StatusFolder)?;
        let failed = |reason| LocalnetError::Spawn {
            path: program.into(),
            reason,
        };
        let mut child = Command::new(program)
            .args([
                OsStr::new("serve"),
                OsStr::new("--bind"),
                OsStr::new("127.0.0.1"),
            ])
            .args([OsStr::new("--port"), OsStr::new(&port.to_string())])
            .args([
                OsStr::new("--status-file"),
                status_file(&folder).as_os_str(),
            ])
            // icp-cli asks for the operator of such a subnet, which app_hosting will be.
            .args(["--subnet", "cloud-engine"])
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let said = Arc::default();
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| failed(io::Error::other("its standard error is not piped")))?;
        let listener = Some(tokio::spawn(listen(stderr, Arc::clone(&said))));
        Ok(Self {
            stdin: child.stdin.take(),
            child,
            said,
            listener,
            folder: Some(folder),
        })
    }

    /// Waits until it serves.
    pub(crate) async fn serving(&mut self) -> Result<Status, LocalnetError> {
        let Some(folder) = self.folder.take() else {
            return Err(LocalnetError::Status(String::from("it was read before")));
        };
        let file = status_file(&folder);
        tokio::select! {
            (how, said) = self.last_words() => Err(LocalnetError::NotStarted { how, said }),
            status = timeout(START_LIMIT, written(&file)) => status.map_err(|_| LocalnetError::Slow)?,
        }
    }

    /// Waits until it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> LocalnetError {
        let (how, said) = self.last_words().await;
        LocalnetError::Ended { how, said }
    }

    /// Waits for its end: how it ended, and the end of its standard error in one line.
    async fn last_words(&mut self) -> (String, String) {
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // They may still be in the pipe.
        if let Some(listener) = self.listener.take() {
            let _ = timeout(STOP_LIMIT, listener).await;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = said
            .iter()
            .map(|line| line.strip_prefix("localnet: ").unwrap_or(line));
        let said = lines.collect::<Vec<_>>().join(" | ");
        (
            how,
            if said.is_empty() {
                String::from("it said nothing")
            } else {
                said
            },
        )
    }

    /// Ends it, and returns when it has ended.
    pub(crate) async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            // Fails only if it has ended meanwhile.
            let _ = self.child.kill().await;
        }
    }
}

fn status_file(folder: &TempDir) -> PathBuf {
    folder.path().join("status.json")
}

/// Waits for the status file. It is written beside and renamed, so it is complete once it is there.
async fn written(path: &Path) -> Result<Status, LocalnetError> {
    loop {
        match fs::read_to_string(path) {
            Ok(text) => return parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => sleep(POLL_INTERVAL).await,
            Err(error) => return Err(LocalnetError::Status(error.to_string())),
        }
    }
}

fn parse(text: &str) -> Result<Status, LocalnetError> {
    let status: Status =
        serde_json::from_str(text).map_err(|error| LocalnetError::Status(error.to_string()))?;
    if status.v == STATUS_VERSION {
        Ok(status)
    } else {
        Err(LocalnetError::Status(format!(
            "version {:?} is unknown, {STATUS_VERSION:?} is expected",
            status.v
        )))
    }
}

/// Keeps the last lines of `stderr`, until its end.
async fn listen(stderr: ChildStderr, said: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim().replace(char::is_control, " ");
        if !line.is_empty() {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() == TAIL_LINES {
                said.pop_front();
            }
            said.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"v":"1","gateway_port":8000,"root_key":"00","application_subnet":"aaaaa-aa",
        "default_effective_canister_id":"rwlgt-iiaaa-aaaaa-aaaaa-cai","later":"more"}"#;

    #[test]
    fn the_status_of_version_1_is_understood() {
        let status = parse(STATUS).unwrap();
        assert_eq!(
            (status.gateway_port, status.root_key.as_str()),
            (8000, "00")
        );
        assert_eq!(
            status.default_effective_canister_id.to_text(),
            "rwlgt-iiaaa-aaaaa-aaaaa-cai"
        );
    }

    #[test]
    fn another_version_is_refused() {
        let error = parse(&STATUS.replace("\"v\":\"1\"", "\"v\":\"2\""))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "localnet's status file can't be used: version \"2\" is unknown, \"1\" is expected"
        );
    }

    #[tokio::test]
    async fn the_last_words_of_a_localnet_that_ends_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(
            &folder,
            "echo localnet: one >&2; echo >&2; printf 'two\\r\\nthree' >&2; exit 7",
        );
        let error = Localnet::spawn(&program, 0)
            .unwrap()
            .serving()
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "localnet did not start (exit status: 7): one | two | three"
        );
    }

    #[tokio::test]
    async fn a_localnet_is_told_where_to_serve_and_ends_with_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("ended");
        let program = script(
            &folder,
            &format!(
                "echo '{}' > \"$7.new\" && mv \"$7.new\" \"$7\"; cat; echo \"$@\" > {}",
                STATUS.replace('\n', ""),
                mark.display()
            ),
        );
        let mut localnet = Localnet::spawn(&program, 0).unwrap();
        assert_eq!(localnet.serving().await.unwrap().gateway_port, 8000);
        localnet.stop().await;
        let arguments = fs::read_to_string(&mark).unwrap();
        assert!(
            arguments.starts_with("serve --bind 127.0.0.1 --port 0 --status-file /"),
            "{arguments}"
        );
        assert!(
            arguments
                .trim()
                .ends_with(" --subnet cloud-engine --exit-with-stdin"),
            "{arguments}"
        );
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_named() {
        let error = Localnet::spawn(Path::new("/nonexistent/localnet"), 0)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.starts_with("localnet /nonexistent/localnet can't be started: No such file"),
            "{error}"
        );
    }

    fn script(folder: &TempDir, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join("localnet");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}
