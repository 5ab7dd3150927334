//! What icp-cli calls of a subnet's engine operator and of the registry that names it, as they are on the wire.
//!
//! `create_canister` is the method of the cycles ledger with that name; nothing is charged here, so amounts and subaccounts mean
//! nothing, and a block's id is the number of a block of the audit log. Source: icp-cli 1.5.0; cycles ledger, `cycles-ledger.did`.

use candid::{CandidType, Nat, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Asks which canister creates canisters on a subnet.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OperatorArgs {
    pub subnet_id: Option<Principal>,
}

/// The canister that does.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub engine_operator_id: Option<Principal>,
}

/// Asks for a canister.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CreateCanisterArgs {
    /// Means nothing here.
    pub from_subaccount: Option<ByteBuf>,
    /// Means nothing here.
    pub created_at_time: Option<u64>,
    /// Means nothing here.
    pub amount: Nat,
    pub creation_args: Option<CreationArgs>,
}

/// How it is to be.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CreationArgs {
    /// Must name this subnet, if anything.
    pub subnet_selection: Option<SubnetSelection>,
    pub settings: Option<Settings>,
}

/// Where it is to be.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum SubnetSelection {
    Subnet { subnet: Principal },
    Filter { subnet_type: Option<String> },
}

/// The settings that are taken; those that icp-cli sends beyond them, it sends again to the canister itself.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub controllers: Option<Vec<Principal>>,
    pub compute_allocation: Option<Nat>,
    pub memory_allocation: Option<Nat>,
    pub freezing_threshold: Option<Nat>,
    pub reserved_cycles_limit: Option<Nat>,
}

/// What was created.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CreatedCanister {
    pub block_id: Nat,
    pub canister_id: Principal,
}

/// Why nothing was, as far as the cycles ledger has words for it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CreateCanisterError {
    InsufficientFunds {
        balance: Nat,
    },
    TooOld,
    CreatedInFuture {
        ledger_time: u64,
    },
    TemporarilyUnavailable,
    Duplicate {
        duplicate_of: Nat,
        canister_id: Option<Principal>,
    },
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
