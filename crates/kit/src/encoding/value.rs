//! Reads a value along its type, with the types of both sides known to be the same.
//!
//! Source: Candid specification, "Deserialisation", the inverse of M.

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc};

use candid::{
    idl_hash,
    types::{Field, Type, TypeInner},
};
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer as _, MapAccess,
        SeqAccess, VariantAccess, Visitor, value::U64Deserializer,
    },
};

/// Longest principal, in bytes.
const MAX_PRINCIPAL_BYTES: usize = 29;
/// Deepest nesting that is read here.
const MAX_DEPTH: u8 = 32;

/// Not a value of that type, or one that candid itself has to look at.
#[derive(Debug)]
pub(super) struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not read here")
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Result<T> = std::result::Result<T, Unread>;

/// The value of type `ty` that `bytes` are, all of them.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], ty: &Type) -> Option<T> {
    let mut input = Input { rest: bytes };
    let value = T::deserialize(Value {
        input: &mut input,
        ty,
        depth: 0,
    });
    value.ok().filter(|_| input.rest.is_empty())
}

struct Input<'de> {
    rest: &'de [u8],
}

impl<'de> Input<'de> {
    fn take(&mut self, bytes: usize) -> Result<&'de [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Unread)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Unread)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A length, in LEB128.
    fn length(&mut self) -> Result<usize> {
        let mut length = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(length).map_err(|_| Unread);
            }
        }
        Err(Unread)
    }

    fn text(&mut self) -> Result<&'de str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Unread)
    }
}

/// A value that is about to be read.
struct Value<'a, 'de> {
    input: &'a mut Input<'de>,
    ty: &'a Type,
    depth: u8,
}

impl<'a> Value<'a, '_> {
    fn record(&self) -> Result<&'a [Field]> {
        match self.ty.as_ref() {
            TypeInner::Record(fields) if self.depth < MAX_DEPTH => Ok(fields),
            _ => Err(Unread),
        }
    }

    fn is(&self, ty: &TypeInner) -> Result<()> {
        if self.ty.as_ref() == ty {
            return Ok(());
        }
        Err(Unread)
    }
}

macro_rules! numbers {
    ($($method:ident, $visit:ident, $number:ty, $ty:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.is(&TypeInner::$ty)?;
            visitor.$visit(<$number>::from_le_bytes(self.input.array()?))
        }
    )*};
}

