//! Owns the judgement of a commit before it is merged: the same for hub and clients.
//!
//! Invariant: [`check_commit`] is pure. What it accepts leaves a tree that keeps every rule of
//! design page 2.2, and it says all that follows from the commit.

use crate::aad::ProofContext;
use crate::classify::{Operation, RequiredAuth, classify};
use crate::commit::{CommitSender, CommitView};
use crate::key_package::check_lifetime;
use crate::leaves::{After, apply};
use crate::members::{Members, check_among};
use crate::proposal::{PendingRef, required};
use crate::rows::check_row;
use sordino_wire::limits::{MAX_ADDS, MAX_PENDING_PROPOSALS};
use sordino_wire::{
    Capability, CommitIntent, Digest, Domain, GenerationStep, GroupId, IdentityRule, JoinRule,
    List, PolicySummary, Reject,
};

/// Users that a connection group holds at most.
const CONNECTION_USERS: usize = 2;

/// A group before a commit.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// Its leaves.
    pub members: &'a Members,
    /// Its policy.
    pub policy: &'a PolicySummary,
    /// Its generation.
    pub generation: u64,
    /// Its hub.
    pub hub_domain: &'a Domain,
    /// Its id.
    pub group_id: GroupId,
    /// The pending proposals of this epoch.
    pub pending: &'a [PendingRef],
    /// The time at which KeyPackages must be valid; none for a client that catches up.
    pub now_s: Option<u64>,
}

impl<'a> Before<'a> {
    /// Where and when a proof for a new leaf is valid.
    pub fn proof_context(&self) -> ProofContext<'a> {
        ProofContext {
            hub_domain: self.hub_domain,
            group_id: self.group_id,
            generation: self.generation,
        }
    }

    /// Whether a pending proposal makes a leaf leave.
    pub(crate) fn is_leaving(&self, leaf: u32) -> bool {
        self.pending
            .iter()
            .any(|pending| pending.leaving() == Some(leaf))
    }
}

/// What follows from an accepted commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The row of the table.
    pub operation: Operation,
    /// The authentication that its request needs.
    pub auth: RequiredAuth,
    /// The committer's leaf, as it is after the commit.
    pub committer: u32,
    /// The leaves that are added, in the order of the Adds.
    pub added: Vec<u32>,
    /// The leaves that leave, ascending; without a replaced one.
    pub removed: Vec<u32>,
    /// The leaf that a resync replaces.
    pub replaced: Option<u32>,
    /// The leaves that get an identity entry, in the order of the entries.
    pub entry_leaves: Vec<u32>,
    /// Whether it starts a generation because somebody leaves.
    pub must_move_generation: bool,
    /// Whether it starts a generation.
    pub moves_generation: bool,
    /// The policy that it brings.
    pub new_policy: Option<PolicySummary>,
    /// The leaves after it.
    pub members: Members,
}

impl Verdict {
    /// Checks how many identity entries came with the commit.
    pub fn check_entries(&self, count: usize) -> Result<(), Reject> {
        if count == self.entry_leaves.len() {
            return Ok(());
        }
        let expected = u32::try_from(self.entry_leaves.len()).unwrap_or(u32::MAX);
        Err(Reject::IdentityEntries { expected })
    }

    /// The leaves whose identity entries go: those that left, and a replaced one.
    pub fn cleared(&self) -> impl Iterator<Item = u32> {
        self.removed.iter().chain(self.replaced.iter()).copied()
    }
}

/// Judges a commit. To be called before it is merged.
pub fn check_commit(
    before: &Before<'_>,
    view: &CommitView,
    intent: CommitIntent,
) -> Result<Verdict, Reject> {
    check_committer(before, view)?;
    check_adds(before, view)?;
    let operation = classify(before, view, intent)?;
    check_pending(before, view)?;
    let after = apply(before, view)?;
    check_row(before, view, operation, &after)?;
    check_among(&after.members)?;
    check_size(before, view, &after)?;
    conclude(before, view, operation, after)
}

