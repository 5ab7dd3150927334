//! `indus service`: services that organisations publish.

use clap::{Args, Subcommand};
use indus_api::registry::Service;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Services: list them, show one. `indus proposal propose` publishes and retires them.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lists all services, certified.
    List,
    /// Shows one, certified.
    Show {
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// Does it.
pub(crate) async fn service(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    let registry = network.registry()?;
    match verb {
        Verb::List => {
            let found = registry.services().await.map_err(Failure::failed)?;
            let things = found.value.iter().map(fields).collect();
            let columns = ["id", "slug", "state", "organisation", "name", "operations"];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, network.json, console);
        }
        Verb::Show { id } => {
            let found = registry.service(id).await.map_err(Failure::failed)?;
            let Some(service) = found.value else {
                return Err(Failure::Failed(format!("no service {id}")));
            };
            let mut shown = fields(&service);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            sheet::show(shown, network.json, console);
        }
    }
    Ok(())
}

fn fields(service: &Service) -> Fields {
    let profile = &service.profile;
    vec![
        ("id", service.id.into()),
        ("slug", profile.slug.clone().into()),
        ("name", profile.name.clone().into()),
        ("state", format!("{:?}", service.state).into()),
        ("organisation", profile.organisation.into()),
        ("canister", profile.canister.to_text().into()),
        ("operations", profile.operations.clone().into()),
        ("data_class", format!("{:?}", profile.data_class).into()),
        ("interface_hash", sheet::bytes(&profile.interface_hash)),
        ("published_at", sheet::time(service.published_at_ns)),
        ("retired_at", service.retired_at_ns.map(sheet::time).into()),
    ]
}
