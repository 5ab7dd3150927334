//! Writes what Node needs to load the verifier: `bindings <module.wasm> <folder>` makes `indus_verify.js` with its
//! module and its TypeScript declarations in the folder.
//!
//! The library of wasm-bindgen's own command is a dependency, so that its version is always that of the module.

use std::env;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(module), Some(folder), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        anyhow::bail!("usage: bindings <module.wasm> <folder>");
    };
    Bindgen::new()
        .input_path(&module)
        .out_name("indus_verify")
        .nodejs(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&folder)
        .with_context(|| format!("can't make bindings of {}", module.display()))
}
