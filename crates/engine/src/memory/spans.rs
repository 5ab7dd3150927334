//! Which parts of a heap its file holds: few ranges, in order.
//!
//! What is outside of them has never been committed and is not in the file. Each range is a mapping of its own
//! in every heap on the file, and mappings are scarce, so there are few: where there would be more, the
//! smallest gaps count as held.

use std::ops::Range;

use super::faults::CHUNK;

/// Most ranges. Tests should meet the limit.
const MOST: usize = if cfg!(test) { 2 } else { 32 };

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Range<usize>>);

impl Spans {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<usize>> {
        self.0.iter()
    }

    /// Where the last range ends.
    pub(super) fn end(&self) -> usize {
        self.0.last().map_or(0, |last| last.end)
    }

    /// Adds the chunks around these bytes, as far as the heap has them, which is `size` bytes long.
    pub(super) fn add(&mut self, bytes: &Range<usize>, size: usize) {
        let start = bytes.start / CHUNK * CHUNK;
        let end = bytes.end.next_multiple_of(CHUNK).min(size);
        // Ranges that end before it begins, and those that begin after it ends, stay.
        let before = self.0.partition_point(|span| span.end < start);
        let after = self.0.partition_point(|span| span.start <= end);
        let merged = self.0[before..after].iter().fold(start..end, |all, span| {
            all.start.min(span.start)..all.end.max(span.end)
        });
        self.0.splice(before..after, [merged]);
    }

    /// Closes the smallest gaps until there are few enough ranges.
    pub(super) fn limit(&mut self) {
        while self.0.len() > MOST {
            let gap = |at: &usize| self.0[at + 1].start - self.0[*at].end;
            let Some(smallest) = (0..self.0.len() - 1).min_by_key(gap) else {
                return;
            };
            self.0[smallest].end = self.0.remove(smallest + 1).end;
        }
    }

    /// Parts of a range that are held.
    pub(super) fn within(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        self.0
            .iter()
            .map(|span| span.start.max(range.start)..span.end.min(range.end))
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// Parts of a range that are not held.
    pub(super) fn without(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut at = range.start;
        for held in self.within(range) {
            parts.push(at..held.start);
            at = held.end;
        }
        parts.push(at..range.end);
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Bytes that all chunks of the ranges have.
    pub(super) fn held(&self) -> u64 {
        let chunks = |span: &Range<usize>| span.end.div_ceil(CHUNK) - span.start / CHUNK;
        self.0.iter().map(chunks).sum::<usize>() as u64 * CHUNK as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch_and_where_there_are_too_many() {
        let mut spans = Spans::default();
        spans.add(&(CHUNK + 5..CHUNK + 6), 100 * CHUNK);
        spans.add(&(9 * CHUNK..9 * CHUNK + 1), 9 * CHUNK + 100);
        assert_eq!(spans.0, [CHUNK..2 * CHUNK, 9 * CHUNK..9 * CHUNK + 100]);
        assert_eq!(spans.held(), 2 * CHUNK as u64);
        assert_eq!(spans.end(), 9 * CHUNK + 100);
        // The heap has grown since.
        spans.add(&(9 * CHUNK..9 * CHUNK + 1), 100 * CHUNK);
        spans.add(&(2 * CHUNK..2 * CHUNK + 1), 100 * CHUNK);
        assert_eq!(spans.0, [CHUNK..3 * CHUNK, 9 * CHUNK..10 * CHUNK]);
        spans.add(&(5 * CHUNK..5 * CHUNK + 1), 100 * CHUNK);
        assert_eq!(spans.0.len(), 3);
        spans.limit();
        assert_eq!(spans.0, [CHUNK..6 * CHUNK, 9 * CHUNK..10 * CHUNK]);
        assert_eq!(
            spans.within(&(5 * CHUNK..10 * CHUNK)),
            [5 * CHUNK..6 * CHUNK, 9 * CHUNK..10 * CHUNK]
        );
        assert_eq!(
            spans.without(&(0..20 * CHUNK)),
            [0..CHUNK, 6 * CHUNK..9 * CHUNK, 10 * CHUNK..20 * CHUNK]
        );
    }
}
