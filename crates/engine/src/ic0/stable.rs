//! Stable memory: the 64-bit functions, and the 32-bit ones of older modules.

use wasmtime::Linker;

use super::{
    Host,
    access::{Access, SystemCalls, system_call},
};
use crate::wasm::{Trap, costs};

/// What older modules can address, in Wasm pages: 4 GiB.
const PAGES_32: u64 = 65_536;
/// Stable memory is charged by pages of this size, in bytes, when a message first writes them.
const CHARGED_PAGE: u64 = 4_096;
/// Instructions for such a page.
const PER_WRITTEN_PAGE: u64 = 1_000;

pub(super) fn link(linker: &mut Linker<Host>, calls: &SystemCalls) -> wasmtime::Result<()> {
    system_call!(linker, calls, "stable64_size", () -> u64, |host| host.host().stable.pages());
    system_call!(linker, calls, "stable64_grow", (pages: u64) -> u64, |host|
        host.host().stable.grow(pages).unwrap_or(u64::MAX));
    system_call!(linker, calls, "stable64_read", (to: u64, offset: u64, len: u64), |host|
        read(host, to, offset, len)?);
    system_call!(linker, calls, "stable64_write", (offset: u64, from: u64, len: u64), |host|
        write(host, offset, from, len)?);

    system_call!(linker, calls, "stable_size", () -> u32, |host| addressable(host)?);
    system_call!(linker, calls, "stable_grow", (pages: u32) -> u32, |host| {
        let before = addressable(host)?;
        if u64::from(before) + u64::from(pages) > PAGES_32
            || host.host().stable.grow(u64::from(pages)).is_none()
        {
            u32::MAX
        } else {
            before
        }
    });
    system_call!(linker, calls, "stable_read", (to: u32, offset: u32, len: u32), |host| {
        addressable(host)?;
        read(host, to.into(), offset.into(), len.into())?;
    });
    system_call!(linker, calls, "stable_write", (offset: u32, from: u32, len: u32), |host| {
        addressable(host)?;
        write(host, offset.into(), from.into(), len.into())?;
    });
    Ok(())
}

/// Pages, where 32-bit functions can address them all; else they trap.
fn addressable(host: &mut Access<'_, '_>) -> Result<u32, Trap> {
    let pages = host.host().stable.pages();
    match u32::try_from(pages) {
        Ok(pages) if u64::from(pages) <= PAGES_32 => Ok(pages),
        _ => Err(Trap::contract(
            "32-bit stable memory api used on a memory larger than 4GB",
        )),
    }
}

fn outside() -> Trap {
    Trap::Wasm("stable memory out of bounds")
}

/// A range of the heap, if there is one.
fn part(heap: &mut [u8], at: u64, len: u64) -> Option<&mut [u8]> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    heap.get_mut(at..end)
}

fn read(host: &mut Access<'_, '_>, to: u64, offset: u64, len: u64) -> Result<(), Trap> {
    host.charge(len.saturating_mul(costs::PER_BYTE))?;
    let (heap, state) = host.heap_and_host()?;
    let target = part(heap, to, len).ok_or(Trap::Wasm("heap out of bounds"))?;
    state.stable.read(offset, target).map_err(|_| outside())
}

fn write(host: &mut Access<'_, '_>, offset: u64, from: u64, len: u64) -> Result<(), Trap> {
    host.charge(len.saturating_mul(costs::PER_BYTE))?;
    let (heap, state) = host.heap_and_host()?;
    let source = part(heap, from, len).ok_or(Trap::Wasm("heap out of bounds"))?;
    state.stable.write(offset, source).map_err(|_| outside())?;
    if len == 0 {
        return Ok(());
    }
    let pages = offset / CHARGED_PAGE..=(offset + len - 1) / CHARGED_PAGE;
    let new = pages
        .filter(|page| state.stable_pages.insert(*page))
        .count() as u64;
    host.charge(new * PER_WRITTEN_PAGE)
}
