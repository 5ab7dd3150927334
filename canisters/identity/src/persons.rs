//! Persons: who registers, and what they see of themselves.
//!
//! A person is an opaque id. Their first method is the key that registered; others come by [pairing](crate::pairing) or
//! [recovery](crate::recoveries). Nothing here knows a name.
//!
//! Invariant: a key that registers twice is the same person, so registering is repeatable.
//!
//! Cost: O(log n).

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        NewMethod, PERSON_CLASS, Person, PersonRecord, PersonView, RegisterArgs, person_key,
    },
};
use indus_kit::{Context, codes::internal};

use crate::{
    methods, recoveries,
    state::{PERSON, REGISTERED, State, not_found},
};

/// The bucket of all registrations, among those of organisations, of which none limits anything here.
const REGISTRATIONS: u64 = 1;
/// Bytes of a person's id before its class.
const ID_BYTES: usize = 28;
/// Code of [`Error::Internal`]: a method's person is none.
const NO_PERSON: u32 = 1_002;

/// Makes the caller a person, or answers with the person that the caller is.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::Invalid`] for a caller that is no key, or for the commitment;
/// [`Error::RateLimited`]; [`Error::Unavailable`] before there is a seed.
pub fn register<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: RegisterArgs,
) -> Result<Person, Error> {
    let principal = context.authenticated()?;
    if let Some(method) = methods::find(state, principal)? {
        return get(state, method.person)?.ok_or_else(|| internal(NO_PERSON));
    }
    let key = NewMethod {
        principal,
        kind: args.kind,
        alias_commitment: args.alias_commitment,
    };
    methods::check(&key)?;
    state.limits.take(context, Some(REGISTRATIONS), 1)?;
    let mut id = [PERSON_CLASS; ID_BYTES + 1];
    id[..ID_BYTES].copy_from_slice(&state.randomness.draw()?[..ID_BYTES]);
    let person = Person {
        id: Principal::from_slice(&id),
        registered_at_ns: context.time_ns,
        salt: state.randomness.salt()?,
    };
    let (_, place, method) = methods::adding(state, context, person.id, key)?;
    let record = PERSON.put(&person_key(person.id), &PersonRecord::V1(person.clone()))?;
    state.record(context, person.id, REGISTERED, vec![record, method])?;
    methods::added(state, person.id, place);
    Ok(person)
}

/// What the caller's person sees of themselves.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person.
pub fn view<M: Memory>(state: &State<M>, context: &Context) -> Result<PersonView, Error> {
    let id = methods::of_caller(state, context)?.person;
    Ok(PersonView {
        person: get(state, id)?.ok_or_else(|| internal(NO_PERSON))?,
        methods: methods::list(state, id)?,
        pairing: state.pairings.view(id, context.time_ns),
        recovery: recoveries::open_of(state, id, context.time_ns)?,
    })
}

/// Refuses an id that is no person's.
pub(crate) fn check<M: Memory>(state: &State<M>, person: Principal) -> Result<(), Error> {
    if PERSON.contains(&state.kit.certified, &person_key(person)) {
        return Ok(());
    }
    Err(not_found("person", person))
}

fn get<M: Memory>(state: &State<M>, person: Principal) -> Result<Option<Person>, Error> {
    let record = PERSON.get(&state.kit.certified, &person_key(person))?;
    Ok(record.map(|PersonRecord::V1(person)| person))
}
