//! Credentials: what somebody achieved, said by an organisation, provable without asking anybody.
//!
//! ```text
//! JSON (Open Badges 3.0, W3C VC Data Model 2.0) ── SHA-256 ──┐
//!                                                            ├─ leaf `credentials`/id ── witness ── certificate ── root key
//! holder's method key ── signs the verifier's nonce          │  absence of `revoked_credentials`/id ──┘
//!     └─ leaf of the method ── person ───────────────────────┘
//! ```
//!
//! The JSON follows from the leaf ([`Credential::json`]), byte by byte, so canister, holder and verifier make the same one.
//! A verifier checks, offline: both leaves and the absence in certificates young enough for it (`indus-verify`); that the
//! JSON is the leaf's ([`Credential::check`]); that the key of the holder's method leaf signed its nonce, and that this
//! leaf names the credential's holder. Presenting is between holder and verifier: no canister learns of it.
//!
//! The JSON holds no `proof`. It is secured by the certificate that shows its leaf, and for those who know no such leaf by a
//! signature of the canister around it ([`Credential::signed_message`]): a compact JWS (RFC 7515), as
//! "Securing Verifiable Credentials using JOSE and COSE" has it, with the algorithm `IcCs` of the Internet Computer's
//! credentials.
//!
//! ```text
//! header  {"alg":"IcCs","typ":"vc+jwt","kid":"did:icp:CANISTER","nonce":SALT,"jwk":{"kty":"oct","alg":"IcCs","k":PUBLIC KEY}}
//! signed  \x1a "iccs_verifiable_credential" base64url(header) "." base64url(JSON)
//! JWS     base64url(header) "." base64url(JSON) "." base64url(canister signature)
//! ```
//! The salt is the leaf's: without it, who knows all persons and programmes could find out from the public hashes of what is
//! signed who achieved what.
//!
//! Sources: Open Badges 3.0 (1EdTech), sections B.1 and following; W3C Verifiable Credentials Data Model 2.0; RFC 7515 and
//! 7517; [`signatures`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use super::{Revocation, RevocationReason};
use crate::{signatures, time::rfc3339};

/// Longest slug of a programme, in bytes.
pub const MAX_PROGRAMME_BYTES: usize = 64;
/// Longest name of an achievement, in bytes.
pub const MAX_NAME_BYTES: usize = 100;
/// Longest description of an achievement, and longest criteria, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 1_000;

/// Canister signatures, among the algorithms of JWS.
const ALGORITHM: &str = "IcCs";
/// What stands in front of everything that is signed with the algorithm `IcCs`: its length, and its name.
const SIGNING_DOMAIN: &[u8; 27] = b"\x1aiccs_verifiable_credential";

/// What was achieved: the issuer's public text about its programme, never about the holder.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Achievement {
    /// Names it among the issuer's programmes: a slug of at most [`MAX_PROGRAMME_BYTES`].
    pub programme: String,
    /// Written like a name, at most [`MAX_NAME_BYTES`].
    pub name: String,
    /// Written like a name, at most [`MAX_DESCRIPTION_BYTES`].
    pub description: String,
    /// What it takes, written like a name, at most [`MAX_DESCRIPTION_BYTES`].
    pub criteria: String,
}

/// A credential. All of its JSON follows from it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: u64,
    /// The canister that keeps it.
    pub canister: Principal,
    /// The registry that knows the issuer.
    pub registry: Principal,
    /// The organisation that issued it.
    pub organisation: u64,
    /// The holder's person.
    pub holder: Principal,
    pub achievement: Achievement,
    pub issued_at_ns: u64,
    /// Until when it says something, if not for ever.
    pub valid_until_ns: Option<u64>,
    /// SHA-256 of the exact bytes of its JSON.
    pub json_hash: ByteBuf,
    pub salt: ByteBuf,
}

/// The certified leaf of a credential.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CredentialRecord {
    V1(Credential),
}

/// That a credential no longer holds.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedCredential {
    pub id: u64,
    /// The organisation that issued it.
    pub organisation: u64,
    /// By the official's person.
    pub revocation: Revocation,
}

/// The certified leaf of a revoked credential.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum RevokedCredentialRecord {
    V1(RevokedCredential),
}

