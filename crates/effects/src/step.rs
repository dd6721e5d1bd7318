//! Owns what a request comes to: an answer, or effects that must be made durable first.
//!
//! Invariant: a mutating request's answer is inside [`Effects`], and whoever holds it is to hand it
//! out only after the effects were committed together. What a client may see is in an answer; what
//! it may not is a [`Fault`].

use crate::changes::{Changes, LogHandle};

/// Changes with the answer that their commit earns.
#[must_use = "effects that are not committed are lost"]
pub struct Effects<A> {
    /// What changes.
    pub changes: Changes,
    /// The answer, once it did.
    pub reply: A,
}

/// What the caller does next, for a service that answers with `A`.
#[must_use = "a step is to be carried out"]
pub enum Step<A> {
    /// Answer.
    Answer(A),
    /// Commit, then answer with `reply`; on a conflict, handle the request again.
    Commit(Box<Effects<A>>),
    /// Something inside failed; nothing changed. The fault is for the operator alone.
    Failed {
        /// What failed.
        fault: Fault,
        /// What the client is told.
        answer: A,
    },
    /// Nothing to read yet: handle again when one of the logs grows, answer so when the time is up.
    Wait {
        /// The logs to watch.
        logs: Vec<LogHandle>,
        /// How long.
        wait_s: u16,
        /// The answer when nothing came.
        answer: A,
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

impl From<sordino_crypto::CryptoError> for Fault {
    fn from(_: sordino_crypto::CryptoError) -> Self {
        Self::Crypto
    }
}

impl From<tls_codec::Error> for Fault {
    fn from(_: tls_codec::Error) -> Self {
        Self::Encoding
    }
}
