//! Proofs to verify and to break: one that is made here, and those in `tests/fixtures`.
//!
//! ```text
//! tests/fixtures/<name>/root_key.der       what to verify against: 133 bytes
//!                       certificate.cbor   of the canister
//!                       witness.cbor       optional: of the canister's own tree
//!                       meta.json          { "canister": text, "time_ns": text of a number,
//!                                            "path": [hex, …] of a leaf in the witness, if there is one }
//! ```

use std::fs;
use std::path::Path;

use candid::Principal;
use indus_verify::{RootKey, Time, VerifiedCertificate, Verifier, VerifyError};
use serde_json::Value;

use crate::network::{self, BOUND, KEY, NOW, Network};

pub(crate) struct Evidence {
    pub(crate) name: String,
    pub(crate) verifier: Verifier,
    pub(crate) certificate: Vec<u8>,
    pub(crate) canister: Principal,
    pub(crate) time: Time,
    /// A witness, and the path of a leaf in it.
    pub(crate) witness: Option<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl Evidence {
    pub(crate) fn verify(&self, certificate: &[u8]) -> Result<VerifiedCertificate, VerifyError> {
        self.verifier
            .certificate(certificate, self.canister, self.time, BOUND)
    }
}

/// What the network of the tests certifies.
pub(crate) fn made() -> Evidence {
    let network = Network::new();
    Evidence {
        name: String::from("made for the tests"),
        verifier: network.verifier(),
        certificate: network.certificate(),
        canister: network.canister,
        time: Time::from_nanos(NOW),
        witness: Some((
            network.witness(),
            network::path(&[b"data", b"greetings", &KEY]),
        )),
    }
}

/// What other networks certified.
pub(crate) fn recorded() -> Vec<Evidence> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut recorded: Vec<Evidence> = fs::read_dir(&fixtures)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| read(&path))
        .collect();
    recorded.sort_by(|a, b| a.name.cmp(&b.name));
    recorded
}

fn read(folder: &Path) -> Evidence {
    let bytes = |file: &str| fs::read(folder.join(file)).unwrap();
    let meta: Value = serde_json::from_slice(&bytes("meta.json")).unwrap();
    let witness = folder.join("witness.cbor").exists().then(|| {
        let labels = meta["path"].as_array().unwrap();
        let path = labels
            .iter()
            .map(|label| hex::decode(label.as_str().unwrap()).unwrap())
            .collect();
        (bytes("witness.cbor"), path)
    });
    Evidence {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        verifier: Verifier::new(RootKey::from_der(&bytes("root_key.der")).unwrap()),
        certificate: bytes("certificate.cbor"),
        canister: Principal::from_text(meta["canister"].as_str().unwrap()).unwrap(),
        time: Time::from_nanos(meta["time_ns"].as_str().unwrap().parse().unwrap()),
        witness,
    }
}
