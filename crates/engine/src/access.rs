//! Who may read which part of a subnet's state (IC interface specification, "Request: Read state").

use candid::Principal;
use canister_module::Visibility;

use crate::{Effective, Path, RequestId, subnet::Subnet};

/// Most labels of a path that may be read.
const MAX_PATH: usize = 127;
/// Most paths that may be read at once.
const MAX_PATHS: usize = 1_000;

/// Why a part of the state may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadStateRefused {
    /// The request is malformed: HTTP 400.
    Invalid(String),
    /// The sender may not read this: HTTP 403.
    Forbidden(String),
}

/// Checks whether a sender may read these paths.
pub(crate) fn may_read_state(
    subnet: &Subnet,
    effective: &Effective,
    sender: &Principal,
    paths: &[Path],
) -> Result<(), ReadStateRefused> {
    if paths.len() > MAX_PATHS {
        return Err(ReadStateRefused::Invalid(format!(
            "{} paths, at most {MAX_PATHS}",
            paths.len()
        )));
    }
    let mut requests = Vec::new();
    for path in paths {
        if path.len() > MAX_PATH {
            return Err(ReadStateRefused::Invalid(format!(
                "a path of {} labels, at most {MAX_PATH}",
                path.len()
            )));
        }
        let labels: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        may_read(subnet, effective, sender, &labels)?;
        if let [b"request_status", id, ..] = labels[..] {
            requests.push(id.to_vec());
        }
    }
    requests.sort_unstable();
    requests.dedup();
    if requests.len() > 1 {
        return Err(ReadStateRefused::Invalid(
            "paths of one request at a time, please".to_owned(),
        ));
    }
    Ok(())
}

fn may_read(
    subnet: &Subnet,
    effective: &Effective,
    sender: &Principal,
    path: &[&[u8]],
) -> Result<(), ReadStateRefused> {
    let forbidden = |reason: &str| Err(ReadStateRefused::Forbidden(reason.to_owned()));
    let of_canister = |id: &[u8]| matches!(effective, Effective::Canister(e) if e.as_slice() == id);
    match path {
        [b"time"] | [b"subnet", ..] | [b"canister_ranges", ..] => Ok(()),
        [b"request_status", id, ..] => {
            let Ok(id) = <[u8; 32]>::try_from(*id) else {
                return Err(ReadStateRefused::Invalid(
                    "a request id has 32 bytes".to_owned(),
                ));
            };
            match subnet.ingress.parties(&RequestId(id)) {
                Some((owner, _)) if owner != *sender => {
                    forbidden("the request was sent by somebody else")
                }
                Some((_, canister))
                    if canister != Principal::management_canister()
                        && !of_canister(canister.as_slice()) =>
                {
                    forbidden("the request was sent to another canister")
                }
                _ => Ok(()),
            }
        }
        [b"canister", id, b"controllers" | b"module_hash"] if of_canister(id) => Ok(()),
        [b"canister", id, b"metadata", name] if of_canister(id) => {
            let Ok(name) = std::str::from_utf8(name) else {
                return Err(ReadStateRefused::Invalid(
                    "the name of a metadata section is UTF-8".to_owned(),
                ));
            };
            let canister = Principal::try_from_slice(id)
                .ok()
                .and_then(|id| subnet.canisters.get(&id));
            let private = canister.is_some_and(|canister| {
                let program = canister.program();
                let metadata = program.and_then(|program| program.module.metadata.get(name));
                metadata.is_some_and(|metadata| metadata.visibility == Visibility::Private)
                    && !canister.is_controlled_by(sender)
            });
            if private {
                forbidden("the metadata section is private")
            } else {
                Ok(())
            }
        }
        _ => forbidden("no such path can be read here"),
    }
}
