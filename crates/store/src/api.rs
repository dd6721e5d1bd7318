//! Owns the contract between the hub and whatever keeps its data.
//!
//! Invariant: nothing here assumes one process; a snapshot never shows half a [`Changes`].

use crate::fault::{CommitError, StoreFault};
use crate::types::{
    Changes, Committed, Expired, Key, LogHandle, LogPage, OutboxEntry, Record, SetName,
};
use crate::watch::Watch;
use std::future::Future;

/// One consistent state. Reads may block on the disk for the time of a few page reads.
///
/// Rows that had expired at the last [`Store::expire`] before the snapshot are absent from it,
/// whether or not they have been removed yet.
pub trait Snapshot {
    /// The record under a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &Key) -> Result<Option<Record>, StoreFault>;

    /// The answer kept under a replay key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn replay(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreFault>;

    /// Whether a nullifier has been spent in a set.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn spent(&self, set: SetName, nullifier: [u8; 16]) -> Result<bool, StoreFault>;

    /// How many nullifiers have been spent in a set; `None` if it is not open.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn count_spent(&self, set: SetName) -> Result<Option<u64>, StoreFault>;

    /// Entries of a log from number `from` on: at most `max_entries`, and at most `max_bytes` of
    /// values, except that the first one comes whatever its size. If `from` is not kept, no
    /// entries; an unknown log has `oldest == next ==` [`LogHandle::start`].
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read_log(
        &self,
        log: &LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, StoreFault>;

    /// The first entries of an outbox queue, limited as in [`Self::read_log`].
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read_outbox(
        &self,
        destination: &[u8; 16],
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxEntry>, StoreFault>;

    /// Up to `max` destinations with waiting entries, in ascending order, those after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn outbox_destinations(
        &self,
        after: Option<[u8; 16]>,
        max: usize,
    ) -> Result<Vec<[u8; 16]>, StoreFault>;
}

/// Keeps records, logs and spent sets.
pub trait Store: Send + Sync + 'static {
    /// What [`Self::snapshot`] gives.
    type Snapshot: Snapshot + Send;

    /// The state after every commit acknowledged so far. Short-lived: an old snapshot keeps the
    /// space of what was deleted since.
    ///
    /// # Errors
    /// When the store is poisoned or cannot be read.
    fn snapshot(&self) -> Result<Self::Snapshot, StoreFault>;

    /// Applies a change; durable when it returns. Dropping the future does not undo it: the
    /// change may happen or not. A full queue makes it wait.
    ///
    /// # Errors
    /// See [`CommitError`]. Replay is checked first, then spends, then expectations.
    fn commit(
        &self,
        changes: Changes,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send;

    /// Watches logs for appends. Register, then read, then wait: so no wake-up is lost.
    fn watch(&self, logs: &[LogHandle]) -> Watch;

    /// Drops rows whose day or hour has passed, at most `budget_rows` of them (and never more
    /// than a backend's own limit per transaction). All of them are absent from snapshots at
    /// once; `more` tells whether some are still to be removed.
    ///
    /// # Errors
    /// When the store is poisoned, stopped, or fails.
    fn expire(
        &self,
        now_day: u32,
        now_hour: u32,
        budget_rows: usize,
    ) -> impl Future<Output = Result<Expired, StoreFault>> + Send;

    /// Removes delivered entries of an outbox queue, by their numbers; unknown ones are no error.
    ///
    /// # Errors
    /// When the store is poisoned, stopped, or fails.
    fn ack_outbox(
        &self,
        destination: [u8; 16],
        numbers: Vec<u64>,
    ) -> impl Future<Output = Result<(), StoreFault>> + Send;

    /// Finishes queued commits, then stops the writer. Later commits are refused.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}
