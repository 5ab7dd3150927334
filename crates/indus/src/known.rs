//! Records whose types are known, as Candid text.

use candid::de::DecoderConfig;
use candid::types::internal::TypeContainer;
use candid::{CandidType, IDLArgs};
use indus_api::registry::{GOVERNORS, GovernorRecord, ORGANISATIONS, OrganisationRecord};

/// Most work to decode one record, in Candid's units (about one for each byte): records are below 64 KiB.
const DECODING_QUOTA: usize = 10_000_000;
/// Most of it for fields that the known type doesn't have: a later version of the canister may write some.
const SKIPPING_QUOTA: usize = 100_000;

/// The record, if its collection's type is known and it is of that type.
pub(crate) fn text(collection: &[u8], record: &[u8]) -> Option<String> {
    match std::str::from_utf8(collection).ok()? {
        ORGANISATIONS => of::<OrganisationRecord>(record),
        GOVERNORS => of::<GovernorRecord>(record),
        _ => None,
    }
}

fn of<T: CandidType>(record: &[u8]) -> Option<String> {
    let mut types = TypeContainer::new();
    let record_type = types.add::<T>();
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(SKIPPING_QUOTA);
    let decoded =
        IDLArgs::from_bytes_with_types_with_config(record, &types.env, &[record_type], &config);
    decoded.ok().map(|arguments| arguments.to_string())
}

#[cfg(test)]
mod tests {
    use candid::Principal;

    use super::*;

    #[test]
    fn records_of_known_collections_are_shown_by_the_names_of_their_fields() {
        let principal = Principal::from_slice(&[1]);
        let record = candid::encode_one(GovernorRecord::V1 { principal }).unwrap();
        let text = text(b"governors", &record).unwrap();
        assert!(
            text.contains("V1 = record { \"principal\" = principal"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_of_the_known_type_is_shown_as_bytes() {
        let record = candid::encode_one(7_u8).unwrap();
        for (collection, record) in [
            ("governors", &record),
            ("others", &record),
            ("governors", &vec![]),
        ] {
            assert_eq!(text(collection.as_bytes(), record), None);
        }
    }
}
