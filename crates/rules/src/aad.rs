//! Owns the authenticated data of commits, and the proofs for leaves that join a user (page 2.2).
//!
//! Invariant: a proof is bound to hub, group, generation, way of joining and new leaf, so that it
//! serves one leaf in one place and a removal voids it.

use crate::credential::refuse;
use crate::members::Members;
use sordino_wire::{
    COMMIT_AAD_FORMAT, CommitAad, CredentialRule, Domain, GroupId, LeafOperation, LeafProof,
    LeafProofTbs, PseudonymousCredential, Reject, SignatureKey,
};

/// The label of both signatures of a [`LeafProof`].
pub const LEAF_PROOF_LABEL: &str = "AddedLeaf";

/// Where and when a proof is valid.
#[derive(Clone, Copy, Debug)]
pub struct ProofContext<'a> {
    /// The hub.
    pub hub_domain: &'a Domain,
    /// The group.
    pub group_id: GroupId,
    /// The generation in force before the commit.
    pub generation: u64,
}

/// Parses the authenticated data of a commit.
pub fn parse_commit_aad(aad: &[u8]) -> Result<CommitAad, Reject> {
    let aad: CommitAad = sordino_wire::exact(aad).map_err(|_| Reject::Malformed)?;
    if aad.format == COMMIT_AAD_FORMAT {
        Ok(aad)
    } else {
        Err(Reject::Malformed)
    }
}

/// What both signatures of a proof cover; signed with [`LEAF_PROOF_LABEL`].
pub fn leaf_proof_tbs(
    context: &ProofContext<'_>,
    operation: LeafOperation,
    leaf_key: &SignatureKey,
) -> LeafProofTbs {
    LeafProofTbs {
        hub_domain: context.hub_domain.clone(),
        group_id: context.group_id,
        generation: context.generation,
        operation,
        leaf_key: leaf_key.clone(),
    }
}

/// Verifies a proof: the sibling is a leaf of the new leaf's user, with the same user key, and both
/// that key and the sibling sign.
pub fn verify_leaf_proof(
    context: &ProofContext<'_>,
    members: &Members,
    operation: LeafOperation,
    proof: &LeafProof,
    new_leaf: &PseudonymousCredential,
) -> Result<(), Reject> {
    let sibling = &members
        .get(proof.sibling_leaf)
        .ok_or(refuse(CredentialRule::LeafProof))?
        .credential;
    if sibling.user_pseudonym != new_leaf.user_pseudonym {
        return Err(refuse(CredentialRule::LeafProof));
    }
    if sibling.user_auth_key != new_leaf.user_auth_key {
        return Err(refuse(CredentialRule::UserKey));
    }
    verify_vouchers(context, sibling, operation, proof, &new_leaf.signature_key)
}

/// Whether a leaf and its user vouch for a key that is to become a leaf: what can be told of a
/// proof before the commit is taken apart.
pub fn is_vouched_for(
    context: &ProofContext<'_>,
    members: &Members,
    operation: LeafOperation,
    proof: &LeafProof,
    leaf_key: &SignatureKey,
) -> bool {
    members.get(proof.sibling_leaf).is_some_and(|sibling| {
        verify_vouchers(context, &sibling.credential, operation, proof, leaf_key).is_ok()
    })
}

fn verify_vouchers(
    context: &ProofContext<'_>,
    sibling: &PseudonymousCredential,
    operation: LeafOperation,
    proof: &LeafProof,
    leaf_key: &SignatureKey,
) -> Result<(), Reject> {
    let content = leaf_proof_tbs(context, operation, leaf_key);
    let signatures = [
        (&sibling.user_auth_key, &proof.user_signature),
        (&sibling.signature_key, &proof.sibling_signature),
    ];
    for (key, signature) in signatures {
        sordino_crypto::verify_struct(key, LEAF_PROOF_LABEL, &content, signature)
            .map_err(|_| refuse(CredentialRule::LeafProof))?;
    }
    Ok(())
}
