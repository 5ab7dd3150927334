//! Authentication methods: the keys that speak for a person.
//!
//! Invariants:
//! - A method is one person's; a person has 1 to [`MAX_METHODS`].
//! - A method is a self-authenticating principal: no canister and no anonymous caller is a person.
//!
//! Cost: O(log n); a person's list in addition what it returns.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{COMMITMENT_BYTES, ListedMethod, MAX_METHODS, Method, MethodRecord, NewMethod},
};
use indus_kit::{Change, Context, codes::internal, text::invalid};
use serde_bytes::ByteBuf;

use crate::{
    messaging_keys, roles,
    state::{
        METHOD, METHOD_REMOVED, OFFICE_CHOSEN, State, conflict, limit, not_found, unauthorized,
    },
};

/// Bytes of a self-authenticating principal: a hash of 28 bytes and its class (IC interface specification, "Principals").
const SELF_AUTHENTICATING_BYTES: usize = 29;
const SELF_AUTHENTICATING_CLASS: u8 = 2;

/// Code of [`Error::Internal`]: a method was to be stored before there was a seed.
const NO_METHOD_KEY: u32 = 1_001;

/// The method that the caller uses.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers and to those who are no person's method.
pub fn of_caller<M: Memory>(state: &State<M>, context: &Context) -> Result<Method, Error> {
    let caller = context.authenticated()?;
    find(state, caller)?.ok_or_else(|| unauthorized("a registered person"))
}

/// The method with this principal.
///
/// # Errors
/// [`Error::Internal`] if the stored bytes are no record.
pub fn find<M: Memory>(state: &State<M>, principal: Principal) -> Result<Option<Method>, Error> {
    let Some(key) = state.randomness.key_of(principal.as_slice()) else {
        return Ok(None);
    };
    let record = METHOD.get(&state.kit.certified, &key)?;
    Ok(record.map(|MethodRecord::V1(method)| method))
}

/// The methods of a person.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn list<M: Memory>(state: &State<M>, person: Principal) -> Result<Vec<ListedMethod>, Error> {
    let mut methods = Vec::new();
    for key in keys(state, person) {
        if let Some(MethodRecord::V1(method)) = METHOD.get(&state.kit.certified, &key)? {
            methods.push(ListedMethod {
                key: ByteBuf::from(key),
                method,
            });
        }
    }
    Ok(methods)
}

/// Removes a method of the caller's person, perhaps the one that the caller uses.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::NotFound`] for a method that is not theirs; [`Error::Conflict`] for
/// the last one.
pub fn remove<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    principal: Principal,
) -> Result<(), Error> {
    let person = of_caller(state, context)?.person;
    find(state, principal)?
        .filter(|method| method.person == person)
        .ok_or_else(|| not_found("method", principal))?;
    if keys(state, person).len() == 1 {
        return Err(conflict("a person keeps at least one method"));
    }
    let key = key_of(state, principal)?;
    let mut changes = messaging_keys::ending(state, context, &key)?;
    changes.push(METHOD.removed(&key));
    state.record(context, person, METHOD_REMOVED, changes)?;
    state.methods_of.remove(&(person, key));
    messaging_keys::ended(state, &key);
    Ok(())
}

/// Says for which organisation the person acts when they use the caller's method; none for the only one that they may act
/// for. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::Invalid`] for an organisation in which they hold no role.
pub fn choose_office<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    office: Option<u64>,
) -> Result<Method, Error> {
    let method = of_caller(state, context)?;
    if method.office == office {
        return Ok(method);
    }
    if let Some(organisation) = office {
        let offices = roles::offices(state, method.person, context.time_ns)?;
        if !offices.contains_key(&organisation) {
            let reason = "must be an organisation in which the person holds a role";
            return Err(invalid("organisation", reason));
        }
    }
    let key = key_of(state, context.caller)?;
    let chosen = Method { office, ..method };
    let change = METHOD.put(&key, &MethodRecord::V1(chosen.clone()))?;
    state.record(context, chosen.person, OFFICE_CHOSEN, vec![change])?;
    Ok(chosen)
}

/// Checks what somebody says of a key.
///
/// # Errors
/// [`Error::Invalid`] for the field `principal` or `alias_commitment`.
pub(crate) fn check(key: &NewMethod) -> Result<(), Error> {
    let principal = key.principal.as_slice();
    if principal.len() != SELF_AUTHENTICATING_BYTES
        || principal.last() != Some(&SELF_AUTHENTICATING_CLASS)
    {
        return Err(invalid(
            "principal",
            "must be self-authenticating: that of a key",
        ));
    }
    let commitment = key.alias_commitment.as_ref();
    if commitment.is_some_and(|bytes| bytes.len() != COMMITMENT_BYTES) {
        let reason = format!("must be {COMMITMENT_BYTES} bytes long");
        return Err(invalid("alias_commitment", reason));
    }
    Ok(())
}

/// Refuses a key that is a method already.
pub(crate) fn check_free<M: Memory>(state: &State<M>, principal: Principal) -> Result<(), Error> {
    match find(state, principal)? {
        None => Ok(()),
        Some(_) => Err(Error::AlreadyExists {
            what: "method".into(),
            id: principal.to_text(),
        }),
    }
}

/// Refuses a person who has as many methods as may be.
pub(crate) fn check_room<M: Memory>(state: &State<M>, person: Principal) -> Result<(), Error> {
    if keys(state, person).len() >= MAX_METHODS {
        return Err(limit(MAX_METHODS, "methods of a person"));
    }
    Ok(())
}

/// The change that gives a person a method, and its key: for [`added`] when the event is recorded.
pub(crate) fn adding<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    person: Principal,
    key: NewMethod,
) -> Result<(Method, [u8; 32], Change), Error> {
    let place = key_of(state, key.principal)?;
    let method = Method {
        key,
        person,
        office: None,
        added_at_ns: context.time_ns,
        salt: state.randomness.salt()?,
    };
    let change = METHOD.put(&place, &MethodRecord::V1(method.clone()))?;
    Ok((method, place, change))
}

/// Notes in the index that a person has the method with this key.
pub(crate) fn added<M: Memory>(state: &mut State<M>, person: Principal, key: [u8; 32]) {
    state.methods_of.insert((person, key), ());
}

/// The keys of a person's methods, at most [`MAX_METHODS`].
pub(crate) fn keys<M: Memory>(state: &State<M>, person: Principal) -> Vec<[u8; 32]> {
    let all = (person, [0; 32])..=(person, [0xff; 32]);
    state
        .methods_of
        .keys_range(all)
        .map(|(_, key)| key)
        .collect()
}

/// The key of a method in its collection.
pub(crate) fn key_of<M: Memory>(state: &State<M>, principal: Principal) -> Result<[u8; 32], Error> {
    let key = state.randomness.key_of(principal.as_slice());
    key.ok_or_else(|| internal(NO_METHOD_KEY))
}
