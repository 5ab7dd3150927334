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
//! | `http_request` | a page for people, and `/metrics` |
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
/// `candid`, `ic-cdk`, `indus-api`, `indus-kit`, `serde` and `serde_bytes` by these names.
#[macro_export]
macro_rules! standard_endpoints {
    ($state:ty) => {
        // Candid's macros know types by plain paths only.
        use indus_kit::http::{HttpRequest, HttpResponse};

        /// Decodes the one argument of a method, or rejects the call.
        fn argument<T: ::candid::CandidType + ::serde::de::DeserializeOwned + 'static>(
            bytes: Vec<u8>,
        ) -> T {
            $crate::shell::argument(&bytes)
        }

        /// Encodes the answer of a method.
        fn reply<T: ::candid::CandidType + 'static>(answer: T) -> Vec<u8> {
            $crate::shell::reply(answer)
        }

        /// Everybody: the exact bytes at these paths (`data`/collection/key), or their absence, with witness and
        /// certificate. Records that not everybody may read are given to those who may.
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn certified_read(
            paths: Vec<Vec<serde_bytes::ByteBuf>>,
        ) -> Result<indus_api::CertifiedRead, indus_api::Error> {
            $crate::shell::certified_read::<$state>(&paths)
        }

        /// Everybody: a page of a collection in the order of its keys, with witness and certificate, so that nothing can be
        /// left out. Of records that not everybody may read, others see keys and hashes.
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn certified_list(
            args: indus_api::certified::CertifiedListArgs,
        ) -> Result<indus_api::CertifiedRead, indus_api::Error> {
            $crate::shell::certified_list::<$state>(&args)
        }

        /// Everybody: the certified head of the audit log, its last block, and the root hash of each collection.
        #[::ic_cdk::query(encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn log_head() -> Result<indus_api::CertifiedRead, indus_api::Error> {
            $crate::shell::log_head::<$state>()
        }

        /// Everybody: proof that block `index` is in the log of `size` blocks (RFC 9162, section 2.1.3).
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn log_inclusion_proof(
            args: indus_api::audit::InclusionArgs,
        ) -> Result<indus_api::audit::LogProof, indus_api::Error> {
            $crate::shell::log_inclusion_proof::<$state>(&args)
        }

        /// Everybody: proof that the log of `to` blocks begins with that of `from` (RFC 9162, section 2.1.4).
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn log_consistency_proof(
            args: indus_api::audit::ConsistencyArgs,
        ) -> Result<indus_api::audit::LogProof, indus_api::Error> {
            $crate::shell::log_consistency_proof::<$state>(&args)
        }

        /// Everybody: blocks of the audit log, 100 at most (ICRC-3). Traps during maintenance.
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn icrc3_get_blocks(
            ranges: Vec<indus_api::icrc3::GetBlocksArgs>,
        ) -> indus_api::icrc3::GetBlocksResult {
            $crate::shell::icrc3_get_blocks::<$state>(&ranges)
        }

        /// Everybody: none, because no block leaves its canister (ICRC-3).
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn icrc3_get_archives(
            _args: indus_api::icrc3::GetArchivesArgs,
        ) -> Vec<indus_api::icrc3::Archive> {
            Vec::new()
        }

        /// Everybody: the certificate of the last block (ICRC-3).
        #[::ic_cdk::query(encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn icrc3_get_tip_certificate() -> Option<indus_api::icrc3::TipCertificate> {
            $crate::shell::icrc3_get_tip_certificate::<$state>()
        }

        /// Everybody: the types of the blocks (ICRC-3).
        #[::ic_cdk::query(encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn icrc3_supported_block_types() -> Vec<indus_api::icrc3::BlockType> {
            <$state as $crate::shell::Shell>::DEFINITION.supported_block_types()
        }

        /// Everybody: the standards that this canister keeps to (ICRC-10).
        #[::ic_cdk::query(encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn icrc10_supported_standards() -> Vec<indus_api::icrc3::Standard> {
            $crate::endpoints::supported_standards()
        }

        /// Everybody: what a call would do, for the person who signs it (ICRC-21).
        #[::ic_cdk::update(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(update)]
        fn icrc21_canister_call_consent_message(
            request: indus_api::icrc21::ConsentMessageRequest,
        ) -> Result<indus_api::icrc21::ConsentInfo, indus_api::icrc21::Icrc21Error> {
            $crate::icrc21::answer(&request, <$state as $crate::shell::Shell>::consent)
        }

        /// Everybody: version, sizes and maintenance of this installation. Not certified; answered during maintenance.
        #[::ic_cdk::query(encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn service_info() -> indus_api::service::ServiceInfo {
            $crate::shell::service_info::<$state>()
        }

        /// Controllers: ends the maintenance after an upgrade, and wakes the timers after a snapshot was loaded. Repeatable.
        #[::ic_cdk::update(encode_with = "reply", hidden)]
        #[::candid::candid_method(update)]
        fn confirm_upgrade() -> Result<(), indus_api::Error> {
            $crate::shell::confirm_upgrade::<$state>()
        }

        /// Everybody: `/` for people, `/metrics` for Prometheus, with certified responses (HTTP gateway protocol).
        #[::ic_cdk::query(decode_with = "argument", encode_with = "reply", hidden)]
        #[::candid::candid_method(query)]
        fn http_request(request: HttpRequest<'static>) -> HttpResponse<'static> {
            $crate::shell::http_request::<$state>(&request)
        }
    };
}
