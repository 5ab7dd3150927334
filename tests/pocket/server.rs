//! The server as a program: the handshake, its end, and what it does with requests that are none.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use end_to_end::{application, pocket_ic_server, signal, wait_until};
use pocket_ic::{PocketIcBuilder, StartServerParams, start_server};
use reqwest::{Url, blocking::Client};

/// A server with a port file of its own. Killed when dropped.
struct Server {
    child: Child,
    url: Url,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(port_file: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(pocket_ic_server());
    command
        .arg("--port-file")
        .arg(port_file)
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn start(port_file: &Path, options: &[&str]) -> Server {
    let child = command(port_file, options).spawn().unwrap();
    let written = || fs::read_to_string(port_file).unwrap_or_default();
    wait_until("the port file", || written().ends_with('\n'));
    let url = format!("http://127.0.0.1:{}/", written().trim_end());
    Server {
        child,
        url: url.parse().unwrap(),
    }
}

#[test]
fn it_prints_the_version_that_clients_ask_for() {
    let version = |set: Option<&str>| {
        let mut command = Command::new(pocket_ic_server());
        command
            .arg("--version")
            .env_remove("POCKET_IC_SERVER_VERSION");
        if let Some(version) = set {
            command.env("POCKET_IC_SERVER_VERSION", version);
        }
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(version(None), "pocket-ic-server 16.1.0\n");
    assert_eq!(version(Some("13.0.0")), "pocket-ic-server 13.0.0\n");
}

#[test]
fn it_leaves_at_once_where_another_server_has_the_port_file() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let server = start(&port_file, &[]);
    let second = command(&port_file, &[]).output().unwrap();
    assert!(second.status.success());
    let port = fs::read_to_string(&port_file).unwrap();
    assert_eq!(port, format!("{}\n", server.url.port().unwrap()));
}

#[test]
fn it_ends_at_a_signal_and_takes_the_port_file_with_it() {
    for name in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let port_file = folder.path().join("port");
        let mut server = start(&port_file, &["--ttl", "600"]);
        signal(name, server.child.id());
        assert!(server.child.wait().unwrap().success());
        assert!(!port_file.exists());
    }
}

#[test]
fn it_ends_when_nobody_has_used_it_for_its_time_to_live() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let mut server = start(&port_file, &["--ttl", "1"]);
    assert!(server.child.wait().unwrap().success());
    assert!(!port_file.exists());
}

#[test]
fn it_ends_at_its_hard_time_to_live_though_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(&folder.path().join("port"), &["--hard-ttl", "2"]);
    while reqwest::blocking::get(server.url.join("status").unwrap()).is_ok() {}
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn clients_of_one_process_share_a_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = || {
        let parameters = StartServerParams {
            server_binary: Some(pocket_ic_server()),
            reuse: true,
            ttl: Some(Duration::from_secs(10)),
            hard_ttl: None,
        };
        runtime.block_on(start_server(parameters))
    };
    let (mut first, url) = start();
    let (mut second, same) = start();
    assert_eq!(url, same);
    assert!(second.wait().unwrap().success());
    let pic = PocketIcBuilder::new()
        .with_server_url(url)
        .with_application_subnet()
        .build();
    pic.tick();
    drop(pic);
    assert!(first.wait().unwrap().success());
}

#[test]
fn the_client_starts_a_server_by_itself() {
    let pic = PocketIcBuilder::new()
        .with_server_binary(pocket_ic_server())
        .with_application_subnet()
        .build();
    pic.tick();
}

#[test]
fn what_is_no_request_is_refused_and_changes_nothing() {
    let pic = application();
    let server = pic.get_server_url();
    let time = pic.get_time();
    let instance = format!("instances/{}", pic.instance_id());
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 7] = [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        br#"{"nanos_since_epoch":-1}"#,
        br#"{"canister_id":"***","sender":1}"#,
        deep.as_bytes(),
    ];
    let paths = [
        "update/set_time",
        "update/set_certified_time",
        "update/submit_ingress_message",
        "update/await_ingress_message",
        "update/add_cycles",
        "update/set_stable_memory",
        "update/mock_canister_http",
        "update/canister_snapshot_upload",
        "update/canister_snapshot_download",
        "read/query",
        "read/ingress_status",
        "read/get_cycles",
        "read/get_controllers",
        "read/get_subnet",
        "read/get_stable_memory",
        "read/pub_key",
    ];
    let client = Client::new();
    let post = |path: &str, body: &[u8]| {
        let request = client.post(server.join(path).unwrap()).body(body.to_vec());
        request.send().unwrap()
    };
    for path in paths {
        for body in bodies {
            let answer = post(&format!("{instance}/{path}"), body);
            assert_eq!(answer.status(), 400, "{path}: {body:?}");
            let answer: serde_json::Value = answer.json().unwrap();
            assert!(answer["message"].is_string(), "{path}: {answer}");
        }
    }
    for path in ["instances", "http_gateway", "verify_signature"] {
        for body in bodies {
            assert_eq!(post(path, body).status(), 400, "{path}: {body:?}");
        }
    }
    for path in ["instances/99/read/query", "instances/99/update/tick"] {
        assert_eq!(post(path, b"{}").status().as_u16() / 100, 4);
    }
    assert_eq!(
        post(&format!("{instance}/update/nothing"), b"{}").status(),
        404
    );
    assert_eq!(post("instances/x/update/tick", b"{}").status(), 400);
    assert!(!pic.auto_progress_enabled());
    assert_eq!(pic.get_time(), time);
}

#[test]
fn a_web_page_reaches_the_interface_of_an_instance_and_not_the_protocol() {
    let pic = application();
    let send = |path: &str| {
        let url = pic.get_server_url().join(path).unwrap();
        let request = Client::new()
            .get(url)
            .header("origin", "http://pages.example");
        request.send().unwrap()
    };
    let instance = format!("instances/{}", pic.instance_id());
    assert_eq!(send("instances").status(), 403);
    assert_eq!(send(&format!("{instance}/read/get_time")).status(), 403);
    let status = send(&format!("{instance}/api/v2/status"));
    assert_eq!(status.status(), 200);
    assert_eq!(status.headers()["access-control-allow-origin"], "*");
}
