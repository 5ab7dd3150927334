//! What somebody shows of themselves, offline: that a seat or a credential is theirs, and that it is valid.
//!
//! ```text
//! verifier's nonce ◄── signature ── public key ── principal ─┐
//!                                                            ├─ leaf `methods`/… ─ witness ─ certificate of identity
//!                                              person ───────┘
//!                                                 ‖
//! leaf `seats`/id ───────────────────────── its holder ─┐
//! leaf `credentials`/id, and the absence of             ├─ witness ─ certificate of license_manager, or identity
//! `revoked_credentials`/id ──────────────── its holder ─┘
//! ```
//!
//! The one part of this crate that knows canisters: `license_manager` and `identity`, by the types of `indus_api`.
//!
//! Invariants
//! - It is for one verifier, once: the signature is over the nonce and the name that the verifier chose.
//! - Whose canisters count is the verifier's to say: anybody can have a canister certified that says anything.
//! - Everything is valid at the times of the certificates and at the verifier's.
//!
//! Limit: who forwards a nonce as their own can forward the answer too. A verifier who gives its name as part of the challenge
//! is not shown what was signed for another name.

mod challenge;
mod error;

use candid::Principal;
use indus_api::identity::{
    self, CREDENTIALS, Credential, CredentialRecord, METHODS, Method, MethodRecord,
    REVOKED_CREDENTIALS,
};
use indus_api::licences::{Seat, SeatRecord, SeatState, seat_path};
use serde_bytes::ByteBuf;

use crate::error::VerifyError;
use crate::time::{Time, TimeBound};
use crate::verifier::Verifier;
use crate::witness::VerifiedWitness;

pub use challenge::{Challenge, MAX_VERIFIER_BYTES, NONCE_BYTES, ToSign};
pub use error::{Evidence, PresentationError};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A licence: a seat of `license_manager`.
    Licence { seat: u64 },
    /// A credential of `identity`.
    Credential { id: u64 },
}

impl Shown {
    /// The certified paths that show it, of the canister that keeps it.
    #[must_use]
    pub fn paths(self) -> Vec<Vec<ByteBuf>> {
        match self {
            Self::Licence { seat } => vec![seat_path(seat)],
            Self::Credential { id } => {
                let of = |collection| identity::path(collection, &identity::id_key(id));
                vec![of(CREDENTIALS), of(REVOKED_CREDENTIALS)]
            }
        }
    }
}

/// What a canister certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The canister that it is about.
    pub canister: Principal,
    /// CBOR.
    pub certificate: Vec<u8>,
    /// CBOR.
    pub witness: Vec<u8>,
}

/// What somebody shows of themselves, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    pub shown: Shown,
    /// Proves [`Shown::paths`].
    pub statement: Certificate,
    /// Proves [`method_path`] of `method_key`.
    pub holder: Certificate,
    /// Key of the holder's method in its collection: [`ListedMethod::key`](indus_api::identity::ListedMethod::key).
    pub method_key: Vec<u8>,
    /// DER of the method's public key.
    pub public_key: Vec<u8>,
    /// What it was signed for.
    pub challenge: Challenge,
    /// Of [`Presentation::to_sign`].
    pub signature: Vec<u8>,
}

/// What a verifier expects.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The canister that keeps what is shown: `license_manager` for licences, `identity` for credentials.
    pub canister: Principal,
    /// The canister that says whose keys are whose.
    pub identity: Principal,
    pub challenge: &'a Challenge,
    /// The verifier's clock.
    pub now: Time,
    /// How old the certificates may be: what was taken back later than that is not seen.
    pub bound: TimeBound,
}

/// What a presentation proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    pub what: Valid,
    /// The method that signed. Its person is the holder.
    pub method: Method,
    /// The subnet that signed what is shown; none is the root subnet.
    pub subnet: Option<Principal>,
    /// When what is shown was certified.
    pub certified_at: Time,
    /// When the holder's key was certified.
    pub holder_certified_at: Time,
}

/// What is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Valid {
    Licence(Seat),
    Credential(Credential),
}

/// Certified path of a method.
#[must_use]
pub fn method_path(key: &[u8]) -> Vec<ByteBuf> {
    identity::path(METHODS, key)
}

impl Presentation {
    /// What its holder signs.
    #[must_use]
    pub fn to_sign(&self) -> ToSign {
        let (canister, identity) = (self.statement.canister, self.holder.canister);
        self.challenge.to_sign(self.shown, canister, identity)
    }

