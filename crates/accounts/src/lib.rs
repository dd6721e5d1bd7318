//! Accounts and connection requests as a pure function of (request, records read, time,
//! randomness), design page 5.
//!
//! Owns: who may register a handle, which devices an account has, how it is found and asked. A
//! request goes, left to right, through `admit`, `unseal`, `authenticate`, `apply`, `reseal`;
//! committing and waking are the caller's ([`Step`]). `pipeline` shows the whole way on one page.
//! Invariant: a stranger learns of a handle what its account publishes, and not whether there is
//! one; a used handle is nobody else's ever.
//! Never sees: a pseudonym, a group, a stream, a key-package set, who asks whom for what.

mod admit;
mod apply;
mod authenticate;
mod certified;
mod outcome;
mod pipeline;
mod reseal;
mod state;
mod unseal;

pub use outcome::{Effects, Step};

use sordino_crypto::{AdmissionKey, OuterKeys, Space};
use sordino_effects::{Decoy, Env, Fault, Records};
use sordino_wire::{AccountRequestBody, Domain};
use std::sync::Arc;

/// What an operator asks of somebody who registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// A code from the operator.
    Invitation,
    /// Work.
    ProofOfWork {
        /// Zero bits that the hash begins with: twice the work for each.
        difficulty_bits: u8,
    },
    /// Nobody registers.
    Closed,
}

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct AccountsConfig {
    /// The provider's domain.
    pub domain: Domain,
    /// Who may register.
    pub registration: Registration,
}

/// Which address a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/accounts`: by devices, and what registering takes.
    Accounts,
    /// `/connection_request`: by anybody about a handle.
    ConnectionRequest,
}

impl Endpoint {
    /// Whether a request belongs here.
    pub fn accepts(self, body: &AccountRequestBody) -> bool {
        let expected = match body {
            AccountRequestBody::AdmissionTerms
            | AccountRequestBody::Register(_)
            | AccountRequestBody::ReadAccount
            | AccountRequestBody::PutClient(_)
            | AccountRequestBody::ReplaceAccountKey(_)
            | AccountRequestBody::ReplaceConnectionKey(_)
            | AccountRequestBody::DeleteAccount(_)
            | AccountRequestBody::ReadConnectionRequests(_)
            | AccountRequestBody::SettleConnectionRequests(_) => Self::Accounts,
            AccountRequestBody::LookUp(_) | AccountRequestBody::SendConnectionRequest(_) => {
                Self::ConnectionRequest
            }
        };
        self == expected
    }
}

/// What all requests share, read only.
pub(crate) struct Shared {
    pub(crate) config: AccountsConfig,
    pub(crate) outer: Arc<OuterKeys>,
    /// The current key first.
    pub(crate) admission_keys: Vec<AdmissionKey>,
    pub(crate) decoy: Decoy,
}

/// The account service.
pub struct Accounts {
    shared: Shared,
}

impl Accounts {
    /// A service on its keys at rest.
    pub fn new(config: AccountsConfig, outer: Arc<OuterKeys>) -> Result<Self, Fault> {
        let decoy = Decoy::new(&outer, Space::Account, &state::nobody(&config.domain)?)?;
        Ok(Self {
            shared: Shared {
                config,
                admission_keys: outer.admission_keys()?,
                outer,
                decoy,
            },
        })
    }

    /// The whole way of a request, up to its commit.
    pub fn handle(
        &self,
        bytes: &[u8],
        endpoint: Endpoint,
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Step {
        pipeline::handle(&self.shared, bytes, endpoint, records, env)
    }
}
