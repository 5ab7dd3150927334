//! Candid of others, at a limited cost: who wrote the bytes need not be who wrote the type.

use candid::de::DecoderConfig;
use candid::{CandidType, utils};
use serde::de::DeserializeOwned;

/// Most work to decode one argument, in Candid's units (about one for each byte): tens of milliseconds.
const DECODING_QUOTA: usize = 10_000_000;

/// The one argument that `bytes` encode, or why they don't, in one line. At most `skipping` units of work are spent on what
/// the type doesn't have.
///
/// Candid skips values inside of values by recursion, which it stops where it knows the size of the stack: not in
/// WebAssembly. There a small allowance keeps it shallow, and a type that isn't recursive.
pub(crate) fn one<T>(bytes: &[u8], skipping: usize) -> Result<T, String>
where
    T: CandidType + DeserializeOwned,
{
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(skipping)
        .set_full_error_message(false);
    utils::decode_one_with_config(bytes, &config).map_err(|error| one_line(&error.to_string()))
}

/// Messages of Candid may have several lines.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
