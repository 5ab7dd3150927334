//! Candid of others, at a limited cost: who wrote the bytes need not be who wrote the type.

use candid::de::DecoderConfig;
use candid::{CandidType, utils};
use serde::de::DeserializeOwned;

/// Most work to decode one argument, in Candid's units (about one for each byte): tens of milliseconds.
const DECODING_QUOTA: usize = 10_000_000;
/// Most of it for what the reader's type doesn't have.
const SKIPPING_QUOTA: usize = 100_000;

/// The one argument that `bytes` encode, or why they don't, in one line.
pub(crate) fn one<T>(bytes: &[u8]) -> Result<T, String>
where
    T: CandidType + DeserializeOwned,
{
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(SKIPPING_QUOTA)
        .set_full_error_message(false);
    utils::decode_one_with_config(bytes, &config).map_err(|error| one_line(&error.to_string()))
}

/// Messages of Candid may have several lines.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
