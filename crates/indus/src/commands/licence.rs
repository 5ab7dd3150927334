//! `indus licence`: the seats, from the round that they are applied for in to the file that proves one offline.

mod application;
mod figures;
mod queue;
mod round;
mod seat;

use clap::{Args, Subcommand};

use crate::commands::network::Network;
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;

/// The canister that keeps the seats.
const LICENSE_MANAGER: &str = "license_manager";

/// Licences: rounds, applications, reviews, the order, seats, and files that prove a seat offline.
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
    Figures(figures::Verb),
    /// Rounds: open one, close one, list them, show one.
    #[command(subcommand)]
    Round(round::Verb),
    #[command(flatten)]
    Application(application::Verb),
    #[command(flatten)]
    Seat(seat::Verb),
}

/// Who does it, and for whom it is printed.
struct Desk {
    network: Network,
    consent: Consent,
}

impl Desk {
    fn signing(&self) -> Result<Signing, Failure> {
        Signing::new(&self.network, &self.consent, LICENSE_MANAGER)
    }
}

/// Does it.
pub(crate) async fn licence(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let desk = Desk { network, consent };
    match verb {
        Verb::Figures(verb) => figures::figures(verb, &desk, console).await,
        Verb::Round(verb) => round::round(verb, &desk, console).await,
        Verb::Application(verb) => application::application(verb, &desk, console).await,
        Verb::Seat(verb) => seat::seat(verb, &desk, console).await,
    }
}
