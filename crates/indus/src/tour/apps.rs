//! Apps: a startup with a seat deploys with plain icp-cli, a bad release undoes itself, one is rolled back; an agency releases with two
//! persons.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use candid::Principal;
use indus_api::hosting::{
    APP_APPROVER, APP_DEVELOPER, ApproveReleaseArgs, CreateAppArgs, Ended, HealthCheck,
    ProposeReleaseArgs, Release, ReleaseOf, ReleaseState, RollBackArgs,
};
use indus_api::registry::DataClass;
use indus_client::{HostingClient, Key, ModuleHash, SuiteCanister, Url};
use serde_bytes::ByteBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::officials::{Device, appointed, paired_key};
use super::upgrades::{BAD, labelled_wasm};
use super::{Council, Stage, TourError, at, refused, unexpected};
use crate::console::Console;
use crate::key_file;

const ACT: &str = "deploying apps";
/// The founding organisation that releases with two persons.
const AGENCY: u64 = 4;
/// Longest answer with a page that is read, in bytes.
const MAX_PAGE: u64 = 1 << 20;
/// What the environment is called on the founder's machine.
const ENVIRONMENT: &str = "pk";

/// What a founder has installed.
pub(crate) struct Tools {
    /// icp-cli.
    pub(crate) icp: PathBuf,
    /// Folder of the example app.
    pub(crate) example: PathBuf,
    /// Folder of its modules.
    pub(crate) modules: PathBuf,
}

/// A founder's machine: an empty folder with a key and a manifest.
struct Machine<'a> {
    tools: &'a Tools,
    folder: TempDir,
    key: Key,
}

impl<'a> Machine<'a> {
    fn new(stage: &Stage<'_>, tools: &'a Tools) -> Result<Self, TourError> {
        let folder = tempfile::tempdir()?;
        let key = key_file::write(&folder.path().join("founder.pem"));
        let key = key.map_err(|error| unexpected(ACT, error.to_string()))?;
        let trust = stage.connection.trust();
        let machine = Self { tools, folder, key };
        let manifest = machine.manifest(
            trust.network.as_str().trim_end_matches('/'),
            &hex::encode(trust.root_key.as_der()),
        );
        fs::write(machine.folder.path().join("icp.yaml"), manifest)?;
        Ok(machine)
    }

    /// Nothing in it is about this subnet but the network.
    fn manifest(&self, url: &str, root_key: &str) -> String {
        let module = |name: &str| self.tools.modules.join(name).display().to_string();
        let example = self.tools.example.display();
        format!(
            "networks:\n  - name: {ENVIRONMENT}\n    mode: connected\n    url: {url}\n    root-key: {root_key}\n\
             environments:\n  - name: {ENVIRONMENT}\n    network: {ENVIRONMENT}\n\
             canisters:\n  - name: backend\n    build:\n      steps:\n        - type: pre-built\n          path: {}\n  \
             - name: site\n    build:\n      steps:\n        - type: pre-built\n          path: {}\n    \
             sync:\n      steps:\n        - type: script\n          commands:\n            - node {example}/upload.mjs {example}/site\n",
            module("kisan.wasm"),
            module("assets.wasm"),
        )
    }

    /// Runs icp; what it said, or that it failed.
    async fn icp(&self, args: &[&str]) -> Result<String, TourError> {
        let home = self.folder.path();
        let beside = self.tools.icp.parent().unwrap_or(Path::new("."));
        let mut path = beside.as_os_str().to_owned();
        if let Some(others) = env::var_os("PATH") {
            path.push(":");
            path.push(others);
        }
        let output = Command::new(&self.tools.icp)
            .args(args)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("PATH", path)
            .env("UPLOAD_IDENTITY", "founder")
            // The network knows its operator.
            .env_remove("ENGINE_CANISTER_ID")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let what = format!("icp {}: {}", args.join(" "), said.trim());
        Err(unexpected(ACT, what))
    }

    async fn import(&self) -> Result<(), TourError> {
        let args = ["identity", "import", "founder", "--from-pem", "founder.pem"];
        let storage = ["--storage", "plaintext"];
        self.icp(&[&args[..], &storage].concat()).await.map(drop)
    }

