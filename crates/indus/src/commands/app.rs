//! `indus app`: apps on the subnet, their canisters and releases, and what dfx and icp-cli need to know of them.

mod apps;
mod link;
mod release;

use clap::{Args, Subcommand};
use indus_client::{APP_HOSTING, HostingClient};

use crate::commands::network::Network;
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;

pub(crate) use link::named;
pub(crate) use release::ended;

/// Apps: make one, create canisters for it, link them for dfx and icp-cli; releases: propose, approve, roll back.
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
    #[command(flatten)]
    Apps(apps::Verb),
    #[command(flatten)]
    Release(release::Verb),
    /// Writes what dfx and icp-cli need to know of an app's canisters into a project: dfx.json, canister_ids.json, icp's ids.
    Link(link::Options),
}

/// Who does it, and for whom it is printed.
struct Desk {
    network: Network,
    consent: Consent,
}

impl Desk {
    fn signing(&self) -> Result<Signing, Failure> {
        Signing::new(&self.network, &self.consent, APP_HOSTING)
    }

    /// To read as anybody.
    fn reading(&self) -> Result<HostingClient, Failure> {
        let connection = self.network.connection()?;
        HostingClient::new(connection).map_err(Failure::failed)
    }

    /// To sign with the key of the command line.
    fn hosting(&self) -> Result<HostingClient, Failure> {
        let key = self.network.signing_key()?;
        let connection = self.network.connection()?.signing_as(&key);
        HostingClient::new(connection).map_err(Failure::failed)
    }
}

/// Does it.
pub(crate) async fn app(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let desk = Desk { network, consent };
    match verb {
        Verb::Apps(verb) => apps::apps(verb, &desk, console).await,
        Verb::Release(verb) => release::release(verb, &desk, console).await,
        Verb::Link(options) => link::link(options, &desk, console).await,
    }
}
