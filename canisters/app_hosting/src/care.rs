//! Care: readings of canisters' cycles on a schedule, top-ups from this canister's own, what apps cost.
//!
//! ```text
//! due ─► next one set ─► canister_status ─await─► reading, cost of the month ─┬─► enough
//!                                                                            └─► booked ─► deposit_cycles ─await─┬─► given
//!                                                                                                                └─► booked back
//! ```
//!
//! Invariants:
//! - A top-up is booked, within the limits of app and treasury, before it is made; one whose answer is lost stays booked: what an app is
//!   given is never more than its limit.
//! - The next reading is set before the call, so what becomes of the call costs a reading at most.
//!
//! Cost: O(log n) and one block a reading.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    hosting::{
        Care, Cost, CostRecord, HostedCanister, HostedCanisterRecord, ListCostsArgs,
        READING_INTERVAL_NS, Reading, ReadingRecord, canister_key, cost_key, month_of,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{Change, Context, codes::internal, paging::PageRequest, text::invalid};
use serde_bytes::ByteBuf;

use crate::{
    creations,
    state::{CANISTER, COST, CYCLES_BOOKED_BACK, CYCLES_READ, DAMAGED, READING, State},
};

/// What the subnet says of a canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub cycles: u128,
    pub memory_bytes: u64,
    pub idle_cycles_burned_per_day: u128,
    pub module_hash: Option<ByteBuf>,
    pub controllers: Vec<Principal>,
}

/// Canisters whose reading is due, at most `limit`; the next one of each that is still here is set.
///
/// # Errors
/// [`Error::Internal`].
pub fn due<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    limit: usize,
) -> Result<Vec<Principal>, Error> {
    let interval_ns = state.in_force()?.configuration.care.reading_interval_ns;
    let last = (context.time_ns, Principal::from_slice(&[u8::MAX; 29]));
    let due: Vec<_> = state.readings_due.keys_range(..=last).take(limit).collect();
    let next_ns = context.time_ns.saturating_add(interval_ns);
    let mut canisters = Vec::new();
    for entry in due {
        state.readings_due.remove(&entry);
        let (_, canister) = entry;
        let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
        if CANISTER.contains(&state.kit.certified, &key) {
            state.readings_due.insert((next_ns, canister), ());
            canisters.push(canister);
        }
    }
    Ok(canisters)
}

/// Takes a reading in, with so many cycles in the treasury; `seen` is the release that was live when the subnet was asked. What the
/// canister is to be given, which is booked then.
///
/// # Errors
/// [`Error::NotFound`] for a canister that was not created here; [`Error::Internal`].
pub fn read<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    canister: Principal,
    said: &Said,
    seen: Option<u64>,
    treasury: u128,
) -> Result<Option<u128>, Error> {
    let hosted = creations::get(state, canister)?;
    let app = hosted.app;
    let care = state.in_force()?.configuration.care;
    let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
    let before = last(state, canister)?;
    let used = before.map_or(0, |before| {
        (before.cycles + before.topped_up_since).saturating_sub(said.cycles)
    });
    let cost = cost(state, app, context.time_ns)?;
    let millipaisa = used.saturating_mul(care.paisa_per_trillion.into()) / 1_000_000_000;
    let top_up = top_up(&care, said, &cost, treasury);
    let given = top_up.unwrap_or(0);
    let cost = Cost {
        cycles_used: cost.cycles_used.saturating_add(used),
        cycles_topped_up: cost.cycles_topped_up.saturating_add(given),
        readings: cost.readings + 1,
        millipaisa: cost.millipaisa.saturating_add(millipaisa),
        ..cost
    };
    let reading = Reading {
        canister,
        app,
        at_ns: context.time_ns,
        cycles: said.cycles,
        memory_bytes: said.memory_bytes,
        idle_cycles_burned_per_day: said.idle_cycles_burned_per_day,
        topped_up_since: given,
    };
    let mut changes = vec![
        READING.put(&key, &ReadingRecord::V1(reading))?,
        stored(&cost)?,
    ];
    // What was said before a release, or during one, is not what is.
    let is_of_now = hosted.release == seen && !state.open_releases.contains_key(&canister);
    if let Some(observed) = observed(&hosted, said).filter(|_| is_of_now) {
        changes.push(CANISTER.put(&key, &HostedCanisterRecord::V1(observed))?);
    }
    state.record(context, CYCLES_READ, state.own, changes)?;
    Ok(top_up)
}

