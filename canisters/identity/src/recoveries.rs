//! Recoveries: how a person who has lost their devices comes back.
//!
//! ```text
//!       open (an official)      approve (another one)       delay        finish
//! (none) ───────────► opened ───────────────────► approved ─ ─ ─ ─ ─► ready ───► finished: the new method is the person's
//!                        └── veto (any of the person's methods) ─┴───────┴──► vetoed
//! 30 days after its opening it is over, in whatever state.
//! ```
//!
//! Officials are persons with the role [`RECOVERY_OFFICER`] in an organisation in which the recovered person holds a role,
//! which they accepted.
//!
//! Invariants, checked anew at each step with what the registry says at that moment:
//! - The organisation is active, and the person holds a role in it.
//! - The two officials are different persons, neither of them the recovered one, and both hold their role until the end.
//! - Between approval and end lies the configured delay, and no veto.
//! - One recovery of a person at a time.
//!
//! Cost: O(log n), and a record for each role of the persons concerned.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        Approval, ApproveRecoveryArgs, DEFAULT_RECOVERY_DELAY_NS, OpenRecoveryArgs,
        RECOVERY_LIFETIME_NS, RECOVERY_OFFICER, Recovery, RecoveryEnd, RecoveryRecord, id_key,
    },
    registry::Standing,
};
use indus_kit::{Change, Context, subjects::ReadRule, text::invalid};
use sha2::{Digest as _, Sha256};

use crate::{
    messaging_keys, methods, persons, roles,
    state::{
        METHOD, RECOVERY, RECOVERY_APPROVED, RECOVERY_FINISHED, RECOVERY_OPENED, RECOVERY_VETOED,
        State, conflict, not_found, unauthorized,
    },
    subjects,
};

/// Opens the recovery of a person of the caller's organisation. The identical one, while it is open, is answered again.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no recovery officer, or is the person; [`Error::Invalid`] for the new method;
/// [`Error::NotFound`] for the person; [`Error::Conflict`] if the organisation is not active, the person holds no role in it,
/// or another recovery is open; [`Error::AlreadyExists`] for a key that is a method.
pub fn open<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: OpenRecoveryArgs,
    standing: Option<&Standing>,
) -> Result<Recovery, Error> {
    let official = subjects::official(state, context, RECOVERY_OFFICER, standing)?;
    methods::check(&args.new_method)?;
    persons::check(state, args.person)?;
    if official.person == args.person {
        return Err(another("the person"));
    }
    check_member(state, context, args.person, official.organisation)?;
    if let Some(open) = open_of(state, args.person, context.time_ns)? {
        let same = open.opened_by == official.person
            && open.organisation == official.organisation
            && open.new_method == args.new_method
            && open.remove_others == args.remove_others;
        return if same {
            Ok(open)
        } else {
            Err(conflict(format!("recovery {} is open", open.id)))
        };
    }
    methods::check_free(state, args.new_method.principal)?;
    let recovery = Recovery {
        id: state.next_id(RECOVERY),
        person: args.person,
        organisation: official.organisation,
        new_method: args.new_method,
        remove_others: args.remove_others,
        opened_by: official.person,
        opened_at_ns: context.time_ns,
        ends_at_ns: context.time_ns.saturating_add(RECOVERY_LIFETIME_NS),
        approval: None,
        end: None,
        salt: state.randomness.salt()?,
    };
    let recovery = put(
        state,
        context,
        official.person,
        RECOVERY_OPENED,
        recovery,
        vec![],
    )?;
    state.recovery_of.insert(recovery.person, recovery.id);
    Ok(recovery)
}

