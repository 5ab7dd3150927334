//! `indus canister`: the inventory of canisters, and upgrades of the suite's own.

use std::fs;
use std::path::PathBuf;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_api::registry::CanisterEntry;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::upgrade::{self, Outcome, Upgrade};
use crate::when;

/// Canisters of the inventory: list them, show one, have the registry look at one, upgrade one as approved.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lists all, certified.
    List,
    /// Shows one, certified.
    Show {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
    },
    /// Has the registry ask the subnet what one runs and who controls it, and record the answer.
    Observe {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
    },
    /// Has app_hosting upgrade a canister exactly as a proposal approved it, with the key of a governor who proposed or approved it: it
    /// stops it, keeps a snapshot, installs, looks whether the new module comes up, confirms; else puts the snapshot back, and this fails.
    Upgrade {
        #[arg(value_name = "PROPOSAL")]
        proposal: u64,
        /// The module, as it is to be installed.
        #[arg(long, value_name = "FILE")]
        module: PathBuf,
        /// Candid of the module's argument [default: no argument].
        #[arg(long, value_name = "FILE")]
        argument: Option<PathBuf>,
    },
}

/// Does it.
pub(crate) async fn canister(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    match verb {
        Verb::List => {
            let found = network.registry()?.canisters().await;
            let mut found = found.map_err(Failure::failed)?;
            found
                .value
                .sort_by(|a, b| a.profile.name.cmp(&b.profile.name));
            let things = found.value.iter().map(fields).collect();
            let columns = ["canister", "name", "organisation", "data_class", "drift"];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, network.json, console);
        }
        Verb::Show { canister } => {
            let found = network.registry()?.canister_entry(canister).await;
            let found = found.map_err(Failure::failed)?;
            let Some(entry) = found.value else {
                return Err(Failure::Failed(format!(
                    "{canister} is not in the inventory"
                )));
            };
            let mut shown = fields(&entry);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            sheet::show(shown, network.json, console);
        }
        Verb::Observe { canister } => {
            let entry = network.signing()?.observe(canister).await;
            let entry = entry.map_err(Failure::failed)?;
            sheet::show(fields(&entry), network.json, console);
        }
        Verb::Upgrade {
            proposal,
            module,
            argument,
        } => {
            let read = |path: &PathBuf| fs::read(path).map_err(|error| Failure::file(path, error));
            let registry = network.signing()?;
            let upgrade = Upgrade {
                registry: &registry,
                proposal,
                module: read(&module)?,
                argument: match &argument {
                    Some(path) => read(path)?,
                    None => candid::encode_args(()).map_err(Failure::failed)?,
                },
            };
            let outcome = upgrade::carry_out(&upgrade, network.json, console).await;
            match outcome.map_err(Failure::failed)? {
                Outcome::Live => {
                    let outcome = "upgraded, healthy and confirmed";
                    let fields = vec![("proposal", proposal.into()), ("outcome", outcome.into())];
                    sheet::show(fields, network.json, console);
                }
                Outcome::NotLive { reason } => {
                    return Err(Failure::Failed(format!(
                        "the new module does not run: {reason}"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn fields(entry: &CanisterEntry) -> Fields {
    let profile = &entry.profile;
    let hash = |hash: &Option<serde_bytes::ByteBuf>| hash.as_ref().map(|hash| sheet::bytes(hash));
    let seen = entry.observation.as_ref();
    vec![
        ("canister", profile.canister.to_text().into()),
        ("name", profile.name.clone().into()),
        ("organisation", profile.organisation.into()),
        ("data_class", format!("{:?}", profile.data_class).into()),
        ("drift", format!("{:?}", entry.drift).into()),
        ("declared_module", hash(&profile.module_hash).into()),
        (
            "observed_module",
            seen.and_then(|seen| hash(&seen.module_hash)).into(),
        ),
        (
            "controllers",
            seen.map(|seen| sheet::principals(&seen.controllers)).into(),
        ),
        ("since", seen.map(|seen| sheet::time(seen.since_ns)).into()),
        (
            "observed_at",
            seen.map(|seen| sheet::time(seen.at_ns)).into(),
        ),
    ]
}
