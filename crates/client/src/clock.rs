//! Owns time as the client sees it.
//!
//! Invariant: what is sent is the hub's time floored to a minute, so that skew is no fingerprint.

use sordino_wire::limits::TIME_GRAIN_S;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, from wherever.
pub trait Clock: Send + Sync {
    /// Now.
    fn now_s(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_s(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Starts at a time.
    pub fn new(now_s: u64) -> Self {
        Self(AtomicU64::new(now_s))
    }

    /// Moves forward.
    pub fn advance(&self, by_s: u64) {
        self.0.fetch_add(by_s, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_s(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The difference between the hub's clock and ours, learned from its refusals.
#[derive(Debug, Default)]
pub(crate) struct HubTime {
    offset_s: AtomicI64,
}

impl HubTime {
    /// The hub's time as far as we know it.
    pub(crate) fn now_s(&self, clock: &dyn Clock) -> u64 {
        clock
            .now_s()
            .saturating_add_signed(self.offset_s.load(Ordering::Relaxed))
    }

    /// What goes into requests.
    pub(crate) fn floored_s(&self, clock: &dyn Clock) -> u64 {
        let now = self.now_s(clock);
        now.saturating_sub(now % TIME_GRAIN_S)
    }

    /// The hub told its time.
    pub(crate) fn learn(&self, clock: &dyn Clock, hub_time_s: u64) {
        let ours = i64::try_from(clock.now_s()).unwrap_or(i64::MAX);
        let hubs = i64::try_from(hub_time_s).unwrap_or(i64::MAX);
        self.offset_s
            .store(hubs.saturating_sub(ours), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_carry_the_hubs_time_floored() {
        let clock = ManualClock::new(1_000_000);
        let hub = HubTime::default();
        assert_eq!(hub.floored_s(&clock), 999_960);
        hub.learn(&clock, 1_000_800);
        assert_eq!(hub.floored_s(&clock), 1_000_800);
        clock.advance(59);
        assert_eq!(hub.floored_s(&clock), 1_000_800);
        clock.advance(1);
        assert_eq!(hub.floored_s(&clock), 1_000_860);
    }
}
