//! Owns what a request comes to: an answer, or effects that must be made durable first.
//!
//! Invariant: a mutating request's answer is inside [`Effects`], and whoever holds it is to hand it
//! out only after the effects were committed together. What a client may see is a
//! [`Reject`]; what it may not is a [`Fault`].

use sordino_wire::{Reject, ResponseBody};

/// A record's place in the store: 16 blinded bytes.
pub type StoreKey = [u8; 16];
/// A log's handle in the store: 32 blinded bytes.
pub type LogHandle = [u8; 32];
/// The version of a record: the first 16 bytes of its value.
pub type RecordVersion = [u8; 16];

/// What a record must be when the effects are committed.
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

/// Changes with the answer that their commit earns.
#[must_use = "effects that are not committed are lost"]
pub struct Effects {
    /// What changes.
    pub changes: Changes,
    /// The answer, once it did.
    pub reply: ResponseBody,
}

/// What the caller does next.
#[must_use = "a step is to be carried out"]
pub enum Step {
    /// Answer.
    Answer(ResponseBody),
    /// Commit, then answer with `reply`; on a conflict, handle the request again.
    Commit(Box<Effects>),
    /// Something inside failed; nothing changed. The fault is for the operator alone.
    Failed {
        /// What failed.
        fault: Fault,
        /// What the client is told.
        answer: ResponseBody,
    },
    /// Nothing to read yet: handle again when one of the logs grows, answer so when the time is up.
    Wait {
        /// The logs to watch.
        logs: Vec<LogHandle>,
        /// How long.
        wait_s: u16,
        /// The answer when nothing came.
        answer: ResponseBody,
    },
}

/// What went wrong inside: never shown to a client, never with anything user-linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The store did not answer.
    #[error("the store did not answer")]
    Store,
    /// A record that its key opens does not hold what it must.
    #[error("a record is not consistent")]
    Inconsistent,
    /// Cryptography failed on our own data.
    #[error("cryptography failed on own data")]
    Crypto,
    /// Encoding failed on our own data.
    #[error("encoding failed on own data")]
    Encoding,
}

/// Why a request ends early.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The client is told.
    Reject(Reject),
    /// The client is told to try again later.
    Fault(Fault),
    /// The same request was done before: its answer again.
    Repeated(Box<ResponseBody>),
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<tls_codec::Error> for Refusal {
    fn from(_: tls_codec::Error) -> Self {
        Self::Fault(Fault::Encoding)
    }
}

impl From<sordino_crypto::CryptoError> for Refusal {
    fn from(_: sordino_crypto::CryptoError) -> Self {
        Self::Fault(Fault::Crypto)
    }
}
