//! `indus up` with input that is wrong: one line that names file and line, exit code 2, nothing left behind.
//!
//! Input is checked before anything is started, so no localnet is needed: the one that is named here would leave a
//! mark if it were started.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const HEADER: &str = "slug,name,kind,parent,sector,seat\n";

struct Project {
    folder: TempDir,
}

impl Project {
    /// A folder with a module, a localnet and this file of organisations.
    fn with(organisations: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        file("organisations.csv", organisations.as_ref());
        file("data/sites.csv", include_bytes!("../../../data/sites.csv"));
        for name in [
            "registry",
            "identity",
            "license_manager",
            "messaging",
            "app_hosting",
            "lifeline",
        ] {
            file(&format!("target/canisters/{name}.wasm.gz"), b"a module");
        }
        file(
            "localnet",
            b"#!/bin/sh\n: > \"${0%/*}/localnet-was-started\"\nexit 3\n",
        );
        fs::set_permissions(
            folder.path().join("localnet"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn up(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_indus"))
            .arg("up")
            .args(["--once", "--localnet", "./localnet"])
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The one line that the file is refused with.
    fn refusal(&self, file: &str) -> String {
        let output = self.up(&["--organisations", file]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!self.path().join("localnet-was-started").exists());
        assert!(!self.path().join(".indus").exists());
        one_line(&output)
    }
}

fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.into()
}

fn refusal(organisations: impl AsRef<[u8]>) -> String {
    Project::with(organisations).refusal("organisations.csv")
}

fn rows(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

#[test]
fn a_missing_column_is_refused() {
    assert_eq!(
        refusal("slug,name,kind,parent,seat\na,A,agency,,Quetta\n"),
        "indus: organisations.csv:1: column sector is missing; the columns are slug, name, kind, parent, sector, seat"
    );
}

#[test]
fn a_duplicate_slug_is_refused() {
    assert_eq!(
        refusal(rows("a,A,agency,,it,Quetta\na,B,agency,,it,Quetta\n")),
        "indus: organisations.csv:3: slug a is on line 2 already"
    );
}

#[test]
fn an_unknown_parent_is_refused() {
    assert_eq!(
        refusal(rows("a,A,agency,nobody,it,Quetta\n")),
        "indus: organisations.csv:2: a names the parent nobody, which is in no row"
    );
}

#[test]
fn a_cycle_is_refused() {
    assert_eq!(
        refusal(rows("a,A,agency,b,it,Quetta\nb,B,agency,a,it,Quetta\n")),
        "indus: organisations.csv:2: a cycle of parents: a -> b -> a"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let bytes = [rows("a,").as_bytes(), b"\xff,agency,,it,Quetta\n"].concat();
    assert_eq!(
        refusal(bytes),
        "indus: organisations.csv:2: not UTF-8: byte 0xff"
    );
}

#[test]
fn an_unknown_kind_is_refused() {
    assert_eq!(
        refusal(rows("a,A,ministry,,it,Quetta\n")),
        "indus: organisations.csv:2: unknown kind \"ministry\"; \
         the kinds are agency, enterprise, startup, university, auditor"
    );
}

#[test]
fn a_field_that_is_too_long_is_refused() {
    assert_eq!(
        refusal(rows(&format!("a,{},agency,,it,Quetta\n", "A".repeat(101)))),
        "indus: organisations.csv:2: name has 101 bytes; it must be 1 to 100 bytes long"
    );
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(
        refusal(""),
        "indus: organisations.csv: the file is empty; its first line must be slug,name,kind,parent,sector,seat"
    );
}

#[test]
fn a_missing_file_is_refused() {
    assert_eq!(
        Project::with("").refusal("nowhere.csv"),
        "indus: nowhere.csv: No such file or directory (os error 2)"
    );
}

#[test]
fn a_control_sequence_in_a_field_is_not_shown_as_it_is() {
    let line = refusal(rows("a,\u{1b}[2JA,agency,,it,Quetta\n"));
    assert_eq!(
        line,
        "indus: organisations.csv:2: name \"\\u{1b}[2JA\" must not hold control characters or directional overrides"
    );
}

#[test]
fn an_unknown_option_is_refused_with_exit_code_2() {
    let output = Project::with(HEADER).up(&["--twice"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--twice")
    );
}

#[test]
fn a_missing_module_is_refused_with_the_way_to_make_it() {
    let project = Project::with(rows("a,A,agency,,it,Quetta\n"));
    fs::remove_file(project.path().join("target/canisters/registry.wasm.gz")).unwrap();
    let output = project.up(&["--organisations", "organisations.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        one_line(&output),
        "indus: no module: target/canisters/registry.wasm.gz: No such file or directory (os error 2); \
         scripts/build makes it"
    );
}

#[test]
fn a_localnet_that_ends_at_once_is_reported() {
    let project = Project::with(rows("a,A,agency,,it,Quetta\n"));
    let output = project.up(&["--organisations", "organisations.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        one_line(&output),
        "indus: localnet did not start (exit status: 3): it said nothing"
    );
    assert!(!project.path().join(".indus").exists());
}
