//! `indus lifeline`: the way into registry and app_hosting when they don't work, for those who keep it.

use std::fs;
use std::path::PathBuf;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_api::hosting::{Ended, HealthCheck};
use indus_api::lifeline::{
    Action, ApproveArgs, Intervention, InterventionState, KEEPERS_KEY, Keepers, ModuleOf,
    ProposeArgs, Why,
};
use indus_client::{LIFELINE, LifelineClient};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::commands::app::ended;
use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;

/// The lifeline: who keeps it, what they did; propose, approve or take back an intervention in registry or app_hosting.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    consent: Consent,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Shows the keepers, certified.
    Keepers,
    /// Lists all interventions, certified, none left out.
    List,
    /// Shows an intervention, certified.
    Show(Which),
    /// Proposes to install a module on registry or app_hosting; what does not come up is put back.
    Install(Install),
    /// Proposes other keepers.
    SetKeepers {
        /// A keeper's key, once for each.
        #[arg(long = "keeper", value_name = "ID", required = true)]
        keepers: Vec<Principal>,
        /// So many of them have to agree.
        #[arg(long, value_name = "N")]
        threshold: u32,
    },
    /// Proposes who controls registry or app_hosting.
    SetControllers {
        #[arg(value_name = "CANISTER")]
        canister: Principal,
        /// A controller, once for each; the lifeline is always one of them.
        #[arg(long = "controller", value_name = "ID")]
        controllers: Vec<Principal>,
    },
    /// Approves an intervention, as it is shown. The last one that it takes begins it, and waits for its end.
    Approve(Which),
    /// Takes an intervention back that one has proposed.
    Withdraw(Which),
}

#[derive(Args)]
struct Which {
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Args)]
struct Install {
    /// The registry, or app_hosting.
    #[arg(value_name = "CANISTER")]
    canister: Principal,
    /// The module, as it is to be installed.
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Candid of the module's argument [default: no argument].
    #[arg(long, value_name = "FILE")]
    argument: Option<PathBuf>,
    /// It need not keep to the maintenance protocol: it is well if it can be installed.
    #[arg(long)]
    unchecked: bool,
}

/// Does it.
pub(crate) async fn lifeline(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let json = network.json;
    let reading = || -> Result<LifelineClient, Failure> {
        LifelineClient::new(network.connection()?).map_err(Failure::failed)
    };
    let signing = || Signing::new(&network, &consent, LIFELINE);
    match verb {
        Verb::Keepers => {
            let found = reading()?.canister().record::<Keepers>(&KEEPERS_KEY).await;
            let found = found.map_err(Failure::failed)?.value;
            let keepers = found.ok_or_else(|| Failure::Failed("it has no keepers".into()))?;
            let fields = vec![
                ("keepers", sheet::principals(&keepers.keepers)),
                ("threshold", keepers.threshold.into()),
                ("registry", keepers.registry.to_text().into()),
                ("app_hosting", keepers.app_hosting.to_text().into()),
            ];
            sheet::show(fields, json, console);
            Ok(())
        }
        Verb::List => {
            let found = reading()?.canister().records::<Intervention>().await;
            let found = found.map_err(Failure::failed)?;
            let things = found.value.iter().map(fields).collect();
            let columns = ["id", "action", "canister", "state", "approved_by"];
            sheet::list(&columns, things, Some(found.certified_at), json, console);
            Ok(())
        }
        Verb::Show(Which { id }) => {
            sheet::show(fields(&certified(&reading()?, id).await?), json, console);
            Ok(())
        }
        Verb::Install(install) => {
            let signing = signing()?;
            let args = installation(install, &signing).await?;
            proposed(&signing, args, json, console).await
        }
        Verb::SetKeepers { keepers, threshold } => {
            let action = Action::SetKeepers { keepers, threshold };
            proposed(&signing()?, without_argument(action), json, console).await
        }
        Verb::SetControllers {
            canister,
            mut controllers,
        } => {
            let signing = signing()?;
            let own = signing.canister.canister();
            if !controllers.contains(&own) {
                controllers.push(own);
            }
            let action = Action::SetControllers {
                canister,
                controllers,
            };
            proposed(&signing, without_argument(action), json, console).await
        }
        Verb::Approve(Which { id }) => {
            let open = certified(&reading()?, id).await?;
            let args = ApproveArgs {
                id,
                action_hash: open.action_hash.clone(),
            };
            let sentence = "Approve an intervention";
            let signing = signing()?;
            let approved: Intervention = signing
                .call("approve", &args, sentence, fields(&open), console)
                .await?;
            let approved = match approved.state {
                InterventionState::Running { .. } => reading()?.followed(id).await,
                _ => Ok(approved),
            };
            let approved = approved.map_err(Failure::failed)?;
            sheet::show(fields(&approved), json, console);
            match approved.state {
                InterventionState::Ended { how, .. } if how != Ended::Live => {
                    Err(Failure::Failed(ended(how)))
                }
                _ => Ok(()),
            }
        }
        Verb::Withdraw(Which { id }) => {
            let about = fields(&certified(&reading()?, id).await?);
            let sentence = "Take an intervention back";
            let signing = signing()?;
            let withdrawn: Intervention = signing
                .call("withdraw", &id, sentence, about, console)
                .await?;
            sheet::show(fields(&withdrawn), json, console);
            Ok(())
        }
    }
}

