//! Who governs the subnet of this demonstration: five organisations, a governor of each, and their keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indus_api::registry::{
    Governor, InitArgs, OrganisationKind, OrganisationProfile, Quorum, Quorums,
};
use indus_client::Key;
use thiserror::Error;

use crate::key_file::{self, KeyFileError};

/// The organisations that the subnet is governed by in this demonstration: slugs that no row of the file has, and names.
pub(crate) const FOUNDERS: [(&str, &str); 5] = [
    ("governing-council-a", "Governing Council, Seat A"),
    ("governing-council-b", "Governing Council, Seat B"),
    ("governing-council-c", "Governing Council, Seat C"),
    ("governing-council-d", "Governing Council, Seat D"),
    ("governing-council-e", "Governing Council, Seat E"),
];
/// Names of the governors' key files, in the order of their organisations.
pub(crate) const FILES: [&str; FOUNDERS.len()] = [
    "governor-1.key",
    "governor-2.key",
    "governor-3.key",
    "governor-4.key",
    "governor-5.key",
];
/// Governors who have to agree, and organisations that they have to be of.
pub(crate) const APPROVALS: u32 = 3;
/// Why there are no key files.
#[derive(Debug, Error)]
#[error("keys can't be written into {}: {reason}", folder.display())]
pub(crate) struct KeysError {
    folder: PathBuf,
    reason: KeyFileError,
}

/// What the registry begins with: five organisations, a governor of each, and the quorums of the design.
pub(crate) fn founding(governors: &[Key]) -> InitArgs {
    let founder = |(slug, name): &(&str, &str)| OrganisationProfile {
        slug: (*slug).into(),
        name: (*name).into(),
        kind: OrganisationKind::Agency,
        parent: None,
        sector: "governance".into(),
        seat: "Islamabad".into(),
    };
    let governors = governors.iter().zip(1..);
    InitArgs {
        founders: FOUNDERS.iter().map(founder).collect(),
        governors: governors
            .map(|(key, organisation)| Governor {
                principal: key.principal(),
                organisation,
            })
            .collect(),
        quorums: Quorums {
            ordinary: Quorum {
                approvals: APPROVALS,
                organisations: APPROVALS,
            },
            constitutional: Quorum {
                approvals: APPROVALS + 1,
                organisations: APPROVALS,
            },
        },
    }
}

/// New keys of the governors, in files of this folder; those of an earlier localnet go.
pub(crate) fn written_keys(folder: &Path) -> Result<Vec<Key>, KeysError> {
    let unwritten = |reason: KeyFileError| KeysError {
        folder: folder.into(),
        reason,
    };
    fs::create_dir_all(folder).map_err(|error| unwritten(error.into()))?;
    let key = |name: &str| {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritten(error.into()));
            }
            _ => {}
        }
        key_file::write(&path).map_err(unwritten)
    };
    FILES.into_iter().map(key).collect()
}
