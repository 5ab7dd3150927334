//! People at work: the commands of `indus` as they type them, each a process of its own, in a folder with their keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program;

/// A folder that people work in, and the network that they work on.
pub struct Office {
    folder: TempDir,
    trust: PathBuf,
}

impl Office {
    /// `folder` is what they work in. Keys of governors are beside the trust file, where `indus up` writes them.
    pub fn new(folder: TempDir, trust: PathBuf) -> Self {
        Self { folder, trust }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn trust(&self) -> &Path {
        &self.trust
    }

    /// A command, of words that hold no spaces but those of `'…'`.
    pub fn output(&self, line: &str) -> Output {
        let words = line.split('\'').enumerate().flat_map(|(place, part)| {
            if place % 2 == 1 {
                vec![part]
            } else {
                part.split_whitespace().collect()
            }
        });
        Command::new(program("indus"))
            .args(words)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a command prints for programs, which must end with this exit code.
    pub fn ended(&self, code: i32, line: &str) -> Value {
        let trust = self.trust.to_str().unwrap();
        let option = if line.starts_with("verify") {
            "--root-key"
        } else {
            "--trust"
        };
        let output = self.output(&format!("{line} {option} {trust} --json"));
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// As `who`, who says yes to what is signed.
    pub fn does(&self, who: &str, line: &str) -> Value {
        self.ended(0, &format!("{line} --key {who}.key --yes"))
    }

    /// The same, in vain: what is said of it.
    pub fn refused(&self, who: &str, line: &str) -> String {
        let trust = self.trust.to_str().unwrap();
        self.said(1, &format!("{line} --key {who}.key --yes --trust {trust}"))
    }

    /// What a command says of its failure, which has this exit code.
    pub fn said(&self, code: i32, line: &str) -> String {
        let output = self.output(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Somebody with a key, registered: the person's id.
    pub fn person(&self, who: &str) -> String {
        self.key(who);
        text(&self.does(who, "person register"), "person")
    }

    /// A new key: its principal.
    pub fn key(&self, who: &str) -> String {
        self.principal(&format!("key new {who}.key"))
    }

    /// The principal of somebody's key.
    pub fn key_of(&self, who: &str) -> String {
        self.principal(&format!("key show {who}.key"))
    }

    fn principal(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The governor who administers this founding organisation: whose key it is.
    pub fn governor(&self, organisation: u64) -> String {
        let keys = self.trust.with_file_name("keys");
        let key = keys.join(format!("governor-{organisation}"));
        key.to_str().unwrap().to_owned()
    }

    /// A person with this role in a founding organisation.
    pub fn official(&self, who: &str, role: &str, organisation: u64) -> String {
        let person = self.person(who);
        self.appoint(who, &person, role, organisation);
        person
    }

    /// Gives a person this role in a founding organisation.
    pub fn appoint(&self, who: &str, person: &str, role: &str, organisation: u64) {
        let granted = self.does(
            &self.governor(organisation),
            &format!(
                "role grant --person {person} --organisation {organisation} --role {role} --valid-for 30d"
            ),
        );
        assert_eq!(granted["state"], "offered");
        let accepted = self.does(who, &format!("role accept {}", granted["id"]));
        assert_eq!(accepted["state"], "held");
    }
}

/// A field that is text.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}
