//! Signed credentials: whether `identity` signs one.

use indus_verify::signed_credential::{ProvedCredential, SignedCredential};
use indus_verify::{RootKey, TimeBound, Verifier};
use sha2::{Digest, Sha256};

use super::presented::Canisters;
use super::{certified, signer, unverified};
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Does it, for the bytes of a JWS.
pub(super) fn verify(
    options: &super::Options,
    root_key: RootKey,
    bytes: &[u8],
    console: &mut Console,
) -> Result<(), Failure> {
    if options.presented.has_nonce() {
        return Err(Failure::file(
            &options.file,
            "it is a signed credential, in which nobody signs a nonce: ask for a presentation",
        ));
    }
    let Some(max_age) = options.max_age else {
        return Err(Failure::Usage(
            "a signed credential needs --max-age: what was taken back since then is not seen"
                .into(),
        ));
    };
    let given = options.canister.or(options.presented.identity());
    let identity = Canisters::of(&options.root_key).or(given, "identity", "--identity")?;
    let verifier = Verifier::new(root_key);
    let bound = TimeBound::within(max_age);
    let proved = SignedCredential::from_jws(bytes)
        .and_then(|signed| signed.verify(&verifier, identity, when::now(), bound));
    match proved {
        Ok(proved) => {
            show(&proved, options.json, console);
            Ok(())
        }
        Err(error) => Err(unverified(options, &error.to_string(), console)),
    }
}

fn show(proved: &ProvedCredential, json: bool, console: &mut Console) {
    let mut fields: Fields = vec![
        ("credential", proved.id.clone().into()),
        ("achievement", proved.name.clone().into()),
        ("issuer", proved.issuer.clone().into()),
        ("holder", proved.holder.clone().into()),
        ("issued_at", proved.valid_from.clone().into()),
        ("valid_until", proved.valid_until.clone().into()),
        ("json_sha256", sheet::bytes(&Sha256::digest(&proved.json))),
    ];
    if json {
        fields.insert(0, ("verified", true.into()));
        fields.push(("certified_at", when::utc(proved.certified_at).into()));
        let subnet = proved.subnet.map(|subnet| subnet.to_text());
        fields.push(("subnet", subnet.into()));
    } else {
        fields.push(("certified", certified(proved.certified_at).into()));
        fields.push(("certified_by", signer(proved.subnet).into()));
    }
    sheet::show(fields, json, console);
    if !json {
        console.line("valid; it is not proved that its holder shows it");
    }
}
