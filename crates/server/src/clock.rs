//! Owns the time.
//!
//! Invariant: nothing else in the server asks the system what time it is; deadlines of
//! connections count monotonic time and say nothing to anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since 1970.
    fn now_s(&self) -> u64;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_s(&self) -> u64 {
        // A clock before 1970 is a broken one; requests are then refused as stale, loudly enough.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |time| time.as_secs())
    }
}

/// A clock that stands until it is set. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that shows `now_s`.
    pub fn new(now_s: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_s)))
    }

    /// Sets the time.
    pub fn set(&self, now_s: u64) {
        self.0.store(now_s, Ordering::Release);
    }

    /// Moves the time forward.
    pub fn advance(&self, by_s: u64) {
        self.0.fetch_add(by_s, Ordering::AcqRel);
    }
}

impl Clock for TestClock {
    fn now_s(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The day, counted from 1970.
pub(crate) fn day_of(time_s: u64) -> u32 {
    u32::try_from(time_s / DAY_S).unwrap_or(u32::MAX)
}

/// The hour, counted from 1970.
pub(crate) fn hour_of(time_s: u64) -> u32 {
    u32::try_from(time_s / HOUR_S).unwrap_or(u32::MAX)
}
