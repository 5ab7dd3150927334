//! Messaging keys: what a device signs with in encrypted conversations.
//!
//! ```text
//! bind (a device, with a proof that it has the key) ──► leaf; the device's earlier key ends
//! end (the person), or the device's method removed ──► leaf with its end
//! ```
//!
//! Invariants:
//! - A key is bound once, to one device of one person, and never again after its end.
//! - A device has one key that holds at most; without its method it has none. So a person has at most as many as methods.
//!
//! Cost: O(log n), and an Ed25519 verification to bind one.

use candid::Principal;
use ed25519_dalek::{Signature, VerifyingKey};
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        BindMessagingKeyArgs, MAX_MESSAGING_KEYS, MESSAGING_KEY_BYTES, MESSAGING_PROOF_BYTES,
        MessagingKey, MessagingKeyRecord, MethodRecord, messaging_key_key, to_prove,
    },
};
use indus_kit::{Change, Context, codes::internal, text::invalid};
use serde_bytes::ByteBuf;

use crate::{
    methods,
    state::{
        MESSAGING_KEY, MESSAGING_KEY_BOUND, MESSAGING_KEY_ENDED, METHOD, State, limit, not_found,
    },
};

/// Code of [`Error::Internal`]: the index names a key that is not there.
const NO_KEY: u32 = 1_005;
/// Tokens of a binding: each leaves a record for ever.
const TOKENS: u32 = 10;

/// Binds a key to the caller's device, in place of its earlier one. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::Invalid`] for the key or the proof; [`Error::AlreadyExists`] for a
/// key that is or was bound otherwise; [`Error::RateLimited`].
pub fn bind<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: BindMessagingKeyArgs,
) -> Result<MessagingKey, Error> {
    let person = methods::of_caller(state, context)?.person;
    let method = methods::key_of(state, context.caller)?;
    if args.signature_key.len() != MESSAGING_KEY_BYTES {
        let reason = format!("must be {MESSAGING_KEY_BYTES} bytes long");
        return Err(invalid("signature_key", reason));
    }
    let place = messaging_key_key(&args.signature_key);
    if let Some(known) = get(state, &place)? {
        if known.method.as_slice() == method
            && known.person == person
            && known.ended_at_ns.is_none()
        {
            return Ok(known);
        }
        return Err(Error::AlreadyExists {
            what: "messaging key".into(),
            id: hex::encode(place),
        });
    }
    check_proof(&args, &to_prove(state.own, person))?;
    state.limits.take(context, None, TOKENS)?;
    let key = MessagingKey {
        signature_key: args.signature_key,
        person,
        method: ByteBuf::from(method),
        bound_at_ns: context.time_ns,
        ended_at_ns: None,
        salt: state.randomness.salt()?,
    };
    let mut changes = ending(state, context, &method)?;
    changes.push(MESSAGING_KEY.put(&place, &MessagingKeyRecord::V1(key.clone()))?);
    state.record(context, person, MESSAGING_KEY_BOUND, changes)?;
    state.messaging_key_of.insert(method, place);
    Ok(key)
}

/// Ends a key of the caller's person, of whichever device. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::NotFound`] for a key that is not theirs.
pub fn end<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    signature_key: &[u8],
) -> Result<MessagingKey, Error> {
    let person = methods::of_caller(state, context)?.person;
    let place = messaging_key_key(signature_key);
    let key = get(state, &place)?
        .filter(|key| key.person == person)
        .ok_or_else(|| not_found("messaging key", hex::encode(place)))?;
    if key.ended_at_ns.is_some() {
        return Ok(key);
    }
    let method: [u8; 32] = method_of(&key)?;
    let changes = ending(state, context, &method)?;
    state.record(context, person, MESSAGING_KEY_ENDED, changes)?;
    ended(state, &method);
    get(state, &place)?.ok_or_else(|| internal(NO_KEY))
}

/// A key, for every person: they have to know who signs.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::NotFound`].
pub fn read<M: Memory>(
    state: &State<M>,
    context: &Context,
    signature_key: &[u8],
) -> Result<MessagingKey, Error> {
    methods::of_caller(state, context)?;
    let place = messaging_key_key(signature_key);
    get(state, &place)?.ok_or_else(|| not_found("messaging key", hex::encode(place)))
}

/// The principals of the devices whose keys these are, in their order; none for a key that does not hold. For a canister of
/// the suite.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else; [`Error::LimitReached`] for too many.
pub fn devices<M: Memory>(
    state: &State<M>,
    context: &Context,
    signature_keys: &[ByteBuf],
) -> Result<Vec<Option<Principal>>, Error> {
    let suite = state.in_force()?.configuration.suite_canisters;
    if !suite.contains(&context.caller) {
        return Err(crate::state::unauthorized("a canister of the suite"));
    }
    if signature_keys.len() > MAX_MESSAGING_KEYS {
        return Err(limit(MAX_MESSAGING_KEYS, "messaging keys in one question"));
    }
    let device = |key: &ByteBuf| {
        let key = get(state, &messaging_key_key(key))?.filter(|key| key.ended_at_ns.is_none());
        let Some(key) = key else {
            return Ok(None);
        };
        let method = METHOD.get(&state.kit.certified, &method_of(&key)?)?;
        Ok(method.map(|MethodRecord::V1(method)| method.key.principal))
    };
    signature_keys.iter().map(device).collect()
}

/// The changes that end the key of the method with this key, if it has one: for [`ended`] when the event is recorded.
pub(crate) fn ending<M: Memory>(
    state: &State<M>,
    context: &Context,
    method: &[u8; 32],
) -> Result<Vec<Change>, Error> {
    let Some(place) = state.messaging_key_of.get(method) else {
        return Ok(Vec::new());
    };
    let key = get(state, &place)?.ok_or_else(|| internal(NO_KEY))?;
    let ended = MessagingKeyRecord::V1(MessagingKey {
        ended_at_ns: Some(context.time_ns),
        ..key
    });
    Ok(vec![MESSAGING_KEY.put(&place, &ended)?])
}

/// Notes in the index that the key of this method has ended.
pub(crate) fn ended<M: Memory>(state: &mut State<M>, method: &[u8; 32]) {
    state.messaging_key_of.remove(method);
}

fn get<M: Memory>(state: &State<M>, place: &[u8; 32]) -> Result<Option<MessagingKey>, Error> {
    let record = MESSAGING_KEY.get(&state.kit.certified, place)?;
    Ok(record.map(|MessagingKeyRecord::V1(key)| key))
}

fn method_of(key: &MessagingKey) -> Result<[u8; 32], Error> {
    key.method
        .as_slice()
        .try_into()
        .map_err(|_| internal(NO_KEY))
}

/// Refuses a key that is no point, or of small order, and a proof that is not its own.
fn check_proof(args: &BindMessagingKeyArgs, proved: &[u8]) -> Result<(), Error> {
    let key = args
        .signature_key
        .as_slice()
        .try_into()
        .ok()
        .and_then(|bytes| VerifyingKey::from_bytes(bytes).ok())
        .filter(|key| !key.is_weak())
        .ok_or_else(|| invalid("signature_key", "must be an Ed25519 public key"))?;
    if args.proof.len() != MESSAGING_PROOF_BYTES {
        let reason = format!("must be {MESSAGING_PROOF_BYTES} bytes long");
        return Err(invalid("proof", reason));
    }
    Signature::from_slice(&args.proof)
        .and_then(|signature| key.verify_strict(proved, &signature))
        .map_err(|_| invalid("proof", "must be the key's signature of this person"))
}