/// A credential as its holder sees it. Not certified.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CredentialView {
    pub credential: Credential,
    pub json: ByteBuf,
    pub revoked: Option<RevokedCredential>,
}

/// Issues a credential in the name of the caller's organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct IssueArgs {
    /// 1 to 64 bytes: the same key gives the same credential again.
    pub idempotency_key: ByteBuf,
    pub holder: Principal,
    pub achievement: Achievement,
    /// In the future.
    pub valid_until_ns: Option<u64>,
}

/// Takes a credential back.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeCredentialArgs {
    pub id: u64,
    pub reason: RevocationReason,
}

impl Credential {
    /// Its JSON: the same bytes wherever it is made. None never happens: no text fails to be JSON.
    #[must_use]
    pub fn json(&self) -> Option<Vec<u8>> {
        let urn =
            |canister: Principal, what: &str, id: &str| format!("urn:indus:{canister}:{what}:{id}");
        let organisation = self.organisation.to_string();
        let issuer = urn(self.registry, "organisation", &organisation);
        let Achievement {
            programme,
            name,
            description,
            criteria,
        } = &self.achievement;
        let json = Json {
            context: [
                "https://www.w3.org/ns/credentials/v2",
                "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
            ],
            id: urn(self.canister, "credential", &self.id.to_string()),
            kind: ["VerifiableCredential", "OpenBadgeCredential"],
            name,
            issuer: Issuer {
                id: &issuer,
                kind: ["Profile"],
            },
            valid_from: rfc3339(self.issued_at_ns),
            valid_until: self.valid_until_ns.map(rfc3339),
            credential_subject: Holder {
                id: urn(self.canister, "person", &self.holder.to_text()),
                kind: ["AchievementSubject"],
                achievement: JsonAchievement {
                    id: format!("{issuer}:programme:{programme}"),
                    kind: ["Achievement"],
                    name,
                    description,
                    criteria: Criteria {
                        narrative: criteria,
                    },
                },
            },
        };
        serde_json::to_vec(&json).ok()
    }

    /// Header and JSON, as a JWS has them in front of its signature. None never happens, as with [`Credential::json`].
    #[must_use]
    pub fn signing_input(&self) -> Option<String> {
        let header = Header {
            alg: ALGORITHM,
            typ: "vc+jwt",
            kid: format!("did:icp:{}", self.canister),
            nonce: URL_SAFE_NO_PAD.encode(&self.salt),
            jwk: Key {
                kty: "oct",
                alg: ALGORITHM,
                k: URL_SAFE_NO_PAD.encode(signatures::public_key(self.canister)),
            },
        };
        let mut input = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).ok()?);
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(self.json()?, &mut input);
        Some(input)
    }

    /// What the canister signs ([`signatures`]).
    #[must_use]
    pub fn signed_message(&self) -> Option<Vec<u8>> {
        self.signing_input().map(|input| signed_message(&input))
    }

    /// Whether these bytes are its JSON, and its hash is of them.
    #[must_use]
    pub fn check(&self, json: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(json).into();
        self.json_hash.as_slice() == digest && self.json().as_deref() == Some(json)
    }

    /// Whether it says something at this time, unless it is revoked.
    #[must_use]
    pub fn is_valid(&self, time_ns: u64) -> bool {
        self.issued_at_ns <= time_ns && self.valid_until_ns.is_none_or(|until| time_ns < until)
    }
}

/// What is signed where this stands in front of the signature of a JWS.
#[must_use]
pub fn signed_message(signing_input: &str) -> Vec<u8> {
    [&SIGNING_DOMAIN[..], signing_input.as_bytes()].concat()
}

/// The header of the JWS, its fields in their order.
#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    kid: String,
    nonce: String,
    jwk: Key,
}

#[derive(Serialize)]
struct Key {
    kty: &'static str,
    alg: &'static str,
    k: String,
}

