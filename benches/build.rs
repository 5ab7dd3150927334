//! Lets several canisters be linked into one program.
//!
//! Each defines its endpoints by the same names (`canister_query.service_info`), as a module has to. Nobody calls them here:
//! the benchmarks use the plain functions behind them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg=-Wl,--allow-multiple-definition");
}
