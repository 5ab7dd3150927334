//! How long calls took, in a few numbers.

use std::time::Duration;

/// Durations of calls of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

/// Count and percentiles of [`Latencies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) calls: usize,
    pub(crate) p50: Duration,
    pub(crate) p95: Duration,
    pub(crate) max: Duration,
}

impl Latencies {
    pub(crate) fn record(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Percentiles by the nearest-rank method: the least duration that at least that share of the calls kept to.
    /// All zero if nothing was recorded.
    pub(crate) fn summary(&self) -> Summary {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Summary {
            calls: sorted.len(),
            p50: percentile(50),
            p95: percentile(95),
            max: percentile(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Summary {
        let mut latencies = Latencies::default();
        millis
            .into_iter()
            .for_each(|millis| latencies.record(Duration::from_millis(millis)));
        latencies.summary()
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let [p50, p95, max] = [50, 95, 100].map(Duration::from_millis);
        assert_eq!(
            of((1..=100).rev()),
            Summary {
                calls: 100,
                p50,
                p95,
                max
            }
        );
        let [p50, p95, max] = [2, 3, 3].map(Duration::from_millis);
        assert_eq!(
            of([3, 1, 2]),
            Summary {
                calls: 3,
                p50,
                p95,
                max
            }
        );
    }

    #[test]
    fn one_call_is_every_percentile_and_none_is_zero() {
        let d = Duration::from_millis(7);
        assert_eq!(
            of([7]),
            Summary {
                calls: 1,
                p50: d,
                p95: d,
                max: d
            }
        );
        let d = Duration::ZERO;
        assert_eq!(
            of([]),
            Summary {
                calls: 0,
                p50: d,
                p95: d,
                max: d
            }
        );
    }
}
