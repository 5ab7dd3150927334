//! `indus commitment`: texts that were committed to.

use std::path::PathBuf;

use clap::Subcommand;

use crate::commands::committed::Commitment;
use crate::commands::sheet;
use crate::console::Console;
use crate::failure::Failure;

/// Texts that were committed to: what was written, and whether it is what was sent.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Checks a file, offline: shows the text, and the commitment that is in the record if this was sent.
    Check {
        /// The file, as the commands with --commitment write it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The commitment in the record: refuses another.
        #[arg(long, value_name = "HEX")]
        of: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub(crate) fn commitment(command: &Command, console: &mut Console) -> Result<(), Failure> {
    let Command::Check { file, of, json } = command;
    let kept = Commitment::load(file).map_err(|error| Failure::file(file, error))?;
    let hash = hex::encode(kept.hash());
    if let Some(of) = of
        && !of.eq_ignore_ascii_case(&hash)
    {
        let file = file.display();
        return Err(Failure::Failed(format!(
            "{file} is of the commitment {hash}"
        )));
    }
    let shown = vec![
        ("text", kept.text.clone().into()),
        ("salt", kept.salt().into()),
        ("commitment", hash.into()),
    ];
    sheet::show(shown, *json, console);
    Ok(())
}
