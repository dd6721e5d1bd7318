//! Owns the credentials: pseudonymous (in leaves) and real (inside identity links).
//!
//! Invariant: a pseudonymous credential says nothing that is equal in two groups.
//! Never sees a secret key.

use crate::bytes::Bytes;
use crate::ids::{GroupId, IdentifierUri, Salt, SignatureBytes, SignatureKey};
use crate::limits::IDENTITY_LINK_CIPHERTEXT_BYTES;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The MLS credential type of a [`PseudonymousCredential`], from the private range.
pub const PSEUDONYMOUS_CREDENTIAL_TYPE: u16 = 0xF5D0;

/// What a leaf says about its client (design page 2.2). About 270 B.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PseudonymousCredential {
    /// `mimi://<domain>/d/<uuid>`, differs per device and group.
    pub client_pseudonym: IdentifierUri,
    /// `mimi://<domain>/u/<uuid>`, the hash of `user_auth_key`.
    pub user_pseudonym: IdentifierUri,
    /// Equals `LeafNode.signature_key`.
    pub signature_key: SignatureKey,
    /// The user's authentication key in this group.
    pub user_auth_key: SignatureKey,
    /// By `user_auth_key` over the four fields above, label "PseudonymousCredential".
    pub user_auth_signature: SignatureBytes,
}

/// What `user_auth_signature` covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct PseudonymousCredentialTbs {
    /// See [`PseudonymousCredential`].
    pub client_pseudonym: IdentifierUri,
    /// See [`PseudonymousCredential`].
    pub user_pseudonym: IdentifierUri,
    /// See [`PseudonymousCredential`].
    pub signature_key: SignatureKey,
    /// See [`PseudonymousCredential`].
    pub user_auth_key: SignatureKey,
}

/// A device's real credential, certified by its user's account (design page 2.1).
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ClientCredential {
    /// The user, as `mimi://<domain>/u/<handle>`.
    pub user: IdentifierUri,
    /// The device, as `mimi://<domain>/d/<id>`.
    pub client: IdentifierUri,
    /// The device's signature key.
    pub signature_key: SignatureKey,
    /// The account key that certifies it.
    pub account_key: SignatureKey,
    /// By `account_key` over the fields above, label "ClientCredential".
    pub account_signature: SignatureBytes,
}

/// What `account_signature` covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct ClientCredentialTbs {
    /// See [`ClientCredential`].
    pub user: IdentifierUri,
    /// See [`ClientCredential`].
    pub client: IdentifierUri,
    /// See [`ClientCredential`].
    pub signature_key: SignatureKey,
    /// See [`ClientCredential`].
    pub account_key: SignatureKey,
}

/// Ties a pseudonymous credential to a real one (design page 2.3). Padded with zero bytes to
/// [`crate::limits::IDENTITY_LINK_BYTES`] before it is sealed.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct IdentityLink {
    /// By the client credential's key over SHA-256(PseudonymousCredential), label "IdentityLink".
    pub signature: SignatureBytes,
    /// Whose it is.
    pub client_credential: ClientCredential,
}

/// A sealed identity link in a group's roster: 8 + 16 + 2 + 528 B.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct IdentityEntry {
    /// The generation whose wrapper key opens it.
    pub generation: u64,
    /// Random.
    pub salt: Salt,
    /// AES-256-GCM of the padded link.
    pub ciphertext: Bytes<IDENTITY_LINK_CIPHERTEXT_BYTES, IDENTITY_LINK_CIPHERTEXT_BYTES>,
}

/// The wrapper key of a generation under the next one's (design page 2.4): newcomers walk back.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PreviousWrapper {
    /// The generation whose wrapper key is inside; the key of `generation + 1` opens it.
    pub generation: u64,
    /// AES-256-GCM of the 32-byte key.
    pub ciphertext: Bytes<48, 48>,
}

/// Context of an identity entry's key derivation.
#[derive(Clone, Debug, TlsSerialize, TlsSize)]
pub struct IdentityEntryContext {
    /// The group.
    pub group_id: GroupId,
    /// SHA-256 of the serialised [`PseudonymousCredential`].
    pub credential_hash: crate::ids::Digest,
    /// The entry's salt.
    pub salt: Salt,
}