fn without_argument(action: Action) -> ProposeArgs {
    ProposeArgs {
        action,
        argument: ByteBuf::new(),
    }
}

/// Uploads what is to be installed.
async fn installation(install: Install, signing: &Signing) -> Result<ProposeArgs, Failure> {
    let read = |path: &PathBuf| fs::read(path).map_err(|error| Failure::file(path, error));
    let argument = match &install.argument {
        Some(path) => read(path)?,
        None => candid::encode_args(()).map_err(Failure::failed)?,
    };
    let connection = signing.canister.connection().clone();
    let of = ModuleOf::Keeper(connection.caller());
    let lifeline = LifelineClient::new(connection).map_err(Failure::failed)?;
    let module_hash = lifeline.upload(of, &read(&install.module)?).await;
    let action = Action::Install {
        canister: install.canister,
        module_hash: module_hash.map_err(Failure::failed)?,
        argument_hash: ByteBuf::from(Sha256::digest(&argument).to_vec()),
        health: if install.unchecked {
            HealthCheck::Installs
        } else {
            HealthCheck::Maintenance
        },
    };
    Ok(ProposeArgs {
        action,
        argument: argument.into(),
    })
}

async fn proposed(
    signing: &Signing,
    args: ProposeArgs,
    json: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let about = of_action(&args.action);
    let sentence = "Propose an intervention, and approve it";
    let proposed: Intervention = signing
        .call("propose", &args, sentence, about, console)
        .await?;
    sheet::show(fields(&proposed), json, console);
    Ok(())
}

async fn certified(lifeline: &LifelineClient, id: u64) -> Result<Intervention, Failure> {
    let found = lifeline.intervention(id).await.map_err(Failure::failed)?;
    let none = || Failure::Failed(format!("no intervention {id}"));
    found.value.ok_or_else(none)
}

fn of_action(action: &Action) -> Fields {
    match action {
        Action::Install {
            canister,
            module_hash,
            argument_hash,
            health,
        } => vec![
            ("action", "install".into()),
            ("canister", canister.to_text().into()),
            ("module", sheet::bytes(module_hash)),
            ("argument", sheet::bytes(argument_hash)),
            ("check", format!("{health:?}").into()),
        ],
        Action::SetKeepers { keepers, threshold } => vec![
            ("action", "set keepers".into()),
            ("keepers", sheet::principals(keepers)),
            ("threshold", (*threshold).into()),
        ],
        Action::SetControllers {
            canister,
            controllers,
        } => vec![
            ("action", "set controllers".into()),
            ("canister", canister.to_text().into()),
            ("controllers", sheet::principals(controllers)),
        ],
    }
}

fn fields(intervention: &Intervention) -> Fields {
    let state = match intervention.state {
        InterventionState::Open => "open".into(),
        InterventionState::Withdrawn { .. } => "withdrawn".into(),
        InterventionState::Expired { .. } => "expired".into(),
        InterventionState::Running { .. } => "running".into(),
        InterventionState::Ended { how, .. } => ended(how),
    };
    let mut fields = vec![("id", intervention.id.into()), ("state", state.into())];
    fields.extend(of_action(&intervention.action));
    match &intervention.why {
        Why::Votes { approvals, .. } => {
            let keepers: Vec<_> = approvals.iter().map(|one| one.keeper).collect();
            fields.push(("approved_by", sheet::principals(&keepers)));
        }
        Why::Decision { proposal, .. } => {
            let decided = format!("proposal {proposal} of the registry");
            fields.push(("decided_by", decided.into()));
        }
    }
    fields.push(("proposed_at", sheet::time(intervention.proposed_at_ns)));
    fields
}
