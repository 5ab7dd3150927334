//! Releases: uploaded, proposed, approved, followed to their end.

use std::fs;
use std::path::PathBuf;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_api::hosting::{
    ApproveReleaseArgs, Ended, HealthCheck, HostedCanister, ListReleasesArgs, ProposeReleaseArgs,
    Release, ReleaseOf, ReleaseState, RollBackArgs, canister_key, release_key,
};
use indus_api::paging::Page;
use indus_client::{HostingClient, ModuleHash};
use sha2::{Digest, Sha256};

use super::Desk;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Releases a module to a canister of an app: at once for one's own app, after another person's approval for an agency's.
    Release(Module),
    /// Approves a release that somebody else proposed: who acts for the agency with the role app-approver.
    Approve {
        #[command(flatten)]
        which: Which,
        /// The module, to be compared with the one that is proposed.
        #[arg(long, value_name = "FILE")]
        module: Option<PathBuf>,
    },
    /// Takes a release back that waits for an approval.
    Withdraw(Which),
    /// Brings the module of an earlier release back, over the memory of today.
    Rollback {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
        /// A release that was live [default: the one that was live before].
        #[arg(long, value_name = "ID")]
        to: Option<u64>,
        #[command(flatten)]
        follow: Follow,
    },
    /// Lists the releases of a canister, each certified.
    Releases {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
    },
}

#[derive(Args)]
pub(super) struct Which {
    /// The release's id.
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    follow: Follow,
}

