//! `canister-module check FILE…`: would a subnet take these modules?

#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use canister_module::CanisterModule;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let files: Vec<String> = match args.next().as_deref() {
        Some("check") => args.collect(),
        _ => Vec::new(),
    };
    if files.is_empty() {
        eprintln!("usage: canister-module check FILE…");
        return ExitCode::from(2);
    }
    let mut refused = false;
    for file in files {
        let result = std::fs::read(&file)
            .map_err(|error| error.to_string())
            .and_then(|bytes| CanisterModule::parse(&bytes).map_err(|error| error.to_string()));
        match result {
            Ok(module) => println!("{file}: accepted, module hash {}", hex::encode(module.hash)),
            Err(reason) => {
                eprintln!("{file}: refused: {reason}");
                refused = true;
            }
        }
    }
    if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