/// Somebody who is being removed can only wait; a resync does not undo a removal.
fn check_committer(before: &Before<'_>, view: &CommitView) -> Result<(), Reject> {
    let leaf = match view.sender {
        CommitSender::Member(index) => Some(index),
        CommitSender::NewMember => view.removed_by_value().next(),
    };
    match leaf {
        Some(index) if before.is_leaving(index) => Err(Reject::BeingRemoved),
        Some(index) if before.members.get(index).is_none() => Err(Reject::InvalidCommit),
        _ => Ok(()),
    }
}

fn check_adds(before: &Before<'_>, view: &CommitView) -> Result<(), Reject> {
    if view.adds().count() > MAX_ADDS {
        let limit = u64::try_from(MAX_ADDS).unwrap_or(u64::MAX);
        return Err(Reject::TooLarge { limit });
    }
    match before.now_s {
        Some(now_s) => view
            .adds()
            .try_for_each(|(_, added)| check_lifetime(&added.lifetime, now_s)),
        None => Ok(()),
    }
}

/// A member commits everything that must be committed. External commits cannot.
fn check_pending(before: &Before<'_>, view: &CommitView) -> Result<(), Reject> {
    if view.sender == CommitSender::NewMember {
        return Ok(());
    }
    let committed = |pending: &PendingRef| {
        view.proposals
            .iter()
            .any(|proposal| proposal.reference.as_ref() == Some(&pending.reference))
    };
    let missing: Vec<Digest> = required(before.pending)
        .filter(|pending| !committed(pending))
        .map(|pending| pending.hash)
        .take(MAX_PENDING_PROPOSALS)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let hashes = List::new(missing).map_err(|_| Reject::InvalidCommit)?;
    Err(Reject::MissingProposals { hashes })
}

fn check_size(before: &Before<'_>, view: &CommitView, after: &After) -> Result<(), Reject> {
    // Whoever was in stays in: a size that is over the limit by an older policy may shrink.
    let grows = after.members.len() > before.members.len();
    let policy = view.new_policy().unwrap_or(before.policy);
    let fits = usize::try_from(policy.max_members).is_ok_and(|max| after.members.len() <= max);
    if grows && !fits {
        return Err(Reject::Policy(Capability::Size));
    }
    let connection = before.policy.join == JoinRule::Connection;
    if connection && after.members.users().len() > CONNECTION_USERS {
        return Err(Reject::Policy(Capability::Size));
    }
    Ok(())
}

fn conclude(
    before: &Before<'_>,
    view: &CommitView,
    operation: Operation,
    after: After,
) -> Result<Verdict, Reject> {
    let replaced = match operation {
        Operation::Resync => view.removed_by_value().next(),
        _ => None,
    };
    let removed: Vec<u32> = after
        .removed
        .iter()
        .copied()
        .filter(|index| Some(*index) != replaced)
        .collect();
    let must_move_generation = !removed.is_empty();
    let moves_generation = view.aad.generation_step == GenerationStep::Moves;
    if view.aad.generation != before.generation || (must_move_generation && !moves_generation) {
        return Err(Reject::Generation);
    }
    Ok(Verdict {
        operation,
        auth: operation.auth(),
        committer: after.committer,
        entry_leaves: entry_leaves(before.policy, operation, &after),
        added: after.added,
        removed,
        replaced,
        must_move_generation,
        moves_generation,
        new_policy: view.new_policy().cloned(),
        members: after.members,
    })
}

/// One entry per added leaf, or the committer's own where its credential comes in or is renewed. A
/// joiner by invite or into an open room has no key for it yet: it follows with its first update.
fn entry_leaves(policy: &PolicySummary, operation: Operation, after: &After) -> Vec<u32> {
    if policy.identities == IdentityRule::None {
        return Vec::new();
    }
    match operation {
        Operation::AddUsers
        | Operation::AddOwnClients
        | Operation::RemoveUsers
        | Operation::RemoveOwnClients
        | Operation::ChangePolicy
        | Operation::CommitPending => after.added.clone(),
        Operation::Update
        | Operation::ExternalJoinNewDevice
        | Operation::ExternalJoinConnection
        | Operation::Resync => vec![after.committer],
        Operation::ExternalJoinInvite | Operation::ExternalJoinOpen | Operation::Delete => {
            Vec::new()
        }
    }
}
