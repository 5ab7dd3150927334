//! Records whose types are known, as Candid text. No two canisters of the suite have collections of one name.

use candid::de::DecoderConfig;
use candid::types::internal::TypeContainer;
use candid::{CandidType, IDLArgs};
use indus_api::{identity, licences, messaging, registry};

/// Most work to decode one record, in Candid's units (about one for each byte): records are below 64 KiB.
const DECODING_QUOTA: usize = 10_000_000;
/// Most of it for fields that the known type doesn't have: a later version of the canister may write some.
const SKIPPING_QUOTA: usize = 100_000;

/// The record, if its collection's type is known and it is of that type.
pub(crate) fn text(collection: &[u8], record: &[u8]) -> Option<String> {
    match std::str::from_utf8(collection).ok()? {
        registry::ORGANISATIONS => of::<registry::OrganisationRecord>(record),
        registry::GOVERNORS => of::<registry::GovernorRecord>(record),
        registry::POLICIES => of::<registry::PolicyRecord>(record),
        registry::PROPOSALS => of::<registry::ProposalRecord>(record),
        registry::SERVICES => of::<registry::ServiceRecord>(record),
        registry::GRANTS => of::<registry::GrantRecord>(record),
        registry::CANISTERS => of::<registry::CanisterRecord>(record),
        registry::SITES => of::<registry::SiteRecord>(record),
        registry::NODES => of::<registry::NodeRecord>(record),
        identity::PERSONS => of::<identity::PersonRecord>(record),
        identity::METHODS => of::<identity::MethodRecord>(record),
        identity::ROLES => of::<identity::RoleRecord>(record),
        identity::RECOVERIES => of::<identity::RecoveryRecord>(record),
        identity::CREDENTIALS => of::<identity::CredentialRecord>(record),
        identity::REVOKED_CREDENTIALS => of::<identity::RevokedCredentialRecord>(record),
        identity::CONFIGURATION => of::<identity::ConfigurationRecord>(record),
        identity::MESSAGING_KEYS => of::<identity::MessagingKeyRecord>(record),
        messaging::CONVERSATIONS => of::<messaging::ConversationRecord>(record),
        messaging::KEY_PACKAGES => of::<messaging::KeyPackageRecord>(record),
        messaging::INBOXES => of::<messaging::InboxRecord>(record),
        messaging::CONFIGURATION => of::<messaging::ConfigurationRecord>(record),
        licences::SEAT_COLLECTION => of::<licences::SeatRecord>(record),
        licences::APPLICATION_COLLECTION => of::<licences::ApplicationRecord>(record),
        licences::QUOTA_COLLECTION => of::<licences::LedgerRecord>(record),
        licences::ROUND_COLLECTION => of::<licences::RoundRecord>(record),
        licences::SETTINGS_COLLECTION => of::<licences::SettingsRecord>(record),
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
    use indus_api::registry::GovernorRecord;

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