#[derive(Args)]
pub(super) struct Follow {
    /// Do not wait until it has ended.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args)]
pub(super) struct Module {
    #[arg(value_name = "CANISTER")]
    canister: Principal,
    /// The module, Wasm or gzip of it, as it is to be installed.
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Candid of the module's argument [default: no argument].
    #[arg(long, value_name = "FILE")]
    argument: Option<PathBuf>,
    /// It is well if this method without arguments replies [default: if it can be installed].
    #[arg(long, value_name = "METHOD", conflicts_with = "maintenance")]
    health: Option<String>,
    /// It keeps to the suite's maintenance protocol: it answers its controllers only until its confirm_upgrade is called.
    #[arg(long)]
    maintenance: bool,
    /// Its main memory stays: Motoko with enhanced orthogonal persistence.
    #[arg(long)]
    keep_memory: bool,
    #[command(flatten)]
    follow: Follow,
}

/// Does it.
pub(super) async fn release(verb: Verb, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    match verb {
        Verb::Release(module) => released(module, desk, console).await,
        Verb::Approve {
            which: Which { id, follow },
            module,
        } => {
            let proposed = certified(&desk.reading()?, id).await?;
            if let Some(path) = &module {
                let bytes = fs::read(path).map_err(|error| Failure::file(path, error))?;
                if proposed.module_hash != ModuleHash::of(&bytes).as_bytes()[..] {
                    let reason = "it is not the module that is proposed";
                    return Err(Failure::file(path, reason));
                }
            }
            let args = ApproveReleaseArgs {
                release: id,
                module_hash: proposed.module_hash.clone(),
                argument_hash: proposed.argument_hash.clone(),
            };
            let sentence = "Approve a release that somebody else proposed";
            let signing = desk.signing()?;
            let about = fields(&proposed);
            let release: Release = signing
                .call("approve_release", &args, sentence, about, console)
                .await?;
            followed(&release, &follow, desk, console).await
        }
        Verb::Withdraw(Which { id, .. }) => {
            let about = fields(&certified(&desk.reading()?, id).await?);
            let sentence = "Take a release back";
            let signing = desk.signing()?;
            let release: Release = signing
                .call("withdraw_release", &id, sentence, about, console)
                .await?;
            sheet::show(fields(&release), desk.network.json, console);
            Ok(())
        }
        Verb::Rollback {
            canister,
            to,
            follow,
        } => {
            let args = RollBackArgs { canister, to };
            let about = vec![
                ("canister", canister.to_text().into()),
                ("to_release", to.into()),
            ];
            let sentence = "Bring an earlier release's module back";
            let signing = desk.signing()?;
            let release: Release = signing
                .call("roll_back", &args, sentence, about, console)
                .await?;
            followed(&release, &follow, desk, console).await
        }
        Verb::Releases { canister } => {
            let hosting = desk.reading()?;
            let mut things = Vec::new();
            let mut after = None;
            loop {
                let args = ListReleasesArgs {
                    canister,
                    after,
                    limit: 100,
                };
                let page = hosting.canister().query_unverified("list_releases", &args);
                let page: Page<u64, Release> = page.await.map_err(Failure::failed)?;
                for listed in page.items {
                    things.push(fields(&certified(&hosting, listed.id).await?));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let columns = ["id", "number", "module", "state", "proposed_at"];
            sheet::list(&columns, things, None, desk.network.json, console);
            Ok(())
        }
    }
}

async fn released(args: Module, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let Module {
        canister,
        module,
        argument,
        health,
        maintenance,
        keep_memory,
        follow,
    } = args;
    let read = |path: &PathBuf| fs::read(path).map_err(|error| Failure::file(path, error));
    let module = read(&module)?;
    let argument = match &argument {
        Some(path) => read(path)?,
        None => candid::encode_args(()).map_err(Failure::failed)?,
    };
    let health = match health {
        Some(method) => HealthCheck::Method(method),
        None if maintenance => HealthCheck::Maintenance,
        None => HealthCheck::Installs,
    };
    let hosting = desk.hosting()?;
    let key = canister_key(canister).map_or_else(Vec::new, Vec::from);
    let found = hosting.canister().record::<HostedCanister>(&key).await;
    let found = found.map_err(Failure::failed)?.value;
    let hosted =
        found.ok_or_else(|| Failure::Failed(format!("{canister} is not a canister of an app")))?;
    let about = vec![
        ("canister", canister.to_text().into()),
        ("app", hosted.app.into()),
        ("module_sha256", ModuleHash::of(&module).to_string().into()),
        ("module_bytes", module.len().into()),
        (
            "module_argument_sha256",
            sheet::bytes(&Sha256::digest(&argument)),
        ),
        ("check", format!("{health:?}").into()),
    ];
    let of = ReleaseOf::App(hosted.app);
    let uploaded = hosting.upload(of, &module).await;
    let args = ProposeReleaseArgs {
        canister,
        module_hash: uploaded.map_err(Failure::failed)?,
        argument: argument.into(),
        health,
        keep_memory,
    };
    let sentence = "Release a module to a canister";
    let signing = desk.signing()?;
    let release: Release = signing
        .call("propose_release", &args, sentence, about, console)
        .await?;
    followed(&release, &follow, desk, console).await
}

/// Waits for a release that runs, and says how it ended; one that did not go live is a failure.
async fn followed(
    release: &Release,
    follow: &Follow,
    desk: &Desk,
    console: &mut Console,
) -> Result<(), Failure> {
    let runs = matches!(release.state, ReleaseState::Running { .. });
    if follow.no_wait || !runs {
        sheet::show(fields(release), desk.network.json, console);
        return Ok(());
    }
    let hosting = desk.hosting()?;
    let release = hosting
        .followed(release.id)
        .await
        .map_err(Failure::failed)?;
    sheet::show(fields(&release), desk.network.json, console);
    let ReleaseState::Ended { how, .. } = release.state else {
        return Ok(());
    };
    if how == Ended::Live {
        return Ok(());
    }
    let said = hosting.message_unverified(release.id).await;
    let said = said.ok().flatten();
    let said = said.map_or_else(String::new, |said| format!(": {}", sheet::printable(&said)));
    Err(Failure::Failed(format!(
        "release {} did not go live: {}{said}",
        release.id,
        ended(how)
    )))
}

async fn certified(hosting: &HostingClient, id: u64) -> Result<Release, Failure> {
    let found = hosting.canister().record::<Release>(&release_key(id)).await;
    let found = found.map_err(Failure::failed)?.value;
    found.ok_or_else(|| Failure::Failed(format!("no release {id}")))
}

/// How a release ended, in words.
pub(crate) fn ended(how: Ended) -> String {
    match how {
        Ended::Live => "live".into(),
        Ended::Refused(failure) => format!("nothing was installed ({failure:?})"),
        Ended::Restored(failure) => {
            format!("the canister is again what it was ({failure:?})")
        }
        Ended::Broken(failure) => format!(
            "somebody has to look at the canister, where a snapshot of what it was is left ({failure:?})"
        ),
    }
}

fn fields(release: &Release) -> Fields {
    let state = match release.state {
        ReleaseState::Proposed => "proposed".into(),
        ReleaseState::Withdrawn { .. } => "withdrawn".into(),
        ReleaseState::Running { .. } => "running".into(),
        ReleaseState::Ended { how, .. } => ended(how),
    };
    let of = match release.of {
        ReleaseOf::App(app) => format!("app {app}"),
        ReleaseOf::Upgrade { proposal } => format!("proposal {proposal} of the registry"),
    };
    vec![
        ("id", release.id.into()),
        ("number", release.number.into()),
        ("of", of.into()),
        ("canister", release.canister.to_text().into()),
        ("state", state.into()),
        ("module", sheet::bytes(&release.module_hash)),
        ("argument", sheet::bytes(&release.argument_hash)),
        ("check", format!("{:?}", release.health).into()),
        ("rolls_back_to", release.rolls_back_to.into()),
        (
            "replaced",
            release
                .replaced
                .as_ref()
                .map(|hash| sheet::bytes(hash))
                .into(),
        ),
        ("proposed_by", release.proposed_by.to_text().into()),
        ("proposed_at", sheet::time(release.proposed_at_ns)),
        (
            "approved_by",
            release.approved_by.map(|person| person.to_text()).into(),
        ),
    ]
}
