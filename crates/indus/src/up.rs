//! `indus up`: the whole of it on one machine, verified.
//!
//! Flow: read the file of organisations → start localnet → pin its root key in the trust file → deploy `registry`
//! through the public HTTP interface → register every organisation → deploy the rest of [`crate::suite`], and play the
//! acts of [`crate::tour`] and of [`crate::licensing`] → read each organisation back and verify it against the trust
//! file, loaded afresh → prove that there are no others, and that the audit log explains all → audit all canisters offline →
//! show what it took → keep running until a signal comes, or end (`--once`).
//!
//! Invariants
//! - Input files are checked before anything is started or written.
//! - The root key comes from the status file of the localnet that was started here, and from nowhere else.
//! - Secret keys live in memory only, and end with the command; but the keys of the governors of a localnet
//!   that goes on serving are key files beside the trust file, for `indus proposal` and `indus canister upgrade`. They are worth
//!   nothing without that localnet.
//! - However it ends, localnet has ended before.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candid::Encode;
use clap::Args;
use indus_client::{
    ClientError, Connection, Deployment, Key, LocalnetMetrics, RegistryClient, TrustFile, Url,
    register_engine_operator,
};
use indus_verify::RootKey;
use thiserror::Error;
use tokio::time::timeout;

use crate::console::Console;
use crate::council::{Council, CouncilError};
use crate::founders::{self, APPROVALS, FILES, FOUNDERS, KeysError};
use crate::licensing::{self, Licensing, LicensingError, Setting};
use crate::localnet::{self, Localnet, LocalnetError, Status};
use crate::organisations::{CsvError, Organisations};
use crate::readback;
use crate::registration::{self, Registered, RegistrationError};
use crate::signals::{Signal, Signals};
use crate::sites::{Sites, SitesError};
use crate::suite::{self, Beginning, Canisters, Modules, SuiteError};
use crate::summary::{self, Costs};
use crate::tour::{self, Stage, Tools, TourError};
use crate::whole::{self, WholeError};

/// Port of the HTTP interface unless another is asked for; with `--once` it is any free one.
const DEFAULT_PORT: u16 = 8000;
/// How long after a failure the end of localnet may be noticed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Most refused records that are shown one by one.
const MAX_REFUSALS_SHOWN: usize = 10;

/// Starts a local subnet, registers all organisations on it, and verifies every record.
#[derive(Args)]
pub(crate) struct Options {
    /// End after verifying; exit code 0 only if every record was verified, and the whole of them.
    #[arg(long)]
    once: bool,
    /// CSV file of the organisations [default: data/organisations.csv in the project].
    #[arg(long, value_name = "FILE")]
    organisations: Option<PathBuf>,
    /// CSV file of the sites and their nodes [default: data/sites.csv in the project].
    #[arg(long, value_name = "FILE")]
    sites: Option<PathBuf>,
    /// Where the trust file is written [default: .indus/trust.json in the project].
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Synthetic applicants for the seats of the license manager; 0 leaves out all but the registry and its organisations.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    applicants: usize,
    /// Port of the HTTP interface, 0 for any free one [default: 8000, with --once 0].
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Folder of the canister modules [default: target/canisters in the project].
    #[arg(long, value_name = "DIR")]
    canisters: Option<PathBuf>,
    /// The localnet program [default: the one beside this program, else the one in PATH].
    #[arg(long, value_name = "PATH")]
    localnet: Option<PathBuf>,
    /// The icp program, with which an app is deployed; without it none is.
    #[arg(long, value_name = "PATH")]
    icp: Option<PathBuf>,
    /// Folder of the project.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
}

