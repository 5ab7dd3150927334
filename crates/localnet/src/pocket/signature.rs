//! `POST /verify_signature`: whether a canister signature is valid under a root key.

use axum::Json;
use pocket_ic::common::rest::RawVerifyCanisterSigArg;
use tokio::task::block_in_place;

use super::answer::{Answer, Body};
use crate::public_key::{PublicKey, RootKey};

pub(super) async fn verify(Body(arg): Body<RawVerifyCanisterSigArg>) -> Answer<Result<(), String>> {
    Ok(Json(block_in_place(|| check(&arg))))
}

fn check(arg: &RawVerifyCanisterSigArg) -> Result<(), String> {
    let key = PublicKey::from_der(&arg.pubkey).map_err(|error| error.to_string())?;
    if key.canister().is_none() {
        return Err("the public key is not a canister's".to_owned());
    }
    key.verify(&arg.msg, &arg.sig, &RootKey::new(&arg.root_pubkey))
        .map_err(|error| error.to_string())
}
