//! Owns what a request comes to here: the seam's terms with the hub's answers, and why one ends
//! early.
//!
//! Invariant: what a client may see is a [`Reject`]; what it may not is a [`Fault`].

use sordino_wire::{Reject, ResponseBody};

pub(crate) use sordino_effects::{Changes, Expectation, Fault, Put, RecordVersion, StoreKey};

/// What the caller does next.
pub type Step = sordino_effects::Step<ResponseBody>;
/// Changes with the answer that their commit earns.
pub type Effects = sordino_effects::Effects<ResponseBody>;

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

impl From<sordino_effects::RecordFault> for Refusal {
    fn from(fault: sordino_effects::RecordFault) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<tls_codec::Error> for Refusal {
    fn from(error: tls_codec::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<sordino_crypto::CryptoError> for Refusal {
    fn from(error: sordino_crypto::CryptoError) -> Self {
        Self::Fault(error.into())
    }
}
