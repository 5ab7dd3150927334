//! The canisters on the subnet: what is declared of each, and what the subnet says.
//!
//! ```text
//! proposal ──► declared ──┐
//!                         ├──► match, or drift: certified, with since when
//! canister_info ──► observed
//! ```
//!
//! Invariants:
//! - What was observed is the management canister's answer in the message that records it.
//! - Nothing is recorded of a canister that is not in the inventory.
//! - An observation that tells nothing new is recorded once an hour at most.
//!
//! Cost: O(log n) a call, and one call of the management canister an observation.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
    registry::{
        CanisterEntry, CanisterProfile, CanisterRecord, Drift, MAX_NAME_BYTES, MAX_REASON_BYTES,
        MAX_SLUG_BYTES, Observation, UpgradeOrder,
        inventory::{MAX_CONTROLLERS, OBSERVATION_INTERVAL_NS},
        principal_key,
    },
};
use indus_kit::{
    Context,
    paging::PageRequest,
    text::{self, invalid},
};
use serde_bytes::ByteBuf;

use crate::{
    organisations,
    state::{CANISTER, OBSERVED, Plan, State, conflict, not_found},
};

/// Puts a canister into the inventory, or changes what is declared of it.
pub(crate) fn plan_record<M: Memory>(
    state: &State<M>,
    profile: CanisterProfile,
) -> Result<Plan, Error> {
    text::slug("name", &profile.name, MAX_SLUG_BYTES)?;
    if let Some(hash) = &profile.module_hash {
        check_hash("module_hash", hash)?;
    }
    organisations::check_active(state, profile.organisation)?;
    let observation = entry(state, profile.canister)?.and_then(|entry| entry.observation);
    stored(profile, observation)
}

/// Takes a canister out of the inventory.
pub(crate) fn plan_remove<M: Memory>(
    state: &State<M>,
    canister: Principal,
    reason: &str,
) -> Result<Plan, Error> {
    text::name("reason", reason, MAX_REASON_BYTES)?;
    check_known(state, canister)?;
    Ok(Plan {
        changes: vec![CANISTER.removed(&principal_key(canister))],
        effects: vec![],
    })
}

/// Declares the module of an approved upgrade.
pub(crate) fn plan_upgrade<M: Memory>(
    state: &State<M>,
    order: &UpgradeOrder,
) -> Result<Plan, Error> {
    check_hash("module_hash", &order.module_hash)?;
    check_hash("argument_hash", &order.argument_hash)?;
    check_hash("previous_hash", &order.previous_hash)?;
    let hexadecimal = order
        .source_commit
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal || !matches!(order.source_commit.len(), 40 | 64) {
        let reason = "must be 40 or 64 hexadecimal digits";
        return Err(invalid("source_commit", reason));
    }
    text::name("version", &order.version, MAX_NAME_BYTES)?;
    let CanisterEntry {
        profile,
        observation,
        ..
    } = get(state, order.canister)?;
    let declared = profile.module_hash.as_ref();
    if declared.is_some_and(|declared| *declared != order.previous_hash) {
        return Err(conflict("another module than the previous one is declared"));
    }
    let profile = CanisterProfile {
        module_hash: Some(order.module_hash.clone()),
        ..profile
    };
    stored(profile, observation)
}

/// Checks that a canister is in the inventory.
pub(crate) fn check_known<M: Memory>(state: &State<M>, canister: Principal) -> Result<(), Error> {
    if CANISTER.contains(&state.kit.certified, &principal_key(canister)) {
        return Ok(());
    }
    Err(not_found("canister", canister))
}

