//! What every system call does first, and how it reaches the canister's memory.
//!
//! Each function of `ic0` is written once and linked for modules with 32-bit and with 64-bit memories: a
//! [`Pointer`] is what the specification writes as `I`. Texts of failures are those of the replica, since clients
//! see them.

use std::collections::HashMap;

use wasmtime::{Caller, WasmTy};

use super::{Context, Effects, Environment, Host, Message, context, context::Allowed};
use crate::wasm::{Advice, Trap, costs};

/// A pointer into a canister's memory, or a length: 32 or 64 bits, by the memory.
pub(super) trait Pointer: WasmTy + Copy + Into<u64> + TryFrom<usize> {
    const MEMORY64: bool;

    /// A length as the canister sees it.
    fn of(len: usize) -> Result<Self, Trap> {
        Self::try_from(len).map_err(|_| Trap::contract("longer than the memory can be"))
    }
}

impl Pointer for u32 {
    const MEMORY64: bool = false;
}

impl Pointer for u64 {
    const MEMORY64: bool = true;
}

/// Rules and charges of all system calls.
pub(super) struct SystemCalls {
    contexts: HashMap<&'static str, Allowed>,
}

/// Rule and charge of one system call.
#[derive(Clone, Copy)]
pub(super) struct SystemCall {
    name: &'static str,
    allowed: Allowed,
    charge: u64,
}

impl SystemCalls {
    pub(super) fn new() -> Self {
        Self {
            contexts: context::table(),
        }
    }

    pub(super) fn named(&self, name: &'static str) -> SystemCall {
        SystemCall {
            name,
            allowed: self.contexts[name],
            charge: costs::system_call(name),
        }
    }
}

/// Links system calls: `system_call!(linker, calls, "name", (a: P) -> u64, |host| …)`.
///
/// The body runs after the context was checked and the charge paid, and sees the caller as `host`.
macro_rules! system_call {
    ($linker:ident, $calls:ident, $name:literal, ($($arg:ident: $ty:ty),*) $(-> $result:ty)?, |$host:ident| $body:expr) => {{
        let call = $calls.named($name);
        $linker.func_wrap("ic0", $name,
            move |mut caller: wasmtime::Caller<'_, $crate::ic0::Host>, $($arg: $ty),*|
                -> wasmtime::Result<system_call!(@result $($result)?)> {
                let $host = &mut $crate::ic0::access::Access::enter(&mut caller, call)?;
                Ok($body)
            })?;
    }};
    (@result) => { () };
    (@result $result:ty) => { $result };
}
pub(super) use system_call;

/// What the replica advises where a function is called from the wrong entry point.
const WRONG_MODE: Advice = Advice::new(
    "Check the ICP documentation to make sure APIs are being called in the correct message types.",
    "calling-a-system-api-from-the-wrong-mode",
);

/// A system call under way: the host's state and the canister's memory.
pub(super) struct Access<'a, 'b> {
    caller: &'a mut Caller<'b, Host>,
    name: &'static str,
}

/// A range that does not lie within what it should.
fn outside(what: &str, from: u64, len: u64, size: usize) -> Trap {
    Trap::contract(if from.checked_add(len).is_some() {
        format!("{what}: src={from} + length={len} exceeds the slice size={size}")
    } else {
        format!("{what}: src={from} + length={len} is an invalid address")
    })
}

/// `from..from + len` as a range of something with `size` bytes, if it lies within.
fn within(from: u64, len: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let end = usize::try_from(from.checked_add(len)?).ok()?;
    let from = usize::try_from(from).ok()?;
    (end <= size).then_some(from..end)
}

impl<'a, 'b> Access<'a, 'b> {
    /// Checks the context and takes the fixed charge.
    pub(super) fn enter(caller: &'a mut Caller<'b, Host>, call: SystemCall) -> Result<Self, Trap> {
        let mut access = Self {
            caller,
            name: call.name,
        };
        if !call.allowed.contains(access.message()?.context) {
            return Err(access.wrong_mode());
        }
        // The 1 that a call weighs less (see `costs`): entering a host function costs no fuel.
        access.charge(call.charge + 1)?;
        Ok(access)
    }

    /// Says that the function may not be called from where the message was entered.
    pub(super) fn wrong_mode(&self) -> Trap {
        let mode = self.message().map_or("no", Message::mode);
        // The replica names these two the other way.
        let separator = match self.name {
            "root_key_copy" | "subnet_self_copy" => '.',
            _ => '_',
        };
        let text = format!(
            "\"ic0{separator}{}\" cannot be executed in {mode} mode",
            self.name
        );
        Trap::Misuse(text, WRONG_MODE)
    }

    pub(super) fn message(&self) -> Result<&Message, Trap> {
        let text = || Trap::contract(format!("\"ic0_{}\" outside of a message", self.name));
        self.caller.data().message.as_ref().ok_or_else(text)
    }

