//! Authentication of requests (IC interface specification, "Authentication").
//!
//! ```text
//!   sender = self_authenticating(sender_pubkey)
//!   sender_pubkey ─signs→ delegation 1 ─its key signs→ … ─its key signs→ delegation n ─its key signs→ request id
//! ```
//!
//! An anonymous request has no key, signature or delegation. Any other has a key whose self-authenticating id is the
//! sender, and a signature over the request id by that key or by the last key of the chain. A chain has at most
//! [`crate::envelope::MAX_DELEGATIONS`] links, none expired, no key twice; what it permits is the intersection of what its
//! links permit.
//!
//! A message to the management canister is a message to `aaaaa-aa`: a chain with targets permits it if they name
//! `aaaaa-aa`, whatever canister the message is about.
//!
//! Everything that needs no signature check is done first. Cost: one Ed25519 verification a link, and one.

use std::collections::BTreeSet;

use candid::Principal;
use engine::Time;
use thiserror::Error;

use crate::{
    envelope::{Credentials, Envelope, Request, SignedDelegation},
    expiry::{ExpiryError, check_expiry},
    hash::Hash,
    public_key::{KeyError, PublicKey},
};

const REQUEST_DOMAIN: &[u8] = b"\x0Aic-request";
const DELEGATION_DOMAIN: &[u8] = b"\x1Aic-request-auth-delegation";

/// Why a request isn't its sender's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AuthenticationError {
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    #[error("authentication: an anonymous request must not have {0}")]
    AnonymousWith(&'static str),
    #[error("authentication: {0} is missing, and the sender is not anonymous")]
    Missing(&'static str),
    #[error("authentication: sender_pubkey is not the key of the sender")]
    WrongSender,
    #[error("authentication: {place}: {error}")]
    Key {
        place: &'static str,
        error: KeyError,
    },
    #[error("authentication: a public key is in the chain of delegations twice")]
    RepeatedKey,
    #[error("Invalid delegation expiry: the delegation expired at {}, it is {} now (nanoseconds since 1970)", expired.0, now.0)]
    DelegationExpired { expired: Time, now: Time },
    #[error("authentication: the delegation is not for canister {0}")]
    NotATarget(Principal),
    #[error("authentication: the delegation is for queries only")]
    QueriesOnly,
}

/// What the signer of a request may do in the sender's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// None: all canisters.
    targets: Option<BTreeSet<Principal>>,
    queries_only: bool,
}

impl Authority {
    /// Everything.
    pub(crate) const FULL: Self = Self {
        targets: None,
        queries_only: false,
    };

    /// What a chain of delegations permits.
    fn of(chain: &[SignedDelegation<'_>]) -> Self {
        let mut authority = Self::FULL;
        for link in chain {
            authority.queries_only |= link.queries_only;
            let Some(targets) = &link.targets else {
                continue;
            };
            let targets = targets.iter().copied();
            authority.targets = Some(match authority.targets {
                None => targets.collect(),
                Some(before) => targets.filter(|target| before.contains(target)).collect(),
            });
        }
        authority
    }

    /// Whether a request to this canister is within the targets.
    pub(crate) fn covers(&self, canister: &Principal) -> bool {
        self.targets
            .as_ref()
            .is_none_or(|targets| targets.contains(canister))
    }

    fn check(&self, request: &Request<'_>) -> Result<(), AuthenticationError> {
        let canister = match request {
            Request::Call(_) if self.queries_only => return Err(AuthenticationError::QueriesOnly),
            Request::Call(message) | Request::Query(message) => message.canister_id,
            // What may be read with these targets depends on the paths.
            Request::ReadState(_) => return Ok(()),
        };
        if self.covers(&canister) {
            Ok(())
        } else {
            Err(AuthenticationError::NotATarget(canister))
        }
    }
}

/// Checks that a request counts at the time `now` and comes from its sender.
///
/// # Errors
/// It has expired or expires too late; a field is missing or too many; a key, a signature or a delegation is wrong.
pub(crate) fn authenticate(
    envelope: &Envelope<'_>,
    now: Time,
) -> Result<Authority, AuthenticationError> {
    let anonymous = envelope.sender == Principal::anonymous();
    // An anonymous read can be repeated by anyone at any time, so its expiry protects nothing.
    if !anonymous || matches!(envelope.request, Request::Call(_)) {
        check_expiry(envelope.expiry, now)?;
    }
    let Credentials {
        public_key,
        signature,
        delegations,
    } = &envelope.credentials;
    if anonymous {
        let too_many = [
            ("sender_pubkey", public_key.is_some()),
            ("sender_sig", signature.is_some()),
            ("sender_delegation", delegations.is_some()),
        ];
        return match too_many.iter().find(|(_, present)| *present) {
            Some((field, _)) => Err(AuthenticationError::AnonymousWith(field)),
            None => Ok(Authority::FULL),
        };
    }
    let public_key = public_key
        .as_deref()
        .ok_or(AuthenticationError::Missing("sender_pubkey"))?;
    let signature = signature
        .as_deref()
        .ok_or(AuthenticationError::Missing("sender_sig"))?;
    let chain = delegations.as_deref().unwrap_or_default();

    if Principal::self_authenticating(public_key) != envelope.sender {
        return Err(AuthenticationError::WrongSender);
    }
    let mut seen = BTreeSet::from([public_key]);
    for link in chain {
        if !seen.insert(&link.public_key) {
            return Err(AuthenticationError::RepeatedKey);
        }
        if link.expiration < now {
            return Err(AuthenticationError::DelegationExpired {
                expired: link.expiration,
                now,
            });
        }
    }
    let authority = Authority::of(chain);
    authority.check(&envelope.request)?;

    let mut key = parse("sender_pubkey", public_key)?;
    for link in chain {
        verify(
            "sender_delegation",
            &key,
            DELEGATION_DOMAIN,
            &link.hash,
            &link.signature,
        )?;
        key = parse("sender_delegation", &link.public_key)?;
    }
    verify(
        "sender_sig",
        &key,
        REQUEST_DOMAIN,
        &envelope.request_id.0,
        signature,
    )?;
    Ok(authority)
}

fn parse(place: &'static str, der: &[u8]) -> Result<PublicKey, AuthenticationError> {
    PublicKey::from_der(der).map_err(|error| AuthenticationError::Key { place, error })
}

fn verify(
    place: &'static str,
    key: &PublicKey,
    domain: &[u8],
    hash: &Hash,
    signature: &[u8],
) -> Result<(), AuthenticationError> {
    key.verify(&[domain, hash].concat(), signature)
        .map_err(|error| AuthenticationError::Key { place, error })
}

#[cfg(test)]
mod tests;
