//! Records one real answer of the registry for the tests of `indus-verify`:
//!
//! ```text
//! cargo build --release --workspace --examples
//! target/release/examples/record_proof crates/verify/tests/fixtures/registry
//! ```
//!
//! Starts a subnet, registers a few organisations, reads one certified, and writes the root key, the certificate,
//! the witness, and what they are a proof of. Needs the programs and modules that `scripts/run` builds.

#![allow(clippy::unwrap_used)]

use std::{env, fs, path::PathBuf, time::SystemTime};

use candid::{Decode, Encode};
use end_to_end::Subnet;
use indus_api::{CertifiedRead, Error, registry::organisation_path};
use indus_client::Key;

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(env::args().nth(1).expect("the folder to write to"));
    let subnet = Subnet::start().await;
    let reader = subnet.anonymous();
    let mut last = 0;
    for slug in [
        "cabinet-division",
        "moitt",
        "nadra",
        "pta",
        "pda",
        "sbp",
        "secp",
    ] {
        let applicant = subnet.registry(&Key::generate());
        let applied = applicant
            .apply_for_organisation(&Subnet::profile(slug))
            .await
            .unwrap();
        subnet.carried(applied.application.unwrap()).await;
        last = applied.id;
    }
    let path = organisation_path(last / 2);
    let answer = reader
        .connection()
        .agent()
        .query(&reader.canister(), "certified_read")
        .with_arg(Encode!(&vec![path.clone()]).unwrap())
        .call()
        .await
        .unwrap();
    let read = Decode!(&answer, Result<CertifiedRead, Error>)
        .unwrap()
        .unwrap();

    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let meta = serde_json::json!({
        "canister": reader.canister().to_text(),
        "time_ns": time.as_nanos().to_string(),
        "path": path.iter().map(hex::encode).collect::<Vec<_>>(),
    });
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("root_key.der"), subnet.trust.root_key.as_der()).unwrap();
    fs::write(folder.join("certificate.cbor"), &read.certificate).unwrap();
    fs::write(folder.join("witness.cbor"), &read.witness).unwrap();
    fs::write(folder.join("meta.json"), format!("{meta:#}\n")).unwrap();
}