    /// Verifies all of it.
    ///
    /// # Errors
    /// The first thing that is wrong: the challenge, the canisters, the signature, the certificates, the holder, validity.
    pub fn verify(
        &self,
        verifier: &Verifier,
        expected: &Expected<'_>,
    ) -> Result<Presented, PresentationError> {
        expected.challenge.check(&self.challenge)?;
        for (part, expected, found) in [
            (
                Evidence::Statement,
                expected.canister,
                self.statement.canister,
            ),
            (Evidence::Holder, expected.identity, self.holder.canister),
        ] {
            if expected != found {
                return Err(PresentationError::OtherCanister {
                    part,
                    expected,
                    found,
                });
            }
        }
        self.to_sign().check(&self.public_key, &self.signature)?;
        let (statement, subnet, certified_at) =
            self.statement
                .verified(Evidence::Statement, verifier, expected)?;
        let (holder, _, holder_certified_at) =
            self.holder.verified(Evidence::Holder, verifier, expected)?;
        let method = self.method(&holder)?;
        let times = [certified_at, holder_certified_at, expected.now];
        let what = match self.shown {
            Shown::Licence { seat } => {
                let seat = licence(&statement, seat)?;
                owned(seat.holder, &method)?;
                valid_seat(&seat, &times)?;
                Valid::Licence(seat)
            }
            Shown::Credential { id } => {
                let credential = credential(&statement, id, expected.canister)?;
                owned(credential.holder, &method)?;
                valid_credential(&credential, &times)?;
                Valid::Credential(credential)
            }
        };
        Ok(Presented {
            what,
            method,
            subnet,
            certified_at,
            holder_certified_at,
        })
    }

    /// The method that signed.
    fn method(&self, witness: &VerifiedWitness) -> Result<Method, PresentationError> {
        let MethodRecord::V1(method) = witness
            .value(&method_path(&self.method_key))
            .map_err(of(Evidence::Holder))?;
        let found = Principal::self_authenticating(&self.public_key);
        let certified = method.key.principal;
        if certified != found {
            return Err(PresentationError::OtherKey { certified, found });
        }
        Ok(method)
    }
}

impl Certificate {
    fn verified(
        &self,
        part: Evidence,
        verifier: &Verifier,
        expected: &Expected<'_>,
    ) -> Result<(VerifiedWitness, Option<Principal>, Time), PresentationError> {
        let certificate = verifier
            .certificate(
                &self.certificate,
                self.canister,
                expected.now,
                expected.bound,
            )
            .map_err(of(part))?;
        let witness = certificate.witness(&self.witness).map_err(of(part))?;
        Ok((witness, certificate.subnet(), certificate.time()))
    }
}

fn licence(witness: &VerifiedWitness, seat: u64) -> Result<Seat, PresentationError> {
    let SeatRecord::V1(found) = witness
        .value(&seat_path(seat))
        .map_err(of(Evidence::Statement))?;
    same("seat", seat, found.seat)?;
    Ok(found)
}

fn credential(
    witness: &VerifiedWitness,
    id: u64,
    canister: Principal,
) -> Result<Credential, PresentationError> {
    let key = identity::id_key(id);
    let CredentialRecord::V1(found) = witness
        .value(&identity::path(CREDENTIALS, &key))
        .map_err(of(Evidence::Statement))?;
    same("credential", id, found.id)?;
    // The JSON names this canister, so one of another canister could not be told from it.
    if found.canister != canister || !found.json().is_some_and(|json| found.check(&json)) {
        return Err(PresentationError::Json);
    }
    match witness.absent(&identity::path(REVOKED_CREDENTIALS, &key)) {
        Ok(()) => Ok(found),
        Err(VerifyError::Present { .. }) => Err(PresentationError::Revoked),
        Err(error) => Err(of(Evidence::Statement)(error)),
    }
}

fn same(what: &'static str, asked: u64, found: u64) -> Result<(), PresentationError> {
    if asked == found {
        Ok(())
    } else {
        Err(PresentationError::WrongRecord { what, asked, found })
    }
}

fn owned(holder: Principal, method: &Method) -> Result<(), PresentationError> {
    if holder == method.person {
        Ok(())
    } else {
        Err(PresentationError::OtherHolder {
            holder,
            shown_by: method.person,
        })
    }
}

fn valid_seat(seat: &Seat, times: &[Time]) -> Result<(), PresentationError> {
    match &seat.state {
        SeatState::Granted { .. } => return Err(PresentationError::Unclaimed),
        SeatState::Suspended { at_ns, .. } => {
            let since = Time::from_nanos(*at_ns);
            return Err(PresentationError::Suspended { since });
        }
        SeatState::Active(_) => {}
    }
    let ended = |time: &&Time| !seat.is_valid_at(time.as_nanos());
    match times.iter().find(ended) {
        None => Ok(()),
        Some(at) => Err(PresentationError::Ended {
            ended: Time::from_nanos(seat.ends_at_ns()),
            at: *at,
        }),
    }
}

fn valid_credential(credential: &Credential, times: &[Time]) -> Result<(), PresentationError> {
    // Its issue is before the certificate that shows it; the clock of the verifier may be behind.
    let until = credential.valid_until_ns.map(Time::from_nanos);
    let over = until.and_then(|until| Some((until, times.iter().find(|time| **time >= until)?)));
    match over {
        None => Ok(()),
        Some((ended, at)) => Err(PresentationError::Ended { ended, at: *at }),
    }
}

fn of(part: Evidence) -> impl Fn(VerifyError) -> PresentationError {
    move |reason| PresentationError::Unproved { part, reason }
}
