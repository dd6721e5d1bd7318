//! Owns what the world gives to one request, and the one rule about its time.
//!
//! Invariant: time and randomness come in as values; nothing below asks the system for them.

use rand_core::RngCore;
use sordino_wire::limits::{MAX_TIME_SKEW_S, TIME_GRAIN_S};

/// What the world gives to one request.
pub struct Env<'a> {
    /// Seconds since 1970.
    pub now_s: u64,
    /// Randomness.
    pub rng: &'a mut dyn RngCore,
}

impl Env<'_> {
    /// Today, in days since 1970.
    pub fn today(&self) -> u32 {
        u32::try_from(self.now_s / 86_400).unwrap_or(u32::MAX)
    }

    /// This hour, in hours since 1970.
    pub fn hour(&self) -> u32 {
        u32::try_from(self.now_s / 3_600).unwrap_or(u32::MAX)
    }
}

/// The hub's time as clients see it.
pub fn floor_time(now_s: u64) -> u64 {
    now_s - now_s % TIME_GRAIN_S
}

/// Whether a request's time is on the grain and near the hub's. If not: the hub's, floored.
pub fn check_time(time_s: u64, now_s: u64) -> Result<(), u64> {
    let on_grain = time_s.is_multiple_of(TIME_GRAIN_S);
    // The grain itself makes an honest time up to a minute old.
    if on_grain && time_s.abs_diff(now_s) <= MAX_TIME_SKEW_S + TIME_GRAIN_S {
        Ok(())
    } else {
        Err(floor_time(now_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_on_the_grain_and_near() {
        let now_s = 1_800_000_030;
        let floored = 1_800_000_000;
        assert_eq!(floor_time(now_s), floored);
        for good in [floored, floored + 660, floored - 600] {
            assert_eq!(check_time(good, now_s), Ok(()), "{good}");
        }
        for bad in [floored + 1, floored + 720, floored - 660, 0, u64::MAX] {
            assert_eq!(check_time(bad, now_s), Err(floored), "{bad}");
        }
    }
}
