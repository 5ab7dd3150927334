//! Apps as their founders make, deploy and roll them back: whole commands, from the shell's point of view, on a subnet of this machine.
//!
//! `icp deploy` through app_hosting is compared with the same command on the same subnet by one of the subnet's administrators, who needs
//! nobody: it creates a canister, installs the same module, and nothing else is different.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candid::{CandidType, Encode, Principal, decode_one};
use flate2::read::GzDecoder;
use indus_api::Error;
use indus_api::hosting::{self, App, CreateAppArgs};
use indus_api::identity::{
    self, GrantArgs, LICENCE_OFFICER, LICENCE_REVIEWER, MethodKind, Person, RegisterArgs, Role,
};
use indus_api::licences::{
    self, Application, ApplyArgs, Audience, OpenRoundArgs, ReviewArgs, Round, Seat, Sector,
};
use indus_api::registry::DataClass;
use indus_client::{Key, TrustFile};
use indus_verify::RootKey;
use pocket_ic::common::rest::{
    CanisterCyclesCostSchedule, ExtendedSubnetConfigSet, SubnetConfig, SubnetKind, SubnetSpec,
};
use pocket_ic::{PocketIc, PocketIcBuilder};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::server::{Server, median, program};
use crate::{machine, structures, upgrade};

/// Times that each command is run.
const SAMPLES: usize = 3;
/// Startups that deploy: 0 does everything else.
const STARTUPS: usize = 3;
/// Times that each of them deploys each way, one after the other: as often as one may ask for canisters at once, beside the rest.
const DEPLOYMENTS: usize = 7;
const HOUR_NS: u64 = 3_600_000_000_000;
/// DER of PKCS#8, version 1, for Ed25519, up to the seed (RFC 8410, section 7).
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What was measured, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// `indus app create`, to an empty canister.
    pub(crate) create: f64,
    /// `icp deploy` through app_hosting.
    pub(crate) deploy: f64,
    /// The same by an administrator of the subnet.
    pub(crate) plain: f64,
    /// `indus app rollback`.
    pub(crate) rollback: f64,
}

/// Measured once.
pub(crate) fn figures() -> anyhow::Result<Figures> {
    static FIGURES: OnceLock<Figures> = OnceLock::new();
    if let Some(figures) = FIGURES.get() {
        return Ok(*figures);
    }
    let figures = measured()?;
    Ok(*FIGURES.get_or_init(|| figures))
}

fn measured() -> anyhow::Result<Figures> {
    let cache = tempfile::tempdir()?;
    let founders = Founders::new(cache.path())?;
    let mut create = Vec::new();
    for n in 0..SAMPLES {
        let start = Instant::now();
        founders.indus(&["create", &format!("app-{n}")])?;
        create.push(start.elapsed().as_secs_f64());
    }
    founders.indus(&["choose", "1"])?;
    let (mut deploy, mut plain) = (Vec::new(), Vec::new());
    let mut canister = String::new();
    for startup in (0..STARTUPS).rev() {
        for _ in 0..DEPLOYMENTS {
            let project = founders.project()?;
            deploy.push(founders.deploy(startup, project.path(), founders.hosting)?);
            canister = deployed(project.path())?;
            // Where nothing is, icp asks the subnet itself.
            let project = founders.project()?;
            plain.push(founders.deploy(startup, project.path(), founders.nothing)?);
        }
    }
    for label in [1, 2] {
        let module = founders.folder.path().join("module.wasm");
        fs::write(&module, labelled(label)?)?;
        let module = module.to_str().context("a path of letters")?;
        founders.indus(&["release", &canister, "--module", module])?;
    }
    let mut rollback = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        founders.indus(&["rollback", &canister])?;
        rollback.push(start.elapsed().as_secs_f64());
    }
    Ok(Figures {
        create: median(create),
        deploy: median(deploy),
        plain: median(plain),
        rollback: median(rollback),
    })
}

