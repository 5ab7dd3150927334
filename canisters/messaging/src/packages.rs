//! Key packages: put into store by devices, handed out once.
//!
//! ```text
//! upload ──► available ── claim ──► claimed
//!                 └── another last-resort package ──► withdrawn
//! ```
//!
//! What has expired is not handed out. A device that has no other gives its last-resort package, which stays.
//!
//! Invariants:
//! - A package is handed out once, but for the last resort; to whom is between that caller and the canister.
//! - What is handed out is of a messaging key that holds, and of its person.
//! - A caller claims from one person so often a day, so that nobody's store is drained.

use std::collections::BTreeSet;

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        ClaimArgs, Claimed, Claims, KeyPackage, KeyPackageRecord, KeyPackageState, MAX_ADDED,
        MAX_CLAIMED_PERSONS, MAX_DEVICES, MAX_PACKAGE_BYTES, MAX_PACKAGES, MAX_UPLOAD, UploadArgs,
    },
};
use indus_kit::{
    Context,
    codes::internal,
    idempotency::{Begin, Success},
    text::invalid,
};
use serde_bytes::ByteBuf;

use crate::{
    configuration,
    conversations::{Holders, holder, seconds},
    inboxes, limit,
    state::{DAMAGED, InStore, PACKAGE, PACKAGES_CLAIMED, PACKAGES_UPLOADED, State, not_found},
};

const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// Whether a package is for the last resort, in its place in the store: those that are not come first.
const ORDINARY: u8 = 0;
const LAST_RESORT: u8 = 1;
/// Bytes of what is kept of a claim: a flag, and a reference or a messaging key.
const CLAIM: usize = 33;

/// A key package that was read.
struct Read {
    reference: [u8; 32],
    last_resort: bool,
    expires_at_ns: u64,
    bytes: ByteBuf,
}

/// The messaging keys of the device whose packages these are, and of the person's others: identity has to be asked which hold.
///
/// # Errors
/// [`Error::Invalid`] for packages that can't be, or are of several devices.
pub fn keys<M: Memory>(
    state: &State<M>,
    context: &Context,
    subject: &Subject,
    args: &UploadArgs,
) -> Result<Vec<[u8; 32]>, Error> {
    let (key, _) = read(context, subject, args)?;
    let known = inboxes::of_person(state, subject.person);
    let others = known.into_iter().map(|(other, _)| other);
    Ok([key]
        .into_iter()
        .chain(others.filter(|other| *other != key))
        .collect())
}

/// Puts key packages into store. Repeatable: those that are there already stay as they are.
///
/// # Errors
/// [`Error::Unauthorized`] for a messaging key that does not hold, or is another person's; [`Error::Invalid`];
/// [`Error::LimitReached`]; [`Error::RateLimited`]; [`Error::Unavailable`] before there is a seed.
pub fn upload<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: &UploadArgs,
    holders: &Holders,
) -> Result<u32, Error> {
    let person = subject.person;
    let (key, mut packages) = read(context, subject, args)?;
    holder(holders, &key, person)?;
    packages.retain(|package| !PACKAGE.contains(&state.kit.certified, &package.reference));
    let known = inboxes::find(state, person, &key);
    if packages.is_empty() {
        return Ok(known.map_or(0, |device| in_store(state, device).0));
    }
    if packages.iter().filter(|one| one.last_resort).count() > 1 {
        return Err(invalid(
            "key_packages",
            "must have one for the last resort at most",
        ));
    }
    let stored = known.map_or(0, |device| in_store(state, device).0) as usize;
    if stored + packages.iter().filter(|one| !one.last_resort).count() > MAX_PACKAGES {
        return Err(limit(MAX_PACKAGES, "key packages of a device in store"));
    }
    let mut ended = Vec::new();
    if known.is_none() {
        let others = inboxes::of_person(state, person);
        let others = others.into_iter().map(|(other, _)| other);
        let (hold, over): (Vec<_>, Vec<_>) =
            others.partition(|other| holder(holders, other, person).is_ok());
        if hold.len() >= MAX_DEVICES {
            return Err(limit(MAX_DEVICES, "devices of a person"));
        }
        ended = over;
    }
    state.limits.take(context, None, 5)?;

    let mut changes = Vec::with_capacity(packages.len() + 2);
    let inbox = match known {
        Some(_) => None,
        None => {
            let (change, place) = inboxes::adding(state, person, &key)?;
            changes.push(change);
            Some(place)
        }
    };
    let withdrawn = known
        .filter(|_| packages.iter().any(|one| one.last_resort))
        .and_then(|device| first(state, device, LAST_RESORT));
    if let Some((_, _, reference)) = withdrawn {
        let at_ns = context.time_ns;
        let package = KeyPackage {
            state: KeyPackageState::Withdrawn { at_ns },
            ..get(state, &reference)?
        };
        changes.push(PACKAGE.put(&reference, &KeyPackageRecord::V1(package))?);
    }
    for package in &packages {
        let record = KeyPackageRecord::V1(KeyPackage {
            reference: ByteBuf::from(package.reference),
            person,
            signature_key: ByteBuf::from(key),
            key_package: package.bytes.clone(),
            last_resort: package.last_resort,
            uploaded_at_ns: context.time_ns,
            expires_at_ns: package.expires_at_ns,
            state: KeyPackageState::Available,
            salt: state.randomness.salt()?,
        });
        changes.push(PACKAGE.put(&package.reference, &record)?);
    }
    state.record(context, PACKAGES_UPLOADED, changes)?;

    for other in ended {
        inboxes::forget(state, person, other);
    }
    if let Some(place) = withdrawn {
        state.in_store.remove(&place);
    }
    let device = match (known, inbox) {
        (Some(device), _) => device,
        (None, Some(place)) => inboxes::added(state, person, key, place),
        (None, None) => return Err(internal(DAMAGED)),
    };
    for package in packages {
        let kind = if package.last_resort {
            LAST_RESORT
        } else {
            ORDINARY
        };
        let place = (device, (kind, package.expires_at_ns), package.reference);
        state.in_store.insert(place, ());
    }
    Ok(in_store(state, device).0)
}

