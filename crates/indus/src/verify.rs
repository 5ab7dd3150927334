//! `indus verify`: what a file proves, without a network.
//!
//! A proof says what is in a canister. A presentation says that a licence or a credential is valid, and theirs who shows it:
//! that takes more of the verifier, the nonce that it chose, a limit to the age of what it believes, and the canisters that
//! it counts on. A signed credential (a JWS) says that it is valid, and nothing of who shows it: that takes the limit, and the
//! canister.

mod presented;
mod signed;

pub(crate) use presented::{Nonce, nonce};

use std::path::PathBuf;
use std::time::Duration;

use candid::Principal;
use clap::Args;
use indus_verify::Time;
use indus_verify::signed_credential::SignedCredential;
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::labels;
use crate::presentation;
use crate::proof::{Proof, Proved, Statement};
use crate::root_key;
use crate::sealed::{self, Document};
use crate::when;

/// Verifies a proof, a presentation or a signed credential, offline: prints what it proves, or what is wrong with it.
#[derive(Args)]
pub(crate) struct Options {
    /// The file, as `indus prove`, `indus licence file`, `indus credential present` and `indus credential sign` write it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network's root key: DER, PEM, hexadecimal, or a trust file. Get it from somebody you trust.
    #[arg(long, value_name = "KEY_FILE")]
    root_key: PathBuf,
    /// Refuse a certificate that is older, such as 5m, 24h, 30d [default: any age; what is shown by its holder, or
    /// signed, needs a limit].
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    max_age: Option<Duration>,
    /// Refuse a file that is about another canister [default for a presentation: the one in the trust file].
    #[arg(long, value_name = "ID")]
    canister: Option<Principal>,
    #[command(flatten)]
    presented: presented::Options,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(crate) fn verify(options: &Options, console: &mut Console) -> Result<(), Failure> {
    let root_key = root_key::load(&options.root_key)?;
    let bytes = sealed::load(&options.file).map_err(|error| Failure::file(&options.file, error))?;
    if sealed::format(&bytes).as_deref() == Some(presentation::Document::FORMAT) {
        return presented::verify(options, root_key, &bytes, console);
    }
    if SignedCredential::looks_like_one(&bytes) {
        return signed::verify(options, root_key, &bytes, console);
    }
    if options.presented.are_given() {
        return Err(Failure::file(
            &options.file,
            "it is no presentation, which --nonce, --verifier and --identity are for",
        ));
    }
    let bound = when::bound(options.max_age);
    let proved = Proof::from_bytes(&bytes).and_then(|proof| {
        let now = when::now();
        proof.verify(root_key, options.canister, now, bound)
    });
    match proved {
        Ok(proved) if options.json => {
            console.line(document(&proved));
            Ok(())
        }
        Ok(proved) => {
            show(&proved, console);
            Ok(())
        }
        Err(error) => Err(unverified(options, &error.to_string(), console)),
    }
}

/// Says what is wrong with the file.
fn unverified(options: &Options, error: &str, console: &mut Console) -> Failure {
    if options.json {
        console.line(json!({ "verified": false, "error": error }));
    }
    let file = options.file.display();
    Failure::Failed(format!("{file} is not verified: {error}"))
}

/// What is proved, for people.
pub(crate) fn show(proved: &Proved, console: &mut Console) {
    console.line(format_args!("canister:    {}", proved.canister));
    console.line(format_args!("certified:   {}", certified(proved.time)));
    console.line(format_args!("signed by:   {}", signer(proved.subnet)));
    for Statement { path, found } in &proved.statements {
        let path = labels::shown(path);
        let Some(found) = found else {
            console.line(format_args!("absent:      {path}"));
            continue;
        };
        console.line(format_args!("present:     {path}"));
        console.line(format_args!("  leaf hash  {}", hex::encode(found.leaf)));
        match &found.candid {
            Some(text) => console.line(format_args!("  record     {text}")),
            None => console.line(format_args!("  bytes      {}", hex::encode(&found.bytes))),
        }
    }
    let count = proved.statements.len();
    console.line(format_args!("{count} of {count} paths are proved"));
}

/// When, and how long ago.
pub(crate) fn certified(time: Time) -> String {
    let age = when::shown_age(when::age(time));
    format!("{}, {age} ago", when::utc(time))
}

/// Who signed, for people.
pub(crate) fn signer(subnet: Option<Principal>) -> String {
    match subnet {
        Some(subnet) => format!("subnet {subnet}, in the name of the root key"),
        None => String::from("the root subnet itself"),
    }
}

/// What is proved, for programs.
fn document(proved: &Proved) -> Value {
    let statement = |Statement { path, found }: &Statement| {
        let path = labels::shown(path);
        match found {
            None => json!({ "path": path, "found": "absent" }),
            Some(found) => json!({
                "path": path,
                "found": "present",
                "leaf_hash": hex::encode(found.leaf),
                "bytes": hex::encode(&found.bytes),
                "candid": found.candid,
            }),
        }
    };
    let statements: Vec<Value> = proved.statements.iter().map(statement).collect();
    json!({
        "verified": true,
        "canister": proved.canister.to_text(),
        "subnet": proved.subnet.map(|subnet| subnet.to_text()),
        "certified_at": when::utc(proved.time),
        "certified_at_ns": proved.time.as_nanos().to_string(),
        "age_seconds": when::age(proved.time).as_secs(),
        "paths": statements,
    })
}
