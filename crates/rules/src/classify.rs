//! Owns the closed table *proposal type × operation* of design page 3.2.
//!
//! Invariant: total; whatever the table does not name is [`Reject::NotAnOperation`].

use crate::check::Before;
use crate::commit::{CommitSender, CommitView, CommittedProposal, Content, Origin};
use sordino_wire::{Capability, CommitIntent, IdentifierUri, JoinRule, Reject};

/// What a commit does: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Adds users who are not present.
    AddUsers,
    /// Adds clients of the committer's user.
    AddOwnClients,
    /// Removes users with all their leaves.
    RemoveUsers,
    /// Removes other clients of the committer's user.
    RemoveOwnClients,
    /// Renews the committer's leaf, perhaps with a new signature key.
    Update,
    /// Replaces the policy.
    ChangePolicy,
    /// A new device of a user who is present comes in.
    ExternalJoinNewDevice,
    /// A user comes in with the code of an invite link.
    ExternalJoinInvite,
    /// A user comes into an open room.
    ExternalJoinOpen,
    /// The second user comes into a connection group.
    ExternalJoinConnection,
    /// A client replaces its own leaf.
    Resync,
    /// Commits what others proposed, and nothing else.
    CommitPending,
    /// Removes everybody else, for the group to be dropped.
    Delete,
}

/// Which authentication a commit's request needs (design page 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredAuth {
    /// The committer's leaf.
    Leaf,
    /// The committer's (resync: the replaced) leaf and its user's authentication key.
    PseudonymousUser,
    /// The key of the leaf that comes in.
    Joiner,
}

impl Operation {
    /// All rows.
    pub const ALL: [Self; 13] = [
        Self::AddUsers,
        Self::AddOwnClients,
        Self::RemoveUsers,
        Self::RemoveOwnClients,
        Self::Update,
        Self::ChangePolicy,
        Self::ExternalJoinNewDevice,
        Self::ExternalJoinInvite,
        Self::ExternalJoinOpen,
        Self::ExternalJoinConnection,
        Self::Resync,
        Self::CommitPending,
        Self::Delete,
    ];

    /// The authentication it needs.
    pub fn auth(self) -> RequiredAuth {
        match self {
            Self::AddOwnClients | Self::RemoveOwnClients | Self::Resync => {
                RequiredAuth::PseudonymousUser
            }
            Self::ExternalJoinNewDevice
            | Self::ExternalJoinInvite
            | Self::ExternalJoinOpen
            | Self::ExternalJoinConnection => RequiredAuth::Joiner,
            Self::AddUsers
            | Self::RemoveUsers
            | Self::Update
            | Self::ChangePolicy
            | Self::CommitPending
            | Self::Delete => RequiredAuth::Leaf,
        }
    }

    /// Whether it is an external commit.
    pub fn is_external(self) -> bool {
        matches!(
            self,
            Self::ExternalJoinNewDevice
                | Self::ExternalJoinInvite
                | Self::ExternalJoinOpen
                | Self::ExternalJoinConnection
                | Self::Resync
        )
    }

    /// The row: proposals that it must have and those that it may have.
    pub(crate) fn row(self) -> Row {
        match self {
            Self::AddUsers | Self::AddOwnClients => Row(&[(Kind::Add, MANY)], PENDING),
            Self::RemoveUsers | Self::RemoveOwnClients => Row(&[(Kind::Remove, MANY)], PENDING),
            Self::ChangePolicy => Row(&[(Kind::Policy, ONE)], PENDING),
            Self::Update => Row(&[], &[]),
            Self::CommitPending => Row(&[], PENDING),
            Self::Delete => Row(
                &[],
                &[Kind::Remove, Kind::SelfRemoveRef, Kind::HubRemoveRef],
            ),
            Self::ExternalJoinNewDevice
            | Self::ExternalJoinInvite
            | Self::ExternalJoinOpen
            | Self::ExternalJoinConnection => {
                Row(&[(Kind::ExternalInit, ONE)], &[Kind::SelfRemoveRef])
            }
            Self::Resync => Row(
                &[(Kind::ExternalInit, ONE), (Kind::Remove, ONE)],
                &[Kind::SelfRemoveRef],
            ),
        }
    }
}

/// One row of the table: what must be there (and how often at most), and what may be.
pub(crate) struct Row(&'static [(Kind, usize)], &'static [Kind]);

const ONE: usize = 1;
const MANY: usize = usize::MAX;
const PENDING: &[Kind] = &[Kind::SelfRemoveRef, Kind::HubRemoveRef, Kind::JoinerAddRef];

/// A proposal's type together with where it comes from: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By value.
    Add,
    /// By value.
    Remove,
    /// By value.
    ExternalInit,
    /// By value.
    Policy,
    /// By reference, from the member that leaves.
    SelfRemoveRef,
    /// By reference, from the hub.
    HubRemoveRef,
    /// By reference, from the joiner.
    JoinerAddRef,
    /// Everything else.
    Foreign,
}

