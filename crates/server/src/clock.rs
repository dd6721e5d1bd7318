//! Owns the time.
//!
//! Invariant: nothing else in the server asks the system what time it is; deadlines of
//! connections count monotonic time and say nothing to anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since 1970.
    fn now_s(&self) -> u64;
    /// Seconds that have passed since some moment of this process, whatever the time is set to.
    fn uptime_s(&self) -> u64;
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

    fn uptime_s(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs()
    }
}

/// A clock that stands until it is moved. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct TestClock(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    now_s: AtomicU64,
    uptime_s: AtomicU64,
}

impl TestClock {
    /// A clock that shows `now_s`.
    pub fn new(now_s: u64) -> Self {
        let clock = Self::default();
        clock.set(now_s);
        clock
    }

    /// Sets the time: it jumps, and none has passed.
    pub fn set(&self, now_s: u64) {
        self.0.now_s.store(now_s, Ordering::Release);
    }

    /// Time passes.
    pub fn advance(&self, by_s: u64) {
        self.0.now_s.fetch_add(by_s, Ordering::AcqRel);
        self.0.uptime_s.fetch_add(by_s, Ordering::AcqRel);
    }
}

impl Clock for TestClock {
    fn now_s(&self) -> u64 {
        self.0.now_s.load(Ordering::Acquire)
    }

    fn uptime_s(&self) -> u64 {
        self.0.uptime_s.load(Ordering::Acquire)
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
