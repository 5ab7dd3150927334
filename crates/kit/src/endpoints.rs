//! The endpoints that all canisters have.
//!
//! | method | what it gives |
//! | --- | --- |
//! | `certified_read(paths)` | the exact bytes of records, or their absence, with proof |
//! | `certified_list(collection, after, limit)` | a page of a collection, with proof that nothing is left out |
//! | `log_head()` | the certified head of the audit log, and the root of each collection |
//! | `log_inclusion_proof(index, size)`, `log_consistency_proof(from, to)` | RFC 9162 |
//! | `icrc3_get_blocks`, `icrc3_get_archives`, `icrc3_get_tip_certificate`, `icrc3_supported_block_types` | ICRC-3 |
//! | `icrc10_supported_standards`, `icrc21_canister_call_consent_message` | ICRC-10, ICRC-21 |
//! | `service_info()` | version, sizes, maintenance |
//! | `confirm_upgrade()` | ends the maintenance |

use indus_api::icrc3::Standard;

/// The standards that the endpoints are of.
#[must_use]
pub fn supported_standards() -> Vec<Standard> {
    let icrc = |number: u32| Standard {
        name: format!("ICRC-{number}"),
        url: format!(
            "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-{number}/ICRC-{number}.md"
        ),
    };
    [3, 10, 21].map(icrc).to_vec()
}

/// Declares the standard endpoints for a state that implements [`Shell`](crate::shell::Shell). The canister depends on
/// `candid`, `ic-cdk`, `indus-api` and `serde_bytes` by these names.
#[macro_export]
macro_rules! standard_endpoints {
    ($state:ty) => {
        /// Decodes the one argument of a method, or rejects the call.
        fn argument<T: ::candid::CandidType + ::serde::de::DeserializeOwned>(bytes: Vec<u8>) -> T {
            $crate::shell::argument(&bytes)
        }

        /// Everybody: the exact bytes at these paths (`data`/collection/key), or their absence, with witness and
        /// certificate. Records that not everybody may read are given to those who may.
        #[::ic_cdk::query(decode_with = "argument", hidden)]
        #[::candid::candid_method(query)]
        fn certified_read(
            paths: Vec<Vec<::serde_bytes::ByteBuf>>,
        ) -> Result<::indus_api::CertifiedRead, ::indus_api::Error> {
            $crate::shell::query::<$state, _>(|state, context| {
                use $crate::shell::Shell as _;
                let certified = &state.kit().certified;
                let reader = match certified.is_restricted(&paths) {
                    true => Some(state.subject(context)?),
                    false => None,
                };
                let witness = certified.witness_of_paths(&paths, reader.as_ref())?;
                $crate::shell::certified(state.kit().definition().kind, witness)
            })
        }

        /// Everybody: a page of a collection in the order of its keys, with witness and certificate, so that nothing can be
        /// left out. Of records that not everybody may read, others see keys and hashes.
        #[::ic_cdk::query(decode_with = "argument", hidden)]
        #[::candid::candid_method(query)]
        fn certified_list(
            args: ::indus_api::certified::CertifiedListArgs,
        ) -> Result<::indus_api::CertifiedRead, ::indus_api::Error> {
            $crate::shell::query::<$state, _>(|state, context| {
                use $crate::shell::Shell as _;
                let reader = state.subject(context).ok();
                let witness = state
                    .kit()
                    .certified
                    .witness_of_list(&args, reader.as_ref())?;
                $crate::shell::certified(state.kit().definition().kind, witness)
            })
        }

        /// Everybody: the certified head of the audit log, its last block, and the root hash of each collection.
        #[::ic_cdk::query]
        #[::candid::candid_method(query)]
        fn log_head() -> Result<::indus_api::CertifiedRead, ::indus_api::Error> {
            $crate::shell::query::<$state, _>(|state, _| {
                use $crate::shell::Shell as _;
                let witness = state.kit().certified.witness_of_head()?;
                $crate::shell::certified(state.kit().definition().kind, witness)
            })
        }
    };
}
