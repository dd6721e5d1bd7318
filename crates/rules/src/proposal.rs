//! Owns proposals by reference: which may be stored, and which a commit must contain.
//!
//! Invariant: a stored proposal never makes every later commit fail; what somebody else asked for
//! (leaving, being removed) cannot be left out by a member.

use crate::check::Before;
use crate::commit::{AddedLeaf, CommittedProposal, Content, Origin};
use crate::credential::{LeafView, refuse};
use crate::key_package::check_lifetime;
use crate::members::check_among;
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::group::QueuedProposal;
use sordino_wire::limits::MAX_PENDING_PROPOSALS;
use sordino_wire::{Capability, CredentialRule, Digest, JoinRule, Permission, Reject};

/// What a pending proposal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// A new member wants to come in, as this leaf. Optional for committers.
    Add(Box<LeafView>),
    /// The hub removes a leaf.
    Remove {
        /// Which.
        leaf: u32,
    },
    /// A member leaves.
    SelfRemove {
        /// Its leaf.
        leaf: u32,
    },
}

/// A pending proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRef {
    /// SHA-256 of its MLSMessage.
    pub hash: Digest,
    /// How a commit names it.
    pub reference: ProposalRef,
    /// What it asks for.
    pub kind: PendingKind,
}

impl PendingRef {
    /// Of a proposal that is stored already. `hash` is the SHA-256 of its MLSMessage.
    pub fn of(queued: &QueuedProposal, hash: Digest) -> Result<Self, Reject> {
        let proposal = CommittedProposal::read(queued)?;
        Ok(Self {
            hash,
            reference: proposal.reference.clone().ok_or(Reject::InvalidProposal)?,
            kind: kind_of(&proposal)?,
        })
    }

    /// The leaf that it makes leave.
    pub fn leaving(&self) -> Option<u32> {
        match self.kind {
            PendingKind::Add(_) => None,
            PendingKind::Remove { leaf } | PendingKind::SelfRemove { leaf } => Some(leaf),
        }
    }
}

fn kind_of(proposal: &CommittedProposal) -> Result<PendingKind, Reject> {
    match (&proposal.content, proposal.origin) {
        (Content::Add(added), Origin::Joiner) => Ok(PendingKind::Add(Box::new(added.leaf.clone()))),
        (Content::Remove(leaf), Origin::Hub) => Ok(PendingKind::Remove { leaf: *leaf }),
        (Content::SelfRemove, Origin::Member(leaf)) => Ok(PendingKind::SelfRemove { leaf }),
        _ => Err(Reject::NotAnOperation),
    }
}

/// Checks a proposal before it is stored. `before.pending` are those stored already.
pub fn check_proposal(before: &Before<'_>, queued: &QueuedProposal) -> Result<PendingKind, Reject> {
    let proposal = CommittedProposal::read(queued)?;
    let kind = kind_of(&proposal)?;
    if before.pending.len() >= MAX_PENDING_PROPOSALS {
        let limit = u32::try_from(MAX_PENDING_PROPOSALS).unwrap_or(u32::MAX);
        return Err(Reject::LimitReached { limit });
    }
    if let Content::Add(added) = &proposal.content {
        check_request(before, added)?;
    }
    if let PendingKind::Remove { leaf } | PendingKind::SelfRemove { leaf } = kind {
        let leaves = PendingKind::SelfRemove { leaf };
        let again = before
            .pending
            .iter()
            .any(|pending| pending.kind == kind || pending.kind == leaves);
        if before.members.get(leaf).is_none() || again {
            return Err(Reject::InvalidProposal);
        }
    }
    Ok(kind)
}

/// Checks somebody's request to be let in: together with all others it makes a valid tree, so that
/// a commit of everything that is pending does not fail.
fn check_request(before: &Before<'_>, added: &AddedLeaf) -> Result<(), Reject> {
    if let Some(now_s) = before.now_s {
        check_lifetime(&added.lifetime, now_s)?;
    }
    let user = &added.leaf.credential.user_pseudonym;
    if before.members.has_user(user) {
        return Err(refuse(CredentialRule::LeafProof));
    }
    if !admits_requests(before) {
        return Err(Reject::Policy(Capability::Join));
    }
    let pending = before.pending.iter().filter_map(|other| match &other.kind {
        PendingKind::Add(leaf) => Some(leaf.as_ref()),
        _ => None,
    });
    let mut members = before.members.clone();
    let mut index = 0;
    for leaf in pending.chain([&added.leaf]) {
        index = members.free_index(index)?;
        members.put(index, leaf.clone());
    }
    check_among(&members)?;
    let room = usize::try_from(before.policy.max_members).unwrap_or(usize::MAX);
    if members.len() > room {
        return Err(Reject::Policy(Capability::Size));
    }
    Ok(())
}

/// A request to be let in needs somebody who may add, and a room that people can come to.
fn admits_requests(before: &Before<'_>) -> bool {
    before.policy.add != Permission::Nobody
        && matches!(before.policy.join, JoinRule::Invite | JoinRule::Open)
}

/// The pending proposals that a member's commit must contain. Where the hub removes a leaf that
/// leaves by itself, the latter counts alone.
pub(crate) fn required(pending: &[PendingRef]) -> impl Iterator<Item = &PendingRef> {
    pending.iter().filter(|proposal| match proposal.kind {
        PendingKind::Add(_) => false,
        PendingKind::SelfRemove { .. } => true,
        PendingKind::Remove { leaf } => !pending
            .iter()
            .any(|other| other.kind == (PendingKind::SelfRemove { leaf })),
    })
}