    async fn deploy(&self) -> Result<(), TourError> {
        let args = ["deploy", "-e", ENVIRONMENT];
        let as_whom = ["--identity", "founder", "--yes"];
        self.icp(&[&args[..], &as_whom].concat()).await.map(drop)
    }

    async fn call(&self, method: &str, argument: &str) -> Result<String, TourError> {
        let args = ["canister", "call", "backend", method, argument];
        let as_whom = ["-e", ENVIRONMENT, "--identity", "founder"];
        self.icp(&[&args[..], &as_whom].concat()).await
    }
}

/// Plays it, with a founder who holds a seat: their person, and identity in their name.
pub(crate) async fn deployed(
    stage: &Stage<'_>,
    council: &Council,
    (founder, identity): (Principal, &SuiteCanister),
    tools: &Tools,
    console: &mut Console,
) -> Result<(), TourError> {
    let module = fs::read(tools.modules.join("kisan.wasm"))?;
    let machine = Machine::new(stage, tools)?;
    paired_key(&stage.connection, identity, founder, &machine.key).await?;
    startup(stage, &machine, &module, console).await?;
    agency(stage, council, &module, console).await
}

/// The start page of a site, as the network's HTTP gateway has verified it.
async fn start_page(network: &Url, site: Principal) -> Result<Vec<u8>, TourError> {
    let no_address = || unexpected(ACT, "the network has no address");
    let host = network.host_str().ok_or_else(no_address)?;
    let port = network.port_or_known_default().ok_or_else(no_address)?;
    let mut gateway = TcpStream::connect((host, port)).await?;
    let request = format!("GET / HTTP/1.0\r\nHost: {site}.localhost:{port}\r\n\r\n");
    gateway.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    gateway.take(MAX_PAGE).read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let (head, page) = answer.split_at(head.map_or(answer.len(), |at| at + 4));
    let head = String::from_utf8_lossy(head);
    match head.split(' ').nth(1) {
        Some("200") => Ok(page.to_vec()),
        _ => Err(unexpected(ACT, format!("the gateway answers {head}"))),
    }
}

/// From nothing to a live app, and what becomes of its releases.
async fn startup(
    stage: &Stage<'_>,
    machine: &Machine<'_>,
    module: &[u8],
    console: &mut Console,
) -> Result<(), TourError> {
    let hosting = stage.connection.signing_as(&machine.key);
    let hosting = HostingClient::new(hosting).map_err(at(ACT))?;
    let app = hosting.create_app(&named("kisan", None)).await;
    let app = app.map_err(at(ACT))?;
    machine.import().await?;
    machine.deploy().await?;
    let canisters = hosting.canisters_of(app.id).await.map_err(at(ACT))?;
    let (mut backend, mut site) = (None, None);
    for one in &canisters {
        let runs = stage.deployer.module_hash(one.canister).await;
        if runs.map_err(at(ACT))? == Some(ModuleHash::of(module)) {
            backend = Some(one.canister);
        } else {
            site = Some(one.canister);
        }
    }
    let (Some(backend), Some(site), 2) = (backend, site, canisters.len()) else {
        return Err(unexpected(ACT, "icp deploys a back end and a site"));
    };
    let page = fs::read(machine.tools.example.join("site/index.html"))?;
    if start_page(&stage.connection.trust().network, site).await? != page {
        return Err(unexpected(ACT, "the site is not what was uploaded"));
    }
    let price = r#"(record { crop = "wheat"; price_pkr = 3_900 : nat64 })"#;
    machine.call("set_price", price).await?;
    console.line(format_args!(
        "app:           kisan, deployed by plain icp: a back end ({backend}) and a site ({site}), in the certified inventory of app {}; the \
         gateway verified its start page",
        app.id
    ));

    let of = ReleaseOf::App(app.id);
    let release = released(&hosting, of, backend, BAD).await?;
    let restored = matches!(
        release.state,
        ReleaseState::Ended {
            how: Ended::Restored(_),
            ..
        }
    );
    let remembers = machine.call("prices", "()").await?.contains("wheat");
    if !restored || !remembers {
        return Err(unexpected(ACT, "a bad release undoes itself"));
    }
    let next = labelled_wasm(module, "next")
        .map_err(|error| unexpected(ACT, format!("the module can't be labelled: {error}")))?;
    live(&released(&hosting, of, backend, module).await?)?;
    live(&released(&hosting, of, backend, &next).await?)?;
    let args = RollBackArgs {
        canister: backend,
        to: None,
    };
    let back = hosting.roll_back(&args).await.map_err(at(ACT))?;
    let back = hosting.followed(back.id).await.map_err(at(ACT))?;
    live(&back)?;
    let runs = stage.deployer.module_hash(backend).await;
    let remembers = machine.call("prices", "()").await?.contains("wheat");
    if runs.map_err(at(ACT))? != Some(ModuleHash::of(module)) || !remembers {
        return Err(unexpected(ACT, "the release before is back"));
    }
    console.line(format_args!(
        "releases:      of {backend}: a bad one undid itself, two went live, the last one was rolled back; its prices are what they were"
    ));
    Ok(())
}