/// The canister that icp has created for a project.
fn deployed(project: &Path) -> anyhow::Result<String> {
    let ids = fs::read_to_string(project.join(".icp/data/mappings/pk.ids.json"))?;
    let ids: serde_json::Value = serde_json::from_str(&ids)?;
    Ok(ids["backend"].as_str().context("an id")?.to_owned())
}

/// The module that is deployed.
fn module() -> anyhow::Result<Vec<u8>> {
    structures::module("structures")
}

/// The module under one hash or another.
fn labelled(label: u8) -> anyhow::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    GzDecoder::new(&module()?[..]).read_to_end(&mut wasm)?;
    // WebAssembly core specification, "Custom Section": id 0, size, name.
    wasm.extend([0, 3, 1, b'v', label]);
    Ok(wasm)
}

/// Those who hold a seat, on a subnet that is live.
struct Founders {
    folder: tempfile::TempDir,
    icp: PathBuf,
    url: String,
    root_key: String,
    subnet: Principal,
    hosting: Principal,
    /// An id of the subnet that no canister has.
    nothing: Principal,
    _pic: PocketIc,
    _server: Server,
}

impl Founders {
    fn new(cache: &Path) -> anyhow::Result<Self> {
        let server = Server::start(cache)?;
        let seeds: Vec<[u8; 32]> = (26..).map(|byte| [byte; 32]).take(STARTUPS).collect();
        let keys = seeds.iter().map(|seed| Key::from_seed(seed).principal());
        let keys: Vec<Principal> = keys.collect();
        let engine = SubnetSpec::default()
            .with_cost_schedule(CanisterCyclesCostSchedule::Free)
            .with_subnet_admins(keys.clone());
        let config = ExtendedSubnetConfigSet {
            nns: Some(SubnetSpec::default()),
            cloud_engine: vec![engine],
            ..ExtendedSubnetConfigSet::default()
        };
        let mut pic = PocketIcBuilder::new_with_config(config)
            .with_server_url(server.url().parse()?)
            .build();
        pic.set_time(SystemTime::now().into());
        let topology = pic.topology();
        let is_engine = |config: &&SubnetConfig| config.subnet_kind == SubnetKind::CloudEngine;
        let engines = topology.subnet_configs.iter();
        let (subnet, _) = engines
            .clone()
            .find(|(_, config)| is_engine(config))
            .context("an engine")?;
        let suite = Suite::install(&pic, *subnet)?;
        suite.seats(&keys)?;
        let (registry, identity, manager, hosting) = suite.canisters();
        let nothing = pic.create_canister_on_subnet(None, None, *subnet);
        pic.stop_canister(nothing, None)
            .and_then(|()| pic.delete_canister(nothing, None))
            .map_err(|reject| anyhow::anyhow!("{reject:?}"))?;
        let root_key = pic.root_key().context("no root key")?;
        let url = pic.make_live(None);

        let folder = tempfile::tempdir()?;
        for (startup, seed) in seeds.iter().enumerate() {
            let secret = STANDARD.encode([&PREFIX[..], seed].concat());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
            let file = folder.path().join(key_file(startup));
            fs::write(&file, pem)?;
            private(&file)?;
        }
        let named = [
            ("registry", registry),
            ("identity", identity),
            ("license_manager", manager),
            ("app_hosting", hosting),
        ];
        let trust = TrustFile {
            network: url.clone(),
            root_key: RootKey::from_der(&root_key)?,
            root_key_source: String::from("the benchmark's own instance"),
            subnet: *subnet,
            canisters: named.map(|(name, id)| (name.to_owned(), id)).into(),
        };
        trust.save(&folder.path().join("trust.json"))?;
        let founders = Self {
            folder,
            icp: icp()?,
            url: url.to_string(),
            root_key: hex::encode(root_key),
            subnet: *subnet,
            hosting,
            nothing,
            _pic: pic,
            _server: server,
        };
        for startup in 0..STARTUPS {
            let (name, file) = (name(startup), key_file(startup));
            let args = ["identity", "import", &name, "--from-pem", &file];
            let storage = ["--storage", "plaintext"];
            let args = [&args[..], &storage].concat();
            founders.icp(founders.folder.path(), hosting, &args)?;
        }
        Ok(founders)
    }

