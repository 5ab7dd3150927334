//! Groups as openmls has them: how they are set up, and what their messages hold.
//!
//! The Welcome has the ratchet tree in it: the canister hands out the one of the current epoch, which may be a later one than that of
//! the Welcome. Messages of the last epochs are read as long as the canister takes them.

use candid::{CandidType, Principal};
use indus_api::messaging::PAST_EPOCHS;
use openmls::prelude::{tls_codec::Deserialize as _, tls_codec::Serialize as _, *};
use openmls_rust_crypto::RustCrypto;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::{MessengerError, mls};
use crate::store::Store;

/// Longest text, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 32_000;
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
/// Contents are padded to a multiple of this, so that lengths tell less.
const PADDING: usize = 128;
/// How far messages of one sender may come out of order, and how many may be missing. The log has them in order.
const OUT_OF_ORDER: u32 = 8;
const FORWARD: u32 = 2_000;

/// openmls's cryptography, over the device's store.
pub(crate) struct Provider {
    crypto: RustCrypto,
    pub(crate) store: Store,
}

impl Provider {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            crypto: RustCrypto::default(),
            store,
        }
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = Store;

    fn storage(&self) -> &Store {
        &self.store
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        &self.crypto
    }
}

/// What a message says, encrypted.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
enum Content {
    V1(ContentV1),
}

#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
enum ContentV1 {
    Text(String),
}

pub(crate) fn content(text: &str) -> Result<Vec<u8>, MessengerError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(MessengerError::TooLong {
            limit: MAX_TEXT_BYTES,
            found: text.len(),
        });
    }
    let content = Content::V1(ContentV1::Text(text.to_owned()));
    candid::encode_one(content).map_err(mls("writing a text"))
}

/// The text of a content; none if it is something else, or of a later version.
pub(crate) fn text(content: &[u8]) -> Option<String> {
    let mut config = candid::DecoderConfig::new();
    config
        .set_decoding_quota(1_000_000)
        .set_skipping_quota(10_000);
    let (content,): (Content,) = candid::utils::decode_args_with_config(content, &config).ok()?;
    let Content::V1(ContentV1::Text(text)) = content;
    Some(text)
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(usize::try_from(PAST_EPOCHS).unwrap_or_default())
        .use_ratchet_tree_extension(true)
        .sender_ratchet_configuration(ratchets())
        .build()
}

pub(crate) fn create_config() -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(usize::try_from(PAST_EPOCHS).unwrap_or_default())
        .use_ratchet_tree_extension(true)
        .sender_ratchet_configuration(ratchets())
        .build()
}

fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD)
}

pub(crate) fn to_bytes(message: &MlsMessageOut) -> Result<ByteBuf, MessengerError> {
    let bytes = message.tls_serialize_detached();
    Ok(ByteBuf::from(bytes.map_err(mls("writing a message"))?))
}

/// A message that comes from elsewhere.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<MlsMessageIn, String> {
    MlsMessageIn::tls_deserialize_exact(bytes).map_err(|error| error.to_string())
}

/// The person in a credential.
pub(crate) fn person(credential: &Credential) -> Option<Principal> {
    let basic = BasicCredential::try_from(credential.clone()).ok()?;
    Principal::try_from_slice(basic.identity()).ok()
}

/// The person and the key of a leaf.
pub(crate) fn holder(leaf: &LeafNode) -> Option<(Principal, [u8; 32])> {
    let key = leaf.signature_key().as_slice().try_into().ok()?;
    Some((person(leaf.credential())?, key))
}

/// The leaves of a group: their numbers, and the person and the key of each, if it is a person's.
pub(crate) fn leaves(
    group: &MlsGroup,
) -> impl Iterator<Item = (u32, Option<(Principal, [u8; 32])>)> {
    group.members().map(|member| {
        let key: Option<[u8; 32]> = member.signature_key.as_slice().try_into().ok();
        (member.index.u32(), person(&member.credential).zip(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written_and_nothing_else_is() {
        let written = content("سلام, Islamabad").unwrap();
        assert_eq!(text(&written).as_deref(), Some("سلام, Islamabad"));
        assert_eq!(text(&written[1..]), None);
        assert_eq!(text(&candid::encode_one("a text").unwrap()), None);
        assert!(content(&"a".repeat(MAX_TEXT_BYTES)).is_ok());
        assert!(matches!(
            content(&"a".repeat(MAX_TEXT_BYTES + 1)),
            Err(MessengerError::TooLong { .. })
        ));
    }
}
