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
//! A sender whose key is a canister's may carry what that canister says about it (`sender_info`), signed by the same key.
//!
//! Everything that needs no signature check is done first. Cost: one verification a link, one for the request and one
//! for `sender_info`, at most 22; see [`crate::public_key`] for what one costs. What may take more than a millisecond
//! runs on threads for such work, of which a few do so at a time.

use std::{collections::BTreeSet, sync::Arc};

use axum::body::Bytes;
use candid::Principal;
use engine::{SenderInfo, Time};
use thiserror::Error;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    envelope::{Credentials, Envelope, Request, SignedDelegation, SignedInfo},
    expiry::{ExpiryError, check_expiry},
    public_key::{KeyError, PublicKey, RootKey},
    refusal::Refusal,
};

const REQUEST_DOMAIN: &[u8] = b"\x0Aic-request";
const DELEGATION_DOMAIN: &[u8] = b"\x1Aic-request-auth-delegation";
const SENDER_INFO_DOMAIN: &[u8] = b"\x0Eic-sender-info";

/// Links of a chain of cheap keys that are checked in place.
const LIGHT_CHAIN: usize = 3;
/// Requests whose signatures are checked at once, where that is heavy.
const HEAVY_AT_ONCE: usize = 4;

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
    #[error("authentication: sender_info needs a canister's key as sender_pubkey")]
    InfoWithoutCanister,
    #[error(
        "authentication: sender_info is signed by {claimed}, but sender_pubkey is a key of canister {actual}"
    )]
    WrongSigner {
        claimed: Principal,
        actual: Principal,
    },
}

/// What the signer of a request may do in the sender's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// None: all canisters.
    targets: Option<BTreeSet<Principal>>,
    queries_only: bool,
}

impl Authority {
    const FULL: Self = Self {
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

    /// The canisters that it is limited to; None: all.
    pub(crate) fn into_targets(self) -> Option<BTreeSet<Principal>> {
        self.targets
    }

    /// Whether a request to this canister is within the targets.
    fn covers(&self, canister: &Principal) -> bool {
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

/// A request that is its sender's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub authority: Authority,
    pub sender_info: Option<SenderInfo>,
}

impl Authenticated {
    const ANONYMOUS: Self = Self {
        authority: Authority::FULL,
        sender_info: None,
    };

    /// What a request says, which nothing proves.
    fn as_claimed(envelope: &Envelope<'_>) -> Self {
        Self {
            authority: Authority::FULL,
            sender_info: envelope.request.sender_info().map(|signed| SenderInfo {
                info: signed.info.to_vec(),
                signer: signed.signer,
            }),
        }
    }
}

/// Checks the requests to one network. Clones share their limits.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    /// None: every request is believed.
    root_key: Option<Arc<RootKey>>,
    heavy: Arc<Semaphore>,
}

impl Authenticator {
    /// For the network with this root key, in DER.
    pub(crate) fn new(root_key: &[u8]) -> Self {
        Self {
            root_key: Some(Arc::new(RootKey::new(root_key))),
            heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        }
    }

    /// Believes every request whom it says that it is from, what it says about its sender, and whatever its expiry.
    pub(crate) fn credulous() -> Self {
        Self {
            root_key: None,
            heavy: Arc::new(Semaphore::new(0)),
        }
    }

