//! The `indus` command.
//!
//! Exit codes: 0 all went well; 1 it did not; 2 the command line or an input file is wrong; 128 + n signal n
//! ended it. Whatever went wrong is one line on standard error.

mod audit;
mod bounded;
mod commands;
mod console;
mod council;
mod failure;
mod founders;
mod hierarchy;
mod key_file;
mod known;
mod labels;
mod latency;
mod licensing;
mod localnet;
mod organisations;
mod presentation;
mod proof;
mod prove;
mod readback;
mod registration;
mod root_key;
mod sealed;
mod signals;
mod sites;
mod suite;
mod summary;
mod tour;
mod up;
mod upgrade;
mod verify;
mod when;
mod whole;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::console::Console;
use crate::failure::Failure;

/// A digital registry that proves what it says.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(args_override_self = true)]
    Up(up::Options),
    Deploy(commands::deploy::Command),
    Prove(prove::Options),
    Verify(verify::Options),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Key(commands::key::Command),
    #[command(name = "org")]
    Organisation(commands::organisation::Command),
    Proposal(commands::proposal::Command),
    Service(commands::service::Command),
    Access(commands::access::Command),
    Canister(commands::canister::Command),
    Site(commands::site::Command),
    Person(commands::person::Command),
    Role(commands::role::Command),
    Credential(commands::credential::Command),
    #[command(alias = "license")]
    Licence(commands::licence::Command),
    App(commands::app::Command),
    Lifeline(commands::lifeline::Command),
    Msg(commands::msg::Command),
    #[command(subcommand)]
    Commitment(commands::commitment::Command),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let mut console = Console::new();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            console.error(format_args!("no threads to work with: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = match command {
        Command::Up(options) => runtime
            .block_on(up::up(options, &mut console))
            .map_err(|error| (error.exit_code(), error.to_string())),
        Command::Deploy(command) => {
            ended(runtime.block_on(commands::deploy::deploy(command, &mut console)))
        }
        Command::Prove(options) => ended(runtime.block_on(prove::prove(options, &mut console))),
        Command::Audit(command) => ended(runtime.block_on(audit::audit(command, &mut console))),
        Command::Key(command) => ended(commands::key::key(&command, &mut console)),
        Command::Organisation(command) => {
            ended(runtime.block_on(commands::organisation::organisation(command, &mut console)))
        }
        Command::Proposal(command) => {
            ended(runtime.block_on(commands::proposal::proposal(command, &mut console)))
        }
        Command::Service(command) => {
            ended(runtime.block_on(commands::service::service(command, &mut console)))
        }
        Command::Access(command) => {
            ended(runtime.block_on(commands::access::access(command, &mut console)))
        }
        Command::Canister(command) => {
            ended(runtime.block_on(commands::canister::canister(command, &mut console)))
        }
        Command::Site(command) => {
            ended(runtime.block_on(commands::site::site(command, &mut console)))
        }
        Command::Person(command) => {
            ended(runtime.block_on(commands::person::person(command, &mut console)))
        }
        Command::Role(command) => {
            ended(runtime.block_on(commands::role::role(command, &mut console)))
        }
        Command::Credential(command) => {
            ended(runtime.block_on(commands::credential::credential(command, &mut console)))
        }
        Command::Licence(command) => {
            ended(runtime.block_on(commands::licence::licence(command, &mut console)))
        }
        Command::App(command) => ended(runtime.block_on(commands::app::app(command, &mut console))),
        Command::Lifeline(command) => {
            ended(runtime.block_on(commands::lifeline::lifeline(command, &mut console)))
        }
        Command::Msg(command) => {
            ended(runtime.block_on(commands::msg::message(command, &mut console)))
        }
        Command::Commitment(command) => {
            ended(commands::commitment::commitment(&command, &mut console))
        }
        Command::Verify(options) => ended(verify::verify(&options, &mut console)),
    };
    // A file that doesn't end (a pipe, a terminal) may still be being read.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((exit_code, error)) => {
            console.error(&error);
            ExitCode::from(exit_code)
        }
    }
}

fn ended(outcome: Result<(), Failure>) -> Result<(), (u8, String)> {
    outcome.map_err(|failure| (failure.exit_code(), failure.to_string()))
}