/// The JSON, its fields in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    #[serde(rename = "@context")]
    context: [&'static str; 2],
    id: String,
    #[serde(rename = "type")]
    kind: [&'static str; 2],
    name: &'a str,
    issuer: Issuer<'a>,
    valid_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    credential_subject: Holder<'a>,
}

#[derive(Serialize)]
struct Issuer<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: [&'static str; 1],
}

#[derive(Serialize)]
struct Holder<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: [&'static str; 1],
    achievement: JsonAchievement<'a>,
}

#[derive(Serialize)]
struct JsonAchievement<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: [&'static str; 1],
    name: &'a str,
    description: &'a str,
    criteria: Criteria<'a>,
}

#[derive(Serialize)]
struct Criteria<'a> {
    narrative: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        let mut credential = Credential {
            id: 7,
            canister: Principal::from_slice(&[1, 1]),
            registry: Principal::from_slice(&[2, 1]),
            organisation: 3,
            holder: Principal::from_slice(&[3, 0x7f]),
            achievement: Achievement {
                programme: "rust-2026".into(),
                name: "Rust \"foundations\"".into(),
                description: "Six weeks of Rust.".into(),
                criteria: "Attends, and passes.".into(),
            },
            issued_at_ns: 1_795_551_192_999_999_999,
            valid_until_ns: None,
            json_hash: ByteBuf::new(),
            salt: ByteBuf::from([0; 16]),
        };
        let json = credential.json().unwrap_or_default();
        credential.json_hash = ByteBuf::from(Sha256::digest(json).to_vec());
        credential
    }

    #[test]
    fn the_json_is_these_bytes_for_ever() {
        let json = credential().json().unwrap_or_default();
        assert_eq!(
            String::from_utf8_lossy(&json),
            concat!(
                r#"{"@context":["https://www.w3.org/ns/credentials/v2","#,
                r#""https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"],"#,
                r#""id":"urn:indus:f7crg-kabae:credential:7","#,
                r#""type":["VerifiableCredential","OpenBadgeCredential"],"#,
                r#""name":"Rust \"foundations\"","#,
                r#""issuer":{"id":"urn:indus:atueb-2ycae:organisation:3","type":["Profile"]},"#,
                r#""validFrom":"2026-11-24T20:13:12Z","#,
                r#""credentialSubject":{"id":"urn:indus:f7crg-kabae:person:vjhc3-eidp4","#,
                r#""type":["AchievementSubject"],"achievement":{"#,
                r#""id":"urn:indus:atueb-2ycae:organisation:3:programme:rust-2026","#,
                r#""type":["Achievement"],"name":"Rust \"foundations\"","description":"Six weeks of Rust.","#,
                r#""criteria":{"narrative":"Attends, and passes."}}}}"#,
            )
        );
    }

    #[test]
    fn a_verifier_accepts_the_exact_json_and_nothing_else() {
        let credential = credential();
        let json = credential.json().unwrap_or_default();
        assert!(credential.check(&json));
        for place in 0..json.len() {
            let mut other = json.clone();
            other[place] ^= 1;
            assert!(!credential.check(&other), "{place}");
        }
        let renamed = Credential {
            holder: Principal::from_slice(&[4, 0x7f]),
            ..credential
        };
        assert!(!renamed.check(&json));
    }

    #[test]
    fn what_is_signed_is_these_bytes_for_ever() {
        let message = credential().signed_message().unwrap_or_default();
        let message = String::from_utf8(message).unwrap_or_default();
        let input = message.strip_prefix("\u{1a}iccs_verifiable_credential");
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let parts: Vec<Vec<u8>> = input.unwrap_or_default().split('.').map(decode).collect();
        let [header, json] = &parts[..] else {
            panic!("{message}");
        };
        assert_eq!(
            String::from_utf8_lossy(header),
            concat!(
                r#"{"alg":"IcCs","typ":"vc+jwt","kid":"did:icp:f7crg-kabae","#,
                r#""nonce":"AAAAAAAAAAAAAAAAAAAAAA","#,
                r#""jwk":{"kty":"oct","alg":"IcCs","k":"MBkwDAYKKwYBBAGDuEMBAgMJAAIBAWluZHVz"}}"#,
            )
        );
        assert_eq!(Some(json), credential().json().as_ref());
        let salted = Credential {
            salt: ByteBuf::from([1; 16]),
            ..credential()
        };
        assert_ne!(salted.signed_message(), credential().signed_message());
    }

    #[test]
    fn a_credential_says_something_from_its_issue_to_its_end() {
        let limited = Credential {
            issued_at_ns: 10,
            valid_until_ns: Some(20),
            ..credential()
        };
        let valid = [9, 10, 19, 20].map(|time_ns| limited.is_valid(time_ns));
        assert_eq!(valid, [false, true, true, false]);
    }
}