/// The messaging keys of all devices of these persons: identity has to be asked which of them hold.
///
/// # Errors
/// [`Error::Invalid`] for the persons; [`Error::LimitReached`] for too many devices.
pub fn devices<M: Memory>(state: &State<M>, args: &ClaimArgs) -> Result<Vec<[u8; 32]>, Error> {
    check_persons(args)?;
    let mut keys = Vec::new();
    for person in &args.persons {
        let all = inboxes::of_person(state, *person);
        keys.extend(all.into_iter().map(|(key, _)| key));
        if keys.len() > MAX_ADDED {
            return Err(limit(MAX_ADDED, "devices of the persons of one claim"));
        }
    }
    Ok(keys)
}

/// Hands out a key package of each device of these persons. `bytes` are the call's argument: the same ones, with the same key,
/// give the same packages.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`] for a person of whom no device is known; [`Error::RateLimited`];
/// [`Error::LimitReached`] for the day's claims upon one of them.
pub fn claim<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: &ClaimArgs,
    bytes: &[u8],
    holders: &Holders,
) -> Result<Claims, Error> {
    check_persons(args)?;
    let key = &args.idempotency_key;
    let ticket = match state
        .idempotency
        .begin(context, key, "claim_key_packages", bytes)?
    {
        Begin::New(ticket) => ticket,
        Begin::Repeat(Success::Stored(kept)) => return again(state, &kept),
        Begin::Repeat(Success::Elsewhere { .. }) => return Err(internal(DAMAGED)),
    };
    let claimed = hand_out(state, context, subject, args, holders);
    match &claimed {
        Ok((_, kept)) => {
            let success = Success::Stored(kept.clone());
            state.idempotency.succeed(context, &ticket, success)?;
        }
        Err(_) => state.idempotency.fail(&ticket)?,
    }
    claimed.map(|(claims, _)| claims)
}

/// How many ordinary packages of a device are in store, and whether there is one for the last resort.
pub(crate) fn in_store<M: Memory>(state: &State<M>, device: u64) -> (u32, bool) {
    let ordinary = state.in_store.keys_range(places(device, ORDINARY)).count();
    let last_resort = first(state, device, LAST_RESORT).is_some();
    (u32::try_from(ordinary).unwrap_or(u32::MAX), last_resort)
}

fn hand_out<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: &ClaimArgs,
    holders: &Holders,
) -> Result<(Claims, Vec<u8>), Error> {
    let mut counts = Vec::with_capacity(args.persons.len());
    let mut claims = Claims {
        claimed: Vec::new(),
        without: Vec::new(),
    };
    let mut changes = Vec::new();
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for person in &args.persons {
        counts.push(counted(state, context, subject.person, *person)?);
        let devices = inboxes::of_person(state, *person);
        if devices.is_empty() {
            return Err(not_found("device of the person", person));
        }
        for (key, device) in devices {
            if holder(holders, &key, *person).is_err() {
                // It has ended, or came in between.
                continue;
            }
            let Some(place) = next(state, context, device) else {
                kept.push(0);
                kept.extend(key);
                claims.without.push(ByteBuf::from(key));
                continue;
            };
            let (_, _, reference) = place;
            let package = get(state, &reference)?;
            kept.push(1);
            kept.extend(reference);
            claims.claimed.push(handed_out(&package));
            if !package.last_resort {
                taken.push(place);
                let record = KeyPackageRecord::V1(KeyPackage {
                    state: KeyPackageState::Claimed {
                        at_ns: context.time_ns,
                    },
                    ..package
                });
                changes.push(PACKAGE.put(&reference, &record)?);
            }
        }
    }
    let tokens = u32::try_from(args.persons.len()).unwrap_or(u32::MAX);
    state.limits.take(context, None, tokens)?;
    if !changes.is_empty() {
        state.record(context, PACKAGES_CLAIMED, changes)?;
    }
    for place in taken {
        state.in_store.remove(&place);
    }
    for (person, count) in args.persons.iter().zip(counts) {
        state.claims.insert((subject.person, *person), count);
    }
    Ok((claims, kept))
}

