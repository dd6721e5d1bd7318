//! Owns the view of a group's leaves, and what must hold among them (design page 2.2).
//!
//! Invariant: keyed by leaf index; every leaf has passed the rules for a leaf by itself.

use crate::credential::{LeafView, refuse};
use openmls::group::{MlsGroup, PublicGroup};
use openmls::treesync::LeafNode;
use sordino_wire::{CredentialRule, IdentifierUri, PseudonymousCredential, Reject, SignatureKey};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A leaf with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its index.
    pub index: u32,
    /// Its credential; `signature_key` is the leaf's.
    pub credential: PseudonymousCredential,
    /// Its HPKE key.
    pub encryption_key: Vec<u8>,
}

/// The leaves of a group. A clone is cheap: leaves are shared, since a commit changes few of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<u32, Arc<Member>>);

impl Members {
    /// The leaves of the hub's view of a group.
    pub fn of_public_group(group: &PublicGroup) -> Result<Self, Reject> {
        Self::read(
            group
                .treesync()
                .full_leaves()
                .map(|(index, leaf)| (index.u32(), leaf)),
        )
    }

    /// The leaves of a member's view of a group.
    pub fn of_mls_group(group: &MlsGroup) -> Result<Self, Reject> {
        Self::of_public_group(group.public_group())
    }

    /// Reads leaves; their signatures are not verified again (see [`check_tree`]).
    pub fn read<'a>(leaves: impl Iterator<Item = (u32, &'a LeafNode)>) -> Result<Self, Reject> {
        let mut members = Self::default();
        for (index, leaf) in leaves {
            members.put(index, LeafView::read(leaf)?);
        }
        Ok(members)
    }

    /// The leaf at an index.
    pub fn get(&self, index: u32) -> Option<&Member> {
        self.0.get(&index).map(Arc::as_ref)
    }

    /// All leaves, by ascending index.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values().map(Arc::as_ref)
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The leaves of one user.
    pub fn of_user<'a>(&'a self, user: &'a IdentifierUri) -> impl Iterator<Item = &'a Member> {
        self.iter()
            .filter(move |member| &member.credential.user_pseudonym == user)
    }

    /// Whether a user has a leaf.
    pub fn has_user(&self, user: &IdentifierUri) -> bool {
        self.of_user(user).next().is_some()
    }

    /// The leaf of a client.
    pub fn by_client(&self, client: &IdentifierUri) -> Option<&Member> {
        self.iter()
            .find(|member| &member.credential.client_pseudonym == client)
    }

    /// The leaf with a signature key.
    pub fn by_signature_key(&self, key: &SignatureKey) -> Option<&Member> {
        self.iter()
            .find(|member| &member.credential.signature_key == key)
    }

    /// The users, each once.
    pub fn users(&self) -> BTreeSet<&IdentifierUri> {
        self.iter()
            .map(|member| &member.credential.user_pseudonym)
            .collect()
    }

    /// Where the next leaf goes: RFC 9420 fills the leftmost blank leaf. All leaves below `from`
    /// are known to be full.
    pub(crate) fn free_index(&self, from: u32) -> Result<u32, Reject> {
        let mut free = from;
        for (index, _) in self.0.range(from..) {
            if *index != free {
                break;
            }
            free = free.checked_add(1).ok_or(Reject::InvalidCommit)?;
        }
        Ok(free)
    }

    pub(crate) fn put(&mut self, index: u32, leaf: LeafView) {
        let member = Member {
            index,
            credential: leaf.credential,
            encryption_key: leaf.encryption_key,
        };
        self.0.insert(index, Arc::new(member));
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<Arc<Member>> {
        self.0.remove(&index)
    }
}

/// Checks a tree that somebody is about to join: every leaf's signatures, and what must hold among
/// leaves. The hub's word that it did so is not an argument.
pub fn check_tree(members: &Members) -> Result<(), Reject> {
    for member in members.iter() {
        let credential = &member.credential;
        sordino_crypto::check_credential(credential, credential.signature_key.as_slice())
            .map_err(refuse)?;
    }
    check_among(members)
}

/// What must hold among leaves: one user key per pseudonym; no key and no client pseudonym twice.
pub(crate) fn check_among(members: &Members) -> Result<(), Reject> {
    let mut user_keys = HashMap::new();
    let mut clients = HashSet::new();
    let mut signature_keys = HashSet::new();
    let mut encryption_keys = HashSet::new();
    for member in members.iter() {
        let credential = &member.credential;
        let first = user_keys
            .entry(&credential.user_pseudonym)
            .or_insert(&credential.user_auth_key);
        if *first != &credential.user_auth_key {
            return Err(refuse(CredentialRule::UserKey));
        }
        let fresh = clients.insert(&credential.client_pseudonym)
            && signature_keys.insert(&credential.signature_key)
            && encryption_keys.insert(&member.encryption_key);
        if !fresh {
            return Err(refuse(CredentialRule::Duplicate));
        }
    }
    Ok(())
}
