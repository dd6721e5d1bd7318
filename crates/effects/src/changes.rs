//! Owns what one request changes: one durable transaction.
//!
//! Invariant: places are blinded and values sealed by whoever makes these, and a record's version
//! is the beginning of its value.

/// A record's place in the store: 16 blinded bytes.
pub type StoreKey = [u8; 16];
/// A log's handle in the store: 32 blinded bytes.
pub type LogHandle = [u8; 32];
/// The version of a record: the first 16 bytes of its value.
pub type RecordVersion = [u8; 16];

/// The first 16 bytes of a value.
pub fn version_of(value: &[u8]) -> Option<RecordVersion> {
    value.first_chunk().copied()
}

/// What a record must be when the changes are committed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It must not exist.
    Absent,
    /// It must still have this version.
    Is(RecordVersion),
}

/// One record to write.
pub struct Put {
    /// Where.
    pub key: StoreKey,
    /// What, beginning with its version.
    pub value: Vec<u8>,
    /// The last day on which it is of use.
    pub expires_day: Option<u32>,
}

/// One entry to append.
pub struct Append {
    /// The log.
    pub log: LogHandle,
    /// The sealed entry.
    pub value: Vec<u8>,
    /// The last day on which it is kept.
    pub expires_day: u32,
}

/// An outcome to be remembered for a repeated request.
pub struct Replay {
    /// Where.
    pub key: StoreKey,
    /// The sealed outcome.
    pub value: Vec<u8>,
    /// The last hour, counted from 1970, in which it is kept.
    pub expires_hour: u32,
}

/// Everything that one request changes: one durable transaction.
#[derive(Default)]
pub struct Changes {
    /// What must be so.
    pub expect: Vec<(StoreKey, Expectation)>,
    /// Records to write.
    pub put: Vec<Put>,
    /// Records to delete.
    pub delete: Vec<StoreKey>,
    /// Entries to append.
    pub append: Vec<Append>,
    /// The outcome to remember.
    pub replay: Option<Replay>,
}
