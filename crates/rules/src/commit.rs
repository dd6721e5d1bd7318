//! Owns the view of a staged commit as plain data.
//!
//! Invariant: every leaf in a view has passed the rules for a leaf by itself, the context differs
//! from the one before by the policy alone, and nothing was left out: what the rules do not know
//! stands here as [`Content::Other`].

use crate::aad::parse_commit_aad;
use crate::credential::LeafView;
use crate::key_package::read_key_package;
use crate::members::Members;
use crate::policy::proposed_policy;
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::extensions::{AppDataDictionaryExtension, Extension, SenderExtensionIndex};
use openmls::framing::Sender;
use openmls::group::{GroupContext, QueuedProposal, StagedCommit};
use openmls::key_packages::Lifetime;
use openmls::messages::proposals::{Proposal, ProposalOrRefType};
use sordino_wire::{CommitAad, POLICY_COMPONENT, PolicySummary, Reject};
use std::collections::BTreeSet;

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitSender {
    /// The member at an index.
    Member(u32),
    /// Somebody who comes in by this commit.
    NewMember,
}

/// Where a proposal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The committer: by value.
    Value,
    /// A member, by reference.
    Member(u32),
    /// The hub, by reference.
    Hub,
    /// Somebody who wants to come in, by reference.
    Joiner,
}

/// A leaf that an Add brings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedLeaf {
    /// The leaf.
    pub leaf: LeafView,
    /// When its KeyPackage is valid.
    pub lifetime: Lifetime,
}

/// What a proposal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Adds a leaf.
    Add(Box<AddedLeaf>),
    /// Removes the leaf at an index.
    Remove(u32),
    /// Removes the leaf of the member it comes from.
    SelfRemove,
    /// Lets the committer in.
    ExternalInit,
    /// Replaces the policy.
    Policy(Box<PolicySummary>),
    /// Anything else. Never allowed.
    Other,
}

/// One proposal of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedProposal {
    /// Where it comes from.
    pub origin: Origin,
    /// Its reference, where it was committed by reference.
    pub reference: Option<ProposalRef>,
    /// What it does.
    pub content: Content,
}

/// A commit before it is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitView {
    /// Who commits.
    pub sender: CommitSender,
    /// Its proposals, in the order of the commit.
    pub proposals: Vec<CommittedProposal>,
    /// The committer's new leaf, where the commit has a path.
    pub path_leaf: Option<LeafView>,
    /// Its authenticated data.
    pub aad: CommitAad,
}

impl CommitView {
    /// Views a staged commit. `sender` and `aad` are those of the processed message, `before` is
    /// the context that the commit starts from.
    pub fn from_staged(
        staged: &StagedCommit,
        sender: &Sender,
        aad: &[u8],
        before: &GroupContext,
    ) -> Result<Self, Reject> {
        let sender = match sender {
            Sender::Member(index) => CommitSender::Member(index.u32()),
            Sender::NewMemberCommit => CommitSender::NewMember,
            Sender::External(_) | Sender::NewMemberProposal => return Err(Reject::NotAnOperation),
        };
        let view = Self {
            sender,
            proposals: staged
                .queued_proposals()
                .map(CommittedProposal::read)
                .collect::<Result<_, _>>()?,
            path_leaf: staged
                .update_path_leaf_node()
                .map(LeafView::checked)
                .transpose()?,
            aad: parse_commit_aad(aad)?,
        };
        view.check_context(before, staged.group_context())?;
        Ok(view)
    }

    /// The leaves it adds, in the order of the commit.
    pub fn adds(&self) -> impl Iterator<Item = (Origin, &AddedLeaf)> {
        self.proposals
            .iter()
            .filter_map(|proposal| match &proposal.content {
                Content::Add(added) => Some((proposal.origin, added.as_ref())),
                _ => None,
            })
    }

    /// The leaves it removes, whoever proposed that, in no order.
    pub fn removed(&self) -> impl Iterator<Item = u32> {
        self.proposals
            .iter()
            .filter_map(|proposal| match (&proposal.content, proposal.origin) {
                (Content::Remove(index), _) => Some(*index),
                (Content::SelfRemove, Origin::Member(index)) => Some(index),
                _ => None,
            })
    }

