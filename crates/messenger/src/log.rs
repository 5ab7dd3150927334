//! One page of a log, checked against what was verified before and against what is certified now.

use indus_verify::log::verify_consistency;
use indus_verify::{Hash, LogHead, LogRoot};
use serde_bytes::ByteBuf;

use crate::alarm::Violation;

/// A page as it came: indices and hashes of its entries, and the proof from its end to the certified head.
pub(crate) struct Page<'a> {
    pub(crate) entries: &'a [(u64, Hash)],
    pub(crate) consistency: &'a [Hash],
    pub(crate) certified: LogHead,
}

/// The log behind the page.
///
/// # Errors
/// What is wrong. A page whose entries are not the certified log's may also come from a log that was rewritten: only a proof from
/// what was verified to what is certified tells the two apart.
pub(crate) fn checked(verified: &LogRoot, page: &Page<'_>) -> Result<LogRoot, Violation> {
    let from = verified.size();
    let certified = page.certified.size;
    if certified < from {
        return Err(Violation::RolledBack {
            verified: from,
            certified,
        });
    }
    let mut log = verified.clone();
    for (index, hash) in page.entries {
        if *index != log.size() {
            return Err(Violation::Missing {
                expected: log.size(),
                found: *index,
            });
        }
        log.append(hash);
    }
    if page.entries.is_empty() && certified > from {
        return Err(Violation::Withheld { from, certified });
    }
    if verify_consistency(&log.head(), &page.certified, page.consistency).is_err() {
        return Err(if page.entries.is_empty() {
            Violation::Rewritten { verified: from }
        } else {
            Violation::Falsified {
                from,
                until: log.size(),
            }
        });
    }
    Ok(log)
}

/// The hashes of a proof, as a node answers it.
pub(crate) fn hashes(proof: &[ByteBuf]) -> Vec<Hash> {
    // One of another length is no hash: the proof fails without it.
    let hashes = proof.iter().map(|hash| hash.as_slice().try_into());
    hashes.collect::<Result<_, _>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_be_bytes());
        hash
    }

    fn log(size: u64) -> LogRoot {
        let mut log = LogRoot::default();
        (0..size).for_each(|n| log.append(&hash(n)));
        log
    }

    fn entries(range: std::ops::Range<u64>) -> Vec<(u64, Hash)> {
        range.map(|n| (n, hash(n))).collect()
    }

    /// To the end of the log, which takes no proof.
    fn whole(
        verified: u64,
        entries: &[(u64, Hash)],
        certified: &LogRoot,
    ) -> Result<LogRoot, Violation> {
        checked(
            &log(verified),
            &Page {
                entries,
                consistency: &[],
                certified: certified.head(),
            },
        )
    }

    #[test]
    fn a_page_that_leads_to_the_certified_head_is_taken() {
        for (verified, size) in [(0, 0), (0, 9), (3, 9), (8, 9), (9, 9)] {
            let page = entries(verified..size);
            assert_eq!(whole(verified, &page, &log(size)), Ok(log(size)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let all = entries(3..9);
        let mut swapped = all.clone();
        swapped.swap(1, 2);
        let mut renumbered = swapped.clone();
        (renumbered[1].0, renumbered[2].0) = (4, 5);
        let falsified = |until| Violation::Falsified { from: 3, until };
        assert_eq!(
            whole(3, &swapped, &log(9)),
            Err(Violation::Missing {
                expected: 4,
                found: 5
            })
        );
        assert_eq!(whole(3, &renumbered, &log(9)), Err(falsified(9)));
        assert_eq!(whole(3, &all[..5], &log(9)), Err(falsified(8)));
        assert_eq!(
            whole(3, &all[1..], &log(9)),
            Err(Violation::Missing {
                expected: 3,
                found: 4
            })
        );
        assert_eq!(whole(3, &entries(3..10), &log(9)), Err(falsified(10)));
        assert_eq!(
            whole(9, &[], &log(7)),
            Err(Violation::RolledBack {
                verified: 9,
                certified: 7
            })
        );
        let mut other = LogRoot::default();
        (1..10).for_each(|n| other.append(&hash(n)));
        assert_eq!(
            whole(9, &[], &other),
            Err(Violation::Rewritten { verified: 9 })
        );
    }

    #[test]
    fn entries_that_are_certified_and_do_not_come_are_withheld() {
        for from in [0, 3] {
            let withheld = Violation::Withheld { from, certified: 4 };
            assert_eq!(whole(from, &[], &log(4)), Err(withheld));
        }
    }
}