impl Kind {
    pub(crate) fn of(proposal: &CommittedProposal) -> Self {
        match (&proposal.content, proposal.origin) {
            (Content::Add(_), Origin::Value) => Self::Add,
            (Content::Remove(_), Origin::Value) => Self::Remove,
            (Content::ExternalInit, Origin::Value) => Self::ExternalInit,
            (Content::Policy(_), Origin::Value) => Self::Policy,
            (Content::SelfRemove, Origin::Member(_)) => Self::SelfRemoveRef,
            (Content::Remove(_), Origin::Hub) => Self::HubRemoveRef,
            (Content::Add(_), Origin::Joiner) => Self::JoinerAddRef,
            _ => Self::Foreign,
        }
    }
}

impl Row {
    pub(crate) fn fits(&self, kinds: &[Kind]) -> bool {
        let Self(required, optional) = self;
        let count = |wanted: Kind| kinds.iter().filter(|kind| **kind == wanted).count();
        required
            .iter()
            .all(|(kind, most)| (1..=*most).contains(&count(*kind)))
            && kinds.iter().all(|kind| {
                optional.contains(kind) || required.iter().any(|(named, _)| named == kind)
            })
    }
}

/// Names the row of the table that a commit is, or refuses it.
pub fn classify(
    before: &Before<'_>,
    view: &CommitView,
    intent: CommitIntent,
) -> Result<Operation, Reject> {
    let kinds: Vec<Kind> = view.proposals.iter().map(Kind::of).collect();
    if kinds.contains(&Kind::Foreign) {
        return Err(Reject::NotAnOperation);
    }
    let operation = match (view.sender, intent) {
        (CommitSender::Member(_), CommitIntent::Delete) => Operation::Delete,
        (CommitSender::Member(index), CommitIntent::Apply) => {
            let own = &before.members.get(index).ok_or(Reject::InvalidCommit)?;
            by_member(before, view, &kinds, &own.credential.user_pseudonym)?
        }
        (CommitSender::NewMember, CommitIntent::Apply) => by_new_member(before, view, &kinds)?,
        (CommitSender::NewMember, CommitIntent::Delete) => return Err(Reject::NotAnOperation),
    };
    let has_path = view.path_leaf.is_some();
    let needs_path = operation.is_external() || operation == Operation::Update;
    if operation.row().fits(&kinds) && (has_path || !needs_path) {
        Ok(operation)
    } else {
        Err(Reject::NotAnOperation)
    }
}

fn by_member(
    before: &Before<'_>,
    view: &CommitView,
    kinds: &[Kind],
    own: &IdentifierUri,
) -> Result<Operation, Reject> {
    if kinds.is_empty() {
        return Ok(Operation::Update);
    }
    if kinds.contains(&Kind::Policy) {
        return Ok(Operation::ChangePolicy);
    }
    if kinds.contains(&Kind::Add) {
        let mut users = view
            .adds()
            .filter(|(origin, _)| *origin == Origin::Value)
            .map(|(_, added)| &added.leaf.credential.user_pseudonym);
        return own_or_others(
            &mut users,
            own,
            Operation::AddOwnClients,
            Operation::AddUsers,
        );
    }
    if kinds.contains(&Kind::Remove) {
        let targets: Vec<&IdentifierUri> = view
            .removed_by_value()
            .map(|index| before.members.get(index).ok_or(Reject::InvalidCommit))
            .map(|member| member.map(|member| &member.credential.user_pseudonym))
            .collect::<Result<_, _>>()?;
        return own_or_others(
            &mut targets.into_iter(),
            own,
            Operation::RemoveOwnClients,
            Operation::RemoveUsers,
        );
    }
    Ok(Operation::CommitPending)
}

/// A commit concerns the committer's own user or others, never both.
fn own_or_others(
    users: &mut dyn Iterator<Item = &IdentifierUri>,
    own: &IdentifierUri,
    if_own: Operation,
    if_others: Operation,
) -> Result<Operation, Reject> {
    let (mine, others): (Vec<_>, Vec<_>) = users.partition(|user| *user == own);
    match (mine.is_empty(), others.is_empty()) {
        (false, true) => Ok(if_own),
        (true, false) => Ok(if_others),
        _ => Err(Reject::NotAnOperation),
    }
}

fn by_new_member(
    before: &Before<'_>,
    view: &CommitView,
    kinds: &[Kind],
) -> Result<Operation, Reject> {
    if kinds.contains(&Kind::Remove) {
        return Ok(Operation::Resync);
    }
    let leaf = view.path_leaf.as_ref().ok_or(Reject::NotAnOperation)?;
    if before.members.has_user(&leaf.credential.user_pseudonym) {
        return Ok(Operation::ExternalJoinNewDevice);
    }
    let operation = match before.policy.join {
        JoinRule::Invite => Operation::ExternalJoinInvite,
        JoinRule::Open => Operation::ExternalJoinOpen,
        JoinRule::Connection => Operation::ExternalJoinConnection,
        JoinRule::Closed => {
            // Which of the joins it would have been does not matter; their rows are equal.
            return if Operation::ExternalJoinOpen.row().fits(kinds) {
                Err(Reject::Policy(Capability::Join))
            } else {
                Err(Reject::NotAnOperation)
            };
        }
    };
    Ok(operation)
}
