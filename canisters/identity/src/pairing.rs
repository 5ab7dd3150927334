//! Pairing: how a person's new device becomes a method, with the agreement of both.
//!
//! ```text
//! a method            open ──► code, which the person types into the new device
//! the new device      offer(person, code) ──► offered        a wrong code: one try less; none left ends the pairing
//! a method            confirm(principal, as the new device shows it) ──► method.added
//! ```
//!
//! A pairing is like a session: in the heap, in no log, and gone after [`PAIRING_NS`] or an upgrade. What is certified is the
//! method that it ends with.
//!
//! Invariants:
//! - One pairing a person; opening another ends the first.
//! - The first key that knows the code is the one that can be confirmed, and no other until the pairing is opened anew.
//! - There are at most [`MAX_PAIRINGS`]; the one that ends first makes room.
//!
//! Cost: O(log n) in the heap, some 200 bytes a pairing.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        CODE_ALPHABET, CODE_CHARACTERS, Method, NewMethod, OfferArgs, PAIRING_NS, PAIRING_TRIES,
        Pairing,
    },
};
use indus_kit::{Context, text::invalid};

use crate::{
    methods,
    state::{METHOD_ADDED, State, conflict, not_found, unauthorized},
};

/// Most pairings at once: far more than people pair in a quarter of an hour; some 2 MB.
pub const MAX_PAIRINGS: usize = 10_000;

const WHAT: &str = "open pairing of";

/// The pairings that are open.
#[derive(Debug, Default)]
pub struct Pairings {
    open: BTreeMap<Principal, Pairing>,
    /// When each ends, the first one first.
    by_end: BTreeSet<(u64, Principal)>,
}

impl Pairings {
    /// A person's pairing, if it is open.
    #[must_use]
    pub fn view(&self, person: Principal, now_ns: u64) -> Option<Pairing> {
        self.get(person, now_ns).cloned()
    }

    /// How many are kept, those that are over included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, person: Principal, now_ns: u64) -> Option<&Pairing> {
        let pairing = self.open.get(&person)?;
        (now_ns < pairing.ends_at_ns).then_some(pairing)
    }

    fn get_mut(&mut self, person: Principal, now_ns: u64) -> Option<&mut Pairing> {
        let pairing = self.open.get_mut(&person)?;
        (now_ns < pairing.ends_at_ns).then_some(pairing)
    }

    fn put(&mut self, person: Principal, pairing: Pairing) {
        self.end(person);
        if self.open.len() >= MAX_PAIRINGS
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.open.remove(&first);
        }
        self.by_end.insert((pairing.ends_at_ns, person));
        self.open.insert(person, pairing);
    }

    /// Ends a person's pairing, if there is one.
    pub(crate) fn end(&mut self, person: Principal) {
        if let Some(pairing) = self.open.remove(&person) {
            self.by_end.remove(&(pairing.ends_at_ns, person));
        }
    }
}

/// Opens a pairing for the caller's person, instead of the one that was open.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::LimitReached`] for a person with as many methods as may be.
pub fn open<M: Memory>(state: &mut State<M>, context: &Context) -> Result<Pairing, Error> {
    let person = methods::of_caller(state, context)?.person;
    methods::check_room(state, person)?;
    let pairing = Pairing {
        code: code(&state.randomness.draw()?),
        ends_at_ns: context.time_ns.saturating_add(PAIRING_NS),
        tries_left: PAIRING_TRIES,
        offer: None,
    };
    state.pairings.put(person, pairing.clone());
    Ok(pairing)
}

