//! Owns what a service asks of a store.
//!
//! Invariant: all reads of one request are of one consistent state. Never sees where bytes lie.

use crate::changes::{LogHandle, StoreKey};
use crate::step::Fault;

/// A page of a log.
pub struct LogPage {
    /// Entries with their numbers.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// The oldest number kept.
    pub oldest: u64,
    /// The number that the next entry gets.
    pub next: u64,
}

/// The store did not answer.
#[derive(Debug, Clone, Copy)]
pub struct RecordFault;

impl From<RecordFault> for Fault {
    fn from(_: RecordFault) -> Self {
        Self::Store
    }
}

/// One consistent snapshot of a store.
pub trait Records {
    /// A record's value.
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault>;
    /// A remembered outcome.
    fn replay(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault>;
    /// Entries of a log.
    fn read_log(
        &self,
        log: &LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, RecordFault>;
}
