//! Calls that somebody signs: shown in words, with the hash of what is signed, and confirmed.
//!
//! Invariant: nothing is signed without a yes: `--yes`, or the answer of a person at a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use candid::CandidType;
use clap::Args;
use indus_client::SuiteCanister;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Consent {
    /// Sign without asking.
    #[arg(long, global = true)]
    yes: bool,
}

/// Signs calls to one canister.
pub(crate) struct Signing {
    pub(crate) canister: SuiteCanister,
    name: &'static str,
    yes: bool,
    json: bool,
}

impl Signing {
    /// With the key of the command line, to the canister that the trust file calls `name`.
    pub(crate) fn new(
        network: &Network,
        consent: &Consent,
        name: &'static str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            canister: network.signing_to(name)?,
            name,
            yes: consent.yes,
            json: network.json,
        })
    }

    /// Shows what a call would do, asks, and makes it.
    pub(crate) async fn call<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        argument: &impl CandidType,
        sentence: &str,
        about: Fields,
        console: &mut Console,
    ) -> Result<T, Failure> {
        let bytes = candid::encode_one(argument).map_err(Failure::failed)?;
        let mut shown: Fields = vec![("this_would", sentence.into())];
        shown.extend(about);
        let caller = self.canister.connection().caller();
        shown.extend([
            ("call", format!("{} of {}", method, self.name).into()),
            ("argument_sha256", sheet::bytes(&Sha256::digest(bytes))),
            ("signed_by", caller.to_text().into()),
        ]);
        agree(shown, self.yes, self.json, console)?;
        let answer = self.canister.update(method, argument).await;
        answer.map_err(Failure::failed)
    }
}

/// Shows what is signed, and asks unless `yes` says so. Programs that say yes get one document, the outcome.
pub(crate) fn agree(
    shown: Fields,
    yes: bool,
    json: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    if !(json && yes) {
        sheet::show(shown, false, console);
    }
    if yes {
        if !json {
            // What comes of it is another sheet.
            console.line("");
        }
        return Ok(());
    }
    confirm("Sign this, exactly as above?", "signing", "not signed")
}

impl Consent {
    /// [`agree`] for this command line.
    pub(crate) fn agree(
        &self,
        shown: Fields,
        json: bool,
        console: &mut Console,
    ) -> Result<(), Failure> {
        agree(shown, self.yes, json, console)
    }
}

/// Asks the person at the terminal: `question`, for what is called `doing`, and `refused` without a yes.
pub(crate) fn confirm(question: &str, doing: &str, refused: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{doing} needs a yes: --yes, or a terminal to ask at"
        )));
    }
    let mut terminal = io::stderr().lock();
    let mut answer = String::new();
    let asked = write!(terminal, "{question} Type yes: ")
        .and_then(|()| terminal.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    match asked {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        Ok(_) => Err(Failure::Failed(refused.into())),
        Err(error) => Err(Failure::failed(error)),
    }
}
