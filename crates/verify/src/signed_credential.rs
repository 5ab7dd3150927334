//! Credentials as files of their own: a compact JWS (RFC 7515) that `identity` signs.
//!
//! ```text
//! base64url(header) "." base64url(JSON of the credential) "." base64url(canister signature)
//! ```
//!
//! What it proves, and what a [presentation](crate::presentation) proves besides: that the canister stands by the credential
//! as of the certificate's time, hence that it was not revoked then. Not that whoever shows it is the holder.
//!
//! The header is a hint for verifiers that know nothing yet. Here the caller says which canister counts, and the header has to
//! be of its key: it is under the signature, as the JSON is.
//!
//! Source: [`indus_api::identity::credential`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use candid::Principal;
use indus_api::identity::Credential;
use indus_api::identity::credential::signed_message;
use indus_api::signatures::{SEED, public_key};
use indus_api::time::rfc3339;
use serde::Deserialize;
use thiserror::Error;

use crate::canister_signature;
use crate::error::VerifyError;
use crate::time::{Time, TimeBound};
use crate::verifier::Verifier;

/// Longest JWS, in bytes: those of `identity` have a tenth of it.
pub const MAX_JWS_BYTES: usize = 1024 * 1024;

/// A signed credential, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCredential {
    signing_input: String,
    header: Header,
    json: Vec<u8>,
    claims: Claims,
    signature: Vec<u8>,
}

/// What a signed credential proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedCredential {
    /// The credential, exactly as it was issued: Open Badges 3.0.
    pub json: Vec<u8>,
    /// Its id, a URN that names the canister.
    pub id: String,
    /// The organisation that issued it, a URN that names the registry.
    pub issuer: String,
    /// Its holder, a URN that names the canister.
    pub holder: String,
    /// The name of what was achieved.
    pub name: String,
    /// RFC 3339.
    pub valid_from: String,
    /// RFC 3339; none for ever.
    pub valid_until: Option<String>,
    /// The subnet that signed; none is the root subnet.
    pub subnet: Option<Principal>,
    /// When it was certified to be signed, and so not to be revoked.
    pub certified_at: Time,
}

/// Why a signed credential proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignedCredentialError {
    /// It is not three parts of base64url, of JSON, JSON and bytes.
    #[error("it is no signed credential: {reason}")]
    Malformed { reason: &'static str },
    /// It is not of the canister that counts.
    #[error("its header does not name the key of canister {expected}")]
    OtherKey { expected: Principal },
    /// The signature proves nothing.
    #[error("the signature is not proved: {0}")]
    Unproved(#[from] VerifyError),
    /// It has ended.
    #[error("it ended at {ended}, and has to be valid at {at}")]
    Ended { ended: String, at: String },
}

/// The fields that are checked; all of it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Header {
    alg: String,
    jwk: Jwk,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Jwk {
    kty: String,
    alg: String,
    k: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    id: String,
    name: String,
    issuer: Named,
    valid_from: String,
    valid_until: Option<String>,
    credential_subject: Named,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Named {
    id: String,
}

/// The JWS of a credential, where the certificate and the witness prove the path of what is signed
/// ([`indus_api::signatures::path`]). Nothing is verified.
///
/// Errors: [`VerifyError::Malformed`] for a witness that is no self-described CBOR.
pub fn to_jws(
    credential: &Credential,
    certificate: &[u8],
    witness: &[u8],
) -> Result<String, VerifyError> {
    let mut jws = credential.signing_input().unwrap_or_default();
    jws.push('.');
    let signature = canister_signature::encode(certificate, witness)?;
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    Ok(jws)
}

impl SignedCredential {
    /// Whether bytes look like a JWS: they begin as the base64url of a JSON object does.
    #[must_use]
    pub fn looks_like_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"eyJ")
    }

    /// Reads a compact JWS of at most [`MAX_JWS_BYTES`]. White space at its end is left alone.
    ///
    /// Errors: [`SignedCredentialError::Malformed`].
    pub fn from_jws(bytes: &[u8]) -> Result<Self, SignedCredentialError> {
        let malformed = |reason| SignedCredentialError::Malformed { reason };
        if bytes.len() > MAX_JWS_BYTES {
            return Err(malformed("it is too long"));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("it is no text"))?;
        let text = text.trim_ascii_end();
        let parts: Vec<&str> = text.split('.').collect();
        let [header, json, signature] = parts[..] else {
            return Err(malformed("it does not have three parts"));
        };
        let decode = |part: &str, reason| {
            let bytes = URL_SAFE_NO_PAD.decode(part);
            bytes.map_err(|_| malformed(reason))
        };
        let json = decode(json, "its JSON is no base64url")?;
        let header_json = decode(header, "its header is no base64url")?;
        Ok(Self {
            signing_input: text[..text.len() - signature.len() - 1].into(),
            header: serde_json::from_slice(&header_json)
                .map_err(|_| malformed("its header is none of a credential"))?,
            claims: serde_json::from_slice(&json)
                .map_err(|_| malformed("its JSON is no credential"))?,
            json,
            signature: decode(signature, "its signature is no base64url")?,
        })
    }

    /// Verifies all of it: that `canister`, an `identity`, signed it, and that it has not ended.
    ///
    /// Errors: what is wrong.
    pub fn verify(
        self,
        verifier: &Verifier,
        canister: Principal,
        now: Time,
        bound: TimeBound,
    ) -> Result<ProvedCredential, SignedCredentialError> {
        let Header { alg, jwk } = &self.header;
        let key = URL_SAFE_NO_PAD.encode(public_key(canister));
        let expected = ["IcCs", "oct", "IcCs", &key];
        if [alg, &jwk.kty, &jwk.alg, &jwk.k] != expected {
            return Err(SignedCredentialError::OtherKey { expected: canister });
        }
        let message = signed_message(&self.signing_input);
        let certificate =
            verifier.canister_signature(canister, SEED, &message, &self.signature, now, bound)?;
        let claims = self.claims;
        for time in [certificate.time(), now] {
            // Both are RFC 3339 in whole seconds of UTC with four digits for the year: their order is that of the texts.
            let at = rfc3339(time.as_nanos());
            if let Some(ended) = claims.valid_until.clone().filter(|ended| *ended <= at) {
                return Err(SignedCredentialError::Ended { ended, at });
            }
        }
        Ok(ProvedCredential {
            json: self.json,
            id: claims.id,
            issuer: claims.issuer.id,
            holder: claims.credential_subject.id,
            name: claims.name,
            valid_from: claims.valid_from,
            valid_until: claims.valid_until,
            subnet: certificate.subnet(),
            certified_at: certificate.time(),
        })
    }
}
