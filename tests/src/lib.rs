//! What end-to-end tests start and look at: the built programs, a subnet with the registry on it, processes.
//!
//! Programs are those that cargo built beside the tests (`target/release/{localnet,indus,pocket-ic}`), modules those of
//! `scripts/build` (`target/canisters`). A test that misses one fails with the command that makes it.
//!
//! Invariant: a process that is started here ends with the test, however the test ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;
mod pocket;
mod processes;
mod subnet;
mod trapping;

pub use office::{Office, text};
pub use pocket::{application, pocket_ic, pocket_ic_server, server_url};
pub use processes::{Run, processes_with, signal, wait_until};
pub use subnet::{FOUNDERS, Subnet, bare, founding};
pub use trapping::{TrapsAt, trapping};

use std::path::{Path, PathBuf};

/// Folder of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the project")
        .into()
}

/// A program that cargo built: `localnet`, `indus` or `pocket-ic`.
pub fn program(name: &str) -> PathBuf {
    // A test runs from <target>/release/deps.
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .and_then(Path::parent)
        .expect("cargo's folders")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build --release --workspace --bins",
        path.display()
    );
    path
}

/// icp-cli, unmodified: that of npm, or the one in the PATH.
pub fn icp() -> PathBuf {
    let packaged = project().join("tests/node/node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("icp"));
    [packaged]
        .into_iter()
        .chain(in_path)
        .find(|program| program.is_file())
        .expect("there is no icp: npm ci in tests/node, or one of your own in the PATH")
}

/// The registry's module.
pub fn registry_module() -> Vec<u8> {
    module("registry", "scripts/build")
}

/// The module of identity.
pub fn identity_module() -> Vec<u8> {
    module("identity", "scripts/build")
}

/// The license manager's module.
pub fn license_manager_module() -> Vec<u8> {
    module("license_manager", "scripts/build")
}

/// The module of app_hosting.
pub fn app_hosting_module() -> Vec<u8> {
    module("app_hosting", "scripts/build")
}

/// An example app's module.
pub fn example_module(name: &str) -> Vec<u8> {
    let path = project()
        .join("target/examples")
        .join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: scripts/build-examples", path.display()))
}

/// The lifeline's module.
pub fn lifeline_module() -> Vec<u8> {
    module("lifeline", "scripts/build")
}

/// The module of messaging.
pub fn messaging_module() -> Vec<u8> {
    module("messaging", "scripts/build")
}

/// The module of the sample canister, which uses all of the kit.
pub fn sample_module() -> Vec<u8> {
    module("sample", "scripts/build sample")
}

/// Messaging with methods that falsify its logs.
pub fn cheating_module() -> Vec<u8> {
    module("cheating", "scripts/build cheating")
}

fn module(name: &str, made_by: &str) -> Vec<u8> {
    let path = project().join(format!("target/canisters/{name}.wasm.gz"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: {made_by} makes it", path.display()))
}
