//! Owns what outlives a request: records, logs, spent sets, replay answers and the outbox.
//!
//! Invariant: every [`Changes`] is durable wholly or not at all, and a positive answer comes only
//! after it is. It sees blinded keys and sealed values; it never sees plaintext, group ids,
//! identities, keys of any layer, a clock or a source of randomness: those are the callers'.

mod api;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod fault;
mod names;
mod redb_store;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use api::{Snapshot, Store};
pub use fault::{CommitError, OpenError, StoreFault};
pub use redb_store::{
    DEFAULT_CACHE_BYTES, DEFAULT_MAX_BATCH, DEFAULT_QUEUE_LENGTH, FORMAT_VERSION,
    LOG_HEAD_GRACE_DAYS, MAX_BATCH_BYTES, MAX_EXPIRE_ROWS, RedbOptions, RedbSnapshot, RedbStore,
};
pub use types::{
    Append, Changes, Committed, Expect, Expired, Key, LogEntry, LogHandle, LogPage,
    MAX_VALUE_BYTES, Outbox, OutboxEntry, Put, Record, Replay, SetName, Spend, VERSION_BYTES,
    Version,
};
pub use watch::Watch;
