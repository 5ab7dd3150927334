//! Assembles a module in the WebAssembly text format, for tests that are not written in Rust.
//!
//!   assemble FILE.wat FILE.wasm

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [text, module] = &arguments[..] else {
        return Err("usage: assemble FILE.wat FILE.wasm".into());
    };
    fs::write(module, wat::parse_str(fs::read_to_string(text)?)?)?;
    Ok(())
}
