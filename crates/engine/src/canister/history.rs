//! What was done to a canister, as `canister_info` tells it: the last changes of code and controllers, and how many
//! there were in all.

use std::collections::VecDeque;

use candid::Principal;
use ic_management_canister_types::{
    Change, ChangeDetails, ChangeOrigin, CreationRecord, FromCanisterRecord, FromUserRecord,
};
use sha2::{Digest as _, Sha256};

use crate::{Time, calls::Origin};

/// Changes that are kept.
pub(crate) const MAX_CHANGES: usize = 20;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct History {
    changes: VecDeque<Change>,
    total: u64,
}

impl History {
    /// Appends a change; `version` is that of the canister after it.
    pub(crate) fn record(
        &mut self,
        now: Time,
        version: u64,
        origin: ChangeOrigin,
        details: ChangeDetails,
    ) {
        self.total += 1;
        if self.changes.len() == MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(Change {
            timestamp_nanos: now.0,
            canister_version: version,
            origin,
            details: Some(details),
        });
    }

    /// How many changes there were.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The last changes, at most so many, oldest first.
    pub(crate) fn latest(&self, count: u64) -> Vec<Change> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let skipped = self.changes.len().saturating_sub(count);
        self.changes.iter().skip(skipped).cloned().collect()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let lists = self.changes.iter().map(|change| match &change.details {
            Some(
                ChangeDetails::Creation(CreationRecord { controllers, .. })
                | ChangeDetails::ControllersChange(
                    ic_management_canister_types::ControllersChangeRecord { controllers },
                ),
            ) => controllers.len() * size_of::<Principal>(),
            _ => 0,
        });
        let bytes = self.changes.len() * size_of::<Change>() + lists.sum::<usize>();
        bytes as u64
    }
}

/// Who makes a change: a user, or a canister with the version that it gives for itself.
pub(crate) fn change_origin(
    origin: &Origin,
    sender: Principal,
    canister_version: Option<u64>,
) -> ChangeOrigin {
    match origin {
        Origin::Call { .. } => ChangeOrigin::FromCanister(FromCanisterRecord {
            canister_id: sender,
            canister_version,
        }),
        _ => ChangeOrigin::FromUser(FromUserRecord { user_id: sender }),
    }
}

/// Hash over all environment variables, independent of their order: that of a map of texts.
pub(crate) fn variables_hash<'a>(
    variables: impl Iterator<Item = (&'a String, &'a String)>,
) -> [u8; 32] {
    let mut pairs: Vec<[u8; 64]> = variables
        .map(|(name, value)| {
            let mut pair = [0; 64];
            pair[..32].copy_from_slice(&Sha256::digest(name));
            pair[32..].copy_from_slice(&Sha256::digest(value));
            pair
        })
        .collect();
    pairs.sort_unstable();
    Sha256::digest(pairs.concat()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_changes_are_kept_and_all_are_counted() {
        let mut history = History::default();
        let origin = ChangeOrigin::FromUser(FromUserRecord {
            user_id: Principal::anonymous(),
        });
        for version in 1..=25 {
            let details = ChangeDetails::CodeUninstall;
            history.record(Time(version), version, origin.clone(), details);
        }
        assert_eq!(history.total(), 25);
        let versions = |count| -> Vec<u64> {
            let changes = history.latest(count);
            changes.iter().map(|c| c.canister_version).collect()
        };
        assert_eq!(versions(u64::MAX), (6..=25).collect::<Vec<_>>());
        assert_eq!(versions(2), [24, 25]);
        assert!(versions(0).is_empty());
    }
}
