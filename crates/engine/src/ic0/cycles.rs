//! Cycles: balances, and what comes and goes with calls.

use candid::Principal;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, Pointer, SystemCalls, system_call, u128_of},
};
use crate::wasm::Trap;

/// `rkp4c-7iaaa-aaaaa-aaaca-cai`, the only canister that may mint cycles.
const CYCLES_MINTING_CANISTER: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 4, 1, 1]);

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "canister_cycle_balance128", (to: P), |host| {
        let balance = host.host().balance();
        host.write_u128(to, balance)?;
    });
    system_call!(linker, calls, "canister_liquid_cycle_balance128", (to: P), |host| {
        let liquid = liquid(host);
        host.write_u128(to, liquid)?;
    });
    system_call!(linker, calls, "msg_cycles_available128", (to: P), |host| {
        let available = available(host)?;
        host.write_u128(to, available)?;
    });
    system_call!(linker, calls, "msg_cycles_refunded128", (to: P), |host| {
        let refunded = host.message()?.cycles_refunded;
        host.write_u128(to, refunded)?;
    });
    system_call!(linker, calls, "msg_cycles_accept128", (high: u64, low: u64, to: P), |host| {
        let accepted = accept(host, u128_of(high, low))?;
        host.write_u128(to, accepted)?;
    });
    system_call!(linker, calls, "cycles_burn128", (high: u64, low: u64, to: P), |host| {
        let burned = u128_of(high, low).min(liquid(host));
        host.effects().cycles_burned += burned;
        host.write_u128(to, burned)?;
    });
    system_call!(linker, calls, "mint_cycles128", (high: u64, low: u64, to: P), |host| {
        let minted = mint(host, "mint_cycles128", u128_of(high, low))?;
        host.write_u128(to, minted)?;
    });
    if P::MEMORY64 {
        return Ok(());
    }
    system_call!(linker, calls, "canister_cycle_balance", () -> u64, |host| low(host.host().balance())?);
    system_call!(linker, calls, "msg_cycles_available", () -> u64, |host| low(available(host)?)?);
    system_call!(linker, calls, "msg_cycles_refunded", () -> u64, |host| low(host.message()?.cycles_refunded)?);
    system_call!(linker, calls, "msg_cycles_accept", (max: u64) -> u64, |host| low(accept(host, max.into())?)?);
    system_call!(linker, calls, "mint_cycles", (amount: u64) -> u64, |host|
        low(mint(host, "mint_cycles", amount.into())?)?);
    Ok(())
}

/// What the canister may spend without being frozen.
pub(super) fn liquid(host: &mut Access<'_, '_>) -> u128 {
    let host = host.host();
    host.balance().saturating_sub(host.reserve())
}

/// What may still be accepted: nothing once the call is answered, since the rest has gone back with the answer.
fn available(host: &mut Access<'_, '_>) -> Result<u128, Trap> {
    let sent = host.message()?.cycles_available;
    let effects = host.effects();
    Ok(if effects.answer.is_some() {
        0
    } else {
        sent - effects.cycles_accepted
    })
}

fn accept(host: &mut Access<'_, '_>, max: u128) -> Result<u128, Trap> {
    let accepted = max.min(available(host)?);
    host.effects().cycles_accepted += accepted;
    Ok(accepted)
}

fn mint(host: &mut Access<'_, '_>, function: &str, amount: u128) -> Result<u128, Trap> {
    let canister = host.environment()?.canister;
    if canister != CYCLES_MINTING_CANISTER {
        return Err(Trap::contract(format!(
            "ic0.{function} cannot be executed on non Cycles Minting Canister: {canister} != {CYCLES_MINTING_CANISTER}"
        )));
    }
    let minted = amount.min(u128::MAX - host.host().balance());
    host.effects().cycles_minted += minted;
    Ok(minted)
}

/// A number for the 64-bit functions of older modules, which trap where it doesn't fit.
fn low(cycles: u128) -> Result<u64, Trap> {
    u64::try_from(cycles).map_err(|_| Trap::Wasm("cycles amount exceeds 64-bit representation"))
}
