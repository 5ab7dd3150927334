//! Ingress expiry: the time within which a request counts.
//!
//! A request is taken while its `ingress_expiry` lies between now and [`MAX_TTL`] from now, plus [`PERMITTED_DRIFT`] for
//! clients whose clock is ahead. The engine remembers each call until it expires, so none runs twice.

use std::time::Duration;

use engine::Time;
use thiserror::Error;

/// How long before its expiry a request may be sent.
pub const MAX_TTL: Duration = Duration::from_secs(5 * 60);
/// How far a client's clock may be ahead.
pub const PERMITTED_DRIFT: Duration = Duration::from_secs(60);

/// The expiry of a request is in the past or too far ahead. The first words are a contract: the JavaScript agent looks
/// for them and then adjusts its clock.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "Invalid request expiry: ingress_expiry must be from {} to {} (nanoseconds since 1970), it is {}",
    earliest.0, latest.0, provided.0
)]
pub(crate) struct ExpiryError {
    pub earliest: Time,
    pub latest: Time,
    pub provided: Time,
}

/// Checks an `ingress_expiry` at the time `now`.
///
/// # Errors
/// It is in the past, or too far ahead.
pub(crate) fn check_expiry(provided: Time, now: Time) -> Result<(), ExpiryError> {
    let ahead = (MAX_TTL + PERMITTED_DRIFT).as_nanos();
    let latest = now.plus(u64::try_from(ahead).unwrap_or(u64::MAX));
    if (now..=latest).contains(&provided) {
        Ok(())
    } else {
        Err(ExpiryError {
            earliest: now,
            latest,
            provided,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_counts_from_now_to_six_minutes_ahead() {
        let now = Time(1_000_000_000_000);
        let latest = now.0 + 360_000_000_000;
        for good in [now.0, now.0 + 1, latest] {
            assert!(check_expiry(Time(good), now).is_ok(), "{good}");
        }
        for bad in [0, now.0 - 1, latest + 1, u64::MAX] {
            let error = check_expiry(Time(bad), now).unwrap_err().to_string();
            assert!(
                error.starts_with("Invalid request expiry: ") && error.contains(&bad.to_string()),
                "{error}"
            );
        }
    }
}
