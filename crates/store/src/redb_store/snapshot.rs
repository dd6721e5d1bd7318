//! Owns reading: one redb read transaction and the horizon that goes with it.
//!
//! Invariant: what it shows does not change while it lives.

use super::expiry::{Horizon, Swept};
use super::log::{Wanted, read_page};
use super::tables::{ENTRIES, HEADS, OUTBOX, RECORDS, REPLAY, Rows, live_row};
use super::{outbox, spent};
use crate::api::Snapshot;
use crate::fault::StoreFault;
use crate::types::{Key, LogHandle, LogPage, OutboxEntry, Record, SetName, Version};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase};
use std::fmt;

type Table<const N: usize> = ReadOnlyTable<&'static [u8; N], &'static [u8]>;

/// A consistent state of a [`crate::RedbStore`]. Keeps the space of what is deleted meanwhile.
pub struct RedbSnapshot {
    txn: ReadTransaction,
    records: Table<16>,
    now: Horizon,
}

impl RedbSnapshot {
    pub(super) fn take(db: &Database, swept: &Swept) -> Result<Self, StoreFault> {
        let txn = db.begin_read().map_err(StoreFault::of)?;
        // After the transaction began: the writer moves the horizon before it removes rows, so
        // this one covers every row that the transaction already misses.
        let now = swept.get();
        let records = open(&txn, RECORDS)?;
        Ok(Self { txn, records, now })
    }
}

fn open<const N: usize>(txn: &ReadTransaction, rows: Rows<N>) -> Result<Table<N>, StoreFault> {
    txn.open_table(rows).map_err(StoreFault::of)
}

impl Snapshot for RedbSnapshot {
    fn get(&self, key: &Key) -> Result<Option<Record>, StoreFault> {
        live_row(&self.records, &key.0, self.now.day, |_, value| {
            let version = Version::of(value).ok_or(StoreFault::BadRow)?;
            Ok(Record {
                version,
                value: value.to_vec(),
            })
        })
    }

    fn replay(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreFault> {
        let table = open(&self.txn, REPLAY)?;
        live_row(&table, &key.0, self.now.hour, |_, value| Ok(value.to_vec()))
    }

    fn spent(&self, set: SetName, nullifier: [u8; 16]) -> Result<bool, StoreFault> {
        spent::has(&self.txn, set, nullifier)
    }

    fn count_spent(&self, set: SetName) -> Result<Option<u64>, StoreFault> {
        spent::count(&self.txn, set)
    }

    fn read_log(
        &self,
        log: &LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, StoreFault> {
        let (heads, entries) = (open(&self.txn, HEADS)?, open(&self.txn, ENTRIES)?);
        let wanted = Wanted {
            from,
            max_entries,
            max_bytes,
        };
        read_page(&heads, &entries, log, wanted, self.now)
    }

    fn read_outbox(
        &self,
        destination: &[u8; 16],
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxEntry>, StoreFault> {
        outbox::read(
            &open(&self.txn, OUTBOX)?,
            destination,
            max_entries,
            max_bytes,
        )
    }

    fn outbox_destinations(
        &self,
        after: Option<[u8; 16]>,
        max: usize,
    ) -> Result<Vec<[u8; 16]>, StoreFault> {
        outbox::destinations(&open(&self.txn, OUTBOX)?, after, max)
    }
}

impl fmt::Debug for RedbSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbSnapshot(..)")
    }
}
