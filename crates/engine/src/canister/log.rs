//! The log of a canister: what it printed, and its traps, each with a running number and a time.
//!
//! The oldest records make room for new ones; what a record counts as is its content and a fixed part for number and
//! time. A limit of zero switches the log off.

use std::collections::VecDeque;

use ic_management_canister_types::{CanisterLogFilter, CanisterLogRecord};

use crate::Time;

/// What a record counts as besides its content, in bytes.
const RECORD_BYTES: usize = 2 * size_of::<u64>();
/// Smallest limit that is not zero, and what a canister has that asks for none.
pub(crate) const MIN_LIMIT: u64 = 4 * 1024;
/// Largest limit.
pub(crate) const MAX_LIMIT: u64 = 2 * 1024 * 1024;
/// Most that is returned at once, in bytes.
const MAX_ANSWER: usize = 2_000_000;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Log {
    records: VecDeque<CanisterLogRecord>,
    next: u64,
    bytes: usize,
    limit: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self::new(MIN_LIMIT)
    }
}

fn counted(record: &CanisterLogRecord) -> usize {
    record.content.len() + RECORD_BYTES
}

impl Log {
    /// An empty one with a limit in bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let mut log = Self {
            records: VecDeque::new(),
            next: 0,
            bytes: 0,
            limit: 0,
        };
        log.set_limit(limit);
        log
    }

    /// Appends a record. One that is longer than the log loses its end.
    pub(crate) fn append(&mut self, now: Time, content: impl Into<Vec<u8>>) {
        if self.limit == 0 {
            return;
        }
        let mut content = content.into();
        content.truncate(self.limit.saturating_sub(RECORD_BYTES));
        let record = CanisterLogRecord {
            idx: self.next,
            timestamp_nanos: now.0,
            content,
        };
        self.next += 1;
        self.bytes += counted(&record);
        self.records.push_back(record);
        self.shrink();
    }

    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = usize::try_from(limit.min(MAX_LIMIT)).unwrap_or(usize::MAX);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit {
            let Some(oldest) = self.records.pop_front() else {
                break;
            };
            self.bytes -= counted(&oldest);
        }
    }

    /// Forgets all records; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// The records that a filter lets through, oldest first: with a filter the first ones that fit into an answer,
    /// without one the last.
    pub(crate) fn records(&self, filter: Option<&CanisterLogFilter>) -> Vec<CanisterLogRecord> {
        let within = |record: &&CanisterLogRecord| match filter {
            None => true,
            Some(CanisterLogFilter::ByIdx { start, end }) => (*start..*end).contains(&record.idx),
            Some(CanisterLogFilter::ByTimestampNanos { start, end }) => {
                (*start..*end).contains(&record.timestamp_nanos)
            }
        };
        let mut left = MAX_ANSWER;
        let fits = |record: &&CanisterLogRecord| {
            let rest = left.checked_sub(counted(record));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        if filter.is_some() {
            let records = self.records.iter().filter(within).take_while(fits);
            return records.cloned().collect();
        }
        let records = self.records.iter().rev().take_while(fits);
        let mut records: Vec<_> = records.cloned().collect();
        records.reverse();
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(log: &Log, filter: Option<CanisterLogFilter>) -> Vec<u64> {
        let records = log.records(filter.as_ref());
        records.iter().map(|record| record.idx).collect()
    }

    #[test]
    fn the_oldest_records_make_room() {
        let mut log = Log::new(4_096);
        for time in 0..10 {
            log.append(Time(time), vec![0; 1_000]);
        }
        assert_eq!(numbers(&log, None), [6, 7, 8, 9]);
        assert_eq!(log.bytes(), 4 * 1_016);
        log.append(Time(10), vec![0; 10_000]);
        assert_eq!(numbers(&log, None), [10]);
        assert_eq!(log.bytes(), 4_096);
        log.clear();
        log.append(Time(11), *b"next");
        assert_eq!(numbers(&log, None), [11]);
        log.set_limit(0);
        log.append(Time(12), *b"lost");
        assert!(numbers(&log, None).is_empty());
    }

    #[test]
    fn filters_are_half_open_ranges() {
        let mut log = Log::new(4_096);
        for time in 100..110 {
            log.append(Time(time), *b"x");
        }
        let by_idx = |start, end| Some(CanisterLogFilter::ByIdx { start, end });
        assert_eq!(numbers(&log, by_idx(2, 4)), [2, 3]);
        assert!(numbers(&log, by_idx(4, 2)).is_empty());
        let filter = CanisterLogFilter::ByTimestampNanos {
            start: 108,
            end: u64::MAX,
        };
        assert_eq!(numbers(&log, Some(filter)), [8, 9]);
    }
}
