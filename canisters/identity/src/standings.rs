//! Where organisations stand, as the registry said within the last minute.
//!
//! ```text
//! caller ── method ── person ── roles they hold ── office ──┬── standing fresh and active ──► Subject with its roles
//!                                                           ├── fresh, not active ──► Subject without any
//!                                                           └── none, or a minute old ──► the registry is asked first
//! ```
//!
//! Invariants:
//! - An answer's age counts from before its question was sent; one that is [`LIFETIME_NS`] old is none. So a suspension
//!   holds here at most that long after the registry decided on it; and for grants, recoveries, credentials and the
//!   canisters of the suite, for which it is always asked, at once.
//! - An answer to an older question never replaces one to a newer question.
//! - There are at most [`MAX_ENTRIES`]; the one that expires first makes room. They are in the heap, and gone after an
//!   upgrade.
//!
//! Cost: O(log n) in the heap; some 700 bytes an entry.

use std::collections::{BTreeMap, BTreeSet};

use indus_api::registry::Standing;

/// How long an answer may be used, in nanoseconds: 60 seconds.
pub const LIFETIME_NS: u64 = 60_000_000_000;
/// Most organisations that are remembered: more than there are; at most 10 MB.
pub const MAX_ENTRIES: usize = 10_000;

/// What the registry said.
#[derive(Debug, Default)]
pub struct Standings {
    entries: BTreeMap<u64, (u64, Standing)>,
    /// When each was asked for, the oldest first.
    by_age: BTreeSet<(u64, u64)>,
}

impl Standings {
    /// What the registry said about an organisation less than a minute ago.
    #[must_use]
    pub fn fresh(&self, organisation: u64, now_ns: u64) -> Option<&Standing> {
        self.entries
            .get(&organisation)
            .filter(|(asked_at_ns, _)| now_ns.saturating_sub(*asked_at_ns) < LIFETIME_NS)
            .map(|(_, standing)| standing)
    }

    /// Takes in what the registry answered, none if it has no such organisation, to a question of that time.
    pub fn keep(&mut self, organisation: u64, answer: Option<Standing>, asked_at_ns: u64) {
        if let Some((known_at_ns, _)) = self.entries.get(&organisation) {
            if *known_at_ns > asked_at_ns {
                return;
            }
            self.by_age.remove(&(*known_at_ns, organisation));
            self.entries.remove(&organisation);
        }
        let Some(standing) = answer.filter(|standing| standing.organisation == organisation) else {
            return;
        };
        if self.entries.len() >= MAX_ENTRIES
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.insert((asked_at_ns, organisation));
        self.entries.insert(organisation, (asked_at_ns, standing));
    }

    /// How many are remembered, those that have expired included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use indus_api::registry::{OrganisationKind, OrganisationStatus};

    use super::*;

    fn standing(organisation: u64, sector: &str) -> Standing {
        Standing {
            organisation,
            status: OrganisationStatus::Active,
            kind: OrganisationKind::Agency,
            sector: sector.into(),
            administrators: vec![],
        }
    }

    #[test]
    fn an_answer_is_used_for_a_minute_from_its_question_on() {
        let mut standings = Standings::default();
        standings.keep(7, Some(standing(7, "health")), 1_000);
        let at = |now_ns| standings.fresh(7, now_ns).is_some();
        assert!(at(1_000) && at(1_000 + LIFETIME_NS - 1));
        assert!(!at(1_000 + LIFETIME_NS));
        assert!(standings.fresh(8, 1_000).is_none());
    }

    #[test]
    fn an_older_answer_never_replaces_a_newer_one() {
        let mut standings = Standings::default();
        standings.keep(7, Some(standing(7, "new")), 2_000);
        standings.keep(7, Some(standing(7, "old")), 1_000);
        standings.keep(7, None, 1_000);
        let sector =
            |standings: &Standings| standings.fresh(7, 2_000).map(|one| one.sector.clone());
        assert_eq!(sector(&standings), Some("new".into()));
        standings.keep(7, None, 3_000);
        assert_eq!(sector(&standings), None);
        assert!(standings.is_empty());
    }

    #[test]
    fn an_answer_about_another_organisation_is_none() {
        let mut standings = Standings::default();
        standings.keep(7, Some(standing(8, "health")), 1_000);
        assert!(standings.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut standings = Standings::default();
        for organisation in 0..=MAX_ENTRIES as u64 {
            standings.keep(
                organisation,
                Some(standing(organisation, "any")),
                organisation,
            );
        }
        assert_eq!(standings.len(), MAX_ENTRIES);
        assert!(standings.fresh(0, 0).is_none() && standings.fresh(1, 1).is_some());
        assert_eq!(standings.by_age.len(), MAX_ENTRIES);
    }
}