/// The canister as it is, where its record says something else: founders install and set controllers with tools of their own. A
/// release whose module was replaced so is live no more.
fn observed(hosted: &HostedCanister, said: &Said) -> Option<HostedCanister> {
    let mut observed = HostedCanister {
        module_hash: said.module_hash.clone(),
        controllers: said.controllers.clone(),
        ..hosted.clone()
    };
    if observed.module_hash != hosted.module_hash && hosted.release.is_some() {
        observed.release = None;
        observed.release_before = hosted.release;
    }
    (observed != *hosted).then_some(observed)
}

/// What a canister is to be given.
fn top_up(care: &Care, said: &Said, cost: &Cost, treasury: u128) -> Option<u128> {
    let amount = u128::from(care.top_up_cycles);
    let needs = said.cycles < u128::from(care.least_cycles);
    let may =
        cost.cycles_topped_up.saturating_add(amount) <= u128::from(care.cycles_a_month_of_app);
    let has = treasury >= amount.saturating_add(care.reserve_cycles.into());
    (amount > 0 && needs && may && has).then_some(amount)
}

/// Books a top-up back that surely was not given.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Internal`].
pub fn not_given<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    canister: Principal,
    cycles: u128,
) -> Result<(), Error> {
    let reading = last(state, canister)?.ok_or_else(|| internal(DAMAGED))?;
    let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
    // That of the month in which it was booked.
    let cost = cost(state, reading.app, reading.at_ns)?;
    let reading = Reading {
        topped_up_since: reading.topped_up_since.saturating_sub(cycles),
        ..reading
    };
    let cost = Cost {
        cycles_topped_up: cost.cycles_topped_up.saturating_sub(cycles),
        ..cost
    };
    let changes = vec![
        READING.put(&key, &ReadingRecord::V1(reading))?,
        stored(&cost)?,
    ];
    state
        .record(context, CYCLES_BOOKED_BACK, state.own, changes)
        .map(drop)
}

/// The last reading of a canister.
fn last<M: Memory>(state: &State<M>, canister: Principal) -> Result<Option<Reading>, Error> {
    let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
    let record = READING.get(&state.kit.certified, &key)?;
    Ok(record.map(|ReadingRecord::V1(reading)| reading))
}

/// What an app has cost so far in the month of a time.
fn cost<M: Memory>(state: &State<M>, app: u64, time_ns: u64) -> Result<Cost, Error> {
    let month = month_of(time_ns);
    let record = COST.get(&state.kit.certified, &cost_key(app, month))?;
    let none = Cost {
        app,
        month,
        cycles_used: 0,
        cycles_topped_up: 0,
        readings: 0,
        millipaisa: 0,
    };
    Ok(record.map_or(none, |CostRecord::V1(cost)| cost))
}

fn stored(cost: &Cost) -> Result<Change, Error> {
    COST.put(&cost_key(cost.app, cost.month), &CostRecord::V1(*cost))
}

/// A page of what an app cost, in the order of months.
///
/// # Errors
/// [`Error::NotFound`] for the app; [`Error::Invalid`] for the limit.
pub fn costs<M: Memory>(state: &State<M>, args: ListCostsArgs) -> Result<Page<u32, Cost>, Error> {
    let ListCostsArgs { app, after, limit } = args;
    state.app(app)?;
    let request = PageRequest::checked(PageArgs { after, limit })?;
    // Nothing was in the month 0.
    let first = cost_key(app, after.unwrap_or(0));
    let of_app = COST
        .after(&state.kit.certified, Some(&first))
        .map(|(_, record)| record.map(|CostRecord::V1(cost)| cost))
        .take_while(|cost| cost.as_ref().map_or(true, |cost| cost.app == app));
    request.answer(
        of_app,
        |cost| cost.as_ref().map_or(0, |cost| cost.month),
        |cost| cost.map(Some),
    )
}

/// # Errors
/// [`Error::Invalid`] for what can't be configured.
pub(crate) fn check(care: &Care) -> Result<(), Error> {
    if READING_INTERVAL_NS.contains(&care.reading_interval_ns) {
        return Ok(());
    }
    let (least, most) = READING_INTERVAL_NS.into_inner();
    let reason = format!("must be {least} to {most}");
    Err(invalid("care.reading_interval_ns", reason))
}
