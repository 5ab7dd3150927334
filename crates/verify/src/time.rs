//! Times, and how far a certificate's may be from the caller's.

use std::fmt;
use std::time::Duration;

use crate::error::{Part, VerifyError};

/// Nanoseconds since 1970-01-01 UTC, as the Internet Computer counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// From nanoseconds since 1970-01-01 UTC.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01 UTC.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How much later this is than `other`; zero if it isn't.
    fn since(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(other.0))
    }
}

/// Seconds since 1970 with nine decimals, and the unit.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09} s since 1970",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

/// How far the times in certificates may be from the caller's. The limits themselves are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBound {
    /// Oldest certificate.
    pub max_age: Duration,
    /// Allowance for a subnet's clock that runs ahead of the caller's.
    pub max_ahead: Duration,
    /// Oldest delegation. Subnets renew them every few minutes, but a certificate that is kept keeps its
    /// delegation, so this is never less than `max_age`.
    pub max_delegation_age: Duration,
}

impl TimeBound {
    /// Default of [`TimeBound::max_ahead`]: five minutes, as the agents allow.
    pub const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);
    /// Default of [`TimeBound::max_delegation_age`]: thirty days, as the agents allow.
    pub const MAX_DELEGATION_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Certificates of at most this age, with the default allowances for the rest.
    pub const fn within(max_age: Duration) -> Self {
        Self {
            max_age,
            max_ahead: Self::MAX_AHEAD,
            max_delegation_age: Self::MAX_DELEGATION_AGE,
        }
    }

    /// Refuses a certificate of `time` that is too old or too far ahead at `now`.
    pub(crate) fn check(&self, part: Part, time: Time, now: Time) -> Result<(), VerifyError> {
        let max_age = match part {
            Part::Delegation => self.max_delegation_age.max(self.max_age),
            _ => self.max_age,
        };
        if now.since(time) > max_age {
            Err(VerifyError::Stale {
                part,
                time,
                max_age,
            })
        } else if time.since(now) > self.max_ahead {
            Err(VerifyError::Future {
                part,
                time,
                max_ahead: self.max_ahead,
            })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: TimeBound = TimeBound {
        max_age: Duration::from_nanos(10),
        max_ahead: Duration::from_nanos(5),
        max_delegation_age: Duration::from_nanos(20),
    };

    #[test]
    fn the_limits_are_accepted_and_one_nanosecond_more_is_not() {
        let now = Time::from_nanos(100);
        for (part, nanos, good) in [
            (Part::Certificate, 90, true),
            (Part::Certificate, 89, false),
            (Part::Certificate, 105, true),
            (Part::Certificate, 106, false),
            (Part::Delegation, 80, true),
            (Part::Delegation, 79, false),
            (Part::Delegation, 106, false),
        ] {
            assert_eq!(
                BOUND.check(part, Time::from_nanos(nanos), now).is_ok(),
                good,
                "{part} of {nanos}"
            );
        }
    }

    #[test]
    fn a_delegation_may_be_as_old_as_its_certificate() {
        let bound = TimeBound {
            max_delegation_age: Duration::ZERO,
            ..BOUND
        };
        assert_eq!(
            bound.check(
                Part::Delegation,
                Time::from_nanos(90),
                Time::from_nanos(100)
            ),
            Ok(())
        );
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let (first, last) = (Time::from_nanos(0), Time::from_nanos(u64::MAX));
        assert!(matches!(
            BOUND.check(Part::Certificate, first, last),
            Err(VerifyError::Stale { .. })
        ));
        assert!(matches!(
            BOUND.check(Part::Certificate, last, first),
            Err(VerifyError::Future { .. })
        ));
    }
}
