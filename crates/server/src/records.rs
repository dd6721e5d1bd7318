//! Owns the seam between services and the store: their reads on a snapshot, their effects as one
//! change.
//!
//! Invariant: nothing is added or left out on the way. Never sees what the bytes mean.

use sordino_effects::{Expectation, LogPage, RecordFault, Records, StoreKey};
use sordino_store::{
    Append, Changes, Expect, Key, LogHandle, Put, RedbSnapshot, Replay, Snapshot, StoreFault,
    Version,
};
use std::cell::Cell;

/// One snapshot, as a service reads it.
pub(crate) struct SnapshotRecords {
    snapshot: RedbSnapshot,
    /// How much more may be read of logs.
    budget_bytes: Cell<usize>,
    /// Whether there was more to read than that.
    overrun: Cell<bool>,
    /// Why a read failed. A service only learns that one did; the server wants to know more.
    fault: Cell<Option<StoreFault>>,
}

impl SnapshotRecords {
    /// Of logs, so many bytes may be read; what is cut short for it must not be used
    /// ([`Self::is_cut_short`]).
    pub(crate) fn new(snapshot: RedbSnapshot, budget_bytes: usize) -> Self {
        Self {
            snapshot,
            budget_bytes: Cell::new(budget_bytes),
            overrun: Cell::new(false),
            fault: Cell::new(None),
        }
    }

    /// Whether a log had more to read than the budget allowed.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.overrun.get()
    }

    /// The last failure, if any read failed.
    pub(crate) fn fault(&self) -> Option<StoreFault> {
        self.fault.get()
    }

    fn note<T>(&self, result: Result<T, StoreFault>) -> Result<T, RecordFault> {
        result.map_err(|fault| {
            self.fault.set(Some(fault));
            RecordFault
        })
    }
}

impl Records for SnapshotRecords {
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        let record = self.note(self.snapshot.get(&Key(*key)))?;
        Ok(record.map(|record| record.value))
    }

    fn replay(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        self.note(self.snapshot.replay(&Key(*key)))
    }

    fn read_log(
        &self,
        log: &sordino_effects::LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, RecordFault> {
        let budget = self.budget_bytes.get();
        let allowed = max_bytes.min(budget);
        let page = self
            .snapshot
            .read_log(&LogHandle(*log), from, max_entries, allowed);
        let page = self.note(page)?;
        let read = page.entries.iter().map(|entry| entry.value.len()).sum();
        self.budget_bytes.set(budget.saturating_sub(read));
        let last = page
            .entries
            .last()
            .map(|entry| entry.number.saturating_add(1));
        let more = last.is_some_and(|next| next < page.next) && page.entries.len() < max_entries;
        if (more && allowed < max_bytes) || read > budget {
            self.overrun.set(true);
        }
        let entries = page.entries.into_iter().map(|e| (e.number, e.value));
        Ok(LogPage {
            entries: entries.collect(),
            oldest: page.oldest,
            next: page.next,
        })
    }
}

/// A service's changes, in the store's words.
pub(crate) fn to_store(changes: sordino_effects::Changes) -> Changes {
    let sordino_effects::Changes {
        expect,
        put,
        delete,
        append,
        replay,
    } = changes;
    let expectation = |expected| match expected {
        Expectation::Absent => Expect::Absent,
        Expectation::Is(version) => Expect::Is(Version(version)),
    };
    let put = put.into_iter().map(|put| Put {
        key: Key(put.key),
        value: put.value,
        expires_day: put.expires_day,
    });
    let append = append.into_iter().map(|append| Append {
        log: LogHandle(append.log),
        value: append.value,
        expires_day: append.expires_day,
    });
    Changes {
        expect: expect
            .into_iter()
            .map(|(key, expected)| (Key(key), expectation(expected)))
            .collect(),
        put: put.collect(),
        delete: delete.into_iter().map(Key).collect(),
        append: append.collect(),
        spend: Vec::new(),
        replay: replay.map(|replay| Replay {
            key: Key(replay.key),
            value: replay.value,
            expires_hour: replay.expires_hour,
        }),
        outbox: Vec::new(),
    }
}

/// Log handles, in the store's words.
pub(crate) fn handles(logs: &[sordino_effects::LogHandle]) -> Vec<LogHandle> {
    logs.iter().copied().map(LogHandle).collect()
}
