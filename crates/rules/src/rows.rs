//! Owns the checks of each row of the table (design page 3.2).
//!
//! Invariant: one function per row or group of equal rows; what all rows share is in `check`.

use crate::aad::verify_leaf_proof;
use crate::check::Before;
use crate::classify::Operation;
use crate::commit::{CommitSender, CommitView, Origin};
use crate::credential::{LeafView, refuse};
use crate::leaves::{After, check_path_leaf, check_replacement};
use crate::members::Member;
use crate::policy::{allows, check_policy_change};
use sordino_wire::{
    Capability, CredentialRule, IdentifierUri, JoinRule, LeafOperation, LeafProof,
    PseudonymousCredential, Reject,
};
use std::collections::HashSet;

/// Checks one row.
pub(crate) fn check_row(
    before: &Before<'_>,
    view: &CommitView,
    operation: Operation,
    after: &After,
) -> Result<(), Reject> {
    check_aad(view, operation)?;
    if let CommitSender::Member(index) = view.sender {
        let committer = before.members.get(index).ok_or(Reject::InvalidCommit)?;
        if let Some(leaf) = &view.path_leaf {
            check_path_leaf(operation, committer, leaf)?;
        }
        check_join_requests(before, view, committer)?;
        return by_member(before, view, operation, after, committer);
    }
    let leaf = view.path_leaf.as_ref().ok_or(Reject::NotAnOperation)?;
    by_new_member(before, view, operation, after, leaf)
}

/// The authenticated data holds what the row needs and nothing else.
fn check_aad(view: &CommitView, operation: Operation) -> Result<(), Reject> {
    let proofs = match operation {
        Operation::AddOwnClients => by_value(view).count(),
        Operation::ExternalJoinNewDevice | Operation::Resync => 1,
        _ => 0,
    };
    if view.aad.proofs.len() != proofs {
        return Err(refuse(CredentialRule::LeafProof));
    }
    let code_fits = view.aad.invite_code.is_none() || operation == Operation::ExternalJoinInvite;
    let request_fits =
        view.aad.request_id.is_none() || operation == Operation::ExternalJoinConnection;
    if code_fits && request_fits {
        Ok(())
    } else {
        Err(Reject::Malformed)
    }
}

fn by_member(
    before: &Before<'_>,
    view: &CommitView,
    operation: Operation,
    after: &After,
    committer: &Member,
) -> Result<(), Reject> {
    let user = &committer.credential.user_pseudonym;
    match operation {
        Operation::AddUsers => {
            need(before, user, Capability::Add)?;
            check_new_users(before, by_value(view))
        }
        Operation::AddOwnClients => {
            view.aad
                .proofs
                .iter()
                .zip(by_value(view))
                .try_for_each(|(proof, leaf)| {
                    check_proof(before, after, LeafOperation::AddOwnClient, proof, leaf)
                })
        }
        Operation::RemoveUsers => {
            need(before, user, Capability::Remove)?;
            check_whole_users(before, view, after)
        }
        Operation::ChangePolicy => {
            need(before, user, Capability::ChangePolicy)?;
            let new = view.new_policy().ok_or(Reject::NotAnOperation)?;
            check_policy_change(before.policy, new, &after.members)
        }
        Operation::Delete => {
            need(before, user, Capability::Destroy)?;
            if after.members.len() == 1 {
                Ok(())
            } else {
                Err(Reject::NotAnOperation)
            }
        }
        Operation::RemoveOwnClients | Operation::Update | Operation::CommitPending => Ok(()),
        _ => Err(Reject::NotAnOperation),
    }
}

fn by_new_member(
    before: &Before<'_>,
    view: &CommitView,
    operation: Operation,
    after: &After,
    leaf: &LeafView,
) -> Result<(), Reject> {
    let joiner = &leaf.credential;
    match operation {
        Operation::ExternalJoinNewDevice => {
            let proof = view.aad.proofs.iter().next();
            let proof = proof.ok_or(refuse(CredentialRule::LeafProof))?;
            check_proof(before, after, LeafOperation::ExternalJoin, proof, joiner)
        }
        Operation::Resync => check_resync(before, view, leaf),
        Operation::ExternalJoinInvite => {
            let code = view.aad.invite_code.as_ref();
            let hash = code.map(|code| sordino_crypto::sha256(code.as_ref()));
            join_if(hash.is_some() && hash == before.policy.invite_code_hash)
        }
        Operation::ExternalJoinOpen => join_if(before.policy.join == JoinRule::Open),
        Operation::ExternalJoinConnection => join_if(before.members.users().len() == 1),
        _ => Err(Reject::NotAnOperation),
    }
}

