//! Owns one bucket: the time at which it is full again (the generic cell rate algorithm).
//!
//! Invariant: a bucket that is full again is the same as one that nobody ever used; what is taken is
//! taken from requests and bytes alike or from neither; a clock that goes back makes nobody wait: a
//! bucket that would be full later than an empty one begins anew.

use crate::rate::{Budget, Rate};
use sordino_effects::TooMuch;

const SECOND_NS: u64 = 1_000_000_000;

/// When requests and bytes are full again, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    requests_full_ns: u64,
    bytes_full_ns: u64,
}

impl Bucket {
    /// Takes one request of so many bytes, or nothing.
    pub(crate) fn take(&mut self, budget: Budget, bytes: u64, now_ns: u64) -> Result<(), TooMuch> {
        let requests_full_ns = taken(self.requests_full_ns, budget.requests, 1, now_ns)?;
        if let Some(rate) = budget.bytes {
            self.bytes_full_ns = taken(self.bytes_full_ns, rate, bytes, now_ns)?;
        }
        self.requests_full_ns = requests_full_ns;
        Ok(())
    }

    /// Whether it is as good as new.
    pub(crate) fn is_full(&self, budget: Budget, now_ns: u64) -> bool {
        let bytes = budget.bytes.unwrap_or(budget.requests);
        missing_ns(self.requests_full_ns, budget.requests, now_ns) == 0
            && missing_ns(self.bytes_full_ns, bytes, now_ns) == 0
    }
}

/// How long it takes until it is full. What an empty one would not take is of before the clock went
/// back.
fn missing_ns(full_ns: u64, rate: Rate, now_ns: u64) -> u64 {
    let missing_ns = full_ns.saturating_sub(now_ns);
    if missing_ns > rate.duration_ns(u64::MAX) {
        return 0;
    }
    missing_ns
}

/// When it is full again after so much was taken.
fn taken(full_ns: u64, rate: Rate, amount: u64, now_ns: u64) -> Result<u64, TooMuch> {
    let missing_ns = missing_ns(full_ns, rate, now_ns);
    let after_ns = missing_ns.saturating_add(rate.duration_ns(amount));
    match after_ns.checked_sub(rate.duration_ns(u64::MAX)) {
        None | Some(0) => Ok(now_ns.saturating_add(after_ns)),
        Some(wait_ns) => Err(TooMuch {
            retry_after_s: u32::try_from(wait_ns.div_ceil(SECOND_NS)).unwrap_or(u32::MAX),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_NS: u64 = 1_800_000_000 * SECOND_NS;

    fn budget(requests: (u64, u64), bytes: Option<(u64, u64)>) -> Budget {
        let rate = |(burst, per_minute)| Rate::new(burst, per_minute).unwrap();
        Budget {
            requests: rate(requests),
            bytes: bytes.map(rate),
        }
    }

    #[test]
    fn a_burst_then_what_comes_back() {
        let budget = budget((3, 60), None);
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.take(budget, 9, NOW_NS).unwrap();
        }
        let refused = Err(TooMuch { retry_after_s: 1 });
        assert_eq!(bucket.take(budget, 9, NOW_NS), refused);
        assert_eq!(bucket.take(budget, 9, NOW_NS + SECOND_NS - 1), refused);
        bucket.take(budget, 9, NOW_NS + SECOND_NS).unwrap();
        assert_eq!(bucket.take(budget, 9, NOW_NS + SECOND_NS), refused);
        assert!(!bucket.is_full(budget, NOW_NS + 4 * SECOND_NS - 1));
        assert!(bucket.is_full(budget, NOW_NS + 4 * SECOND_NS));
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let budget = budget((2, 60), Some((100, 60)));
        let mut bucket = Bucket::default();
        bucket.take(budget, 90, NOW_NS).unwrap();
        let before = bucket;
        let too_much = bucket.take(budget, 20, NOW_NS).unwrap_err();
        assert_eq!((too_much.retry_after_s, bucket), (10, before));
        bucket.take(budget, 10, NOW_NS).unwrap();
        let before = bucket;
        assert!(bucket.take(budget, 0, NOW_NS).is_err());
        assert_eq!(bucket, before);
    }

    #[test]
    fn more_than_the_burst_waits_for_a_full_bucket() {
        let budget = budget((10, 60), Some((100, 60)));
        let mut bucket = Bucket::default();
        bucket.take(budget, 1, NOW_NS).unwrap();
        let too_much = bucket.take(budget, 1_000_000, NOW_NS).unwrap_err();
        assert_eq!(too_much.retry_after_s, 1);
        bucket.take(budget, 1_000_000, NOW_NS + SECOND_NS).unwrap();
    }

    #[test]
    fn a_clock_that_went_back_makes_nobody_wait() {
        let budget = budget((10, 60), Some((100, 60)));
        let ahead_ns = NOW_NS + 86_400 * SECOND_NS;
        let mut bucket = Bucket::default();
        for _ in 0..10 {
            bucket.take(budget, 10, ahead_ns).unwrap();
        }
        assert!(bucket.take(budget, 0, ahead_ns).is_err());
        assert!(!bucket.is_full(budget, ahead_ns));
        assert!(bucket.is_full(budget, NOW_NS));
        for _ in 0..10 {
            bucket.take(budget, 10, NOW_NS).unwrap();
        }
        let too_much = bucket.take(budget, 0, NOW_NS).unwrap_err();
        assert_eq!(too_much.retry_after_s, 1);
    }

    proptest! {
        /// Whatever the order and the times: never more than the burst and what came back.
        #[test]
        fn never_more_than_burst_and_rate(
            burst in 1u64..50,
            per_minute in 1u64..600,
            steps in prop::collection::vec((0u64..5_000, 0u64..40), 1..200),
        ) {
            let budget = budget((1_000_000, 1_000_000), Some((burst, per_minute)));
            let (mut bucket, mut now_ns) = (Bucket::default(), NOW_NS);
            let mut allowed = 0u128;
            for (ahead_ms, amount) in steps {
                now_ns += ahead_ms * 1_000_000;
                let amount = amount.min(burst);
                if bucket.take(budget, amount, now_ns).is_ok() {
                    allowed += u128::from(amount);
                } else {
                    let wait_s = bucket.take(budget, amount, now_ns).unwrap_err().retry_after_s;
                    let mut later = bucket;
                    let then_ns = now_ns + u64::from(wait_s) * SECOND_NS;
                    prop_assert!(later.take(budget, amount, then_ns).is_ok());
                }
                let passed = u128::from(now_ns - NOW_NS) * u128::from(per_minute);
                let back = passed.div_ceil(60_000_000_000);
                prop_assert!(allowed <= u128::from(burst) + back + 1);
            }
        }
    }
}
