//! `POST /verify_signature`: whether a canister signature is valid under a root key.

use axum::Json;
use ic_signature_verification::verify_canister_sig;
use pocket_ic::common::rest::RawVerifyCanisterSigArg;

use super::answer::{Answer, Body};

/// DER of a BLS public key up to the key itself (IC interface specification, "Certificate encoding").
const BLS_DER_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05,
    0x03, 0x01, 0x02, 0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03,
    0x02, 0x01, 0x03, 0x61, 0x00,
];

pub(super) async fn verify(Body(arg): Body<RawVerifyCanisterSigArg>) -> Answer<Result<(), String>> {
    Ok(Json(check(&arg)))
}

fn check(arg: &RawVerifyCanisterSigArg) -> Result<(), String> {
    let key = arg.root_pubkey.strip_prefix(&BLS_DER_PREFIX);
    let key = key.filter(|key| key.len() == 96);
    let key = key.ok_or("the root key is not the DER of a BLS public key")?;
    verify_canister_sig(&arg.msg, &arg.sig, &arg.pubkey, key)
}
