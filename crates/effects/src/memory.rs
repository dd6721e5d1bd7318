//! Owns a store in memory with the rules of the real one, for tests of pure services.
//!
//! Invariant: changes are applied wholly or not at all, and what refuses them is what refuses them
//! in a real store.

use crate::{Changes, Expectation, LogHandle, LogPage, RecordFault, Records, StoreKey, version_of};
use std::collections::BTreeMap;

/// The first number of every log, as far as a service may know.
const FIRST_NUMBER: u64 = 1_000;

/// Why changes were not applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// An expectation did not hold.
    Conflict,
    /// An outcome is remembered under this key.
    Replayed,
}

/// A record or an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it holds.
    pub value: Vec<u8>,
    /// The last day on which it is kept.
    pub expires_day: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Log {
    entries: BTreeMap<u64, Row>,
    appended: u64,
}

impl Log {
    fn next(&self) -> u64 {
        FIRST_NUMBER + self.appended
    }
}

/// Records, remembered outcomes and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    /// By place.
    pub records: BTreeMap<StoreKey, Row>,
    /// Remembered outcomes, by place.
    pub outcomes: BTreeMap<StoreKey, Vec<u8>>,
    logs: BTreeMap<LogHandle, Log>,
}

impl MemoryStore {
    /// All or nothing: outcome, then expectations, then puts, deletes, appends.
    pub fn apply(&mut self, changes: Changes) -> Result<(), Refused> {
        if let Some(replay) = &changes.replay
            && self.outcomes.contains_key(&replay.key)
        {
            return Err(Refused::Replayed);
        }
        if !changes.expect.iter().all(|(key, e)| self.holds(key, *e)) {
            return Err(Refused::Conflict);
        }
        for put in changes.put {
            assert!(put.value.len() >= 16, "a value begins with its version");
            let row = Row {
                value: put.value,
                expires_day: put.expires_day,
            };
            self.records.insert(put.key, row);
        }
        for key in changes.delete {
            self.records.remove(&key);
        }
        for append in changes.append {
            assert!(append.value.len() >= 16, "an entry begins with a salt");
            let log = self.logs.entry(append.log).or_default();
            let row = Row {
                value: append.value,
                expires_day: Some(append.expires_day),
            };
            log.entries.insert(log.next(), row);
            log.appended += 1;
        }
        if let Some(replay) = changes.replay {
            self.outcomes.insert(replay.key, replay.value);
        }
        Ok(())
    }

    fn holds(&self, key: &StoreKey, expectation: Expectation) -> bool {
        let found = self.records.get(key);
        match expectation {
            Expectation::Absent => found.is_none(),
            Expectation::Is(version) => {
                found.and_then(|row| version_of(&row.value)) == Some(version)
            }
        }
    }

    /// Drops what was of use until a day before this one.
    pub fn expire(&mut self, day: u32) {
        let live = |row: &Row| row.expires_day.is_none_or(|last| last >= day);
        self.records.retain(|_, row| live(row));
        for log in self.logs.values_mut() {
            log.entries.retain(|_, row| live(row));
        }
    }

    /// All sealed values: of records with their keys, of log entries with their logs.
    pub fn entries(&self) -> impl Iterator<Item = (&LogHandle, &Vec<u8>)> {
        self.logs
            .iter()
            .flat_map(|(log, l)| l.entries.values().map(move |row| (log, &row.value)))
    }
}

impl Records for MemoryStore {
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(self.records.get(key).map(|row| row.value.clone()))
    }

    fn replay(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(self.outcomes.get(key).cloned())
    }

    fn read_log(
        &self,
        log: &LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, RecordFault> {
        let empty = Log::default();
        let log = self.logs.get(log).unwrap_or(&empty);
        let oldest = log
            .entries
            .range(from..)
            .next()
            .map_or(log.next(), |(n, _)| *n);
        let mut entries = Vec::new();
        let mut used = 0;
        if oldest == from {
            for (number, row) in log.entries.range(from..).take(max_entries) {
                used += row.value.len();
                if used > max_bytes && !entries.is_empty() {
                    break;
                }
                entries.push((*number, row.value.clone()));
            }
        }
        Ok(LogPage {
            entries,
            oldest,
            next: log.next(),
        })
    }
}