fn join_if(admitted: bool) -> Result<(), Reject> {
    if admitted {
        Ok(())
    } else {
        Err(Reject::Policy(Capability::Join))
    }
}

/// Exactly the leaf of the same client goes, and it signs for the one that comes.
fn check_resync(before: &Before<'_>, view: &CommitView, leaf: &LeafView) -> Result<(), Reject> {
    let replaced = view.removed_by_value().next();
    let replaced = replaced.and_then(|index| before.members.get(index));
    let replaced = replaced.ok_or(Reject::InvalidCommit)?;
    check_replacement(replaced, leaf)?;
    let proof = view.aad.proofs.iter().next();
    let proof = proof.ok_or(refuse(CredentialRule::LeafProof))?;
    if proof.sibling_leaf != replaced.index {
        return Err(refuse(CredentialRule::LeafProof));
    }
    verify_leaf_proof(
        &before.proof_context(),
        before.members,
        LeafOperation::Resync,
        proof,
        &leaf.credential,
    )
}

/// The sibling that signs for a new leaf is neither gone after the commit nor about to go.
fn check_proof(
    before: &Before<'_>,
    after: &After,
    operation: LeafOperation,
    proof: &LeafProof,
    leaf: &PseudonymousCredential,
) -> Result<(), Reject> {
    let sibling = proof.sibling_leaf;
    if after.removed.contains(&sibling) || before.is_leaving(sibling) {
        return Err(refuse(CredentialRule::LeafProof));
    }
    verify_leaf_proof(
        &before.proof_context(),
        before.members,
        operation,
        proof,
        leaf,
    )
}

/// People who asked to be let in are new users, and the committer may add users.
fn check_join_requests(
    before: &Before<'_>,
    view: &CommitView,
    committer: &Member,
) -> Result<(), Reject> {
    let requests: Vec<_> = view
        .adds()
        .filter(|(origin, _)| *origin == Origin::Joiner)
        .map(|(_, added)| &added.leaf.credential)
        .collect();
    if requests.is_empty() {
        return Ok(());
    }
    need(
        before,
        &committer.credential.user_pseudonym,
        Capability::Add,
    )?;
    check_new_users(before, requests.into_iter())
}

/// Nobody adds a leaf to a user who is present without that user's signatures.
fn check_new_users<'a>(
    before: &Before<'_>,
    leaves: impl Iterator<Item = &'a PseudonymousCredential>,
) -> Result<(), Reject> {
    let new: HashSet<&IdentifierUri> = leaves.map(|leaf| &leaf.user_pseudonym).collect();
    let present = |member: &Member| new.contains(&member.credential.user_pseudonym);
    if before.members.iter().any(present) {
        Err(refuse(CredentialRule::LeafProof))
    } else {
        Ok(())
    }
}

/// Whoever is removed by value is removed with all leaves.
fn check_whole_users(before: &Before<'_>, view: &CommitView, after: &After) -> Result<(), Reject> {
    let left = after.members.users();
    for index in view.removed_by_value() {
        let target = before.members.get(index).ok_or(Reject::InvalidCommit)?;
        if left.contains(&target.credential.user_pseudonym) {
            return Err(Reject::NotAnOperation);
        }
    }
    Ok(())
}

fn need(before: &Before<'_>, user: &IdentifierUri, capability: Capability) -> Result<(), Reject> {
    if allows(before.policy, user, capability) {
        Ok(())
    } else {
        Err(Reject::Policy(capability))
    }
}

fn by_value(view: &CommitView) -> impl Iterator<Item = &PseudonymousCredential> {
    view.adds()
        .filter(|(origin, _)| *origin == Origin::Value)
        .map(|(_, added)| &added.leaf.credential)
}
