//! What dfx and icp-cli need to know of canisters that are there.
//!
//! | file | whose | what is written |
//! | --- | --- | --- |
//! | `dfx.json` | dfx | the network (address, persistent), and each canister that is not in it yet: `NAME.wasm`, `NAME.did` |
//! | `canister_ids.json` | dfx | the ids, and one for dfx's Candid page, which it would try to create otherwise |
//! | `.icp/data/mappings/ENVIRONMENT.ids.json` | icp-cli | the ids |
//! | `icp.yaml` | icp-cli | network with its root key, environment and canisters, if there is no such file yet |
//!
//! What is there already stays. Source: dfx 0.32 (deprecated upstream, and in no package registry: not tried here), icp-cli 1.5.0.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candid::Principal;
use clap::Args;
use serde_json::{Map, Value, json};

use super::Desk;
use crate::commands::sheet;
use crate::console::Console;
use crate::failure::Failure;

/// What dfx would create on any network but the main one.
const CANDID_PAGE: &str = "__Candid_UI";

#[derive(Args)]
pub(super) struct Options {
    /// A canister and what it is called in the project, such as backend=br5f7-7uaaa-aaaaa-qaaca-cai; once for each.
    #[arg(long = "canister", value_name = "NAME=ID", value_parser = named, required = true)]
    canisters: Vec<(String, Principal)>,
    /// What the network is called in the project.
    #[arg(long, value_name = "NAME", default_value = "pk", value_parser = word)]
    environment: String,
    /// The project's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
}

fn word(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.is_empty() || text.len() > 50 || !text.bytes().all(fits) {
        return Err("must be 1 to 50 letters, digits, hyphens and underscores".into());
    }
    Ok(text.into())
}

/// A canister, as NAME=ID.
pub(crate) fn named(text: &str) -> Result<(String, Principal), String> {
    let (name, id) = text.split_once('=').ok_or("must be NAME=ID")?;
    let id = Principal::from_text(id).map_err(|error| format!("{id}: {error}"))?;
    Ok((word(name)?, id))
}

/// Does it.
pub(super) async fn link(
    options: Options,
    desk: &Desk,
    console: &mut Console,
) -> Result<(), Failure> {
    let hosting = desk.reading()?;
    // What is linked is a canister of an app, as the subnet certifies.
    for (name, id) in &options.canisters {
        let key = indus_api::hosting::canister_key(*id).map_or_else(Vec::new, Vec::from);
        let canister = hosting.canister();
        let found = canister
            .record::<indus_api::hosting::HostedCanister>(&key)
            .await;
        if found.map_err(Failure::failed)?.value.is_none() {
            let reason = format!("{name}: {id} is not a canister of an app");
            return Err(Failure::Failed(reason));
        }
    }
    let trust = hosting.canister().connection().trust().clone();
    let project = Project {
        url: trust.network.as_str().trim_end_matches('/'),
        root_key: &hex::encode(trust.root_key.as_der()),
        options: &options,
    };
    let written = project.write()?;
    let written: Vec<Value> = written
        .iter()
        .map(|path| path.display().to_string().into())
        .collect();
    let fields = vec![
        ("environment", options.environment.clone().into()),
        ("written", written.into()),
    ];
    sheet::show(fields, desk.network.json, console);
    Ok(())
}

struct Project<'a> {
    url: &'a str,
    /// DER, in hexadecimal.
    root_key: &'a str,
    options: &'a Options,
}