    /// `indus app …`, by startup 0.
    fn indus(&self, args: &[&str]) -> anyhow::Result<()> {
        let folder = self.folder.path();
        let mut command = Command::new(program("indus")?);
        command.arg("app").args(args).args(["--yes", "--trust"]);
        command.arg(folder.join("trust.json"));
        command.arg("--key").arg(folder.join(key_file(0)));
        done(command)
    }

    fn icp(&self, project: &Path, operator: Principal, args: &[&str]) -> anyhow::Result<()> {
        let home = self.folder.path();
        let mut command = Command::new(&self.icp);
        command
            .args(args)
            .current_dir(project)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("ENGINE_CANISTER_ID", operator.to_text());
        done(command)
    }

    /// A project that nothing was deployed of.
    fn project(&self) -> anyhow::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        let manifest = format!(
            "networks:\n  - name: pk\n    mode: connected\n    url: {}\n    root-key: {}\n\
             environments:\n  - name: pk\n    network: pk\ncanisters:\n  - name: backend\n    build:\n      steps:\n        \
             - type: pre-built\n          path: backend.wasm\n",
            self.url, self.root_key
        );
        fs::write(folder.path().join("icp.yaml"), manifest)?;
        fs::write(folder.path().join("backend.wasm"), module()?)?;
        Ok(folder)
    }

    /// Seconds of `icp deploy`.
    fn deploy(&self, startup: usize, project: &Path, operator: Principal) -> anyhow::Result<f64> {
        let subnet = self.subnet.to_text();
        let args = ["deploy", "-e", "pk", "--subnet", &subnet];
        let name = name(startup);
        let as_whom = ["--identity", &name, "--yes"];
        let start = Instant::now();
        self.icp(project, operator, &[&args[..], &as_whom].concat())?;
        Ok(start.elapsed().as_secs_f64())
    }
}

/// How icp knows a startup.
fn name(startup: usize) -> String {
    format!("founder-{startup}")
}

/// Where its key is, in the founders' folder.
fn key_file(startup: usize) -> String {
    format!("{startup}.pem")
}

/// Only its owner may read it.
fn private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// icp-cli: that of npm, or the one in the PATH.
fn icp() -> anyhow::Result<PathBuf> {
    let packaged = "tests/node/node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp";
    let packaged = machine::project()?.join(packaged);
    Ok(if packaged.is_file() {
        packaged
    } else {
        "icp".into()
    })
}

fn done(mut command: Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The canisters that hosting needs.
struct Suite<'a> {
    pic: &'a PocketIc,
    registry: Principal,
    identity: Principal,
    license_manager: Principal,
    app_hosting: Principal,
}

impl<'a> Suite<'a> {
    fn install(pic: &'a PocketIc, subnet: Principal) -> anyhow::Result<Self> {
        let create = || {
            let canister = pic.create_canister_on_subnet(None, None, subnet);
            pic.add_cycles(canister, 1_000_000_000_000_000);
            canister
        };
        let suite = Self {
            pic,
            registry: create(),
            identity: create(),
            license_manager: create(),
            app_hosting: create(),
        };
        let (registry, identity) = (suite.registry, suite.identity);
        let asking = vec![suite.license_manager, suite.app_hosting];
        let identity_args = identity::InitArgs {
            registry,
            configuration: identity::Configuration {
                suite_canisters: asking,
                recovery_delay_ns: None,
            },
        };
        let licence_args = licences::InitArgs {
            identity,
            registry,
            configuration: None,
        };
        let hosting_args = hosting::InitArgs {
            identity,
            registry,
            license_manager: suite.license_manager,
            configuration: Some(hosting::Configuration {
                apps_of_person: 20,
                canisters_of_app: 20,
                ..hosting::Configuration::default()
            }),
        };
        for (canister, name, args) in [
            (registry, "registry", Encode!(&upgrade::founding())?),
            (identity, "identity", Encode!(&identity_args)?),
            (
                suite.license_manager,
                "license_manager",
                Encode!(&licence_args)?,
            ),
            (suite.app_hosting, "app_hosting", Encode!(&hosting_args)?),
        ] {
            pic.install_canister(canister, structures::module(name)?, args, None);
        }
        pic.tick();
        Ok(suite)
    }

