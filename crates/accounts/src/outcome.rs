//! Owns what a request comes to here: the seam's terms with the answers of the account world, and
//! why one ends early.
//!
//! Invariant: what a client may see is an [`AccountReject`]; what it may not is a [`Fault`].

use sordino_crypto::CryptoError;
use sordino_effects::{Fault, RecordFault};
use sordino_wire::{AccountReject, AccountResponseBody};

/// What the caller does next.
pub type Step = sordino_effects::Step<AccountResponseBody>;
/// Changes with the answer that their commit earns.
pub type Effects = sordino_effects::Effects<AccountResponseBody>;

/// Why a request ends early.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The client is told.
    Reject(AccountReject),
    /// The client is told to try again later.
    Fault(Fault),
    /// The same request was done before.
    Repeated,
}

impl From<AccountReject> for Refusal {
    fn from(reject: AccountReject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<RecordFault> for Refusal {
    fn from(fault: RecordFault) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<CryptoError> for Refusal {
    fn from(error: CryptoError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<tls_codec::Error> for Refusal {
    fn from(error: tls_codec::Error) -> Self {
        Self::Fault(error.into())
    }
}