impl Project<'_> {
    /// Writes the files; those that changed.
    fn write(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = &self.options.project;
        let environment = &self.options.environment;
        let icp = PathBuf::from(format!(".icp/data/mappings/{environment}.ids.json"));
        let mut written = Vec::new();
        for (path, merge) in [
            (
                PathBuf::from("dfx.json"),
                Self::dfx as fn(&Self, &mut Map<_, _>),
            ),
            (PathBuf::from("canister_ids.json"), Self::ids),
            (icp, Self::icp_ids),
        ] {
            let path = folder.join(path);
            let before = read(&path)?;
            let mut document = before.clone();
            merge(self, &mut document);
            if document != before {
                put(&path, &format!("{:#}\n", Value::Object(document)))?;
                written.push(path);
            }
        }
        let manifest = folder.join("icp.yaml");
        if !manifest.exists() {
            put(&manifest, &self.manifest())?;
            written.push(manifest);
        }
        Ok(written)
    }

    fn dfx(&self, document: &mut Map<String, Value>) {
        let network = json!({ "providers": [self.url], "type": "persistent" });
        section(document, "networks", |networks| {
            networks.insert(self.options.environment.clone(), network);
        });
        section(document, "canisters", |canisters| {
            for (name, _) in &self.options.canisters {
                canisters.entry(name).or_insert_with(|| {
                    json!({
                        "type": "custom",
                        "wasm": format!("{name}.wasm"),
                        "candid": format!("{name}.did"),
                        "build": [],
                    })
                });
            }
        });
        document.entry("version").or_insert(1.into());
    }

    fn ids(&self, document: &mut Map<String, Value>) {
        let environment = &self.options.environment;
        for (name, id) in &self.options.canisters {
            section(document, name, |ids| {
                ids.insert(environment.clone(), id.to_text().into());
            });
        }
        if let Some((_, id)) = self.options.canisters.first() {
            section(document, CANDID_PAGE, |ids| {
                ids.entry(environment.clone())
                    .or_insert_with(|| id.to_text().into());
            });
        }
    }

    fn icp_ids(&self, document: &mut Map<String, Value>) {
        for (name, id) in &self.options.canisters {
            document.insert(name.clone(), id.to_text().into());
        }
    }

    fn manifest(&self) -> String {
        let environment = &self.options.environment;
        let mut text = format!(
            "networks:\n  - name: {environment}\n    mode: connected\n    url: {}\n    root-key: {}\n\
             environments:\n  - name: {environment}\n    network: {environment}\ncanisters:\n",
            self.url, self.root_key
        );
        for (name, _) in &self.options.canisters {
            text.push_str(&format!(
                "  - name: {name}\n    build:\n      steps:\n        - type: pre-built\n          path: {name}.wasm\n"
            ));
        }
        text
    }
}

/// Changes a JSON object that is one of another; whatever else was there gives way.
fn section(
    document: &mut Map<String, Value>,
    name: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let mut section = match document.remove(name) {
        Some(Value::Object(section)) => section,
        _ => Map::new(),
    };
    change(&mut section);
    document.insert(name.into(), Value::Object(section));
}

fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| Failure::file(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(Failure::file(path, error)),
    }
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, error))?;
    fs::write(path, text).map_err(|error| Failure::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(project: &Path) -> Options {
        Options {
            canisters: vec![named("backend=rwlgt-iiaaa-aaaaa-aaaaa-cai").unwrap()],
            environment: "pk".into(),
            project: project.into(),
        }
    }

    fn written(options: &Options) -> Vec<PathBuf> {
        let project = Project {
            url: "https://pk.example",
            root_key: "3081",
            options,
        };
        project.write().unwrap()
    }

    #[test]
    fn a_new_project_gets_all_files_and_the_same_again_none() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        assert_eq!(written(&options).len(), 4);
        assert!(written(&options).is_empty());
        let ids = read(&folder.path().join("canister_ids.json")).unwrap();
        let id = "rwlgt-iiaaa-aaaaa-aaaaa-cai";
        assert_eq!(ids["backend"]["pk"], id);
        assert_eq!(ids[CANDID_PAGE]["pk"], id);
        let icp = read(&folder.path().join(".icp/data/mappings/pk.ids.json")).unwrap();
        assert_eq!(icp["backend"], id);
        let manifest = fs::read_to_string(folder.path().join("icp.yaml")).unwrap();
        assert!(manifest.contains("root-key: 3081\n"), "{manifest}");
    }

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dfx = folder.path().join("dfx.json");
        let own = json!({
            "canisters": { "backend": { "type": "motoko", "main": "main.mo" } },
            "defaults": { "build": {} },
        });
        fs::write(&dfx, own.to_string()).unwrap();
        fs::write(folder.path().join("icp.yaml"), "canisters: []\n").unwrap();
        assert_eq!(written(&options(folder.path())).len(), 3);
        let merged = read(&dfx).unwrap();
        assert_eq!(merged["canisters"], own["canisters"]);
        assert_eq!(merged["defaults"], own["defaults"]);
        assert_eq!(merged["networks"]["pk"]["type"], "persistent");
    }

    #[test]
    fn names_and_ids_are_checked() {
        for wrong in [
            "backend",
            "=aaaaa-aa",
            "a b=aaaaa-aa",
            "a=nonsense",
            "../a=aaaaa-aa",
        ] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
