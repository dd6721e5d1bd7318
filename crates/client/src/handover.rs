//! Owns what devices of one user hand to each other, until accounts do it.
//!
//! Invariant: a new device makes its own client secret and key; the first device only certifies
//! the public part. What is handed over is secret: applications pass it over a channel of their own.

use crate::error::Result;
use crate::records::UserSecretRecord;
use sordino_crypto::{SigningKey, Slot};
use sordino_wire::{
    ClientCredential, ClientCredentialTbs, Domain, GroupId, IdentifierUri, LeafProof, Secret32,
    SignatureKey,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What a new device asks of one that is there.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct LinkRequest {
    /// The user that both are of.
    pub user: IdentifierUri,
    /// The new device.
    pub client: IdentifierUri,
    /// Its signature key.
    pub client_key: SignatureKey,
}

/// What it gets.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DeviceHandover {
    pub(crate) user_secrets: Vec<UserSecretRecord>,
    pub(crate) connection_key: Secret32,
    pub(crate) credential: ClientCredential,
    pub(crate) groups: Vec<GroupHandover>,
}

/// One group in a handover.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct GroupHandover {
    pub(crate) hub_domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) slot: Slot,
}

impl GroupHandover {
    /// The group.
    pub fn group_id(&self) -> GroupId {
        self.group_id
    }
}

impl DeviceHandover {
    /// The groups that the new device can join.
    pub fn groups(&self) -> &[GroupHandover] {
        &self.groups
    }

    /// The bytes, for the application's own channel.
    pub fn to_bytes(&self) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        Ok(zeroize::Zeroizing::new(sordino_wire::encode(self)?))
    }

    /// Reads the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(sordino_wire::exact(bytes)?)
    }
}

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
    pub(crate) proof: LeafProof,
}

/// A client credential over a key whose private part is on another device.
pub(crate) fn certify(
    user: &IdentifierUri,
    client: &IdentifierUri,
    client_key: &SignatureKey,
    account_key: &SigningKey,
) -> Result<ClientCredential> {
    let tbs = ClientCredentialTbs {
        user: user.clone(),
        client: client.clone(),
        signature_key: client_key.clone(),
        account_key: account_key.public(),
    };
    let account_signature = account_key.sign_struct("ClientCredential", &tbs)?;
    Ok(ClientCredential {
        user: tbs.user,
        client: tbs.client,
        signature_key: tbs.signature_key,
        account_key: tbs.account_key,
        account_signature,
    })
}
