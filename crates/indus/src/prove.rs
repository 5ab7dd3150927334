//! `indus prove`: asks a canister for a proof, verifies it, and writes it into a file.

use std::path::PathBuf;

use candid::Principal;
use clap::Args;
use indus_client::{Connection, Url};
use serde_bytes::ByteBuf;

use crate::console::Console;
use crate::failure::Failure;
use crate::labels::{self, Labels};
use crate::proof::{Proof, check_paths};
use crate::root_key;
use crate::verify;
use crate::when;

/// Asks a canister what is at some paths, verifies the answer, and keeps it as a proof file.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the network's HTTP interface is, such as http://127.0.0.1:8000.
    #[arg(long, value_name = "URL")]
    url: Url,
    /// The network's root key: DER, PEM, hexadecimal, or a trust file. Get it from somebody you trust.
    #[arg(long, value_name = "KEY_FILE")]
    root_key: PathBuf,
    /// The canister.
    #[arg(long, value_name = "ID")]
    canister: Principal,
    /// What to prove, such as data/organisations/u64:7 or data/governors/principal:ID.
    #[arg(value_name = "PATH", required = true, value_parser = labels::parse)]
    paths: Vec<Labels>,
    /// Where the proof is written, in place of what is there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Does it.
pub(crate) async fn prove(options: Options, console: &mut Console) -> Result<(), Failure> {
    check_paths(&options.paths).map_err(Failure::Usage)?;
    let root_key = root_key::load(&options.root_key)?;
    let connection = Connection::to_subnet_of(options.canister, options.url, root_key.clone())
        .await
        .map_err(Failure::failed)?;
    let asked: Vec<Vec<ByteBuf>> = options
        .paths
        .iter()
        .map(|path| path.iter().cloned().map(ByteBuf::from).collect())
        .collect();
    let answer = connection
        .certified_read_unverified(options.canister, &asked)
        .await
        .map_err(Failure::failed)?;
    connection
        .verify(options.canister, "certified_read", &answer)
        .map_err(Failure::failed)?;
    let proof = Proof {
        canister: options.canister,
        paths: options.paths,
        certificate: answer.certificate.into_vec(),
        witness: answer.witness.into_vec(),
    };
    let bound = when::bound(None);
    let proved = proof
        .verify(root_key, None, when::now(), bound)
        .map_err(Failure::failed)?;
    proof
        .save(&options.out)
        .map_err(|error| Failure::file(&options.out, error))?;
    verify::show(&proved, console);
    console.line(format_args!("written:     {}", options.out.display()));
    Ok(())
}