/// Records what the subnet said of a canister, if it is news.
///
/// # Errors
/// [`Error::NotFound`] for a canister that is not in the inventory any more.
pub fn observed<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    canister: Principal,
    module_hash: Option<Vec<u8>>,
    mut controllers: Vec<Principal>,
) -> Result<CanisterEntry, Error> {
    let entry = get(state, canister)?;
    let module_hash = module_hash.map(ByteBuf::from);
    controllers.sort_unstable();
    controllers.truncate(MAX_CONTROLLERS);
    let at_ns = context.time_ns;
    let same = entry
        .observation
        .as_ref()
        .filter(|last| last.module_hash == module_hash && last.controllers == controllers);
    if same.is_some_and(|last| at_ns < last.at_ns.saturating_add(OBSERVATION_INTERVAL_NS)) {
        return Ok(entry);
    }
    let observation = Observation {
        module_hash,
        controllers,
        since_ns: same.map_or(at_ns, |last| last.since_ns),
        at_ns,
    };
    let entry = joined(entry.profile, Some(observation));
    let change = CANISTER.put(&principal_key(canister), &CanisterRecord::V1(entry.clone()))?;
    state.append(context, OBSERVED, vec![change])?;
    Ok(entry)
}

/// Canisters behind `after` in the order of their keys whose last observation is older than an hour: at most `limit`, of
/// the `looked` next ones. And where to go on.
pub(crate) fn stale<M: Memory>(
    state: &State<M>,
    context: &Context,
    after: Option<&[u8]>,
    looked: usize,
) -> (Vec<Principal>, Option<Vec<u8>>) {
    let mut stale = Vec::new();
    let mut last = None;
    let mut seen = 0;
    for (key, record) in CANISTER.after(&state.kit.certified, after).take(looked) {
        seen += 1;
        last = Some(key);
        let Ok(CanisterRecord::V1(entry)) = record else {
            continue;
        };
        let at_ns = entry.observation.map_or(0, |last| last.at_ns);
        if at_ns.saturating_add(OBSERVATION_INTERVAL_NS) <= context.time_ns {
            stale.push(entry.profile.canister);
        }
    }
    (stale, last.filter(|_| seen == looked))
}

/// A canister of the inventory.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, canister: Principal) -> Result<CanisterEntry, Error> {
    entry(state, canister)?.ok_or_else(|| not_found("canister", canister))
}

/// A page of the inventory, in the order of its keys.
///
/// # Errors
/// [`Error::Invalid`] for `after` or the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: PageArgs<ByteBuf>,
) -> Result<Page<ByteBuf, CanisterEntry>, Error> {
    if args.after.as_ref().is_some_and(|after| after.len() != 32) {
        return Err(invalid("after", "must be 32 bytes long"));
    }
    let after = args.after.clone();
    let after = after.as_ref().map(|key| key.as_slice());
    PageRequest::checked(args)?.answer(
        CANISTER.after(&state.kit.certified, after),
        |(key, _)| ByteBuf::from(key.clone()),
        |(_, record)| record.map(|CanisterRecord::V1(entry)| Some(entry)),
    )
}

fn entry<M: Memory>(state: &State<M>, canister: Principal) -> Result<Option<CanisterEntry>, Error> {
    let record = CANISTER.get(&state.kit.certified, &principal_key(canister))?;
    Ok(record.map(|CanisterRecord::V1(entry)| entry))
}

fn stored(profile: CanisterProfile, observation: Option<Observation>) -> Result<Plan, Error> {
    let key = principal_key(profile.canister);
    let entry = joined(profile, observation);
    Ok(Plan {
        changes: vec![CANISTER.put(&key, &CanisterRecord::V1(entry))?],
        effects: vec![],
    })
}

fn joined(profile: CanisterProfile, observation: Option<Observation>) -> CanisterEntry {
    let drift = match (&profile.module_hash, &observation) {
        (Some(declared), Some(seen)) if seen.module_hash.as_ref() == Some(declared) => Drift::Match,
        (Some(_), Some(_)) => Drift::Drift,
        _ => Drift::Unknown,
    };
    CanisterEntry {
        profile,
        observation,
        drift,
    }
}

fn check_hash(field: &str, hash: &[u8]) -> Result<(), Error> {
    if hash.len() == 32 {
        return Ok(());
    }
    Err(invalid(field, "must be 32 bytes long"))
}