macro_rules! unread {
    ($($method:ident($($argument:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $ty,)* _: V) -> Result<V::Value> {
            Err(Unread)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Unread;

    numbers! {
        deserialize_u8, visit_u8, u8, Nat8;
        deserialize_u16, visit_u16, u16, Nat16;
        deserialize_u32, visit_u32, u32, Nat32;
        deserialize_u64, visit_u64, u64, Nat64;
        deserialize_i8, visit_i8, i8, Int8;
        deserialize_i16, visit_i16, i16, Int16;
        deserialize_i32, visit_i32, i32, Int32;
        deserialize_i64, visit_i64, i64, Int64;
    }

    unread! {
        deserialize_any();
        deserialize_i128();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_map();
        deserialize_identifier();
        deserialize_ignored_any();
        deserialize_unit_struct(_name: &'static str);
        deserialize_tuple_struct(_name: &'static str, _length: usize);
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.is(&TypeInner::Bool)?;
        match self.input.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Unread),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.is(&TypeInner::Text)?;
        visitor.visit_borrowed_str(self.input.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.is(&TypeInner::Text)?;
        visitor.visit_string(self.input.text()?.to_owned())
    }

    /// A principal, or bytes of a number that is known.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let TypeInner::Vec(element) = self.ty.as_ref()
            && *element.as_ref() == TypeInner::Nat8
        {
            let length = self.input.length()?;
            return visitor.visit_borrowed_bytes(self.input.take(length)?);
        }
        self.is(&TypeInner::Principal)?;
        if self.input.byte()? != 1 {
            return Err(Unread);
        }
        let length = self.input.length()?;
        if length > MAX_PRINCIPAL_BYTES {
            return Err(Unread);
        }
        visitor.visit_bytes(self.input.take(length)?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.ty.as_ref() {
            TypeInner::Vec(element) if *element.as_ref() == TypeInner::Nat8 => {
                let length = self.input.length()?;
                visitor.visit_byte_buf(self.input.take(length)?.to_vec())
            }
            _ => Err(Unread),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let TypeInner::Opt(ty) = self.ty.as_ref() else {
            return Err(Unread);
        };
        match self.input.byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(Value { ty, ..self }),
            _ => Err(Unread),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.is(&TypeInner::Null)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let TypeInner::Vec(ty) = self.ty.as_ref() else {
            return Err(Unread);
        };
        if takes_nothing(ty) || self.depth == MAX_DEPTH {
            return Err(Unread);
        }
        let left = self.input.length()?;
        visitor.visit_seq(Elements {
            input: self.input,
            ty,
            left,
            depth: self.depth + 1,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        let fields = self.record()?;
        let in_order = (0..).zip(fields).all(|(at, field)| field.id.get_id() == at);
        if fields.len() != length || !in_order {
            return Err(Unread);
        }
        visitor.visit_seq(Fields {
            input: self.input,
            fields,
            places: None,
            depth: self.depth + 1,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let fields = self.record()?;
        let places = places(names, fields)?;
        visitor.visit_map(Fields {
            input: self.input,
            fields,
            places: Some((places, 0)),
            depth: self.depth + 1,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let TypeInner::Variant(fields) = self.ty.as_ref() else {
            return Err(Unread);
        };
        let at = self.input.length()?;
        let field = fields.get(at).ok_or(Unread)?;
        let place = *places(names, fields)?.get(at).ok_or(Unread)?;
        visitor.visit_enum(Variant {
            place,
            value: Value {
                ty: &field.ty,
                depth: self.depth + 1,
                ..self
            },
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Whether values of this type take no bytes, so that any number of them could be told in few.
fn takes_nothing(ty: &Type) -> bool {
    match ty.as_ref() {
        TypeInner::Null | TypeInner::Reserved | TypeInner::Empty => true,
        TypeInner::Record(fields) => fields.iter().all(|field| takes_nothing(&field.ty)),
        _ => false,
    }
}

/// For each field of a record or variant, in the order of the message, its place among the names in the source.
fn places(names: &'static [&'static str], fields: &[Field]) -> Result<Rc<[u64]>> {
    type Key = (*const &'static str, usize);
    thread_local! {
        static KNOWN: RefCell<BTreeMap<Key, Rc<[u64]>>> = const { RefCell::new(BTreeMap::new()) };
    }
    let key = (names.as_ptr(), names.len());
    if let Some(known) = KNOWN.with_borrow(|all| all.get(&key).cloned()) {
        return if known.len() == fields.len() {
            Ok(known)
        } else {
            Err(Unread)
        };
    }
    let hashes: Vec<u32> = names.iter().map(|name| idl_hash(name)).collect();
    let place = |field: &Field| {
        let at = hashes.iter().position(|hash| *hash == field.id.get_id());
        at.map(|at| at as u64).ok_or(Unread)
    };
    let places: Rc<[u64]> = fields.iter().map(place).collect::<Result<_>>()?;
    KNOWN.with_borrow_mut(|all| all.insert(key, Rc::clone(&places)));
    Ok(places)
}

struct Elements<'a, 'de> {
    input: &'a mut Input<'de>,
    ty: &'a Type,
    left: usize,
    depth: u8,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let value = Value {
            input: self.input,
            ty: self.ty,
            depth: self.depth,
        };
        seed.deserialize(value).map(Some)
    }
}

/// The fields of a record that are left.
struct Fields<'a, 'de> {
    input: &'a mut Input<'de>,
    fields: &'a [Field],
    /// Places of all its fields, and how many were told, unless it is a tuple.
    places: Option<(Rc<[u64]>, usize)>,
    depth: u8,
}

impl<'de> Fields<'_, 'de> {
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let (field, rest) = self.fields.split_first().ok_or(Unread)?;
        let value = Value {
            input: self.input,
            ty: &field.ty,
            depth: self.depth,
        };
        let value = seed.deserialize(value)?;
        self.fields = rest;
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.fields.is_empty() {
            return Ok(None);
        }
        self.next(seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((places, told)) = &mut self.places else {
            return Err(Unread);
        };
        let Some(place) = places.get(*told) else {
            return Ok(None);
        };
        *told += 1;
        seed.deserialize(place_of(*place)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.next(seed)
    }
}

struct Variant<'a, 'de> {
    place: u64,
    value: Value<'a, 'de>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Unread;
    type Variant = Value<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant)> {
        let name = seed.deserialize(place_of(self.place))?;
        Ok((name, self.value))
    }
}

impl<'de> VariantAccess<'de> for Value<'_, 'de> {
    type Error = Unread;

    fn unit_variant(self) -> Result<()> {
        self.is(&TypeInner::Null)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        if self.depth > MAX_DEPTH {
            return Err(Unread);
        }
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_struct("", names, visitor)
    }
}

/// A field or variant by its place in the source, as derived implementations take it.
fn place_of(place: u64) -> U64Deserializer<Unread> {
    place.into_deserializer()
}