    fn canisters(&self) -> (Principal, Principal, Principal, Principal) {
        let Self {
            registry,
            identity,
            license_manager,
            app_hosting,
            ..
        } = *self;
        (registry, identity, license_manager, app_hosting)
    }

    fn call<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        caller: Principal,
        method: &str,
        args: &impl CandidType,
    ) -> anyhow::Result<R> {
        let reply = self
            .pic
            .update_call(canister, caller, method, Encode!(args)?)
            .map_err(|reject| anyhow::anyhow!("{method}: {reject:?}"))?;
        let reply: Result<R, Error> = decode_one(&reply)?;
        reply.with_context(|| method.to_owned())
    }

    fn person(&self, key: Principal) -> anyhow::Result<Principal> {
        let args = RegisterArgs {
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        };
        let person: Person = self.call(self.identity, key, "register_person", &args)?;
        Ok(person.id)
    }

    /// An official of a founding organisation, which the governor of the same number administers.
    fn official(&self, organisation: u64, role: &str) -> anyhow::Result<Principal> {
        let key = Principal::self_authenticating(role);
        let now_ns = self.pic.get_time().as_nanos_since_unix_epoch();
        let args = GrantArgs {
            person: self.person(key)?,
            organisation,
            role: role.into(),
            valid_from_ns: now_ns,
            valid_until_ns: now_ns + 24 * HOUR_NS,
        };
        let administrator = Principal::self_authenticating(organisation.to_be_bytes());
        let granted: Role = self.call(self.identity, administrator, "grant_role", &args)?;
        let _accepted: Role = self.call(self.identity, key, "accept_role", &granted.id)?;
        Ok(key)
    }

    /// A seat for each of these, and an app: app 1 is of the first.
    fn seats(&self, founders: &[Principal]) -> anyhow::Result<()> {
        let officer = self.official(1, LICENCE_OFFICER)?;
        let reviewer = self.official(2, LICENCE_REVIEWER)?;
        let manager = self.license_manager;
        let args = OpenRoundArgs {
            title: "first".into(),
            apply_until_ns: self.pic.get_time().as_nanos_since_unix_epoch() + HOUR_NS,
        };
        let round: Round = self.call(manager, officer, "open_round", &args)?;
        let mut applications = Vec::new();
        for founder in founders {
            self.person(*founder)?;
            let args = ApplyArgs {
                audience: Audience::Startups,
                sector: Sector::Health,
                statement: ByteBuf::from([1; 32]),
                idempotency_key: ByteBuf::from([1]),
            };
            let applied: Application = self.call(manager, *founder, "apply", &args)?;
            let args = ReviewArgs {
                application: applied.content.id,
                hash: ByteBuf::from(applied.content.hash().context("a hash")?),
                score: 70,
                comment: ByteBuf::from([1; 32]),
            };
            let _: Application = self.call(manager, reviewer, "review", &args)?;
            applications.push(applied.content.id);
        }
        let _: Round = self.call(manager, officer, "close_round", &round.id)?;
        for (founder, application) in founders.iter().zip(applications) {
            let seat: Seat = self.call(manager, officer, "grant", &application)?;
            let _: Seat = self.call(manager, *founder, "claim", &seat.seat)?;
            let args = CreateAppArgs {
                organisation: None,
                name: "deployed".into(),
                data_class: DataClass::Public,
            };
            let _: App = self.call(self.app_hosting, *founder, "create_app", &args)?;
        }
        Ok(())
    }
}