    pub(super) fn context(&self) -> Result<Context, Trap> {
        Ok(self.message()?.context)
    }

    pub(super) fn environment(&self) -> Result<&Environment, Trap> {
        Ok(&self.message()?.environment)
    }

    pub(super) fn effects(&mut self) -> &mut Effects {
        &mut self.caller.data_mut().effects
    }

    pub(super) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Instructions that this message has executed so far.
    pub(super) fn instructions(&self) -> u64 {
        self.caller
            .data()
            .limit
            .saturating_sub(self.caller.get_fuel().unwrap_or(0))
    }

    /// Takes so many instructions.
    pub(super) fn charge(&mut self, instructions: u64) -> Result<(), Trap> {
        let left = self.caller.get_fuel().unwrap_or(0);
        let rest = left.checked_sub(instructions);
        let result = self.caller.set_fuel(rest.unwrap_or(0));
        if rest.is_none() || result.is_err() {
            Err(Trap::OutOfInstructions)
        } else {
            Ok(())
        }
    }

    /// Takes the instructions for so many bytes that are moved.
    pub(super) fn charge_bytes(&mut self, bytes: u64) -> Result<(), Trap> {
        self.charge(bytes.saturating_mul(costs::PER_BYTE))
    }

    fn memory(&self) -> Result<wasmtime::Memory, Trap> {
        let missing = || Trap::contract("WebAssembly module must define memory");
        self.caller.data().memory.ok_or_else(missing)
    }

    /// Bytes of the canister's heap. `what` names the range where it lies outside.
    pub(super) fn heap(
        &mut self,
        what: &str,
        from: impl Into<u64>,
        len: impl Into<u64>,
    ) -> Result<&[u8], Trap> {
        let (from, len) = (from.into(), len.into());
        let heap = self.memory()?.data(&*self.caller);
        match within(from, len, heap.len()) {
            Some(range) => Ok(&heap[range]),
            None => Err(outside(what, from, len, heap.len())),
        }
    }

    /// Size of the canister's heap in bytes.
    pub(super) fn heap_size(&self) -> Result<usize, Trap> {
        Ok(self.memory()?.data_size(&*self.caller))
    }

    /// Copies `bytes[offset..offset + len]`, which is the `what` of the function's subject, to the canister's heap.
    pub(super) fn write(
        &mut self,
        (to, offset, len): (impl Into<u64>, impl Into<u64>, impl Into<u64>),
        what: &str,
        bytes: &[u8],
    ) -> Result<(), Trap> {
        let (to, offset, len) = (to.into(), offset.into(), len.into());
        self.charge_bytes(len)?;
        let size = self.heap_size()?;
        let Some(target) = within(to, len, size) else {
            return Err(outside(&format!("ic0.{} heap", self.name), to, len, size));
        };
        let Some(source) = within(offset, len, bytes.len()) else {
            let what = format!("ic0.{} {what}", self.name);
            return Err(outside(&what, offset, len, bytes.len()));
        };
        self.memory()?.data_mut(&mut *self.caller)[target].copy_from_slice(&bytes[source]);
        Ok(())
    }

    /// Copies part of something that the host holds: `of` borrows it from the message.
    pub(super) fn write_from(
        &mut self,
        range: (impl Into<u64>, impl Into<u64>, impl Into<u64>),
        what: &str,
        of: impl FnOnce(&Message) -> &[u8],
    ) -> Result<(), Trap> {
        // Taken out for the copy, so that message and heap can be borrowed together.
        let message = self.caller.data_mut().message.take();
        let result = match &message {
            Some(message) => self.write(range, what, of(message)),
            None => Err(Trap::contract("no message")),
        };
        self.caller.data_mut().message = message;
        result
    }

    /// Writes a 128-bit number, little-endian. The function's fixed charge covers it.
    pub(super) fn write_u128(&mut self, to: impl Into<u64>, value: u128) -> Result<(), Trap> {
        let bytes = value.to_le_bytes();
        let (to, size) = (to.into(), self.heap_size()?);
        let Some(range) = within(to, bytes.len() as u64, size) else {
            return Err(Trap::contract(format!(
                "ic0_{} failed because dst + size is out of bounds.\
                 Found dst = {to} and size = 16 while must be <= {size}",
                self.name
            )));
        };
        self.memory()?.data_mut(&mut *self.caller)[range].copy_from_slice(&bytes);
        Ok(())
    }

    /// The heap and the host's state, for stable memory to copy between them.
    pub(super) fn heap_and_host(&mut self) -> Result<(&mut [u8], &mut Host), Trap> {
        let memory = self.memory()?;
        Ok(memory.data_and_store_mut(&mut *self.caller))
    }
}

/// Upper half first, as `ic0` passes 128-bit numbers.
pub(super) fn u128_of(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