/// What a claim gave before.
fn again<M: Memory>(state: &State<M>, kept: &[u8]) -> Result<Claims, Error> {
    let mut claims = Claims {
        claimed: Vec::new(),
        without: Vec::new(),
    };
    for [flag, rest @ ..] in kept.as_chunks::<CLAIM>().0 {
        if *flag == 1 {
            claims.claimed.push(handed_out(&get(state, rest)?));
        } else {
            claims.without.push(ByteBuf::from(rest));
        }
    }
    Ok(claims)
}

fn handed_out(package: &KeyPackage) -> Claimed {
    Claimed {
        person: package.person,
        signature_key: package.signature_key.clone(),
        key_package: package.key_package.clone(),
        last_resort: package.last_resort,
    }
}

/// The claims of one caller upon one person, with this one.
fn counted<M: Memory>(
    state: &State<M>,
    context: &Context,
    claimer: Principal,
    person: Principal,
) -> Result<(u64, u32), Error> {
    let now_ns = context.time_ns;
    let (since_ns, count) = state
        .claims
        .get(&(claimer, person))
        .filter(|(since_ns, _)| now_ns < since_ns.saturating_add(DAY_NS))
        .unwrap_or((now_ns, 0));
    let most = configuration::daily_claims(&state.in_force()?.configuration);
    if claimer != person && count >= most {
        return Err(limit(most as usize, "claims upon one person in 24 hours"));
    }
    Ok((since_ns, count.saturating_add(1)))
}

/// The package that a device gives next: the one that expires first of those that don't yet, or the last resort.
fn next<M: Memory>(state: &State<M>, context: &Context, device: u64) -> Option<InStore> {
    [ORDINARY, LAST_RESORT].into_iter().find_map(|kind| {
        let valid = (device, (kind, context.time_ns + 1), [0; 32])..=*places(device, kind).end();
        state.in_store.keys_range(valid).next()
    })
}

fn first<M: Memory>(state: &State<M>, device: u64, kind: u8) -> Option<InStore> {
    state.in_store.keys_range(places(device, kind)).next()
}

fn places(device: u64, kind: u8) -> std::ops::RangeInclusive<InStore> {
    (device, (kind, 0), [0; 32])..=(device, (kind, u64::MAX), [0xff; 32])
}

fn get<M: Memory>(state: &State<M>, reference: &[u8; 32]) -> Result<KeyPackage, Error> {
    let record = PACKAGE.get(&state.kit.certified, reference)?;
    let KeyPackageRecord::V1(package) = record.ok_or_else(|| internal(DAMAGED))?;
    Ok(package)
}

fn check_persons(args: &ClaimArgs) -> Result<(), Error> {
    let count = args.persons.len();
    if !(1..=MAX_CLAIMED_PERSONS).contains(&count) {
        return Err(invalid(
            "persons",
            format!("must be 1 to {MAX_CLAIMED_PERSONS}"),
        ));
    }
    let different: BTreeSet<_> = args.persons.iter().collect();
    if different.len() < count {
        return Err(invalid("persons", "must not name any twice"));
    }
    Ok(())
}

fn read(
    context: &Context,
    subject: &Subject,
    args: &UploadArgs,
) -> Result<([u8; 32], Vec<Read>), Error> {
    let wrong =
        |index: usize, reason: &str| invalid("key_packages", format!("number {index}: {reason}"));
    let count = args.key_packages.len();
    if !(1..=MAX_UPLOAD).contains(&count) {
        return Err(invalid(
            "key_packages",
            format!("must be 1 to {MAX_UPLOAD}"),
        ));
    }
    let mut key = None;
    let mut packages = Vec::with_capacity(count);
    for (index, bytes) in args.key_packages.iter().enumerate() {
        if bytes.len() > MAX_PACKAGE_BYTES {
            let reason = format!("must be at most {MAX_PACKAGE_BYTES} bytes long");
            return Err(wrong(index, &reason));
        }
        let package = indus_mls::KeyPackage::from_message(bytes, seconds(context))
            .map_err(|refused| wrong(index, &refused.to_string()))?;
        if package.identity() != subject.person.as_slice() {
            return Err(wrong(index, "its credential must be the caller's person"));
        }
        if *key.get_or_insert(*package.signature_key()) != *package.signature_key() {
            return Err(wrong(index, "must be of the same device as the first"));
        }
        let not_after = package.lifetime().map_or(0, |lifetime| lifetime.not_after);
        packages.push(Read {
            reference: package.reference(),
            last_resort: package.last_resort(),
            expires_at_ns: not_after.saturating_mul(1_000_000_000),
            bytes: bytes.clone(),
        });
    }
    let different: BTreeSet<_> = packages.iter().map(|one| one.reference).collect();
    if different.len() < count {
        return Err(invalid("key_packages", "must not have any twice"));
    }
    let key = key.ok_or_else(|| internal(DAMAGED))?;
    Ok((key, packages))
}