    /// Reads the envelope of a request of the type `kind`, checks that it counts at the time `now` and comes from its
    /// sender, and hands both to `then`, which takes from them what outlives the body.
    ///
    /// # Errors
    /// It is no envelope; it isn't its sender's; what `then` returns.
    pub(crate) async fn open<T: Send + 'static>(
        &self,
        body: Bytes,
        kind: &'static str,
        now: Time,
        then: impl FnOnce(Envelope<'_>, Authenticated) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let root_key = {
            let envelope = Envelope::decode(&body, kind)?;
            match &self.root_key {
                None => {
                    let authenticated = Authenticated::as_claimed(&envelope);
                    return then(envelope, authenticated);
                }
                Some(root_key) if !is_heavy(&envelope) => {
                    let authenticated = authenticate(&envelope, now, root_key)?;
                    return then(envelope, authenticated);
                }
                Some(root_key) => root_key.clone(),
            }
        };
        let permit = self.heavy.clone().acquire_owned().await;
        let work = spawn_blocking(move || {
            let _permit = permit;
            let envelope = Envelope::decode(&body, kind)?;
            let authenticated = authenticate(&envelope, now, &root_key)?;
            then(envelope, authenticated)
        });
        // The work has panicked, or the server is being stopped.
        work.await.map_err(|_| Refusal::Stopped)?
    }
}

/// Whether the check of the signatures may take milliseconds.
fn is_heavy(envelope: &Envelope<'_>) -> bool {
    let chain = envelope
        .credentials
        .delegations
        .as_deref()
        .unwrap_or_default();
    let mut keys = chain
        .iter()
        .map(|link| &*link.public_key)
        .chain(envelope.credentials.public_key.as_deref());
    chain.len() > LIGHT_CHAIN || keys.any(PublicKey::is_heavy)
}

/// Checks that a request counts at the time `now` and comes from its sender, in the network with this root key.
///
/// # Errors
/// It has expired or expires too late; a field is missing or too many; a key, a signature or a delegation is wrong.
pub(crate) fn authenticate(
    envelope: &Envelope<'_>,
    now: Time,
    root_key: &RootKey,
) -> Result<Authenticated, AuthenticationError> {
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
            ("sender_info", envelope.request.sender_info().is_some()),
        ];
        return match too_many.iter().find(|(_, present)| *present) {
            Some((field, _)) => Err(AuthenticationError::AnonymousWith(field)),
            None => Ok(Authenticated::ANONYMOUS),
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

    let senders_key = parse("sender_pubkey", public_key)?;
    let sender_info = envelope
        .request
        .sender_info()
        .map(|info| check_sender_info(info, &senders_key, root_key))
        .transpose()?;
    let mut key = senders_key;
    for link in chain {
        verify(
            "sender_delegation",
            &key,
            &[DELEGATION_DOMAIN, &link.hash],
            &link.signature,
            root_key,
        )?;
        key = parse("sender_delegation", &link.public_key)?;
    }
    verify(
        "sender_sig",
        &key,
        &[REQUEST_DOMAIN, &envelope.request_id.0],
        signature,
        root_key,
    )?;
    Ok(Authenticated {
        authority,
        sender_info,
    })
}

/// Checks what a canister says about the sender: it is signed by the sender's key, which is that canister's.
fn check_sender_info(
    signed: &SignedInfo<'_>,
    key: &PublicKey,
    root_key: &RootKey,
) -> Result<SenderInfo, AuthenticationError> {
    let actual = key
        .canister()
        .ok_or(AuthenticationError::InfoWithoutCanister)?;
    if signed.signer != actual {
        return Err(AuthenticationError::WrongSigner {
            claimed: signed.signer,
            actual,
        });
    }
    verify(
        "sender_info",
        key,
        &[SENDER_INFO_DOMAIN, &signed.info],
        &signed.signature,
        root_key,
    )?;
    Ok(SenderInfo {
        info: signed.info.to_vec(),
        signer: actual,
    })
}

fn parse(place: &'static str, der: &[u8]) -> Result<PublicKey, AuthenticationError> {
    PublicKey::from_der(der).map_err(|error| AuthenticationError::Key { place, error })
}

fn verify(
    place: &'static str,
    key: &PublicKey,
    message: &[&[u8]],
    signature: &[u8],
    root_key: &RootKey,
) -> Result<(), AuthenticationError> {
    key.verify(&message.concat(), signature, root_key)
        .map_err(|error| AuthenticationError::Key { place, error })
}

#[cfg(test)]
mod tests;
