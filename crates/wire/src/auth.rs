//! Owns the authentications of a request and what they sign (design page 3.1).
//!
//! Invariant: what is signed names the hub, the group, the epoch, the time and the body, so that a
//! signature serves one request at one hub.

use crate::PROTOCOL_VERSION;
use crate::ids::{Digest, Domain, GroupId, Nonce, SignatureBytes, SignatureKey};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// Label under which a leaf or a user signs a request.
pub const REQUEST_LABEL: &str = "DsRequest";

/// What makes a request fresh: 32 B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Freshness {
    /// The epoch in which the sender is.
    pub epoch: u64,
    /// The hub's time in seconds since 1970, floored to 60.
    pub time_s: u64,
    /// Random; a repeated request repeats it.
    pub nonce: Nonce,
}

/// Who asks, and how that shows.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum Authentication {
    /// The keys in the body open the record, or they do not. Reads alone.
    #[tls_codec(discriminant = 0)]
    Possession,
    /// A member of the epoch, not which: HMAC-SHA-256 under the epoch's sender key.
    #[tls_codec(discriminant = 1)]
    EpochMember {
        /// See [`Freshness`].
        freshness: Freshness,
        /// Over [`RequestTbs`].
        mac: Digest,
    },
    /// One leaf of the current tree (for a new group: of the tree it comes with).
    #[tls_codec(discriminant = 2)]
    Leaf {
        /// See [`Freshness`].
        freshness: Freshness,
        /// Its index.
        leaf_index: u32,
        /// Over [`RequestTbs`].
        signature: SignatureBytes,
    },
    /// A user pseudonym and a current leaf of it.
    #[tls_codec(discriminant = 3)]
    PseudonymousUser {
        /// See [`Freshness`].
        freshness: Freshness,
        /// A current leaf of that user.
        leaf_index: u32,
        /// By that leaf, over [`RequestTbs`].
        leaf_signature: SignatureBytes,
        /// By the user's authentication key, over [`RequestTbs`].
        user_signature: SignatureBytes,
    },
    /// A key that is about to be a leaf, or was added: external joins, join proposals, Welcomes.
    #[tls_codec(discriminant = 4)]
    Joiner {
        /// See [`Freshness`].
        freshness: Freshness,
        /// The leaf's signature key.
        signature_key: SignatureKey,
        /// By it, over [`RequestTbs`].
        signature: SignatureBytes,
    },
}

impl Authentication {
    /// The freshness, where there is one.
    pub fn freshness(&self) -> Option<&Freshness> {
        match self {
            Self::Possession => None,
            Self::EpochMember { freshness, .. }
            | Self::Leaf { freshness, .. }
            | Self::PseudonymousUser { freshness, .. }
            | Self::Joiner { freshness, .. } => Some(freshness),
        }
    }
}

/// What every signature and MAC of a request covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct RequestTbs {
    version: u16,
    hub_domain: Domain,
    group_id: GroupId,
    freshness: Freshness,
    body_hash: Digest,
}

impl RequestTbs {
    /// `body_hash` is the SHA-256 of the serialised [`crate::RequestBody`].
    pub fn new(
        hub_domain: Domain,
        group_id: GroupId,
        freshness: Freshness,
        body_hash: Digest,
    ) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            hub_domain,
            group_id,
            freshness,
            body_hash,
        }
    }
}
