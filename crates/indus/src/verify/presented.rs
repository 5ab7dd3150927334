//! Presentations: whether a licence or a credential is valid, and theirs who shows it.

use std::path::Path;

use candid::Principal;
use clap::Args;
use indus_api::licences::Seat;
use indus_client::TrustFile;
use indus_verify::presentation::{Challenge, Expected, Presented, Shown, Valid};
use indus_verify::{RootKey, Time, TimeBound, Verifier};

use super::{certified, signer, unverified};
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::presentation;
use crate::when;

#[derive(Args)]
pub(crate) struct Options {
    /// For a presentation: the nonce that you gave the holder, in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// For a presentation: the name of yours that you gave the holder.
    #[arg(long, value_name = "NAME", requires = "nonce")]
    verifier: Option<String>,
    /// For a presentation and a signed credential: the canister that says whose keys are whose [default: identity in the trust file].
    #[arg(long, value_name = "ID")]
    identity: Option<Principal>,
}

/// The bytes of a nonce. A type of its own: clap takes a list of bytes for a list of values.
#[derive(Clone)]
pub(crate) struct Nonce(pub(crate) Vec<u8>);

/// Reads a nonce.
pub(crate) fn nonce(text: &str) -> Result<Nonce, String> {
    let bytes = hex::decode(text).map_err(|error| format!("it is not hexadecimal: {error}"))?;
    // The rules of the challenge, before anything is asked for.
    match Challenge::new(bytes.clone(), String::new()) {
        Ok(_) => Ok(Nonce(bytes)),
        Err(error) => Err(error.to_string()),
    }
}

impl Options {
    /// Whether something is given that is for presentations only.
    pub(super) fn are_given(&self) -> bool {
        self.nonce.is_some() || self.identity.is_some()
    }

    /// Whether a nonce is given: whoever gave one to a holder wants to see it signed.
    pub(super) fn has_nonce(&self) -> bool {
        self.nonce.is_some()
    }

    pub(super) fn identity(&self) -> Option<Principal> {
        self.identity
    }
}

/// Does it, for the bytes of a presentation.
pub(super) fn verify(
    options: &super::Options,
    root_key: RootKey,
    bytes: &[u8],
    console: &mut Console,
) -> Result<(), Failure> {
    let missing = |what: &str| Failure::Usage(format!("a presentation needs {what}"));
    let Some(Nonce(nonce)) = options.presented.nonce.clone() else {
        return Err(missing("--nonce: the one that you gave its holder"));
    };
    let Some(max_age) = options.max_age else {
        return Err(missing(
            "--max-age: what was taken back since then is not seen",
        ));
    };
    let name = options.presented.verifier.clone().unwrap_or_default();
    let challenge =
        Challenge::new(nonce, name).map_err(|error| Failure::Usage(error.to_string()))?;
    let presentation = match presentation::from_bytes(bytes) {
        Ok(presentation) => presentation,
        Err(error) => return Err(unverified(options, &error.to_string(), console)),
    };
    let canisters = Canisters::of(&options.root_key);
    let identity = canisters.or(options.presented.identity, "identity", "--identity")?;
    let canister = match presentation.shown {
        Shown::Licence { .. } => canisters.or(options.canister, "license_manager", "--canister")?,
        Shown::Credential { .. } => options.canister.unwrap_or(identity),
    };
    let expected = Expected {
        canister,
        identity,
        challenge: &challenge,
        now: when::now(),
        bound: TimeBound::within(max_age),
    };
    match presentation.verify(&Verifier::new(root_key), &expected) {
        Ok(presented) => {
            show(&presented, canister, options.json, console);
            Ok(())
        }
        Err(error) => Err(unverified(options, &error.to_string(), console)),
    }
}

/// The canisters that the verifier counts on, if its root key is in a trust file.
pub(super) struct Canisters(Option<TrustFile>);

impl Canisters {
    pub(super) fn of(root_key: &Path) -> Self {
        Self(TrustFile::load(root_key).ok())
    }

    /// The one that is given, or else the one with this name.
    pub(super) fn or(
        &self,
        given: Option<Principal>,
        name: &str,
        option: &str,
    ) -> Result<Principal, Failure> {
        let trusted = || self.0.as_ref().and_then(|trust| trust.canister(name).ok());
        given.or_else(trusted).ok_or_else(|| {
            Failure::Usage(format!(
                "name the canister {name} with {option}, or a trust file that has it with --root-key"
            ))
        })
    }
}

fn show(presented: &Presented, canister: Principal, json: bool, console: &mut Console) {
    let mut fields = match &presented.what {
        Valid::Licence(seat) => licence(seat),
        Valid::Credential(credential) => vec![
            ("credential", credential.id.into()),
            ("achievement", credential.achievement.name.clone().into()),
            ("programme", credential.achievement.programme.clone().into()),
            ("issued_by_organisation", credential.organisation.into()),
            ("issued_at", sheet::time(credential.issued_at_ns)),
            (
                "valid_until",
                credential.valid_until_ns.map(sheet::time).into(),
            ),
            ("json_sha256", sheet::bytes(&credential.json_hash)),
        ],
    };
    fields.extend([
        ("holder", presented.method.person.to_text().into()),
        (
            "signed_by_key",
            presented.method.key.principal.to_text().into(),
        ),
        ("canister", canister.to_text().into()),
    ]);
    if json {
        fields.insert(0, ("verified", true.into()));
        fields.push(("certified_at", time(presented.certified_at)));
        fields.push(("holder_certified_at", time(presented.holder_certified_at)));
        fields.push((
            "subnet",
            presented.subnet.map(|subnet| subnet.to_text()).into(),
        ));
    } else {
        let at = certified(presented.certified_at);
        fields.push(("certified", at.into()));
        let at = certified(presented.holder_certified_at);
        fields.push(("holder_certified", at.into()));
        fields.push(("certified_by", signer(presented.subnet).into()));
    }
    sheet::show(fields, json, console);
    if !json {
        console.line("valid, and shown by its holder for this nonce");
    }
}

fn time(time: Time) -> serde_json::Value {
    when::utc(time).into()
}

fn licence(seat: &Seat) -> Fields {
    vec![
        ("licence", format!("seat {}", seat.seat).into()),
        ("audience", format!("{:?}", seat.audience).into()),
        ("sector", format!("{:?}", seat.sector).into()),
        ("application", seat.application.into()),
        ("valid_until", sheet::time(seat.ends_at_ns())),
    ]
}