/// Agrees to a recovery as a second official. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no recovery officer of the same organisation, opened it, or is the person;
/// [`Error::NotFound`]; [`Error::Expired`]; [`Error::Stale`] if it isn't what the official read; [`Error::Conflict`] if it was
/// approved or has ended, or what it rests on no longer holds.
pub fn approve<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: ApproveRecoveryArgs,
    standing: Option<&Standing>,
) -> Result<Recovery, Error> {
    let official = subjects::official(state, context, RECOVERY_OFFICER, standing)?;
    let hash = <[u8; 32]>::try_from(args.recovery_hash.as_slice())
        .map_err(|_| invalid("recovery_hash", "must be 32 bytes long"))?;
    let recovery = get(state, args.id)?;
    if recovery.organisation != official.organisation {
        return Err(unauthorized(
            "a recovery officer of the person's organisation",
        ));
    }
    if recovery.opened_by == official.person || recovery.person == official.person {
        return Err(another("the one who opened it, and the person"));
    }
    check_open(context, &recovery)?;
    match recovery.approval {
        Some(approval) if approval.by == official.person => return Ok(recovery),
        Some(_) => return Err(conflict("the recovery is approved already")),
        None => {}
    }
    let current = record_hash(state, args.id)?;
    if current != hash {
        return Err(Error::Stale {
            current: hex::encode(current),
        });
    }
    check_member(state, context, recovery.person, recovery.organisation)?;
    check_officer(state, context, recovery.opened_by, recovery.organisation)?;
    let delay_ns = state.in_force()?.configuration.recovery_delay_ns;
    let delay_ns = delay_ns.unwrap_or(DEFAULT_RECOVERY_DELAY_NS);
    let approved = Recovery {
        approval: Some(Approval {
            by: official.person,
            at_ns: context.time_ns,
            ready_at_ns: context.time_ns.saturating_add(delay_ns),
        }),
        ..recovery
    };
    put(
        state,
        context,
        official.person,
        RECOVERY_APPROVED,
        approved,
        vec![],
    )
}

/// Refuses a recovery, by any method of its person. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else; [`Error::NotFound`]; [`Error::Expired`]; [`Error::Conflict`] if it is finished.
pub fn veto<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
) -> Result<Recovery, Error> {
    let person = methods::of_caller(state, context)?.person;
    let recovery = get(state, id)?;
    if recovery.person != person {
        return Err(unauthorized("the person who is to be recovered"));
    }
    if matches!(recovery.end, Some(RecoveryEnd::Vetoed { .. })) {
        return Ok(recovery);
    }
    check_open(context, &recovery)?;
    let at_ns = context.time_ns;
    let vetoed = Recovery {
        end: Some(RecoveryEnd::Vetoed { at_ns }),
        ..recovery
    };
    put(state, context, person, RECOVERY_VETOED, vetoed, vec![])
}

/// The organisation whose standing has to be asked for before [`finish`].
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to who may not finish it.
pub fn asks<M: Memory>(state: &State<M>, context: &Context, id: u64) -> Result<u64, Error> {
    let recovery = get(state, id)?;
    finisher(state, context, &recovery)?;
    Ok(recovery.organisation)
}

/// Gives the person the new method, and takes the others from them if that was decided. By one of the two officials, or by
/// the new key itself. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else; [`Error::NotFound`]; [`Error::Expired`]; [`Error::QuorumNotMet`] before the
/// second official; [`Error::Conflict`] before the delay is over, after a veto, or if what it rests on no longer holds;
/// [`Error::AlreadyExists`] if the key has become a method since; [`Error::LimitReached`].
pub fn finish<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    standing: Option<&Standing>,
) -> Result<Recovery, Error> {
    let recovery = get(state, id)?;
    let actor = finisher(state, context, &recovery)?;
    if matches!(recovery.end, Some(RecoveryEnd::Finished { .. })) {
        return Ok(recovery);
    }
    check_open(context, &recovery)?;
    let approval = recovery
        .approval
        .ok_or(Error::QuorumNotMet { have: 1, need: 2 })?;
    if context.time_ns < approval.ready_at_ns {
        return Err(conflict("the delay is not over"));
    }
    let standing = standing
        .filter(|standing| standing.organisation == recovery.organisation)
        .ok_or_else(|| not_found("organisation", recovery.organisation))?;
    roles::check_active(standing)?;
    check_member(state, context, recovery.person, recovery.organisation)?;
    for official in [recovery.opened_by, approval.by] {
        check_officer(state, context, official, recovery.organisation)?;
    }
    methods::check_free(state, recovery.new_method.principal)?;
    let removed = if recovery.remove_others {
        methods::keys(state, recovery.person)
    } else {
        methods::check_room(state, recovery.person)?;
        Vec::new()
    };
    let key = recovery.new_method.clone();
    let (_, place, added) = methods::adding(state, context, recovery.person, key)?;
    let mut changes: Vec<Change> = removed.iter().map(|key| METHOD.removed(key)).collect();
    for key in &removed {
        changes.extend(messaging_keys::ending(state, context, key)?);
    }
    changes.push(added);
    let at_ns = context.time_ns;
    let finished = Recovery {
        end: Some(RecoveryEnd::Finished { at_ns }),
        ..recovery
    };
    let finished = put(state, context, actor, RECOVERY_FINISHED, finished, changes)?;
    for key in removed {
        state.methods_of.remove(&(finished.person, key));
        messaging_keys::ended(state, &key);
    }
    methods::added(state, finished.person, place);
    // Whoever had opened one may no longer be the person.
    state.pairings.end(finished.person);
    Ok(finished)
}

