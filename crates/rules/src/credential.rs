//! Owns what a leaf must look like by itself (design page 2.2).
//!
//! Invariant: a [`LeafView`] has canonical capabilities, no extensions, a lifetime in whole days
//! (where it has one), and a pseudonymous credential that names the leaf's own signature key.

use crate::capabilities::capabilities;
use crate::key_package;
use openmls::credentials::CredentialType;
use openmls::treesync::{LeafNode, LeafNodeSource};
use sordino_wire::{
    CredentialRule, HpkeKey, PSEUDONYMOUS_CREDENTIAL_TYPE, PseudonymousCredential, Reject,
};

/// What the rules read from a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafView {
    /// Its credential; `signature_key` is the leaf's.
    pub credential: PseudonymousCredential,
    /// Its HPKE key.
    pub encryption_key: Vec<u8>,
}

/// Reads the credential of a leaf, which must be pseudonymous and parse exactly.
pub fn credential_of(leaf: &LeafNode) -> Result<PseudonymousCredential, Reject> {
    let credential = leaf.credential();
    if credential.credential_type() != CredentialType::Other(PSEUDONYMOUS_CREDENTIAL_TYPE) {
        return Err(refuse(CredentialRule::NotPseudonymous));
    }
    sordino_wire::exact(credential.serialized_content())
        .map_err(|_| refuse(CredentialRule::NotPseudonymous))
}

/// Checks everything about a leaf that needs no other leaf, signatures included.
pub fn check_leaf(leaf: &LeafNode) -> Result<PseudonymousCredential, Reject> {
    LeafView::checked(leaf).map(|view| view.credential)
}

impl LeafView {
    /// Reads a leaf that entered its tree through [`check_leaf`]: all of its rules but signatures.
    pub(crate) fn read(leaf: &LeafNode) -> Result<Self, Reject> {
        let credential = credential_of(leaf)?;
        if credential.signature_key.as_slice() != leaf.signature_key().as_slice() {
            return Err(refuse(CredentialRule::LeafKey));
        }
        if !is_canonical(leaf) {
            return Err(refuse(CredentialRule::NotCanonical));
        }
        Ok(Self {
            credential,
            encryption_key: encryption_key_of(leaf)?,
        })
    }

    /// Reads a leaf from outside, signatures included.
    pub(crate) fn checked(leaf: &LeafNode) -> Result<Self, Reject> {
        let view = Self::read(leaf)?;
        sordino_crypto::check_credential(&view.credential, leaf.signature_key().as_slice())
            .map_err(refuse)?;
        Ok(view)
    }
}

/// Whatever two clients could differ in, and need not, tells them apart.
fn is_canonical(leaf: &LeafNode) -> bool {
    let whole_days = match leaf.leaf_node_source() {
        LeafNodeSource::KeyPackage(lifetime) => key_package::is_canonical(lifetime),
        LeafNodeSource::Update | LeafNodeSource::Commit(_) => true,
    };
    whole_days
        && leaf.capabilities() == &capabilities()
        && leaf.extensions().iter().next().is_none()
}

/// A refusal by a rule of design page 2.2.
pub(crate) fn refuse(rule: CredentialRule) -> Reject {
    Reject::InvalidCredential(rule)
}

/// openmls hands the key out in its encoding alone.
fn encryption_key_of(leaf: &LeafNode) -> Result<Vec<u8>, Reject> {
    let encoded =
        sordino_wire::encode(leaf.encryption_key()).map_err(|_| refuse(CredentialRule::LeafKey))?;
    sordino_wire::exact::<HpkeKey>(&encoded)
        .map(HpkeKey::into_vec)
        .map_err(|_| refuse(CredentialRule::LeafKey))
}
