//! Owns the time that a key is for.
//!
//! Invariant: an epoch has a beginning before its end. What is drawn and what is taken when follows
//! from these numbers and an argument `now_s` alone.

use sordino_wire::limits::TOKEN_GRACE_S;

const DAY_S: u64 = 86_400;

/// The time a key is for: from `start_s` up to, and without, `end_s` (seconds of Unix time).
///
/// Numbers grow by one or more from epoch to epoch and say nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch {
    number: u64,
    start_s: u64,
    end_s: u64,
}

impl Epoch {
    /// An epoch; `None` unless it begins before it ends.
    pub const fn new(number: u64, start_s: u64, end_s: u64) -> Option<Self> {
        if start_s < end_s {
            Some(Self {
                number,
                start_s,
                end_s,
            })
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it begins.
    pub const fn start_s(&self) -> u64 {
        self.start_s
    }

    /// When it has ended.
    pub const fn end_s(&self) -> u64 {
        self.end_s
    }

    /// Whether it runs.
    pub const fn contains(&self, now_s: u64) -> bool {
        self.start_s <= now_s && now_s < self.end_s
    }

    /// Whether tokens may still be drawn for it: from its announcement on.
    pub const fn is_drawable(&self, now_s: u64) -> bool {
        now_s < self.end_s
    }

    /// Whether key and spent set are due to be destroyed: two hours after the end (design page 4).
    pub const fn is_over(&self, now_s: u64) -> bool {
        now_s >= self.end_s.saturating_add(TOKEN_GRACE_S)
    }

    /// Whether the two have a second in common.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start_s < other.end_s && other.start_s < self.end_s
    }
}

/// How long epochs should be, in seconds: the fewer draw, the longer, so that every token hides among
/// enough others (design page 4).
pub const fn epoch_length_s(drawing_accounts: u64) -> u64 {
    match drawing_accounts {
        0..100 => 30 * DAY_S,
        100..1_000 => 7 * DAY_S,
        _ => DAY_S,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_begins_before_it_ends() {
        assert_eq!(Epoch::new(1, 5, 5), None);
        assert_eq!(Epoch::new(1, 6, 5), None);
        assert!(Epoch::new(1, 5, 6).is_some());
    }

    #[test]
    fn times_end_where_they_should() {
        let epoch = Epoch::new(1, 100, 200).unwrap();
        assert!(!epoch.contains(99) && epoch.contains(100));
        assert!(epoch.contains(199) && !epoch.contains(200));
        assert!(epoch.is_drawable(0) && epoch.is_drawable(199) && !epoch.is_drawable(200));
        assert!(!epoch.is_over(200 + TOKEN_GRACE_S - 1) && epoch.is_over(200 + TOKEN_GRACE_S));
        let last = Epoch::new(1, 0, u64::MAX).unwrap();
        assert!(!last.is_over(u64::MAX - 1));
    }

    #[test]
    fn the_fewer_draw_the_longer_it_lasts() {
        for (accounts, days) in [
            (0, 30),
            (99, 30),
            (100, 7),
            (999, 7),
            (1_000, 1),
            (u64::MAX, 1),
        ] {
            assert_eq!(epoch_length_s(accounts), days * DAY_S, "{accounts}");
        }
    }
}
