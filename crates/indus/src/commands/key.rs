//! `indus key`: the keys that calls are signed with.

use std::path::PathBuf;

use clap::Subcommand;

use crate::console::Console;
use crate::failure::Failure;
use crate::key_file;

/// Key files: make one, or show whom it stands for.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Writes a fresh Ed25519 key into a new file that only its owner can read, and prints its principal.
    New {
        /// The file; it must not be there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the principal of a key.
    Show {
        /// The file, as `indus key new` writes it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Does it.
pub(crate) fn key(command: &Command, console: &mut Console) -> Result<(), Failure> {
    let (file, key) = match command {
        Command::New { file } => (file, key_file::write(file)),
        Command::Show { file } => (file, key_file::read(file)),
    };
    let key = key.map_err(|error| Failure::file(file, error))?;
    console.line(key.principal());
    Ok(())
}
