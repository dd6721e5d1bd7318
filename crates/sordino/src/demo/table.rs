//! Owns the times of a demo's operations, and printing them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Times by operation.
#[derive(Default)]
pub(crate) struct Times(Mutex<BTreeMap<&'static str, Vec<Duration>>>);

impl Times {
    /// Runs an operation and notes how long it took, if it succeeded.
    pub(crate) async fn timed<T, E>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let outcome = work.await?;
        if let Ok(mut times) = self.0.lock() {
            times.entry(operation).or_default().push(start.elapsed());
        }
        Ok(outcome)
    }

    /// Lines of `operation, count, median, 99th percentile`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<28} {:>7} {:>12} {:>12}",
            "operation", "count", "median", "p99"
        )];
        if let Ok(times) = self.0.lock() {
            for (operation, durations) in times.iter() {
                let mut sorted = durations.clone();
                sorted.sort_unstable();
                lines.push(format!(
                    "{operation:<28} {:>7} {:>9.2} ms {:>9.2} ms",
                    sorted.len(),
                    milliseconds(percentile(&sorted, 50)),
                    milliseconds(percentile(&sorted, 99)),
                ));
            }
        }
        lines
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The nearest rank; zero of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(99));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
