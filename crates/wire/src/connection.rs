//! Owns what passes between two people who connect (design page 5), before they share a group.
//!
//! Invariant: a request is sealed to one account, names it, and is signed by who asks, so that it
//! serves nobody else and nobody else's purpose.

use crate::bytes::Bytes;
use crate::commit::GroupKeyObject;
use crate::ids::{Digest, IdentifierUri, SignatureBytes};
use crate::limits::CONNECTION_REQUEST_CIPHERTEXT_BYTES;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// Label under which a requester signs.
pub const CONNECTION_REQUEST_LABEL: &str = "ConnectionRequest";

/// A [`ConnectionRequest`], padded to [`crate::limits::CONNECTION_REQUEST_BYTES`] and sealed by
/// HPKE to the recipient's connection key (label "connection request", no context).
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SealedConnectionRequest {
    /// The encapsulated key.
    pub kem_output: Bytes<32, 32>,
    /// The ciphertext.
    pub ciphertext: Bytes<CONNECTION_REQUEST_CIPHERTEXT_BYTES, CONNECTION_REQUEST_CIPHERTEXT_BYTES>,
}

/// "Come into this group with me." The requester is the giver of the key object.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ConnectionRequest {
    /// Random; the joiner repeats it in its commit's authenticated data.
    pub request_id: Digest,
    /// Who is asked.
    pub recipient: IdentifierUri,
    /// SHA-256 of the HPKE key it is sealed to.
    pub recipient_key_hash: Digest,
    /// The hub's time in seconds since 1970, floored to 60.
    pub time_s: u64,
    /// The connection group's hub, id, epoch, generation and secret, with the requester's real
    /// credential; its recipient is the same HPKE key, its Welcome hash that of nothing.
    pub key_object: GroupKeyObject,
    /// By the requester's client credential over [`ConnectionRequestTbs`], label
    /// [`CONNECTION_REQUEST_LABEL`].
    pub signature: SignatureBytes,
}

/// What the signature of a [`ConnectionRequest`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct ConnectionRequestTbs {
    /// See [`ConnectionRequest`].
    pub request_id: Digest,
    /// See [`ConnectionRequest`].
    pub recipient: IdentifierUri,
    /// See [`ConnectionRequest`].
    pub recipient_key_hash: Digest,
    /// See [`ConnectionRequest`].
    pub time_s: u64,
    /// SHA-256 of the serialised key object.
    pub key_object_hash: Digest,
}
