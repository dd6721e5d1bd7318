//! Owns the buckets of one kind of subject, in bounded memory.
//!
//! Invariant: a bucket is dropped only when it is full again. Where there is no room for another
//! one, those who come share buckets by their name, so that a flood of names resets nobody's and
//! cannot grow the table; at worst it makes newcomers wait for each other.

use crate::bucket::Bucket;
use crate::name::Name;
use crate::rate::Budget;
use sordino_effects::TooMuch;
use std::collections::HashMap;

/// Buckets that are shared when there is no room.
const SHARED: usize = 1_024;
/// A table that was found full is not looked through again before this.
const SWEEP_PAUSE_NS: u64 = 1_000_000_000;

/// Buckets by name.
pub(crate) struct Table {
    budget: Budget,
    capacity: usize,
    own: HashMap<Name, Bucket>,
    shared: Vec<Bucket>,
    swept_ns: u64,
}

impl Table {
    /// At most `capacity` buckets of their own.
    pub(crate) fn new(budget: Budget, capacity: usize) -> Self {
        Self {
            budget,
            capacity,
            own: HashMap::new(),
            shared: vec![Bucket::default(); SHARED],
            swept_ns: 0,
        }
    }

    /// Takes from the bucket of a name.
    pub(crate) fn take(&mut self, name: Name, bytes: u64, now_ns: u64) -> Result<(), TooMuch> {
        let budget = self.budget;
        if let Some(bucket) = self.own.get_mut(&name) {
            return bucket.take(budget, bytes, now_ns);
        }
        let shared = self.shared.get_mut(name.place(SHARED));
        // Whoever shares a bucket keeps to it until it is full: no moving to a fresh one.
        if let Some(shared) = shared
            && !shared.is_full(budget, now_ns)
        {
            return shared.take(budget, bytes, now_ns);
        }
        if self.own.len() >= self.capacity {
            self.sweep(now_ns);
        }
        if self.own.len() < self.capacity {
            let mut bucket = Bucket::default();
            let taken = bucket.take(budget, bytes, now_ns);
            self.own.insert(name, bucket);
            return taken;
        }
        match self.shared.get_mut(name.place(SHARED)) {
            Some(shared) => shared.take(budget, bytes, now_ns),
            None => Ok(()),
        }
    }

    /// Drops what is full again.
    fn sweep(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.swept_ns) < SWEEP_PAUSE_NS && self.swept_ns <= now_ns {
            return;
        }
        self.swept_ns = now_ns;
        let budget = self.budget;
        self.own.retain(|_, bucket| !bucket.is_full(budget, now_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    const SECOND_NS: u64 = 1_000_000_000;
    const NOW_NS: u64 = 1_800_000_000 * SECOND_NS;

    fn table(capacity: usize) -> Table {
        let budget = Budget {
            requests: Rate::new(3, 60).unwrap(),
            bytes: None,
        };
        Table::new(budget, capacity)
    }

    fn name(n: u64) -> Name {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        Name::of_bytes(bytes)
    }

    #[test]
    fn names_have_buckets_of_their_own() {
        let mut table = table(10);
        for n in 0..3 {
            for _ in 0..3 {
                table.take(name(n), 0, NOW_NS).unwrap();
            }
            assert!(table.take(name(n), 0, NOW_NS).is_err(), "{n}");
        }
    }

    #[test]
    fn a_flood_of_names_resets_nobody_and_takes_no_memory() {
        let mut table = table(100);
        for _ in 0..3 {
            table.take(name(7), 0, NOW_NS).unwrap();
        }
        for n in 1_000..50_000 {
            let _ = table.take(name(n), 0, NOW_NS);
        }
        assert!(table.own.len() <= 100);
        assert!(table.take(name(7), 0, NOW_NS).is_err());
        // What came back is there in time, and no more.
        table.take(name(7), 0, NOW_NS + SECOND_NS).unwrap();
        assert!(table.take(name(7), 0, NOW_NS + SECOND_NS).is_err());
    }

    #[test]
    fn who_shares_a_bucket_cannot_leave_it_for_a_fresh_one() {
        let mut table = table(1);
        table.take(name(1), 0, NOW_NS).unwrap();
        for _ in 0..3 {
            table.take(name(2), 0, NOW_NS).unwrap();
        }
        assert!(table.take(name(2), 0, NOW_NS).is_err());
        // The first one's bucket is full again and goes; the other's shared one is not yet.
        let later = NOW_NS + SECOND_NS;
        table.take(name(2), 0, later).unwrap();
        assert!(table.take(name(2), 0, later).is_err());
        let full = NOW_NS + 10 * SECOND_NS;
        table.take(name(2), 0, full).unwrap();
        assert!(table.own.contains_key(&name(2)));
    }

    #[test]
    fn who_was_away_finds_room_again() {
        let mut table = table(5);
        for n in 0..5 {
            table.take(name(n), 0, NOW_NS).unwrap();
        }
        let later = NOW_NS + 60 * SECOND_NS;
        table.take(name(9), 0, later).unwrap();
        assert_eq!(table.own.len(), 1);
    }
}
