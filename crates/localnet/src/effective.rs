//! The effective canister id: the canister whose subnet a request is for (IC interface specification, section of that name).
//!
//! | message to | the id in the URL must be |
//! | --- | --- |
//! | a canister | that canister |
//! | `aaaaa-aa`, call of `create_canister` or `provisional_create_canister_with_cycles` | any id, or a subnet |
//! | `aaaaa-aa`, query of `list_canisters` | any id, or a subnet |
//! | `aaaaa-aa`, `install_chunked_code` | the `target_canister` of the argument |
//! | `aaaaa-aa`, otherwise | the `canister_id` of the argument |
//!
//! Where the argument names no canister any id passes, because the subnet rejects the message itself. The `/subnet/<id>/`
//! endpoints take nothing else than the table says.
//!
//! Arguments are hostile bytes: decoding them is bounded by quotas.

use candid::{CandidType, DecoderConfig, Principal, utils::decode_one_with_config};
use engine::Effective;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::envelope::Message;

/// Work that decoding may do, in the units of the `candid` crate. Reading an id takes a few hundred, a module of
/// 2 MiB some millions.
const DECODING_QUOTA: usize = 20_000_000;

/// Why a message can't be sent to this URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum EffectiveError {
    #[error(
        "effective canister id {effective} in the URL does not match canister {canister} of the request"
    )]
    Mismatch {
        effective: Principal,
        canister: Principal,
    },
    #[error("only the management canister can be called at a subnet, not canister {0}")]
    NotManagement(Principal),
    #[error(
        "the management canister's method {method:?} can't be called at a subnet, only {possible}"
    )]
    NotAtSubnet {
        method: String,
        possible: &'static str,
    },
}

/// Which endpoint a message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Query,
}

impl Kind {
    /// Methods of the management canister that are about no canister.
    fn without_canister(self) -> &'static [&'static str] {
        match self {
            Self::Call => &["create_canister", "provisional_create_canister_with_cycles"],
            Self::Query => &["list_canisters"],
        }
    }

    /// Those that can be called at a subnet, in words.
    fn at_subnet(self) -> &'static str {
        match self {
            Self::Call => "the creation of canisters",
            Self::Query => "list_canisters",
        }
    }
}

/// Longest name of a method that a refusal repeats, in characters.
const QUOTED: usize = 64;

/// The large fields are named because skipping one that isn't costs the decoder much more than reading it.
#[derive(CandidType, Deserialize)]
struct CanisterId {
    canister_id: Principal,
    wasm_module: Option<ByteBuf>,
    arg: Option<ByteBuf>,
    chunk: Option<ByteBuf>,
}

#[derive(CandidType, Deserialize)]
struct TargetCanister {
    target_canister: Principal,
}

/// Checks the id in the URL of a call or a query.
///
/// # Errors
/// The message is for another canister.
pub(crate) fn check_effective(
    effective: &Effective,
    kind: Kind,
    message: &Message<'_>,
) -> Result<(), EffectiveError> {
    let management = message.canister_id == Principal::management_canister();
    let effective = match effective {
        Effective::Subnet(_) if goes_anywhere(kind, message) => return Ok(()),
        Effective::Subnet(_) if management => {
            return Err(EffectiveError::NotAtSubnet {
                method: message.method.chars().take(QUOTED).collect(),
                possible: kind.at_subnet(),
            });
        }
        Effective::Subnet(_) => return Err(EffectiveError::NotManagement(message.canister_id)),
        Effective::Canister(id) => *id,
    };
    let required = if goes_anywhere(kind, message) {
        None
    } else if management {
        subject(&message.method, &message.arg)
    } else {
        Some(message.canister_id)
    };
    match required {
        Some(canister) if canister != effective => Err(EffectiveError::Mismatch {
            effective,
            canister,
        }),
        _ => Ok(()),
    }
}

/// Whether a message may be sent to any subnet.
pub(crate) fn goes_anywhere(kind: Kind, message: &Message<'_>) -> bool {
    message.canister_id == Principal::management_canister()
        && kind.without_canister().contains(&&*message.method)
}

/// The canister that a message to the management canister is about.
pub(crate) fn subject(method: &str, arg: &[u8]) -> Option<Principal> {
    match method {
        "install_chunked_code" => {
            decode::<TargetCanister>(arg).map(|record| record.target_canister)
        }
        _ => decode::<CanisterId>(arg).map(|record| record.canister_id),
    }
}

/// Reads a Candid argument within a quota.
pub(crate) fn decode<T: CandidType + for<'a> Deserialize<'a>>(arg: &[u8]) -> Option<T> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(DECODING_QUOTA);
    decode_one_with_config(arg, &config).ok()
}

#[cfg(test)]
mod tests {
    use candid::{Encode, Nat};
    use proptest::prelude::*;

    use super::*;

