//! Owns the doubt about a clock that jumped forward.
//!
//! Dropping what has expired and overwriting the keys of past days cannot be taken back, so an hour
//! of a wrong clock must not do it.
//!
//! Invariant: a time that lies further ahead than time has passed counts only once it has stood for
//! [`DOUBT_S`]. A clock that goes back destroys nothing, and is believed.

/// How far the clock may run ahead between two rounds, in seconds.
const MAX_STEP_S: u64 = 600;
/// How long a time must stand that came by a jump, in seconds.
const DOUBT_S: u64 = 3_600;

/// The time at a moment of the process.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now_s: u64,
    uptime_s: u64,
}

impl Moment {
    /// Whether a later moment is about where time has passed to, or before it.
    fn leads_to(self, later: Self) -> bool {
        let passed_s = later.uptime_s.saturating_sub(self.uptime_s);
        let expected_s = self.now_s.saturating_add(passed_s);
        later.now_s <= expected_s.saturating_add(MAX_STEP_S)
    }
}

/// What is believed of the clock.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    believed: Option<Moment>,
    jumped: Option<Moment>,
}

impl Doubt {
    /// Believes that this was the time when the process began; 0 stands for not knowing.
    pub(crate) fn since(now_s: u64) -> Self {
        let moment = Moment { now_s, uptime_s: 0 };
        Self {
            believed: (now_s > 0).then_some(moment),
            jumped: None,
        }
    }

    /// Whether what has passed by this time may be destroyed.
    pub(crate) fn allows(&mut self, now_s: u64, uptime_s: u64) -> bool {
        let moment = Moment { now_s, uptime_s };
        let follows = self.believed.is_none_or(|b| b.leads_to(moment));
        let stood = self.jumped.is_some_and(|jumped| {
            jumped.leads_to(moment) && uptime_s.saturating_sub(jumped.uptime_s) >= DOUBT_S
        });
        if follows || stood {
            self.believed = Some(moment);
            self.jumped = None;
            return true;
        }
        // Another jump begins another hour.
        if !self.jumped.is_some_and(|jumped| jumped.leads_to(moment)) {
            self.jumped = Some(moment);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn time_that_passes_is_believed() {
        let mut doubt = Doubt::default();
        for minute in 0..2_000 {
            assert!(doubt.allows(NOW + minute * 61, minute * 60));
        }
    }

    #[test]
    fn a_jump_counts_after_an_hour() {
        let mut doubt = Doubt::default();
        assert!(doubt.allows(NOW, 10));
        for minute in 1..=60 {
            assert!(!doubt.allows(NOW + 40 * DAY + minute * 60, minute * 60 + 10));
        }
        assert!(doubt.allows(NOW + 40 * DAY + 61 * 60, 61 * 60 + 10));
        assert!(doubt.allows(NOW + 40 * DAY + 62 * 60, 62 * 60 + 10));
    }

    #[test]
    fn a_jump_that_goes_back_leaves_nothing_behind() {
        let mut doubt = Doubt::default();
        assert!(doubt.allows(NOW, 0));
        assert!(!doubt.allows(NOW + 3 * DAY, 60));
        assert!(doubt.allows(NOW + 120, 120));
        // The next one has its own hour.
        assert!(!doubt.allows(NOW + 3 * DAY, 4_000));
        assert!(!doubt.allows(NOW + 9 * DAY, 7_700));
        assert!(!doubt.allows(NOW + 9 * DAY + 60, 7_760));
    }

    #[test]
    fn a_clock_that_goes_back_is_believed() {
        let mut doubt = Doubt::default();
        assert!(doubt.allows(NOW, 0));
        assert!(doubt.allows(NOW - 5 * DAY, 60));
        assert!(!doubt.allows(NOW, 120), "and forward again is a jump");
    }

    #[test]
    fn a_start_long_after_the_last_sweep_waits() {
        let mut doubt = Doubt::since(NOW);
        assert!(!doubt.allows(NOW + 2 * DAY, 1));
        assert!(doubt.allows(NOW + 2 * DAY + 3_700, 3_701));
        assert!(
            Doubt::since(0).allows(NOW, 1),
            "a new store has nothing to lose"
        );
    }
}
