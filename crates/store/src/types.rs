//! Owns the values that go into and come out of a store.
//!
//! Invariant: `Debug` prints the type, at most lengths and counts, so that neither a blinded key
//! nor a sealed value reaches a log line by accident.

use crate::fault::StoreFault;
use std::fmt;

/// How many bytes at the front of a stored value are its version.
pub const VERSION_BYTES: usize = 16;

/// The largest value of a record, log entry, replay answer or outbox entry: 64 MiB.
pub const MAX_VALUE_BYTES: usize = 64 << 20;

macro_rules! opaque {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

/// A blinded record key, made by the caller: 16 B.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 16]);

/// The version of a record: the first 16 bytes of its value.
///
/// Writers begin every value with 16 fresh random bytes (the sealing salt), so two values never
/// share a version and no stored counter betrays an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version(pub [u8; VERSION_BYTES]);

impl Version {
    /// The version of a value; `None` if it is shorter than 16 bytes.
    pub fn of(value: &[u8]) -> Option<Self> {
        value.first_chunk().copied().map(Self)
    }
}

/// Names a log: 32 B. The only way to find its entries and its head.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogHandle(pub [u8; 32]);

/// A stored record.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The first 16 bytes of `value`.
    pub version: Version,
    /// The whole value as it was put, its first 16 bytes included.
    pub value: Vec<u8>,
}

/// What a [`Changes`] demands of a record before it is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// There is one, whatever its version.
    Present,
    /// There is one with this version.
    Is(Version),
}

/// Writes a record, replacing the one before it and that one's expiry.
#[derive(Clone)]
pub struct Put {
    /// Where.
    pub key: Key,
    /// 16 to [`MAX_VALUE_BYTES`] bytes, beginning with 16 fresh random ones.
    pub value: Vec<u8>,
    /// A day number since the epoch; the record is dropped once that day has passed
    /// (`now_day > expires_day`). `None` (and `u32::MAX`): never.
    pub expires_day: Option<u32>,
}

/// Appends one entry to a log.
#[derive(Clone)]
pub struct Append {
    /// Which log; the first append to it creates it.
    pub log: LogHandle,
    /// 16 to [`MAX_VALUE_BYTES`] bytes, beginning with 16 fresh random ones.
    pub value: Vec<u8>,
    /// The last day on which the entry is kept. Entries expire in the order of their numbers, so
    /// a day before that of the log's preceding entry is raised to it.
    pub expires_day: u32,
}

/// Keeps the answer to a request, so that its repetition is answered alike.
#[derive(Clone)]
pub struct Replay {
    /// Names the request.
    pub key: Key,
    /// The answer: at most [`MAX_VALUE_BYTES`] bytes.
    pub value: Vec<u8>,
    /// The last hour, counted since the epoch, in which it is kept.
    pub expires_hour: u32,
}

/// Names a set of spent nullifiers: 8 B.
pub type SetName = [u8; 8];

/// Spends a nullifier: 16 B, once per set.
#[derive(Clone, Copy)]
pub struct Spend {
    /// The set, which must be open.
    pub set: SetName,
    /// What may be spent once in it.
    pub nullifier: [u8; 16],
}

/// Something to be sent to another provider, kept in order until it is acknowledged.
#[derive(Clone)]
pub struct Outbox {
    /// The queue it joins.
    pub destination: [u8; 16],
    /// At most [`MAX_VALUE_BYTES`] bytes.
    pub value: Vec<u8>,
}

/// One atomic change. An empty one is allowed and changes nothing.
///
/// `expect` is compared with the state before the change. Puts come before deletes; of several
/// puts of one key the last one stays. Sets are opened before spends, and closed after. Expectations,
/// replay and spends are checked before any row is written.
#[derive(Clone, Default)]
pub struct Changes {
    /// What must be true of records.
    pub expect: Vec<(Key, Expect)>,
    /// Records to write.
    pub put: Vec<Put>,
    /// Records to remove; a missing one is no error.
    pub delete: Vec<Key>,
    /// Log entries, in order.
    pub append: Vec<Append>,
    /// Nullifiers to spend; one that was spent, or that stands here twice, refuses the whole.
    pub spend: Vec<Spend>,
    /// Sets to open; one that is open stays as it is.
    pub open_sets: Vec<SetName>,
    /// Sets to close: what was spent in them is forgotten, and nothing can be spent in them again
    /// unless they are opened anew. One that is not open is no error.
    pub close_sets: Vec<SetName>,
    /// Answers to keep; one kept under the same key refuses the whole.
    pub replay: Vec<Replay>,
    /// What to send, in order.
    pub outbox: Vec<Outbox>,
}

impl Changes {
    /// The sizes of all values together, in bytes.
    pub(crate) fn value_bytes(&self) -> usize {
        self.values().fold(0, |sum, v| sum.saturating_add(v.len()))
    }

    /// # Errors
    /// [`StoreFault::BadValue`] if a value is too long, or too short to have a version.
    pub(crate) fn check_sizes(&self) -> Result<(), StoreFault> {
        let versioned = (self.put.iter().map(|p| &p.value))
            .chain(self.append.iter().map(|a| &a.value))
            .all(|v| v.len() >= VERSION_BYTES);
        if versioned && self.values().all(|v| v.len() <= MAX_VALUE_BYTES) {
            Ok(())
        } else {
            Err(StoreFault::BadValue)
        }
    }

    fn values(&self) -> impl Iterator<Item = &Vec<u8>> {
        (self.put.iter().map(|p| &p.value))
            .chain(self.append.iter().map(|a| &a.value))
            .chain(self.replay.iter().map(|r| &r.value))
            .chain(self.outbox.iter().map(|o| &o.value))
    }
}

/// What a commit assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// One number per append, in order.
    pub numbers: Vec<u64>,
}

/// One entry of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the log.
    pub number: u64,
    /// The value as it was appended.
    pub value: Vec<u8>,
}

/// A part of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPage {
    /// Contiguous entries starting at the number asked for; empty if that one is not kept.
    pub entries: Vec<LogEntry>,
    /// The first kept number at or after the one asked for, or `next` if there is none.
    /// More than what was asked for: the entries between have expired (a gap).
    pub oldest: u64,
    /// The number the next append will get.
    pub next: u64,
}

/// One entry of an outbox queue.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Names the entry in its queue, growing with the order. Not counted from zero.
    pub number: u64,
    /// The value as it was committed.
    pub value: Vec<u8>,
}

/// What one call of `expire` did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// How many rows were dropped.
    pub rows: usize,
    /// Whether expired rows are left, for another call.
    pub more: bool,
}

opaque!(
    Key,
    Version,
    LogHandle,
    Record,
    LogEntry,
    OutboxEntry,
    Put,
    Append,
    Replay,
    Spend,
    Outbox,
    Changes
);
