//! Stable memory: the 64-bit functions, and the 32-bit ones of older modules.
//!
//! Moving bytes costs 1 instruction each, and a page of 4 KiB that a message writes for the first time 1,000. How
//! many pages a message may touch is limited.

use wasmtime::Linker;

use super::{
    Context, Host,
    access::{Access, Pointer, SystemCalls, system_call},
    pages::PAGE,
};
use crate::{memory::StableError, wasm::Trap};

/// What older modules can address, in Wasm pages: 4 GiB.
const PAGES_32: u64 = 65_536;
/// Instructions for a page that a message writes for the first time.
const PER_WRITTEN_PAGE: u64 = 1_000;
/// What a message may touch, in KiB, for each kind of message.
const MESSAGE_KIB: u64 = 2 * 1024 * 1024;
const UPGRADE_KIB: u64 = 8 * 1024 * 1024;
const QUERY_KIB: u64 = 1024 * 1024;

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "stable64_size", () -> u64, |host| host.host().stable.pages());
    system_call!(linker, calls, "stable64_grow", (pages: u64) -> u64, |host|
        grow(host, pages)?.unwrap_or(u64::MAX));
    system_call!(linker, calls, "stable64_read", (to: u64, offset: u64, len: u64), |host|
        read(host, to, offset, len)?);
    system_call!(linker, calls, "stable64_write", (offset: u64, from: u64, len: u64), |host|
        write(host, offset, from, len)?);
    if P::MEMORY64 {
        return Ok(());
    }

    system_call!(linker, calls, "stable_size", () -> u32, |host| addressable(host)?);
    system_call!(linker, calls, "stable_grow", (pages: u32) -> u32, |host| {
        let before = addressable(host)?;
        if u64::from(before) + u64::from(pages) > PAGES_32
            || grow(host, pages.into())?.is_none()
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
        _ => Err(Trap::Wasm(
            "32 bit stable memory api used on a memory larger than 4GB",
        )),
    }
}

/// The size before, in Wasm pages; `None` where there is no room.
fn grow(host: &mut Access<'_, '_>, pages: u64) -> Result<Option<u64>, Trap> {
    let before = host.host().stable.grow(pages);
    if before.is_some() {
        host.host().grow(pages * crate::memory::WASM_PAGE as u64)?;
    }
    Ok(before)
}

fn outside() -> Trap {
    Trap::Wasm("stable memory out of bounds")
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that map_err asks for"
)]
fn failed(error: StableError) -> Trap {
    match error {
        StableError::OutOfBounds => outside(),
        StableError::OutOfMemory => Trap::OutOfMemory,
    }
}

/// A range of the heap, if there is one.
fn part(heap: &mut [u8], at: u64, len: u64) -> Result<&mut [u8], Trap> {
    let at = usize::try_from(at).ok();
    let len = usize::try_from(len).ok();
    at.zip(len)
        .and_then(|(at, len)| heap.get_mut(at..at.checked_add(len)?))
        .ok_or(Trap::Wasm("heap out of bounds"))
}

/// Checks that both ends of a copy lie within the memories, before anything is charged for it.
fn check(host: &mut Access<'_, '_>, heap: u64, stable: u64, len: u64) -> Result<(), Trap> {
    let (bytes, state) = host.heap_and_host()?;
    part(bytes, heap, len)?;
    let size = state.stable.pages() * crate::memory::WASM_PAGE as u64;
    match stable.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(outside()),
    }
}

/// Pages that a message may touch.
fn limit(context: Context) -> u64 {
    let kib = match context {
        Context::Init | Context::PreUpgrade => UPGRADE_KIB,
        context if context.is_query() => QUERY_KIB,
        _ => MESSAGE_KIB,
    };
    kib * 1024 / PAGE
}

/// Counts the pages of an access against the limit.
fn touch(host: &mut Access<'_, '_>, offset: u64, len: u64) -> Result<(), Trap> {
    let limit = limit(host.context()?);
    let touched = &mut host.host().touched;
    touched.touch(offset, len);
    if touched.len() > limit {
        return Err(Trap::MemoryAccess(format!(
            "Exceeded the limit for the number of accessed pages in the stable memory in a single message \
             execution: limit {MESSAGE_KIB} KB for regular messages and {QUERY_KIB} KB for queries."
        )));
    }
    Ok(())
}

fn read(host: &mut Access<'_, '_>, to: u64, offset: u64, len: u64) -> Result<(), Trap> {
    check(host, to, offset, len)?;
    host.charge_bytes(len)?;
    touch(host, offset, len)?;
    let (heap, state) = host.heap_and_host()?;
    let target = part(heap, to, len)?;
    state.stable.read(offset, target).map_err(failed)
}

fn write(host: &mut Access<'_, '_>, offset: u64, from: u64, len: u64) -> Result<(), Trap> {
    check(host, from, offset, len)?;
    host.charge_bytes(len)?;
    let limit = limit(host.context()?);
    let written = &mut host.host().written;
    let new = written.touch(offset, len);
    if written.len() > limit {
        return Err(Trap::MemoryAccess(format!(
            "Exceeded the limit for the number of modified pages in the stable memory in a single execution: \
             limit {MESSAGE_KIB} KB for regular messages, {UPGRADE_KIB} KB for upgrade messages and {QUERY_KIB} KB \
             for queries."
        )));
    }
    host.charge(new * PER_WRITTEN_PAGE)?;
    touch(host, offset, len)?;
    let (heap, state) = host.heap_and_host()?;
    let source = part(heap, from, len)?;
    state.stable.write(offset, source).map_err(failed)
}