/// Why `indus up` did not do all of it.
#[derive(Debug, Error)]
pub(crate) enum UpError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error("signals can't be handled: {0}")]
    Signals(io::Error),
    #[error("{step} ended abnormally: {reason}")]
    Aborted { step: &'static str, reason: String },
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error("controlled by others than should be, or obeys others: {0}")]
    Control(String),
    #[error("not there: {}: {reason}", path.display())]
    Tool { path: PathBuf, reason: io::Error },
    #[error("nobody holds a seat who could deploy an app")]
    NoFounder,
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Localnet(#[from] LocalnetError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("registry's arguments can't be encoded: {0}")]
    Arguments(#[from] candid::Error),
    #[error("registering {slug}: {reason}")]
    Registration {
        slug: String,
        reason: RegistrationError,
    },
    #[error("trust file {} was changed by somebody else during the run", .0.display())]
    TrustChanged(PathBuf),
    #[error("{} of {total} records could not be verified", total - verified)]
    Unverified { verified: usize, total: usize },
    #[error("the registry as a whole could not be verified: {0}")]
    Whole(#[from] WholeError),
    #[error(transparent)]
    Sites(#[from] SitesError),
    #[error(transparent)]
    Council(#[from] CouncilError),
    #[error("{0}")]
    Tour(#[from] TourError),
    #[error("licences: {0}")]
    Licensing(#[from] LicensingError),
    #[error("ended by {}; no process is left", .0.name())]
    Signal(Signal),
}

impl UpError {
    /// See the module of the command.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Csv(_) | Self::Sites(_) => 2,
            Self::Signal(signal) => signal.exit_code(),
            _ => 1,
        }
    }
}

/// Does it.
pub(crate) async fn up(options: Options, console: &mut Console) -> Result<(), UpError> {
    let mut signals = Signals::take_over().map_err(UpError::Signals)?;
    let inputs = tokio::task::spawn_blocking(move || Inputs::read(options));
    let inputs = tokio::select! {
        biased;
        signal = signals.next() => return Err(UpError::Signal(signal)),
        inputs = inputs => inputs.map_err(|error| aborted("reading the input", &error))??,
    };
    console.line(format_args!(
        "organisations: {} in {}, {} levels deep",
        inputs.organisations.rows.len(),
        inputs.organisations_file.display(),
        inputs.organisations.levels.len()
    ));

    let mut localnet = Localnet::spawn(&inputs.localnet, inputs.port)?;
    let outcome = tokio::select! {
        biased;
        signal = signals.next() => Err(UpError::Signal(signal)),
        outcome = run(&mut localnet, &inputs, console) => outcome,
    };
    localnet.stop().await;
    outcome
}

/// All that is needed, checked.
struct Inputs {
    once: bool,
    port: u16,
    organisations_file: PathBuf,
    organisations: Organisations,
    /// None if nothing but organisations is asked for.
    sites: Option<Sites>,
    trust_file: PathBuf,
    modules: Modules,
    applicants: usize,
    /// None if no app is to be deployed.
    tools: Option<Tools>,
    localnet: PathBuf,
}

impl Inputs {
    fn read(options: Options) -> Result<Self, UpError> {
        let Options {
            once,
            organisations,
            sites,
            trust,
            applicants,
            port,
            canisters,
            localnet,
            icp,
            project,
        } = options;
        let in_project =
            |path: Option<PathBuf>, default: &str| path.unwrap_or_else(|| below(&project, default));
        let organisations_file = in_project(organisations, "data/organisations.csv");
        let organisations = Organisations::load(&organisations_file)?;
        let sites = if applicants > 0 {
            let file = in_project(sites, "data/sites.csv");
            Some(Sites::load(&file)?)
        } else {
            None
        };
        let canisters = in_project(canisters, "target/canisters");
        Ok(Self {
            once,
            port: port.unwrap_or(if once { 0 } else { DEFAULT_PORT }),
            organisations_file,
            organisations,
            sites,
            trust_file: in_project(trust, ".indus/trust.json"),
            modules: Modules::load(&canisters)?,
            applicants,
            tools: icp.map(|icp| tools(icp, &project)).transpose()?,
            localnet: localnet::find(localnet.as_deref())?,
        })
    }
}

/// What a founder has on their machine: icp-cli, and the example app as scripts/build-examples makes it.
fn tools(icp: PathBuf, project: &Path) -> Result<Tools, UpError> {
    let there = |path: PathBuf| {
        path.canonicalize()
            .map_err(|reason| UpError::Tool { path, reason })
    };
    Ok(Tools {
        icp: there(icp)?,
        example: there(project.join("examples/kisan"))?,
        modules: there(project.join("target/examples"))?,
    })
}

/// `path` below `folder`, without a leading `./`.
fn below(folder: &Path, path: &str) -> PathBuf {
    if folder == Path::new(".") {
        PathBuf::from(path)
    } else {
        folder.join(path)
    }
}

/// Until all is verified or something fails; without `--once`, until localnet ends.
async fn run(
    localnet: &mut Localnet,
    inputs: &Inputs,
    console: &mut Console,
) -> Result<(), UpError> {
    let status = localnet.serving().await?;
    let outcome = tokio::select! {
        biased;
        outcome = session(&status, inputs, console) => outcome,
        error = localnet.ended() => Err(error.into()),
    };
    if let Err(error) = outcome {
        // If calls failed because localnet is gone, that is what to say.
        return Err(match timeout(LAST_WORDS, localnet.ended()).await {
            Ok(ended) if !matches!(error, UpError::Localnet(_)) => ended.into(),
            _ => error,
        });
    }
    if inputs.once {
        return Ok(());
    }
    Err(localnet.ended().await.into())
}

async fn session(status: &Status, inputs: &Inputs, console: &mut Console) -> Result<(), UpError> {
    let mut trust = pin(status)?;
    trust.save(&inputs.trust_file).map_err(ClientError::from)?;
    console.line(format_args!(
        "localnet:      {} (its state is in memory and ends with this command)",
        shown(&trust.network)
    ));
    console.line(format_args!(
        "trust file:    {} (root key of this localnet)",
        inputs.trust_file.display()
    ));

    let governors: Vec<Key> = if inputs.once {
        FILES.iter().map(|_| Key::generate()).collect()
    } else {
        let folder = inputs.trust_file.with_file_name("keys");
        let keys = founders::written_keys(&folder)?;
        console.line(format_args!(
            "keys:          {} (the five governors of this localnet, who keep its lifeline too)",
            folder.display()
        ));
        keys
    };
    let anonymous = Connection::open(trust.clone())?;
    // It gives everything away that it deploys.
    let deployment = Deployment::new(anonymous.signing_as(&Key::generate()));
    let registry = deployment
        .create(status.default_effective_canister_id)
        .await?;
    let arguments = Encode!(&founders::founding(&governors))?;
    let module = suite::install(&deployment, registry, &inputs.modules.registry, arguments).await?;
    trust.canisters.insert(String::from("registry"), registry);
    trust.save(&inputs.trust_file).map_err(ClientError::from)?;
    console.line(format_args!(
        "registry:      {registry} (the subnet certifies module {module})"
    ));

    let applicant = RegistryClient::new(Connection::open(trust.clone())?)?;
    let keys = governors;
    let approving = keys.iter().take(APPROVALS as usize);
    let governors = approving
        .map(|key| RegistryClient::new(applicant.connection().signing_as(key)))
        .collect::<Result<Vec<_>, _>>()?;
    let (registered, took) =
        registration::register(&inputs.organisations, &applicant, &governors, console)
            .await
            .map_err(|(slug, reason)| UpError::Registration { slug, reason })?;

    let mut licences = None;
    if let Some(sites) = &inputs.sites {
        let played = Suite {
            status,
            inputs,
            deployer: &deployment,
            governors: &keys,
            sites,
            registered: &registered,
        };
        licences = Some(played.play(&mut trust, console).await?);
    }

    let pinned = TrustFile::load(&inputs.trust_file).map_err(ClientError::from)?;
    if pinned != trust {
        return Err(UpError::TrustChanged(inputs.trust_file.clone()));
    }
    let reader = RegistryClient::new(Connection::open(pinned)?)?;
    let read_back = readback::read_back(&registered, &reader, console).await;
    let founders = FOUNDERS.len() as u64;
    let whole = if read_back.refused.is_empty() {
        Some(whole::prove(founders, &registered, &reader).await?)
    } else {
        None
    };
    if whole.is_some() {
        let canisters: Vec<_> = trust
            .canisters
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect();
        tour::audited(&anonymous, &canisters, console).await?;
    }
    let metrics = LocalnetMetrics::unverified(reader.connection()).await?;

    let costs = Costs {
        registered: registered.len(),
        took: &took,
        read_back: &read_back,
        whole: whole.as_ref(),
        metrics: &metrics,
        registry,
    };
    for line in summary::costs(&costs) {
        console.line(line);
    }
    for line in licences.iter().flat_map(licensing::summary) {
        console.line(line);
    }
    for (slug, error) in read_back.refused.iter().take(MAX_REFUSALS_SHOWN) {
        console.error(format_args!("not verified: {slug}: {error}"));
    }
    if !inputs.once && whole.is_some() {
        console.line(format_args!("HTTP interface: {}", shown(&trust.network)));
        console.line(format_args!("registry:       {registry}"));
        console.line(format_args!(
            "trust file:     {}",
            inputs.trust_file.display()
        ));
        console.line("to stop:        Ctrl-C");
    }
    let (verified, total) = (read_back.verified, inputs.organisations.rows.len());
    let proof = summary::proof(verified, total, whole.as_ref(), &trust, registry);
    console.line(proof);
    if verified == total {
        Ok(())
    } else {
        Err(UpError::Unverified { verified, total })
    }
}

/// What comes after the organisations: identity, the license manager, and what is done with them.
struct Suite<'a> {
    status: &'a Status,
    inputs: &'a Inputs,
    deployer: &'a Deployment,
    governors: &'a [Key],
    sites: &'a Sites,
    registered: &'a [Registered],
}

impl Suite<'_> {
    /// Plays all acts, and writes the canisters into the trust file.
    async fn play(
        &self,
        trust: &mut TrustFile,
        console: &mut Console,
    ) -> Result<Licensing, UpError> {
        let Self {
            status,
            inputs,
            deployer,
            governors,
            sites,
            registered,
        } = self;
        let registry = trust.canister("registry").map_err(ClientError::from)?;
        let create = || deployer.create(status.default_effective_canister_id);
        let canisters = Canisters {
            registry,
            identity: create().await?,
            license_manager: create().await?,
            messaging: create().await?,
            app_hosting: create().await?,
            lifeline: create().await?,
        };
        let beginning = Beginning {
            founding: founders::founding(governors),
            seats: Some(licensing::configuration(inputs.applicants)),
            keepers: governors.iter().map(Key::principal).collect(),
            threshold: APPROVALS,
        };
        suite::deploy(deployer, &canisters, &inputs.modules, &beginning).await?;
        let controls = suite::controls(deployer, &canisters).await?;
        if let Some(wrong) = controls.iter().find(|control| !control.is_of_suite()) {
            return Err(UpError::Control(wrong.name.into()));
        }
        console.line(
            "controllers:   of all 6 canisters are canisters of the suite, as the subnet certifies; no key controls any of them",
        );
        let subnet = status.application_subnet;
        register_engine_operator(deployer.connection(), subnet, canisters.app_hosting).await?;
        let names = canisters.named().map(|(name, id)| (String::from(name), id));
        trust.canisters.extend(names);
        trust.save(&inputs.trust_file).map_err(ClientError::from)?;
        let setting = Setting {
            connection: Connection::open(trust.clone())?,
            administrators: governors,
            applicants: inputs.applicants,
        };

        // Whoever there is, two organisations that are not the one that publishes.
        let mut others = registered.iter().map(|one| one.id).chain([2, 3]);
        let mut other = || others.next().unwrap_or_default();
        let stage = Stage {
            connection: setting.connection.clone(),
            deployer: (*deployer).clone(),
            governors,
            canisters,
            app_hosting: &inputs.modules.app_hosting,
            identity: &inputs.modules.identity,
            license_manager: &inputs.modules.license_manager,
            sites,
            admitted: [other(), other()],
        };
        let council = Council::new(&stage.connection, stage.governors)?;
        tour::declared(&stage, &council, console).await?;
        tour::settled(&stage, &council, console).await?;
        tour::services(&stage, &council, console).await?;
        tour::officials(&stage, &council, console).await?;
        tour::conversed(&stage, &council, console).await?;
        let held = licensing::hold(&setting, canisters, &council, console).await?;
        if let Some(tools) = &inputs.tools {
            let founder = held.founder(&setting).await?;
            let (founder, identity) = founder.ok_or(UpError::NoFounder)?;
            tour::deployed(&stage, &council, (founder, &identity), tools, console).await?;
        } else {
            console.line(
                "apps:          none, and no release of any: no icp-cli was named with --icp",
            );
        }
        tour::upgraded(&stage, &council, console).await?;
        Ok(licensing::conclude(&setting, held, console).await?)
    }
}

/// What is trusted about the localnet of `status`, before anything is deployed on it.
fn pin(status: &Status) -> Result<TrustFile, UpError> {
    let unusable = |reason: String| LocalnetError::Status(reason);
    let network = format!("http://127.0.0.1:{}", status.gateway_port);
    let root_key = hex::decode(&status.root_key).map_err(|error| unusable(error.to_string()))?;
    Ok(TrustFile {
        network: Url::parse(&network).map_err(|error| unusable(error.to_string()))?,
        root_key: RootKey::from_der(&root_key).map_err(|error| unusable(error.to_string()))?,
        root_key_source: String::from("status file of the localnet that indus up started"),
        subnet: status.application_subnet,
        canisters: Default::default(),
    })
}

/// An address without the slash that it has as a URL.
fn shown(network: &Url) -> &str {
    network.as_str().trim_end_matches('/')
}

fn aborted(step: &'static str, error: &tokio::task::JoinError) -> UpError {
    UpError::Aborted {
        step,
        reason: error.to_string(),
    }
}
