//! What every system call does first, and how it reaches the canister's memory.

use std::collections::HashMap;

use wasmtime::Caller;

use super::{Context, Effects, Environment, Host, Message, context, context::Allowed};
use crate::wasm::{Trap, costs};

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

/// Links system calls: `system_call!(linker, calls, "name", (a: u32) -> u64, |host| …)`.
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

/// A system call under way: the host's state and the canister's memory.
pub(super) struct Access<'a, 'b> {
    caller: &'a mut Caller<'b, Host>,
    name: &'static str,
}

impl<'a, 'b> Access<'a, 'b> {
    /// Checks the context and takes the fixed charge.
    pub(super) fn enter(caller: &'a mut Caller<'b, Host>, call: SystemCall) -> Result<Self, Trap> {
        let mut access = Self {
            caller,
            name: call.name,
        };
        let context = access.message()?.context;
        if !call.allowed.contains(context) {
            let text = format!(
                "\"ic0_{}\" cannot be executed in {} mode",
                call.name,
                context.name()
            );
            return Err(Trap::contract(text));
        }
        // The 1 that a call weighs less (see `costs`): entering a host function costs no fuel.
        access.charge(call.charge + 1)?;
        Ok(access)
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

    fn outside(&self) -> Trap {
        Trap::contract(format!("ic0.{}: the heap has no such range", self.name))
    }

    /// Copies bytes of the canister's heap, which must not exceed `limit`.
    pub(super) fn read(&mut self, from: u32, len: u32, limit: usize) -> Result<Vec<u8>, Trap> {
        if len as usize > limit {
            return Err(Trap::contract(format!(
                "ic0.{}: {len} bytes, at most {limit}",
                self.name
            )));
        }
        self.charge(u64::from(len) * costs::PER_BYTE)?;
        let memory = self.caller.data().memory.ok_or_else(|| self.outside())?;
        let heap = memory.data(&*self.caller);
        let bytes = heap
            .get(from as usize..)
            .and_then(|rest| rest.get(..len as usize));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| self.outside())
    }

    /// Copies `bytes[offset..offset + len]` to the canister's heap.
    pub(super) fn write(
        &mut self,
        to: u32,
        offset: u32,
        len: u32,
        bytes: &[u8],
    ) -> Result<(), Trap> {
        let part = bytes
            .get(offset as usize..)
            .and_then(|rest| rest.get(..len as usize));
        let Some(part) = part else {
            let text = format!(
                "ic0.{} payload: offset {offset} + size {len} of {}",
                self.name,
                bytes.len()
            );
            return Err(Trap::contract(text));
        };
        self.charge(u64::from(len) * costs::PER_BYTE)?;
        let memory = self.caller.data().memory.ok_or_else(|| self.outside())?;
        let heap = memory.data_mut(&mut *self.caller);
        let target = heap
            .get_mut(to as usize..)
            .and_then(|rest| rest.get_mut(..len as usize));
        match target {
            Some(target) => {
                target.copy_from_slice(part);
                Ok(())
            }
            None => Err(self.outside()),
        }
    }

    /// Copies part of something that the host holds: `what` borrows it from the message.
    pub(super) fn write_from(
        &mut self,
        (to, offset, len): (u32, u32, u32),
        what: impl FnOnce(&Message) -> &[u8],
    ) -> Result<(), Trap> {
        // Taken out for the copy, so that message and heap can be borrowed together.
        let message = self.caller.data_mut().message.take();
        let result = match &message {
            Some(message) => self.write(to, offset, len, what(message)),
            None => Err(Trap::contract("no message")),
        };
        self.caller.data_mut().message = message;
        result
    }

    /// Writes a 128-bit number, little-endian.
    pub(super) fn write_u128(&mut self, to: u32, value: u128) -> Result<(), Trap> {
        let bytes = value.to_le_bytes();
        self.write(to, 0, 16, &bytes)
    }

    /// The heap and the host's state, for stable memory to copy between them.
    pub(super) fn heap_and_host(&mut self) -> Result<(&mut [u8], &mut Host), Trap> {
        let memory = self.caller.data().memory.ok_or_else(|| self.outside())?;
        Ok(memory.data_and_store_mut(&mut *self.caller))
    }
}

/// A length as the canister sees it.
pub(super) fn size(len: usize) -> Result<u32, Trap> {
    u32::try_from(len).map_err(|_| Trap::contract("longer than a 32-bit memory can hold"))
}

/// Upper half first, as `ic0` passes 128-bit numbers.
pub(super) fn u128_of(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
