//! The delivery service as a pure function of (request, records read, time, randomness).
//!
//! Owns: what a request may do and what it changes. A request goes, left to right, through
//! `admit`, `unseal`, `authenticate`, `apply`, `reseal`; committing and waking are the caller's
//! ([`Step`]). `pipeline` shows the whole way on one page.
//! Invariant: no I/O, no clock, no global; nothing of a group outlives its request.
//! Never sees: a real identity, a message's plaintext, a member's secret.

mod admit;
mod apply;
mod authenticate;
mod outcome;
mod pipeline;
#[doc(hidden)]
pub mod raw;
mod reseal;
mod state;
mod unseal;

pub use outcome::{Effects, Step};
pub use sordino_effects::{
    Append, Changes, Env, Expectation, Fault, LogHandle, LogPage, Put, RecordFault, RecordVersion,
    Records, Replay, StoreKey,
};

use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::RustCrypto;
use sordino_crypto::{OuterKeys, SigningKey, Space};
use sordino_wire::{Domain, RequestBody, SignatureKey};
use std::sync::Arc;

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// The hub's domain: in every signature, and the name of its own streams.
    pub domain: Domain,
    /// Days that a stream's entries live (30; design page 3.4).
    pub stream_entry_days: u32,
    /// Days without a commit after which the hub proposes to remove a leaf.
    pub inactive_days: u32,
}

impl HubConfig {
    /// The defaults for a domain.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            stream_entry_days: sordino_wire::limits::STREAM_ENTRY_DAYS,
            inactive_days: 90,
        }
    }
}

/// Which address a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/group_operation`.
    GroupOperation,
    /// `/welcome_information`.
    WelcomeInformation,
    /// `/external_commit_information`.
    ExternalCommitInformation,
    /// `/streams`.
    Streams,
    /// `/inboxes`.
    Inboxes,
    /// `/group_key_packages`.
    GroupKeyPackages,
}

impl Endpoint {
    /// Whether a request belongs here.
    pub fn accepts(self, body: &RequestBody) -> bool {
        let expected = match body {
            RequestBody::CreateGroup(_)
            | RequestBody::Commit(_)
            | RequestBody::Proposals(_)
            | RequestBody::Send(_)
            | RequestBody::SendAsLeaf(_)
            | RequestBody::Rekey(_)
            | RequestBody::KeyRequest(_)
            | RequestBody::AnswerKeyRequest(_)
            | RequestBody::Reinitialise(_)
            | RequestBody::ConfirmKeys(_)
            | RequestBody::ReportCommit(_) => Self::GroupOperation,
            RequestBody::WelcomeInformation(_) => Self::WelcomeInformation,
            RequestBody::InspectMembership(_) | RequestBody::ExternalCommitInformation(_) => {
                Self::ExternalCommitInformation
            }
            RequestBody::ReadStreams(_) => Self::Streams,
            RequestBody::OpenInbox(_) | RequestBody::ReadInbox(_) | RequestBody::Deposit(_) => {
                Self::Inboxes
            }
            RequestBody::PublishKeyPackages(_)
            | RequestBody::DropKeyPackages(_)
            | RequestBody::FetchKeyPackages(_)
            | RequestBody::InspectKeyPackages(_) => Self::GroupKeyPackages,
        };
        self == expected
    }
}

/// The size of a small group's head.
const DECOY_HEAD_BYTES: usize = 8_000;

/// What all requests share, read only.
pub(crate) struct HubShared {
    pub(crate) config: HubConfig,
    pub(crate) outer: Arc<OuterKeys>,
    pub(crate) crypto: RustCrypto,
    pub(crate) signer: SignatureKeyPair,
    pub(crate) signature_key: SignatureKey,
    pub(crate) decoy: sordino_effects::Decoy,
}

/// The delivery service.
pub struct Hub {
    shared: HubShared,
}

impl Hub {
    /// A hub with its own signature key (the external sender of its groups) and its keys at rest.
    pub fn new(
        config: HubConfig,
        signing_key: &SigningKey,
        outer: Arc<OuterKeys>,
    ) -> Result<Self, Fault> {
        let signature_key = signing_key.public();
        let signer = SignatureKeyPair::from_raw(
            openmls_traits::types::SignatureScheme::ED25519,
            signing_key.seed().to_vec(),
            signature_key.as_slice().to_vec(),
        );
        let crypto = RustCrypto::default();
        let decoy = sordino_effects::Decoy::new(&outer, Space::Head, &[0; DECOY_HEAD_BYTES])?;
        Ok(Self {
            shared: HubShared {
                config,
                outer,
                crypto,
                signer,
                signature_key,
                decoy,
            },
        })
    }

    /// The hub's signature key, which every group names as external sender.
    pub fn signature_key(&self) -> &SignatureKey {
        &self.shared.signature_key
    }

    /// The hub's domain.
    pub fn domain(&self) -> &Domain {
        &self.shared.config.domain
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
