//! Owns what a device asks of a sibling to come into a group, and what it gets.
//!
//! Invariant: both travel inside the devices' own group alone; a grant serves one leaf in one
//! generation.

use sordino_crypto::Slot;
use sordino_wire::{Domain, GroupId, LeafProof, Secret32, SignatureKey};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// "This is the leaf key I shall have in that group."
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct LeafRequest {
    /// The group.
    pub group_id: GroupId,
    /// The slot of the user in it.
    pub slot: Slot,
    /// The new leaf's key.
    pub leaf_key: SignatureKey,
}

/// A sibling's consent, and the keys of the generation in which it is valid.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct LeafGrant {
    pub(crate) hub_domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) slot: Slot,
    pub(crate) generation: u64,
    pub(crate) group_secret: Secret32,
    /// By the user, and by the sibling.
    pub proof: LeafProof,
}
