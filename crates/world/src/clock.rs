//! Owns the world's time: it stands while anybody computes, passes with the delays of the network,
//! and jumps over absences.
//!
//! MLS checks the lifetimes of KeyPackages against the clock of this machine, and no seam leads
//! there. So a world lies in the past, within the reach of KeyPackages that are valid today.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Seconds of a day.
pub(crate) const DAY_S: u64 = 86_400;
/// So many days ago the world begins, at most a week more: sets of KeyPackages live for 77 days if
/// they are made on the first day of a week.
const PAST_DAYS: u64 = 70;
const WEEK_DAYS: u64 = 7;

/// The world's clock; clones show the same time.
#[derive(Clone, Debug)]
pub(crate) struct WorldClock(Arc<Times>);

#[derive(Debug)]
struct Times {
    /// When the runtime's own time began.
    start: Instant,
    begin_s: u64,
    jumped_s: AtomicU64,
    /// What is shown: threads that compute must not ask the runtime.
    passed_s: AtomicU64,
}

impl WorldClock {
    /// Begins, inside a runtime whose time is paused.
    pub(crate) fn begin() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let today = since.map_or(0, |since| since.as_secs()) / DAY_S;
        let first = today.saturating_sub(PAST_DAYS);
        Self(Arc::new(Times {
            start: Instant::now(),
            begin_s: (first - first % WEEK_DAYS) * DAY_S,
            jumped_s: AtomicU64::new(0),
            passed_s: AtomicU64::new(0),
        }))
    }

    /// Lets what the runtime has waited for become visible.
    pub(crate) fn follow(&self) {
        let waited_s = self.0.start.elapsed().as_secs();
        let jumped_s = self.0.jumped_s.load(Ordering::Acquire);
        let passed_s = waited_s.saturating_add(jumped_s);
        self.0.passed_s.store(passed_s, Ordering::Release);
    }

    /// Nobody does anything for so long.
    pub(crate) fn jump(&self, by_s: u64) {
        self.0.jumped_s.fetch_add(by_s, Ordering::AcqRel);
        self.follow();
    }

    /// Seconds since the world began.
    pub(crate) fn passed_s(&self) -> u64 {
        self.0.passed_s.load(Ordering::Acquire)
    }

    fn time_s(&self) -> u64 {
        self.0.begin_s.saturating_add(self.passed_s())
    }
}

impl sordino_server::Clock for WorldClock {
    fn now_s(&self) -> u64 {
        self.time_s()
    }

    fn uptime_s(&self) -> u64 {
        self.passed_s()
    }
}

/// The clock of one device: a little off.
#[derive(Clone, Debug)]
pub(crate) struct DeviceClock {
    pub(crate) world: WorldClock,
    pub(crate) off_s: i64,
}

impl sordino_client::Clock for DeviceClock {
    fn now_s(&self) -> u64 {
        self.world.time_s().saturating_add_signed(self.off_s)
    }
}