/// A recovery, for its person and recovery officers.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`]; [`Error::Unavailable`] where the caller's roles are not known now.
pub fn read<M: Memory>(state: &State<M>, context: &Context, id: u64) -> Result<Recovery, Error> {
    let rule = ReadRule::OwnerOrRole(RECOVERY_OFFICER);
    let caller = methods::of_caller(state, context)?.person;
    let recovery = get(state, id)?;
    if caller != recovery.person
        && !subjects::of_caller(state, context)?
            .roles
            .contains(RECOVERY_OFFICER)
    {
        return Err(unauthorized(rule.needs()));
    }
    Ok(recovery)
}

/// The recovery of a person that is open at this time.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn open_of<M: Memory>(
    state: &State<M>,
    person: Principal,
    time_ns: u64,
) -> Result<Option<Recovery>, Error> {
    let Some(id) = state.recovery_of.get(&person) else {
        return Ok(None);
    };
    let recovery = get(state, id)?;
    Ok(recovery.is_open(time_ns).then_some(recovery))
}

fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Recovery, Error> {
    let RecoveryRecord::V1(recovery) = RECOVERY
        .get(&state.kit.certified, &id_key(id))?
        .ok_or_else(|| not_found("recovery", id))?;
    Ok(recovery)
}

/// SHA-256 of the stored record: what an official approves.
fn record_hash<M: Memory>(state: &State<M>, id: u64) -> Result<[u8; 32], Error> {
    let bytes = RECOVERY.bytes(&state.kit.certified, &id_key(id));
    let bytes = bytes.ok_or_else(|| not_found("recovery", id))?;
    Ok(Sha256::digest(bytes).into())
}

fn put<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    actor: Principal,
    kind: &'static str,
    recovery: Recovery,
    mut changes: Vec<Change>,
) -> Result<Recovery, Error> {
    let record = RecoveryRecord::V1(recovery.clone());
    changes.push(RECOVERY.put(&id_key(recovery.id), &record)?);
    state.record(context, actor, kind, changes)?;
    Ok(recovery)
}

/// Who finishes a recovery: one of its two officials, or by the new key its person.
fn finisher<M: Memory>(
    state: &State<M>,
    context: &Context,
    recovery: &Recovery,
) -> Result<Principal, Error> {
    let caller = context.authenticated()?;
    if caller == recovery.new_method.principal {
        return Ok(recovery.person);
    }
    let approver = recovery.approval.map(|approval| approval.by);
    methods::find(state, caller)?
        .map(|method| method.person)
        .filter(|person| *person == recovery.opened_by || Some(*person) == approver)
        .ok_or_else(|| unauthorized("one of the two officials, or the new method"))
}

fn check_open(context: &Context, recovery: &Recovery) -> Result<(), Error> {
    match recovery.end {
        Some(RecoveryEnd::Vetoed { .. }) => Err(conflict("the person has refused the recovery")),
        Some(RecoveryEnd::Finished { .. }) => Err(conflict("the recovery is finished")),
        None if recovery.is_open(context.time_ns) => Ok(()),
        None => Err(Error::Expired),
    }
}

fn check_member<M: Memory>(
    state: &State<M>,
    context: &Context,
    person: Principal,
    organisation: u64,
) -> Result<(), Error> {
    let offices = roles::offices(state, person, context.time_ns)?;
    if offices.contains_key(&organisation) {
        return Ok(());
    }
    Err(conflict("the person holds no role in the organisation"))
}

fn check_officer<M: Memory>(
    state: &State<M>,
    context: &Context,
    person: Principal,
    organisation: u64,
) -> Result<(), Error> {
    let offices = roles::offices(state, person, context.time_ns)?;
    let roles = offices.get(&organisation);
    if roles.is_some_and(|roles| roles.contains(RECOVERY_OFFICER)) {
        return Ok(());
    }
    Err(conflict(
        "an official of the recovery no longer holds the role",
    ))
}

fn another(than: &str) -> Error {
    unauthorized(format!("a recovery officer other than {than}"))
}
