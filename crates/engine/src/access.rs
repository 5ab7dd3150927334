//! Who may read which part of the state tree (IC interface specification, "Request: Read state").
//!
//! | path | who, and where |
//! | --- | --- |
//! | `time`, `api_boundary_nodes/…`, `subnet/…` | anyone, anywhere |
//! | `subnet/<id>/metrics` | anyone, at the endpoint of that subnet |
//! | `canister_ranges/<id>` | anyone, at the endpoint of a subnet |
//! | `request_status/<id>/…` | unknown requests: anyone; others: their sender, at the endpoint that they were sent to |
//! | `canister/<id>/{controllers,module_hash}` | anyone, at the endpoint of that canister |
//! | `canister/<id>/metadata/<name>` | the same; a private section its controllers only |
//!
//! A reader whose key was delegated with targets reads the status of requests to those targets only. All paths of
//! requests are about one request, all paths of ranges about one subnet. Whether a canister exists makes no difference.
//!
//! Cost: O(paths).

use std::collections::BTreeSet;

use candid::Principal;
use canister_module::Visibility;

use crate::{Effective, Path, RequestId, subnet::Subnet};

/// Most labels of a path that may be read.
const MAX_PATH: usize = 127;
/// Most paths that may be read at once.
const MAX_PATHS: usize = 1_000;
/// Most characters of a name that a refusal repeats.
const QUOTED: usize = 100;

/// Who reads.
#[derive(Clone, Debug)]
pub struct StateReader {
    pub sender: Principal,
    /// Canisters whose requests the signer may read in the sender's name; None: all.
    pub targets: Option<BTreeSet<Principal>>,
}

/// Why a part of the state may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadStateRefused {
    /// The request is malformed: HTTP 400.
    Invalid(String),
    /// The sender may not read this: HTTP 403.
    Forbidden(String),
    /// There is no such path at this endpoint: HTTP 404.
    NoSuchPath(String),
}

/// Checks whether a reader may read these paths of a subnet.
pub(crate) fn may_read_state(
    subnet: &Subnet,
    effective: &Effective,
    reader: &StateReader,
    paths: &[Path],
) -> Result<(), ReadStateRefused> {
    if paths.len() > MAX_PATHS {
        return Err(ReadStateRefused::Invalid(format!(
            "{} paths, at most {MAX_PATHS}",
            paths.len()
        )));
    }
    let mut request = None;
    let mut ranges = None;
    for path in paths {
        if path.len() > MAX_PATH {
            return Err(ReadStateRefused::Invalid(format!(
                "a path of {} labels, at most {MAX_PATH}",
                path.len()
            )));
        }
        let labels: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        check_path(subnet, effective, reader, &labels)?;
        match labels[..] {
            [b"request_status", id, ..] => one(&mut request, id, "request_status", "request ID")?,
            [b"canister_ranges", id, ..] => one(&mut ranges, id, "canister_ranges", "subnet ID")?,
            _ => {}
        }
    }
    Ok(())
}

/// Notes the id that the paths of a kind are about, which must be the same in all of them.
fn one<'a>(
    seen: &mut Option<&'a [u8]>,
    id: &'a [u8],
    kind: &str,
    what: &str,
) -> Result<(), ReadStateRefused> {
    if seen.replace(id).is_none_or(|before| before == id) {
        return Ok(());
    }
    Err(ReadStateRefused::Invalid(format!(
        "More than one {what} in the {kind} paths."
    )))
}

