//! Owns pending proposals.
//!
//! Invariant: they belong to the current epoch; a commit empties the list.

use sordino_wire::limits::MAX_PENDING_PROPOSALS;
use sordino_wire::{Bytes, Digest, HandshakeBytes, InboxAddress, List};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What a pending proposal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub(crate) enum PendingKind {
    /// A member leaves.
    SelfRemove = 1,
    /// The hub removes a member.
    HubRemove = 2,
    /// Somebody asks to be added.
    Join = 3,
}

/// One pending proposal.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct PendingItem {
    pub(crate) kind: PendingKind,
    /// The leaf that goes; 0 for a join.
    pub(crate) leaf_index: u32,
    /// The MLSMessage.
    pub(crate) message: HandshakeBytes,
    /// SHA-256 of it.
    pub(crate) hash: Digest,
    /// openmls' queued proposal with its reference, in postcard.
    pub(crate) queued: Bytes<1, 65_536>,
    /// Where the Welcome goes, for a join.
    pub(crate) inbox: Option<InboxAddress>,
}

/// The pending proposals of the current epoch.
#[derive(Clone, Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Pending {
    pub(crate) items: List<PendingItem, MAX_PENDING_PROPOSALS>,
}
