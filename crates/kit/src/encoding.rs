//! Candid whose types are written and checked once.
//!
//! A Candid message begins with a table of its types. Writing the table takes more than writing the values, and reading
//! one that anybody may have written takes more still: types are compared, fields are looked for, work is counted. But a
//! canister's own records, and the arguments of clients that use the same types, begin with exactly the bytes that this
//! canister would write itself.
//!
//! ```text
//! encode:  header of T, kept ‖ value
//! decode:  begins with the header of T? ── yes ──► value, read along T
//!                                      └── no, or a type that is not read so ──► candid
//! ```
//!
//! Invariants:
//! - The bytes are those of `candid::encode_one`, and the values those of `candid::decode_one`.
//! - Each element of a list that is read takes at least a byte, so the work is bounded by the length of the message.
//!
//! Cost: some hundred instructions a field; the first use of a type in a running canister makes its header. A header is
//! kept on the heap, a few hundred bytes.

mod value;

use std::{any::TypeId, cell::RefCell, collections::BTreeMap, rc::Rc};

use candid::{
    CandidType,
    ser::{TypeSerialize, ValueSerializer},
    types::{Type, internal::env_clear},
};
use serde::de::DeserializeOwned;

const MAGIC: &[u8] = b"DIDL";

/// A type, and what messages with one value of it begin with.
struct Known {
    header: Vec<u8>,
    ty: Type,
}

thread_local! {
    static KNOWN: RefCell<BTreeMap<TypeId, Rc<Known>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes the header of a type. What a query makes is forgotten with it, so an update, or a timer, makes it for queries.
pub fn prepare<T: CandidType + 'static>() {
    // A type that has no header is none that could be answered with either.
    let _made = known::<T>();
}

/// Candid of one value.
///
/// # Errors
/// Those of candid.
pub fn encode<T: CandidType + 'static>(value: &T) -> Result<Vec<u8>, candid::Error> {
    let known = known::<T>()?;
    let mut values = ValueSerializer::new();
    value.idl_serialize(&mut values)?;
    Ok([&known.header, values.get_result()].concat())
}

/// The one value of a message.
///
/// # Errors
/// Those of candid.
pub fn decode<T: CandidType + DeserializeOwned + 'static>(
    bytes: &[u8],
) -> Result<T, candid::Error> {
    match decode_own(bytes) {
        Some(value) => Ok(value),
        None => candid::decode_one(bytes),
    }
}

/// The one value of a message that begins as this canister's own of that type do; none for any other, and for what has to be
/// looked at more closely.
pub(crate) fn decode_own<T: CandidType + DeserializeOwned + 'static>(bytes: &[u8]) -> Option<T> {
    let known = known::<T>().ok()?;
    let values = bytes.strip_prefix(&known.header[..])?;
    value::read(values, &known.ty)
}

fn known<T: CandidType + 'static>() -> Result<Rc<Known>, candid::Error> {
    let id = TypeId::of::<T>();
    if let Some(known) = KNOWN.with_borrow(|all| all.get(&id).cloned()) {
        return Ok(known);
    }
    // Candid keeps what it met before, under names that would then be in the table.
    env_clear();
    let ty = T::ty();
    let mut types = TypeSerialize::new();
    types.push_type(&ty)?;
    types.serialize()?;
    let header = [MAGIC, types.get_result()].concat();
    let known = Rc::new(Known { header, ty });
    KNOWN.with_borrow_mut(|all| all.insert(id, Rc::clone(&known)));
    Ok(known)
}

#[cfg(test)]
mod tests;