    const A: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    const B: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 1, 1]);
    const MANAGEMENT: Principal = Principal::management_canister();

    #[derive(CandidType)]
    struct Install {
        canister_id: Principal,
        wasm_module: Vec<u8>,
        sender_canister_version: Option<u64>,
    }

    #[derive(CandidType)]
    struct Chunked {
        target_canister: Principal,
        store_canister: Option<Principal>,
    }

    #[derive(CandidType)]
    struct Create {
        amount: Option<Nat>,
        specified_id: Option<Principal>,
    }

    fn check(effective: Principal, canister_id: Principal, method: &str, arg: Vec<u8>) -> bool {
        let message = Message {
            canister_id,
            method: method.into(),
            arg: arg.into(),
            sender_info: None,
        };
        check_effective(&Effective::Canister(effective), Kind::Call, &message).is_ok()
    }

    #[test]
    fn a_call_goes_to_the_canister_in_the_url() {
        assert!(check(A, A, "greet", vec![]));
        assert!(!check(B, A, "greet", vec![]));
        assert!(!check(MANAGEMENT, A, "greet", vec![]));
    }

    #[test]
    fn a_management_call_goes_to_the_subnet_of_its_canister() {
        let install = Encode!(&Install {
            canister_id: A,
            wasm_module: vec![7; 2_000_000],
            sender_canister_version: None
        });
        let install = install.unwrap();
        assert!(check(A, MANAGEMENT, "install_code", install.clone()));
        assert!(!check(B, MANAGEMENT, "install_code", install));

        let chunked = Encode!(&Chunked {
            target_canister: A,
            store_canister: Some(B)
        })
        .unwrap();
        assert!(check(
            A,
            MANAGEMENT,
            "install_chunked_code",
            chunked.clone()
        ));
        assert!(!check(B, MANAGEMENT, "install_chunked_code", chunked));
    }

    #[test]
    fn a_creation_goes_anywhere() {
        let create = Encode!(&Create {
            amount: None,
            specified_id: Some(A)
        })
        .unwrap();
        for method in ["create_canister", "provisional_create_canister_with_cycles"] {
            for effective in [A, B, MANAGEMENT] {
                assert!(check(effective, MANAGEMENT, method, create.clone()));
            }
        }
    }

    #[test]
    fn every_method_about_a_canister_goes_to_that_canister() {
        #[derive(CandidType)]
        struct About {
            canister_id: Principal,
            chunk: Vec<u8>,
            snapshot_id: Option<Vec<u8>>,
        }
        let about = Encode!(&About {
            canister_id: A,
            chunk: vec![1; 1_000_000],
            snapshot_id: Some(vec![2; 16])
        })
        .unwrap();
        for method in [
            "update_settings",
            "upload_chunk",
            "clear_chunk_store",
            "stored_chunks",
            "install_code",
            "uninstall_code",
            "start_canister",
            "stop_canister",
            "delete_canister",
            "canister_status",
            "canister_info",
            "canister_metadata",
            "deposit_cycles",
            "provisional_top_up_canister",
            "take_canister_snapshot",
            "load_canister_snapshot",
            "list_canister_snapshots",
            "delete_canister_snapshot",
            "read_canister_snapshot_metadata",
            "read_canister_snapshot_data",
            "upload_canister_snapshot_metadata",
            "upload_canister_snapshot_data",
            "fetch_canister_logs",
        ] {
            assert!(check(A, MANAGEMENT, method, about.clone()), "{method}");
            assert!(!check(B, MANAGEMENT, method, about.clone()), "{method}");
        }
    }

    #[test]
    fn what_a_query_asks_of_the_management_canister_goes_where_it_belongs() {
        #[derive(CandidType)]
        struct About {
            canister_id: Principal,
        }
        let query = |effective, method: &str| {
            let message = Message {
                canister_id: MANAGEMENT,
                method: method.into(),
                arg: Encode!(&About { canister_id: A }).unwrap().into(),
                sender_info: None,
            };
            check_effective(&effective, Kind::Query, &message).is_ok()
        };
        assert!(query(Effective::Canister(A), "fetch_canister_logs"));
        assert!(!query(Effective::Canister(B), "fetch_canister_logs"));
        assert!(!query(Effective::Subnet(B), "fetch_canister_logs"));
        assert!(query(Effective::Canister(B), "list_canisters"));
        assert!(query(Effective::Subnet(B), "list_canisters"));
        assert!(!query(Effective::Subnet(B), "create_canister"));
    }

    #[test]
    fn at_a_subnet_canisters_are_created_and_nothing_else_is_called() {
        let call = |canister_id, method: &str| Message {
            canister_id,
            method: method.to_owned().into(),
            arg: vec![].into(),
            sender_info: None,
        };
        let check = |message| check_effective(&Effective::Subnet(A), Kind::Call, &message);
        for method in ["create_canister", "provisional_create_canister_with_cycles"] {
            assert!(check(call(MANAGEMENT, method)).is_ok());
        }
        for method in ["install_code", "list_canisters", "raw_rand"] {
            assert!(matches!(
                check(call(MANAGEMENT, method)),
                Err(EffectiveError::NotAtSubnet { .. })
            ));
        }
        assert_eq!(
            check(call(A, "create_canister")),
            Err(EffectiveError::NotManagement(A))
        );
    }

    proptest! {
        #[test]
        fn arguments_that_are_no_candid_never_panic(arg in any::<Vec<u8>>(), framed: bool) {
            let arg = if framed { [b"DIDL".to_vec(), arg].concat() } else { arg };
            check(A, MANAGEMENT, "install_code", arg.clone());
            check(A, MANAGEMENT, "install_chunked_code", arg);
        }
    }

    #[test]
    fn an_argument_that_claims_a_huge_value_is_cheap() {
        // vec null with 2^63 elements, in a record with another field
        let bomb = b"DIDL\x02\x6c\x01\x00\x01\x6d\x7f\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
            .to_vec();
        assert!(check(A, MANAGEMENT, "install_code", bomb));
    }
}
