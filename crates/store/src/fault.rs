//! Owns the ways in which the store fails.
//!
//! Invariant: no error carries a key, a value, a handle or a path, in any form: only kinds.

use std::io::ErrorKind;

/// Why the store could not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreFault {
    /// The operating system refused to read or write.
    #[error("the store's file failed: {0}")]
    Io(ErrorKind),
    /// The engine found its file damaged.
    #[error("the store's file is damaged")]
    Damaged,
    /// A row does not have the shape this version writes. Only the request that met it fails.
    #[error("a stored row is malformed")]
    BadRow,
    /// The caller gave a value that is too short to have a version, or too long. Nothing changed.
    #[error("a value has a size the store does not take")]
    BadValue,
    /// An earlier fault left the outcome of a write unknown; reopen the store.
    #[error("the store stopped after an earlier fault and must be reopened")]
    Poisoned,
    /// The store was shut down, or its writer is gone.
    #[error("the store has been shut down")]
    Stopped,
}

/// Why a commit was not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitError {
    /// An expectation did not hold. Nothing changed.
    #[error("a record is not in the expected state")]
    Conflict,
    /// A nullifier was spent before. Nothing changed.
    #[error("a nullifier was spent before")]
    Spent,
    /// A nullifier's set is not open. Nothing changed.
    #[error("a set of nullifiers is not open")]
    SetClosed,
    /// An answer is kept under this replay key; read it from a new snapshot. Nothing changed.
    #[error("the request was answered before")]
    Replayed,
    /// The outcome is unknown, or the store is broken.
    #[error(transparent)]
    Unavailable(#[from] StoreFault),
}

/// Why a store could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has the file open.
    #[error("the store's file is already open")]
    AlreadyOpen,
    /// The file was written by another version. `found` is its format version if it names one.
    #[error("the store's file has another format version (found: {found:?}, expected: {expected})")]
    OtherVersion {
        /// What the file says, if anything.
        found: Option<u32>,
        /// What this program reads and writes.
        expected: u32,
    },
    /// The writer thread could not be started.
    #[error("the store's writer thread could not be started: {0}")]
    Thread(ErrorKind),
    /// Reading or creating the file failed.
    #[error(transparent)]
    Fault(#[from] StoreFault),
}

impl StoreFault {
    /// Reduces an error of the engine to its kind.
    pub(crate) fn of(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(e) => Self::Io(e.kind()),
            redb::Error::PreviousIo => Self::Poisoned,
            redb::Error::DatabaseClosed => Self::Stopped,
            _ => Self::Damaged,
        }
    }
}

impl OpenError {
    /// Reduces an error of opening the engine's file to its kind.
    pub(crate) fn of(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::AlreadyOpen,
            other => Self::Fault(StoreFault::of(other)),
        }
    }
}
