//! Times and durations as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indus_verify::{Time, TimeBound};

use crate::failure::Failure;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// This machine's clock; a time before 1970 or after 2554 counts as 1970, and no certificate is accepted then.
pub(crate) fn now() -> Time {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_nanos(u64::try_from(since_1970.as_nanos()).unwrap_or_default())
}

/// Any age without `max_age`: what is kept is old. Times ahead of the clock are refused all the same.
pub(crate) fn bound(max_age: Option<Duration>) -> TimeBound {
    TimeBound::within(max_age.unwrap_or(Duration::MAX))
}

/// How long ago `time` was; zero if it is ahead.
pub(crate) fn age(time: Time) -> Duration {
    Duration::from_nanos(now().as_nanos().saturating_sub(time.as_nanos()))
}

/// A whole number and its unit: `90s`, `5m`, `24h` or `30d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || String::from("a duration is a number and s, m, h or d, such as 24h");
    let unit = text.chars().last().ok_or_else(refused)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => SECONDS_A_DAY,
        _ => return Err(refused()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| refused())?;
    let seconds = number.checked_mul(seconds).ok_or_else(refused)?;
    Ok(Duration::from_secs(seconds))
}

/// The time `duration` after another, both in nanoseconds since 1970.
pub(crate) fn later(time_ns: u64, duration: Duration) -> Result<u64, Failure> {
    u64::try_from(duration.as_nanos())
        .ok()
        .and_then(|ns| time_ns.checked_add(ns))
        .ok_or_else(|| Failure::Usage(String::from("a duration is too long")))
}

/// An age in the largest unit of which there is at least one.
pub(crate) fn shown_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / SECONDS_A_DAY),
    }
}

/// Date and time in UTC, to the second (ISO 8601).
pub(crate) fn utc(time: Time) -> String {
    let seconds = time.as_nanos() / 1_000_000_000;
    let (days, second) = (seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY);
    // Years begin in March, so that the leap day is the last one; 400 of them have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            ("24h", 86_400),
            ("30d", 2_592_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "5",
            "m",
            "-1s",
            "1.5h",
            "1w",
            "1ن",
            "99999999999999999999s",
            "300000000000000d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_shown_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(Time::from_nanos(seconds * 1_000_000_000)), text);
        }
    }
}
