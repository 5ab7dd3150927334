//! The command itself: start, status file, signals, and errors of one line.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

/// A running command, ended when dropped.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    first_line: String,
}

impl Running {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_localnet"))
            .args(["serve", "--port", "0"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut first_line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first_line).unwrap();
        child.stdout = Some(stdout.into_inner());
        Self {
            child,
            stdin,
            first_line,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fails(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_localnet"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

fn status(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_status_file_is_there_while_it_listens_and_gone_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.json");
    let mut running = Running::start(&["--status-file", path.to_str().unwrap()]);
    let status = status(&path);
    assert_eq!(status["v"], "1");
    assert!(
        running
            .first_line
            .contains(&format!("http://127.0.0.1:{} ", status["gateway_port"]))
    );
    assert!(running.first_line.contains("in memory"));
    assert_eq!(status["root_key"].as_str().unwrap().len(), 266);
    assert!(
        running
            .first_line
            .contains(status["application_subnet"].as_str().unwrap())
    );

    running.signal("TERM");
    assert!(running.end().success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_interrupt_ends_it_with_a_line() {
    let mut running = Running::start(&[]);
    running.signal("INT");
    assert!(running.end().success());
    let mut rest = String::new();
    running
        .child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert_eq!(rest, "localnet stops: interrupted\n");
}

#[test]
fn it_ends_with_its_standard_input_if_told_to() {
    let mut running = Running::start(&["--exit-with-stdin"]);
    drop(running.stdin.take());
    assert!(running.end().success());
}

#[test]
fn the_same_seed_gives_the_same_keys_and_none_gives_others() {
    let folder = tempfile::tempdir().unwrap();
    let root_key = |options: &[&str]| {
        let path = folder.path().join("status.json");
        let _running =
            Running::start(&[options, &["--status-file", path.to_str().unwrap()]].concat());
        status(&path)["root_key"].clone()
    };
    let seed = "5e".repeat(32);
    let with_seed = root_key(&["--seed", &seed]);
    assert_eq!(root_key(&["--seed", &seed]), with_seed);
    let random = root_key(&[]);
    assert_ne!(random, with_seed);
    assert_ne!(root_key(&[]), random);
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = fails(&["serve", "--port", &port]);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.starts_with(&format!("localnet: can't listen on 127.0.0.1:{port}: ")),
        "{error}"
    );
}

#[test]
fn bad_options_are_refused() {
    let foreign = fails(&["serve", "--port", "0", "--bind", "192.0.2.1"]);
    assert!(
        foreign.starts_with("localnet: can't listen on 192.0.2.1:0: "),
        "{foreign}"
    );
    assert!(fails(&["serve", "--port", "70000"]).contains("70000"));
    assert!(fails(&["serve", "--bind", "here"]).contains("here"));
    assert!(fails(&["serve", "--seed", "abc"]).contains("64 hexadecimal digits"));
    let nowhere = fails(&[
        "serve",
        "--port",
        "0",
        "--status-file",
        "/nonexistent/status.json",
    ]);
    assert!(
        nowhere.starts_with("localnet: can't write /nonexistent/status.json: "),
        "{nowhere}"
    );
}
