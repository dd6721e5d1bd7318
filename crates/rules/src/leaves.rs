//! Owns what a commit makes of the leaves, and what must hold for the committer's own leaf.
//!
//! Invariant: the tree after a commit is computed here from the one before, with the same indices
//! as openmls gives, so that every rule about the result is checked before anything is merged.

use crate::check::Before;
use crate::classify::Operation;
use crate::commit::{CommitSender, CommitView};
use crate::credential::{LeafView, refuse};
use crate::members::{Member, Members};
use sordino_wire::{CredentialRule, Reject};

/// The leaves after a commit.
pub(crate) struct After {
    /// All of them.
    pub(crate) members: Members,
    /// Where the committer is.
    pub(crate) committer: u32,
    /// Where the added leaves are, in the order of the commit.
    pub(crate) added: Vec<u32>,
    /// Which leaves left, ascending; a replaced one is among them.
    pub(crate) removed: Vec<u32>,
}

/// Applies a commit to the leaves.
pub(crate) fn apply(before: &Before<'_>, view: &CommitView) -> Result<After, Reject> {
    let mut members = before.members.clone();
    let mut removed: Vec<u32> = view.removed().collect();
    removed.sort_unstable();
    for index in &removed {
        // A leaf that is not there, or is removed twice (by itself and by the hub).
        members.remove(*index).ok_or(Reject::InvalidCommit)?;
    }
    let committer = match view.sender {
        CommitSender::Member(index) => index,
        CommitSender::NewMember => members.free_index(0)?,
    };
    if let CommitSender::Member(index) = view.sender {
        members.get(index).ok_or(Reject::InvalidCommit)?;
    }
    if let Some(leaf) = &view.path_leaf {
        members.put(committer, leaf.clone());
    }
    let mut added = Vec::new();
    let mut index = 0;
    for (_, leaf) in view.adds() {
        index = members.free_index(index)?;
        members.put(index, leaf.leaf.clone());
        added.push(index);
    }
    Ok(After {
        members,
        committer,
        added,
        removed,
    })
}

/// Checks the leaf of a committing member's path against the one it replaces. Nothing about the
/// client changes but, in an update, its signature key.
pub(crate) fn check_path_leaf(
    operation: Operation,
    old: &Member,
    new: &LeafView,
) -> Result<(), Reject> {
    let (old_says, new_says) = (&old.credential, &new.credential);
    let same_client = old_says.client_pseudonym == new_says.client_pseudonym
        && old_says.user_pseudonym == new_says.user_pseudonym;
    if !same_client {
        return Err(refuse(CredentialRule::PseudonymChanged));
    }
    if old_says.user_auth_key != new_says.user_auth_key {
        return Err(refuse(CredentialRule::UserKey));
    }
    if operation != Operation::Update && old_says != new_says {
        return Err(refuse(CredentialRule::LeafKey));
    }
    if old.encryption_key == new.encryption_key {
        return Err(refuse(CredentialRule::Duplicate));
    }
    Ok(())
}

/// Checks that a leaf which comes in by a resync is the replaced leaf's client.
pub(crate) fn check_replacement(old: &Member, new: &LeafView) -> Result<(), Reject> {
    let (old_says, new_says) = (&old.credential, &new.credential);
    if old_says.client_pseudonym != new_says.client_pseudonym
        || old_says.user_pseudonym != new_says.user_pseudonym
    {
        return Err(refuse(CredentialRule::PseudonymChanged));
    }
    if old_says.user_auth_key != new_says.user_auth_key {
        return Err(refuse(CredentialRule::UserKey));
    }
    if old_says.signature_key != new_says.signature_key {
        return Err(refuse(CredentialRule::LeafKey));
    }
    if old.encryption_key == new.encryption_key {
        return Err(refuse(CredentialRule::Duplicate));
    }
    Ok(())
}