/// Two persons of an agency.
async fn agency(
    stage: &Stage<'_>,
    council: &Council,
    module: &[u8],
    console: &mut Console,
) -> Result<(), TourError> {
    let number = usize::try_from(AGENCY).unwrap_or_default();
    let administrator = council.governor(number)?.connection().clone();
    let administrator = SuiteCanister::new(administrator, "identity").map_err(at(ACT))?;
    let mut people = Vec::new();
    for role in [APP_DEVELOPER, APP_APPROVER] {
        let (device, person) = Device::registered(&stage.connection).await?;
        appointed(&administrator, &device, AGENCY, person, role).await?;
        let hosting = stage.connection.signing_as(&device.key);
        people.push(HostingClient::new(hosting).map_err(at(ACT))?);
    }
    let [developer, approver] = &people[..] else {
        return Err(unexpected(ACT, "there are two persons"));
    };
    let args = named("tax-return", Some(AGENCY));
    let app = developer.create_app(&args).await.map_err(at(ACT))?;
    developer.choose_app(app.id).await.map_err(at(ACT))?;
    let canister = developer.create_canister().await.map_err(at(ACT))?;
    let proposed = proposed(developer, ReleaseOf::App(app.id), canister, module).await?;
    let approval = ApproveReleaseArgs {
        release: proposed.id,
        module_hash: proposed.module_hash.clone(),
        argument_hash: proposed.argument_hash.clone(),
    };
    let alone = developer.canister();
    let alone = alone.update::<Release>("approve_release", &approval).await;
    refused(ACT, "a release by one person alone", alone)?;
    let approved = approver.canister();
    let approved = approved.update::<Release>("approve_release", &approval);
    let approved = approved.await.map_err(at(ACT))?;
    live(&approver.followed(approved.id).await.map_err(at(ACT))?)?;
    console.line(format_args!(
        "agency:        organisation {AGENCY} released to {canister}, which app_hosting alone controls, with two persons; one alone was refused"
    ));
    Ok(())
}

fn named(name: &str, organisation: Option<u64>) -> CreateAppArgs {
    CreateAppArgs {
        organisation,
        name: name.into(),
        data_class: DataClass::Public,
    }
}

async fn proposed(
    hosting: &HostingClient,
    of: ReleaseOf,
    canister: Principal,
    module: &[u8],
) -> Result<Release, TourError> {
    let args = ProposeReleaseArgs {
        canister,
        module_hash: hosting.upload(of, module).await.map_err(at(ACT))?,
        argument: ByteBuf::from(candid::encode_args(())?),
        health: HealthCheck::Method("health".into()),
        keep_memory: false,
    };
    hosting.propose(&args).await.map_err(at(ACT))
}

/// A release, at its end.
async fn released(
    hosting: &HostingClient,
    of: ReleaseOf,
    canister: Principal,
    module: &[u8],
) -> Result<Release, TourError> {
    let release = proposed(hosting, of, canister, module).await?;
    hosting.followed(release.id).await.map_err(at(ACT))
}

fn live(release: &Release) -> Result<(), TourError> {
    match release.state {
        ReleaseState::Ended {
            how: Ended::Live, ..
        } => Ok(()),
        state => Err(unexpected(
            ACT,
            format!("release {}: {state:?}", release.id),
        )),
    }
}
