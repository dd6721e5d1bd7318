//! Stage 3, authenticate: who asks, as far as the hub may know.
//!
//! Owns: MACs of epoch members, signatures of leaves, users and joiners.
//! Invariant: every signature and MAC covers hub, group, epoch, time, nonce and body.

use crate::HubShared;
use crate::admit::Admitted;
use crate::apply::frame::authenticated_data;
use crate::state::{GroupState, OpenedHead};
use sordino_crypto::{SenderKey, verify_struct};
use sordino_rules::{Members, ProofContext, is_vouched_for, parse_commit_aad};
use sordino_wire::{
    Authentication, Freshness, GroupId, IdentifierUri, LeafOperation, REQUEST_LABEL, Reject,
    RequestTbs, SignatureKey,
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// One leaf.
    Leaf {
        leaf_index: u32,
        user: IdentifierUri,
    },
    /// A user by its own key and one of its leaves.
    User {
        leaf_index: u32,
        user: IdentifierUri,
    },
    /// A key that is not a leaf yet, or that was added.
    Joiner { signature_key: SignatureKey },
}

impl Who {
    /// The user, where the request shows one that is in the group.
    pub(crate) fn user(&self) -> Option<&IdentifierUri> {
        match self {
            Self::Leaf { user, .. } | Self::User { user, .. } => Some(user),
            Self::Joiner { .. } => None,
        }
    }
}

fn tbs(
    shared: &HubShared,
    admitted: &Admitted,
    group_id: GroupId,
    freshness: &Freshness,
) -> RequestTbs {
    RequestTbs::new(
        shared.config.domain.clone(),
        group_id,
        *freshness,
        admitted.body_hash,
    )
}

/// A member of the epoch, not which. Answers the epoch.
pub(crate) fn epoch_member(
    shared: &HubShared,
    admitted: &Admitted,
    opened: &OpenedHead,
) -> Result<u64, Reject> {
    let Authentication::EpochMember { freshness, mac } = &admitted.auth else {
        return Err(Reject::BadAuthentication);
    };
    let head = &opened.head;
    let mut keys = head.sender_keys_of(freshness.epoch).peekable();
    if keys.peek().is_none() {
        return Err(Reject::WrongEpoch {
            current: head.epoch,
        });
    }
    let content = tbs(shared, admitted, head.group_id, freshness);
    let verified = keys.any(|k| {
        SenderKey::new(k.key.duplicate())
            .verify_mac(&content, mac)
            .is_ok()
    });
    if verified {
        Ok(freshness.epoch)
    } else {
        Err(Reject::BadAuthentication)
    }
}

/// Any of the signing kinds against a group's current members.
pub(crate) fn signer(
    shared: &HubShared,
    admitted: &Admitted,
    state: &GroupState,
) -> Result<Who, Reject> {
    require_epoch(admitted, state.head().epoch)?;
    signer_in(shared, admitted, state.head().group_id, &state.mls.members)
}

/// Any of the signing kinds against given members.
pub(crate) fn signer_in(
    shared: &HubShared,
    admitted: &Admitted,
    group_id: GroupId,
    members: &Members,
) -> Result<Who, Reject> {
    match &admitted.auth {
        Authentication::Leaf {
            freshness,
            leaf_index,
            signature,
        } => {
            let member = members.get(*leaf_index).ok_or(Reject::BadAuthentication)?;
            let content = tbs(shared, admitted, group_id, freshness);
            verify_struct(
                &member.credential.signature_key,
                REQUEST_LABEL,
                &content,
                signature,
            )
            .map_err(|_| Reject::BadAuthentication)?;
            let user = member.credential.user_pseudonym.clone();
            Ok(Who::Leaf {
                leaf_index: *leaf_index,
                user,
            })
        }
        Authentication::PseudonymousUser {
            freshness,
            leaf_index,
            leaf_signature,
            user_signature,
        } => {
            let member = members.get(*leaf_index).ok_or(Reject::BadAuthentication)?;
            let content = tbs(shared, admitted, group_id, freshness);
            let credential = &member.credential;
            verify_struct(
                &credential.signature_key,
                REQUEST_LABEL,
                &content,
                leaf_signature,
            )
            .map_err(|_| Reject::BadAuthentication)?;
            verify_struct(
                &credential.user_auth_key,
                REQUEST_LABEL,
                &content,
                user_signature,
            )
            .map_err(|_| Reject::BadAuthentication)?;
            let user = credential.user_pseudonym.clone();
            Ok(Who::User {
                leaf_index: *leaf_index,
                user,
            })
        }
        Authentication::Joiner {
            freshness,
            signature_key,
            signature,
        } => {
            let content = tbs(shared, admitted, group_id, freshness);
            verify_struct(signature_key, REQUEST_LABEL, &content, signature)
                .map_err(|_| Reject::BadAuthentication)?;
            Ok(Who::Joiner {
                signature_key: signature_key.clone(),
            })
        }
        Authentication::Possession | Authentication::EpochMember { .. } => {
            Err(Reject::BadAuthentication)
        }
    }
}

/// Whether a joiner is the own device of somebody who is in the group: a leaf and its user's key
/// vouch for it. The commit's rules check it again, with all else.
pub(crate) fn is_own_device(
    shared: &HubShared,
    state: &GroupState,
    who: &Who,
    commit: &[u8],
) -> bool {
    let Who::Joiner { signature_key } = who else {
        return false;
    };
    let Some(aad) = authenticated_data(commit).and_then(|d| parse_commit_aad(d.as_slice()).ok())
    else {
        return false;
    };
    let context = ProofContext {
        hub_domain: &shared.config.domain,
        group_id: state.head().group_id,
        generation: state.head().generation,
    };
    aad.proofs.iter().next().is_some_and(|proof| {
        let operation = LeafOperation::ExternalJoin;
        let members = &state.mls.members;
        is_vouched_for(&context, members, operation, proof, signature_key)
    })
}

/// Who signs must be in the current epoch.
pub(crate) fn require_epoch(admitted: &Admitted, current: u64) -> Result<(), Reject> {
    match admitted.auth.freshness() {
        Some(freshness) if freshness.epoch == current => Ok(()),
        Some(_) => Err(Reject::WrongEpoch { current }),
        None => Err(Reject::BadAuthentication),
    }
}

/// A leaf, and nothing else.
pub(crate) fn leaf(
    shared: &HubShared,
    admitted: &Admitted,
    state: &GroupState,
) -> Result<(u32, IdentifierUri), Reject> {
    match signer(shared, admitted, state)? {
        Who::Leaf { leaf_index, user } => Ok((leaf_index, user)),
        Who::User { .. } | Who::Joiner { .. } => Err(Reject::BadAuthentication),
    }
}