fn check_path(
    subnet: &Subnet,
    effective: &Effective,
    reader: &StateReader,
    path: &[&[u8]],
) -> Result<(), ReadStateRefused> {
    let at_subnet = matches!(effective, Effective::Subnet(_));
    match path {
        [b"time"]
        | [b"api_boundary_nodes"]
        | [b"api_boundary_nodes", _]
        | [
            b"api_boundary_nodes",
            _,
            b"domain" | b"ipv4_address" | b"ipv6_address",
        ]
        | [b"subnet"]
        | [b"subnet", _]
        | [
            b"subnet",
            _,
            b"public_key" | b"type" | b"canister_ranges" | b"node",
        ]
        | [b"subnet", _, b"node", _]
        | [b"subnet", _, b"node", _, b"public_key"] => Ok(()),
        [b"subnet", id, b"metrics"] if at_subnet => is_effective(effective, id),
        [b"canister_ranges", _] if at_subnet => Ok(()),
        [b"request_status", id]
        | [
            b"request_status",
            id,
            b"status" | b"reply" | b"reject_code" | b"reject_message" | b"error_code",
        ] => check_request(subnet, effective, reader, id),
        [b"canister", id, b"controllers" | b"module_hash"] if !at_subnet => {
            is_effective(effective, id)
        }
        [b"canister", id, b"metadata", name] if !at_subnet => {
            is_effective(effective, id)?;
            check_metadata(subnet, reader, id, name)
        }
        _ => Err(ReadStateRefused::NoSuchPath(
            "Invalid path requested.".to_owned(),
        )),
    }
}

/// Whether the endpoint is the one of this canister or subnet.
fn is_effective(effective: &Effective, id: &[u8]) -> Result<(), ReadStateRefused> {
    let (Effective::Canister(here) | Effective::Subnet(here)) = effective;
    if here.as_slice() == id {
        return Ok(());
    }
    Err(ReadStateRefused::Invalid(
        match Principal::try_from_slice(id) {
            Ok(id) => format!(
                "Effective principal id in URL {here} does not match requested principal id: {id}."
            ),
            Err(_) => "Could not parse principal ID.".to_owned(),
        },
    ))
}

fn check_request(
    subnet: &Subnet,
    effective: &Effective,
    reader: &StateReader,
    id: &[u8],
) -> Result<(), ReadStateRefused> {
    let forbidden = |reason: &str| Err(ReadStateRefused::Forbidden(reason.to_owned()));
    let Ok(id) = <[u8; 32]>::try_from(id) else {
        return Err(ReadStateRefused::Invalid(
            "Invalid request id in paths. Maybe the request ID is not of 32 bytes in length?!"
                .to_owned(),
        ));
    };
    let Some((sender, receiver)) = subnet.ingress.parties(&RequestId(id)) else {
        return Ok(());
    };
    if sender != reader.sender {
        return forbidden("The user tries to access Request ID not signed by the caller.");
    }
    if reader
        .targets
        .as_ref()
        .is_some_and(|targets| !targets.contains(&receiver))
    {
        return forbidden(
            "The user tries to access request IDs for canisters not belonging to sender delegation targets.",
        );
    }
    // Which endpoint a management call came to isn't kept.
    if receiver != Principal::management_canister() && *effective != Effective::Canister(receiver) {
        return forbidden("The request was sent to another canister.");
    }
    Ok(())
}

fn check_metadata(
    subnet: &Subnet,
    reader: &StateReader,
    id: &[u8],
    name: &[u8],
) -> Result<(), ReadStateRefused> {
    let name = std::str::from_utf8(name).map_err(|error| {
        ReadStateRefused::Invalid(format!("Could not parse the custom section name: {error}."))
    })?;
    let canister = Principal::try_from_slice(id)
        .ok()
        .and_then(|id| subnet.canisters.get(&id));
    let private = canister.is_some_and(|canister| {
        let program = canister.program();
        let metadata = program.and_then(|program| program.module.metadata.get(name));
        metadata.is_some_and(|metadata| metadata.visibility == Visibility::Private)
            && !canister.is_controlled_by(&reader.sender)
    });
    if private {
        let name: String = name.chars().take(QUOTED).collect();
        return Err(ReadStateRefused::Forbidden(format!(
            "Custom section {name} can only be requested by the controllers of the canister."
        )));
    }
    Ok(())
}
