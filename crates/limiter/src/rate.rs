//! Owns rates: how much, how fast it comes back.
//!
//! Invariant: a rate is never zero, so whoever waits gets in.

/// How much at once, and how much of it comes back in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u64,
    per_minute: u64,
}

const MINUTE_NS: u64 = 60_000_000_000;

impl Rate {
    /// A rate; `None` where either number is 0, or the burst takes longer than a year to come back.
    pub const fn new(burst: u64, per_minute: u64) -> Option<Self> {
        const YEAR_MINUTES: u64 = 366 * 24 * 60;
        if burst == 0 || per_minute == 0 || burst / per_minute > YEAR_MINUTES {
            return None;
        }
        Some(Self { burst, per_minute })
    }

    /// A rate of ours, which a test holds to be one.
    pub(crate) const fn fixed(burst: u64, per_minute: u64) -> Self {
        Self { burst, per_minute }
    }

    /// How much at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// How much comes back in a minute.
    pub const fn per_minute(self) -> u64 {
        self.per_minute
    }

    /// How long so much takes to come back; more than the burst counts as the burst, or it would
    /// never be allowed.
    pub(crate) fn duration_ns(self, amount: u64) -> u64 {
        let amount = u128::from(amount.min(self.burst));
        let ns = amount * u128::from(MINUTE_NS) / u128::from(self.per_minute);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

/// What one subject may do: requests, and bytes where these are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests.
    pub requests: Rate,
    /// Bytes of all of them.
    pub bytes: Option<Rate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_let_everybody_in_some_time() {
        assert_eq!(Rate::new(0, 1), None);
        assert_eq!(Rate::new(1, 0), None);
        assert_eq!(Rate::new(u64::MAX, 1), None);
        let rate = Rate::new(10, 60).unwrap();
        assert_eq!(rate.duration_ns(0), 0);
        assert_eq!(rate.duration_ns(1), 1_000_000_000);
        assert_eq!(rate.duration_ns(10), 10_000_000_000);
        assert_eq!(rate.duration_ns(u64::MAX), 10_000_000_000);
        let fast = Rate::new(u64::MAX, u64::MAX).unwrap();
        assert_eq!(fast.duration_ns(u64::MAX), MINUTE_NS);
        assert_eq!(fast.duration_ns(1), 0);
    }
}