    /// The leaves that the committer removes by value, in no order.
    pub fn removed_by_value(&self) -> impl Iterator<Item = u32> {
        self.proposals
            .iter()
            .filter_map(|proposal| match (&proposal.content, proposal.origin) {
                (Content::Remove(index), Origin::Value) => Some(*index),
                _ => None,
            })
    }

    /// The policy it brings.
    pub fn new_policy(&self) -> Option<&PolicySummary> {
        self.proposals
            .iter()
            .find_map(|proposal| match &proposal.content {
                Content::Policy(policy) => Some(policy.as_ref()),
                _ => None,
            })
    }

    /// Whether nobody but the committer is left: what a client sees of a deletion.
    pub fn leaves_committer_alone(&self, members: &Members) -> bool {
        let CommitSender::Member(sender) = self.sender else {
            return false;
        };
        let removed: BTreeSet<u32> = self.removed().collect();
        self.adds().next().is_none()
            && members
                .iter()
                .all(|member| member.index == sender || removed.contains(&member.index))
    }

    /// The next context may differ in the epoch's own fields and in the policy, as proposed.
    fn check_context(&self, before: &GroupContext, after: &GroupContext) -> Result<(), Reject> {
        let follows = after.group_id() == before.group_id()
            && after.ciphersuite() == before.ciphersuite()
            && after.protocol_version() == before.protocol_version()
            && before.epoch().as_u64().checked_add(1) == Some(after.epoch().as_u64());
        if !follows {
            return Err(Reject::InvalidCommit);
        }
        let mut expected: Vec<Extension> = before.extensions().iter().cloned().collect();
        if let Some(policy) = self.new_policy() {
            replace_policy(&mut expected, policy)?;
        }
        if after.extensions().iter().eq(expected.iter()) {
            Ok(())
        } else {
            Err(Reject::NotAnOperation)
        }
    }
}

fn replace_policy(extensions: &mut [Extension], policy: &PolicySummary) -> Result<(), Reject> {
    let encoded = sordino_wire::encode(policy).map_err(|_| Reject::Malformed)?;
    for extension in extensions {
        if let Extension::AppDataDictionary(old) = extension {
            let mut dictionary = old.dictionary().clone();
            dictionary.insert(POLICY_COMPONENT, encoded.clone());
            *extension = Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary));
        }
    }
    Ok(())
}

impl CommittedProposal {
    /// Reads a proposal of a commit or one that is about to be stored.
    pub(crate) fn read(queued: &QueuedProposal) -> Result<Self, Reject> {
        let by_value = matches!(queued.proposal_or_ref_type(), ProposalOrRefType::Proposal);
        let origin = match (by_value, queued.sender()) {
            (true, _) => Some(Origin::Value),
            (false, Sender::Member(index)) => Some(Origin::Member(index.u32())),
            (false, Sender::External(index)) if *index == SenderExtensionIndex::new(0) => {
                Some(Origin::Hub)
            }
            (false, Sender::NewMemberProposal) => Some(Origin::Joiner),
            (false, Sender::External(_) | Sender::NewMemberCommit) => None,
        };
        Ok(Self {
            origin: origin.ok_or(Reject::NotAnOperation)?,
            reference: (!by_value).then(|| queued.proposal_reference_ref().clone()),
            content: Content::of(queued.proposal())?,
        })
    }
}

impl Content {
    pub(crate) fn of(proposal: &Proposal) -> Result<Self, Reject> {
        Ok(match proposal {
            Proposal::Add(add) => Self::Add(Box::new(AddedLeaf {
                leaf: read_key_package(add.key_package())?,
                lifetime: *add.key_package().life_time(),
            })),
            Proposal::Remove(remove) => Self::Remove(remove.removed().u32()),
            Proposal::SelfRemove => Self::SelfRemove,
            Proposal::ExternalInit(_) => Self::ExternalInit,
            Proposal::AppDataUpdate(update) => proposed_policy(update)?
                .map_or(Self::Other, |policy| Self::Policy(Box::new(policy))),
            Proposal::Update(_)
            | Proposal::PreSharedKey(_)
            | Proposal::ReInit(_)
            | Proposal::GroupContextExtensions(_)
            | Proposal::AppEphemeral(_)
            | Proposal::Custom(_) => Self::Other,
        })
    }
}
