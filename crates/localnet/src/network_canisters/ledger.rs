//! The cycles ledger: creates canisters for whoever asks, as icp-cli has it do where a subnet has no operator.
//!
//! There are no accounts: cycles are minted, as they are for anybody who calls
//! `provisional_create_canister_with_cycles`, which this comes to. The number of the block counts the creations. Fees are
//! not taken, and nothing is remembered of `created_at_time`, so a second call with the same arguments creates a
//! second canister.

use std::sync::atomic::{AtomicU64, Ordering};

use candid::{CandidType, Nat, Principal, decode_one, encode_one};
use engine::{Effective, ErrorCode, Ingress, Reject, RequestId, RequestStatus};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, ProvisionalCreateCanisterWithCyclesArgs,
};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::{
    executor::{CallOutcome, Destination, Executor},
    refusal::Refusal,
};

#[derive(CandidType, Deserialize)]
pub(super) struct CreateCanisterArgs {
    from_subaccount: Option<ByteBuf>,
    created_at_time: Option<u64>,
    amount: Nat,
    creation_args: Option<CreationArgs>,
}

#[derive(CandidType, Deserialize)]
struct CreationArgs {
    subnet_selection: Option<SubnetSelection>,
    settings: Option<CanisterSettings>,
}

#[derive(CandidType, Deserialize)]
enum SubnetSelection {
    Subnet { subnet: Principal },
    Filter { subnet_type: Option<String> },
}

#[derive(CandidType)]
pub(super) struct Created {
    block_id: Nat,
    canister_id: Principal,
}

/// Those refusals of the cycles ledger that can come.
#[derive(CandidType)]
pub(super) enum CreateCanisterError {
    FailedToCreate {
        fee_block: Option<Nat>,
        refund_block: Option<Nat>,
        error: String,
    },
    GenericError {
        error_code: Nat,
        message: String,
    },
}

pub(super) type CreateCanisterResult = Result<Created, CreateCanisterError>;

pub(super) struct Ledger {
    executor: Executor,
    blocks: AtomicU64,
}

impl Ledger {
    pub(super) fn new(executor: Executor) -> Self {
        Self {
            executor,
            blocks: AtomicU64::new(0),
        }
    }

    /// Creates a canister on the subnet that is asked for, or else the first one.
    ///
    /// # Errors
    /// The subnet takes no more calls.
    pub(super) async fn create(
        &self,
        call: &Ingress,
        args: CreateCanisterArgs,
        subnets: &[Principal],
    ) -> Result<CreateCanisterResult, Reject> {
        let (selection, settings) = match args.creation_args {
            None => (None, None),
            Some(creation) => (creation.subnet_selection, creation.settings),
        };
        let subnet = match selection {
            None | Some(SubnetSelection::Filter { subnet_type: None }) => subnets.first(),
            Some(SubnetSelection::Filter {
                subnet_type: Some(_),
            }) => None,
            Some(SubnetSelection::Subnet { subnet }) => subnets.iter().find(|id| **id == subnet),
        };
        let Some(subnet) = subnet.copied() else {
            return Ok(Err(CreateCanisterError::GenericError {
                error_code: Nat::from(0_u8),
                message: String::from("subnet_selection: users have no such subnet here"),
            }));
        };
        let arg = ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(args.amount),
            settings,
            specified_id: None,
            sender_canister_version: None,
        };
        Ok(match self.provisional(call, &arg, subnet).await? {
            Ok(canister_id) => Ok(Created {
                block_id: Nat::from(self.blocks.fetch_add(1, Ordering::Relaxed)),
                canister_id,
            }),
            Err(error) => Err(CreateCanisterError::FailedToCreate {
                fee_block: None,
                refund_block: None,
                error,
            }),
        })
    }

    /// Has the management canister create it, as if the caller had asked.
    async fn provisional(
        &self,
        call: &Ingress,
        arg: &ProvisionalCreateCanisterWithCyclesArgs,
        subnet: Principal,
    ) -> Result<Result<Principal, String>, Reject> {
        let unencodable = |error: candid::Error| {
            Reject::of(call.canister_id, ErrorCode::CalledTrap, &error.to_string())
        };
        let digest = Sha256::new()
            .chain_update(b"cycles ledger: create_canister")
            .chain_update(call.id.0)
            .finalize();
        let id = RequestId(digest.into());
        let ingress = Ingress {
            id,
            sender: call.sender,
            canister_id: Principal::management_canister(),
            method: String::from("provisional_create_canister_with_cycles"),
            arg: encode_one(arg).map_err(unencodable)?,
            expiry: call.expiry,
            sender_info: None,
        };
        let to = Destination {
            effective: Effective::Subnet(subnet),
            anywhere: false,
        };
        let refused = |refusal: Refusal| Reject::new(ErrorCode::QueueFull, refusal.to_string());
        loop {
            let outcome = self.executor.call(to, ingress.clone(), true).await;
            if let CallOutcome::NotTaken(reject) = outcome.map_err(refused)? {
                return Ok(Err(reject.message));
            }
            match self.executor.reader().status(subnet, &id) {
                RequestStatus::Replied(reply) => {
                    let created = decode_one(&reply).map_err(unencodable)?;
                    let CanisterIdRecord { canister_id } = created;
                    return Ok(Ok(canister_id));
                }
                RequestStatus::Rejected(reject) => return Ok(Err(reject.message)),
                RequestStatus::Unknown | RequestStatus::Received | RequestStatus::Processing => {}
            }
        }
    }
}
