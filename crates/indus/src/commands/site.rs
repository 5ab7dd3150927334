//! `indus site`: data centres.

use clap::{Args, Subcommand};
use indus_api::registry::Site;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;

/// Data centres that the subnet's nodes are in.
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
}

/// Does it.
pub(crate) async fn site(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    let Verb::List = verb;
    let found = network.registry()?.sites().await;
    let mut found = found.map_err(Failure::failed)?;
    found.value.sort_by(|a, b| a.slug.cmp(&b.slug));
    let things = found.value.iter().map(fields).collect();
    let columns = ["site", "city", "country", "operator"];
    let at = Some(found.certified_at);
    sheet::list(&columns, things, at, network.json, console);
    Ok(())
}

fn fields(site: &Site) -> Fields {
    vec![
        ("site", site.slug.clone().into()),
        ("city", site.city.clone().into()),
        ("country", site.country.clone().into()),
        ("operator", site.operator.clone().into()),
    ]
}
