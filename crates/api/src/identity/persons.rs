//! Persons, their authentication methods, and pairing.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::Recovery;

/// A person: an id that says nothing, and holds no name.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// 28 bytes of a salted hash and [`PERSON_CLASS`](super::PERSON_CLASS).
    pub id: Principal,
    pub registered_at_ns: u64,
    pub salt: ByteBuf,
}

/// The certified leaf of a person.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum PersonRecord {
    V1(Person),
}

/// What holds the key of a method, as its owner says.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum MethodKind {
    Passkey,
    Ed25519,
    Secp256k1,
    P256,
    Other,
}

/// A key that is to speak for a person.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct NewMethod {
    /// The self-authenticating principal of the key (29 bytes, the last one 2).
    pub principal: Principal,
    pub kind: MethodKind,
    /// Commitment to the name that its owner gives it, [`COMMITMENT_BYTES`](super::COMMITMENT_BYTES) long: the name
    /// itself stays with the client.
    pub alias_commitment: Option<ByteBuf>,
}

/// An authentication method: a key that speaks for a person.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Method {
    pub key: NewMethod,
    pub person: Principal,
    /// The organisation that the person acts for when they use this method; none for the only one that they may act for.
    pub office: Option<u64>,
    pub added_at_ns: u64,
    pub salt: ByteBuf,
}

/// The certified leaf of a method. Who signs a verifier's nonce with its key, and shows the leaf, proves to be its person.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum MethodRecord {
    V1(Method),
}

/// A method, and where its leaf is.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListedMethod {
    /// Its key in the collection: a hash of the principal and a secret of the canister's, so that who knows a principal
    /// can't find out of the log whose it is.
    pub key: ByteBuf,
    pub method: Method,
}

/// Registers the caller as a person.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RegisterArgs {
    pub kind: MethodKind,
    /// As in [`NewMethod`].
    pub alias_commitment: Option<ByteBuf>,
}

/// Offers the caller as a method of a person whose pairing code it was told.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OfferArgs {
    pub person: Principal,
    /// [`CODE_CHARACTERS`](super::CODE_CHARACTERS) of [`CODE_ALPHABET`](super::CODE_ALPHABET).
    pub code: String,
    pub kind: MethodKind,
    /// As in [`NewMethod`].
    pub alias_commitment: Option<ByteBuf>,
}

/// An open pairing, as the person's methods see it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// What the new device has to know.
    pub code: String,
    pub ends_at_ns: u64,
    /// Wrong codes that it still takes.
    pub tries_left: u8,
    /// What a new device offered. To be compared with what that device shows, and then confirmed.
    pub offer: Option<NewMethod>,
}

/// What a person sees of themselves.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PersonView {
    pub person: Person,
    /// At most [`MAX_METHODS`](super::MAX_METHODS).
    pub methods: Vec<ListedMethod>,
    pub pairing: Option<Pairing>,
    /// The recovery that is open, which each method may veto.
    pub recovery: Option<Recovery>,
}