/// Offers the caller as a method of a person. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers, and for a wrong code, which takes one of the pairing's tries;
/// [`Error::Invalid`] for a caller that is no key, the code's form or the commitment; [`Error::NotFound`] where no pairing is
/// open; [`Error::AlreadyExists`] for a key that is a method; [`Error::Conflict`] if another key was offered.
pub fn offer<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: OfferArgs,
) -> Result<(), Error> {
    let principal = context.authenticated()?;
    let key = NewMethod {
        principal,
        kind: args.kind,
        alias_commitment: args.alias_commitment,
    };
    methods::check(&key)?;
    let code = args.code.as_bytes();
    if code.len() != CODE_CHARACTERS || !code.iter().all(|byte| CODE_ALPHABET.contains(byte)) {
        let reason = format!("must be {CODE_CHARACTERS} characters of the code's alphabet");
        return Err(invalid("code", reason));
    }
    methods::check_free(state, principal)?;
    let pairing = state.pairings.get_mut(args.person, context.time_ns);
    let pairing = pairing.ok_or_else(|| not_found(WHAT, args.person))?;
    if pairing.code != args.code {
        pairing.tries_left -= 1;
        let left = pairing.tries_left;
        if left == 0 {
            state.pairings.end(args.person);
        }
        return Err(unauthorized(format!(
            "the pairing's code: {left} tries left"
        )));
    }
    match &pairing.offer {
        Some(offered) if offered.principal != principal => {
            Err(conflict("another key was offered: open a new pairing"))
        }
        _ => {
            pairing.offer = Some(key);
            Ok(())
        }
    }
}

/// Makes the offered key a method of the caller's person, if it is this one. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::NotFound`] where no pairing is open, or this key was not offered;
/// [`Error::AlreadyExists`] if it has become a method since; [`Error::LimitReached`].
pub fn confirm<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    principal: Principal,
) -> Result<Method, Error> {
    let person = methods::of_caller(state, context)?.person;
    if let Some(method) = methods::find(state, principal)?.filter(|one| one.person == person) {
        return Ok(method);
    }
    let pairing = state.pairings.get(person, context.time_ns);
    let offer = pairing.and_then(|pairing| pairing.offer.clone());
    let key = offer
        .filter(|key| key.principal == principal)
        .ok_or_else(|| not_found("offered method", principal))?;
    methods::check_free(state, principal)?;
    methods::check_room(state, person)?;
    let (method, place, change) = methods::adding(state, context, person, key)?;
    state.record(context, person, METHOD_ADDED, vec![change])?;
    methods::added(state, person, place);
    state.pairings.end(person);
    Ok(method)
}

/// A code, from random bytes: 5 bits of each of the first ones.
fn code(random: &[u8; 32]) -> String {
    let character = |byte: &u8| char::from(CODE_ALPHABET[usize::from(byte % 32)]);
    random.iter().take(CODE_CHARACTERS).map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(ends_at_ns: u64) -> Pairing {
        Pairing {
            code: String::new(),
            ends_at_ns,
            tries_left: PAIRING_TRIES,
            offer: None,
        }
    }

    #[test]
    fn the_pairing_that_ends_first_makes_room() {
        let mut pairings = Pairings::default();
        let person = |n: usize| Principal::from_slice(&(n as u64).to_be_bytes());
        for n in 0..=MAX_PAIRINGS {
            pairings.put(person(n), pairing(1_000 + n as u64));
        }
        assert_eq!(
            (pairings.len(), pairings.by_end.len()),
            (MAX_PAIRINGS, MAX_PAIRINGS)
        );
        assert!(pairings.view(person(0), 0).is_none() && pairings.view(person(1), 0).is_some());
        // opening again replaces, and evicts nobody
        pairings.put(person(1), pairing(1));
        assert_eq!(
            (pairings.len(), pairings.by_end.len()),
            (MAX_PAIRINGS, MAX_PAIRINGS)
        );
        assert!(pairings.view(person(2), 0).is_some());
    }

    #[test]
    fn codes_use_the_whole_alphabet_and_nothing_else() {
        let all: BTreeSet<char> = (0..=255_u8)
            .flat_map(|n| code(&[n; 32]).chars().collect::<Vec<_>>())
            .collect();
        assert_eq!(all.len(), CODE_ALPHABET.len());
        assert_eq!(code(&[0; 32]), "AAAAAAAA");
    }
}
