//! Shows a licence or a credential to a verifier: proofs from the network, and a signature for the verifier's nonce.
//!
//! Proofs that an earlier file holds serve again while a verifier accepts their age (`--from`): no network is needed then.

use std::path::PathBuf;

use clap::Args;
use indus_api::identity::PersonView;
use indus_client::{Key, SuiteCanister};
use indus_verify::presentation::{
    Certificate, Challenge, Expected, Presentation, Shown, method_path,
};
use indus_verify::{TimeBound, Verifier};

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::Consent;
use crate::console::Console;
use crate::failure::Failure;
use crate::presentation;
use crate::sealed;
use crate::verify::{Nonce, nonce};
use crate::when;

#[derive(Args)]
pub(crate) struct Options {
    /// The nonce that the verifier gave you, in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Nonce,
    /// The name that the verifier gave you as its own.
    #[arg(long, value_name = "NAME", default_value = "")]
    verifier: String,
    /// Take the proofs out of an earlier file of this kind, without the network.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The file for the verifier, in place of what is there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Does it.
pub(crate) async fn present(
    network: &Network,
    consent: &Consent,
    shown: Shown,
    options: Options,
    console: &mut Console,
) -> Result<(), Failure> {
    let key = network.signing_key()?;
    let Nonce(nonce) = options.nonce;
    let challenge = Challenge::new(nonce, options.verifier)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let mut presentation = match &options.from {
        Some(path) => {
            let bytes = sealed::load(path).map_err(|error| Failure::file(path, error))?;
            let earlier =
                presentation::from_bytes(&bytes).map_err(|error| Failure::file(path, error))?;
            if earlier.shown != shown {
                return Err(Failure::file(path, "it shows something else"));
            }
            if earlier.public_key != key.public_key() {
                return Err(Failure::file(path, "it is signed by another key"));
            }
            Presentation {
                challenge,
                ..earlier
            }
        }
        None => proofs(network, &key, shown, challenge).await?,
    };
    let to_sign = presentation.to_sign();
    let mut about = words(&presentation);
    about.extend([
        ("signed_sha256", sheet::bytes(&to_sign.sha256())),
        ("signed_by", key.principal().to_text().into()),
    ]);
    consent.agree(about, network.json, console)?;
    presentation.signature = key.sign(&to_sign);
    if options.from.is_none() {
        check(network, &presentation)?;
    }
    presentation::save(&presentation, &options.out)
        .map_err(|error| Failure::file(&options.out, error))?;
    let written = options.out.display().to_string();
    sheet::show(vec![("written", written.into())], network.json, console);
    Ok(())
}

/// The proofs, and no signature yet.
async fn proofs(
    network: &Network,
    key: &Key,
    shown: Shown,
    challenge: Challenge,
) -> Result<Presentation, Failure> {
    let identity = network.signing_to("identity")?;
    let me: PersonView = identity
        .query_as_subject_unverified("my_person", &())
        .await
        .map_err(Failure::failed)?;
    // The canister knows this key, and lists it: the proof below says so, or there is none.
    let mine = me
        .methods
        .into_iter()
        .find(|listed| listed.method.key.principal == key.principal())
        .ok_or_else(|| Failure::Failed("identity does not list this key".into()))?;
    let method_key = mine.key.into_vec();
    let keeper = match shown {
        Shown::Licence { .. } => network.canister("license_manager")?,
        Shown::Credential { .. } => identity.clone(),
    };
    Ok(Presentation {
        shown,
        statement: certificate(&keeper, &shown.paths()).await?,
        holder: certificate(&identity, &[method_path(&method_key)]).await?,
        method_key,
        public_key: key.public_key(),
        challenge,
        signature: Vec::new(),
    })
}

async fn certificate(
    canister: &SuiteCanister,
    paths: &[Vec<serde_bytes::ByteBuf>],
) -> Result<Certificate, Failure> {
    let answer = canister.proof(paths).await.map_err(Failure::failed)?;
    Ok(Certificate {
        canister: canister.canister(),
        certificate: answer.certificate.into_vec(),
        witness: answer.witness.into_vec(),
    })
}

/// What a verifier will find, so that nobody is sent away with a file that is worth nothing.
fn check(network: &Network, presentation: &Presentation) -> Result<(), Failure> {
    let identity = network.canister("identity")?;
    let expected = Expected {
        canister: presentation.statement.canister,
        identity: identity.canister(),
        challenge: &presentation.challenge,
        now: when::now(),
        bound: TimeBound::within(indus_client::MAX_CERTIFICATE_AGE),
    };
    let root_key = identity.connection().trust().root_key.clone();
    let checked = presentation.verify(&Verifier::new(root_key), &expected);
    checked
        .map(|_| ())
        .map_err(|error| Failure::Failed(format!("there is nothing to show: {error}")))
}

fn words(presentation: &Presentation) -> Fields {
    let what = match presentation.shown {
        Shown::Licence { seat } => format!("the licence of seat {seat}"),
        Shown::Credential { id } => format!("credential {id}"),
    };
    let challenge = &presentation.challenge;
    vec![
        (
            "this_would",
            format!("Show a verifier that {what} is yours").into(),
        ),
        ("verifier", challenge.verifier().into()),
        ("nonce", sheet::bytes(challenge.nonce())),
        ("kept_by", presentation.statement.canister.to_text().into()),
        (
            "key_known_to",
            presentation.holder.canister.to_text().into(),
        ),
    ]
}
