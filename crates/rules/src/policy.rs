//! Owns the policy: reading it, asking it, changing it.
//!
//! Invariant: it changes by full replacement of one component, resolved by one function on both
//! sides, so that hub and members never disagree about the next epoch's context.

use crate::members::Members;
use openmls::component::ComponentData;
use openmls::extensions::Extensions;
use openmls::group::{AppDataDictionaryUpdater, AppDataUpdates, GroupContext};
use openmls::messages::proposals::{AppDataUpdateOperation, AppDataUpdateProposal};
use sordino_wire::limits::{MAX_EPOCH_TOLERANCE, MAX_MEMBERS};
use sordino_wire::{
    Capability, IdentifierUri, JoinRule, POLICY_COMPONENT, POLICY_FORMAT, Permission,
    PolicySummary, Reject, SenderRule,
};
use std::collections::BTreeSet;

/// Reads the policy from a group's context: the one component of its dictionary.
pub fn policy_of(extensions: &Extensions<GroupContext>) -> Result<PolicySummary, Reject> {
    let dictionary = extensions
        .app_data_dictionary()
        .ok_or(Reject::Policy(Capability::Policy))?
        .dictionary();
    let encoded = dictionary
        .get(&POLICY_COMPONENT)
        .ok_or(Reject::Policy(Capability::Policy))?;
    parse_policy(encoded)
}

fn parse_policy(encoded: &[u8]) -> Result<PolicySummary, Reject> {
    let policy: PolicySummary =
        sordino_wire::exact(encoded).map_err(|_| Reject::Policy(Capability::Policy))?;
    if policy.format != POLICY_FORMAT {
        return Err(Reject::Policy(Capability::Policy));
    }
    Ok(policy)
}

/// Whether a member may do a thing. Joining, size and policy sanity are no one's to be allowed.
pub fn allows(policy: &PolicySummary, user: &IdentifierUri, capability: Capability) -> bool {
    let permission = match capability {
        Capability::Add => policy.add,
        Capability::Remove => policy.remove,
        Capability::ChangePolicy => policy.change_policy,
        Capability::Send => policy.send,
        Capability::Destroy => policy.destroy,
        Capability::Join | Capability::Size | Capability::Policy => Permission::Nobody,
    };
    match permission {
        Permission::Nobody => false,
        Permission::Admins => policy.admins.iter().any(|admin| admin == user),
        Permission::Members => true,
    }
}

/// Checks the policy of a new group, or the one that a commit brings, against the members that it
/// will govern.
pub fn check_policy(policy: &PolicySummary, members: &Members) -> Result<(), Reject> {
    let sane = policy.format == POLICY_FORMAT
        && policy.epoch_tolerance <= MAX_EPOCH_TOLERANCE
        && holds_members(policy.max_members, members)
        && policy.invite_code_hash.is_some() == (policy.join == JoinRule::Invite)
        && names_admins(policy, members)
        && senders_can_be_checked(policy);
    if sane {
        Ok(())
    } else {
        Err(Reject::Policy(Capability::Policy))
    }
}

/// Checks a change: a connection group neither comes to be nor ends to be one.
pub fn check_policy_change(
    old: &PolicySummary,
    new: &PolicySummary,
    members: &Members,
) -> Result<(), Reject> {
    if (old.join == JoinRule::Connection) != (new.join == JoinRule::Connection) {
        return Err(Reject::Policy(Capability::Policy));
    }
    check_policy(new, members)
}

fn holds_members(max_members: u32, members: &Members) -> bool {
    usize::try_from(max_members).is_ok_and(|max| members.len() <= max && max <= MAX_MEMBERS)
}

/// No administrator twice, and where administrators decide anything, one of them is here.
fn names_admins(policy: &PolicySummary, members: &Members) -> bool {
    let admins: BTreeSet<&IdentifierUri> = policy.admins.iter().collect();
    let needed = [
        policy.add,
        policy.remove,
        policy.change_policy,
        policy.send,
        policy.destroy,
    ]
    .contains(&Permission::Admins);
    admins.len() == policy.admins.len()
        && (!needed || members.users().iter().any(|user| admins.contains(user)))
}

/// Who may send cannot be restricted where nobody learns who sends.
fn senders_can_be_checked(policy: &PolicySummary) -> bool {
    policy.senders == SenderRule::Leaf || policy.send == Permission::Members
}

/// Resolves the AppDataUpdate proposals of a commit: exactly one, and it replaces the policy. The
/// one function for hub, committer and receivers.
pub fn resolve_app_data<'a>(
    proposals: impl IntoIterator<Item = &'a AppDataUpdateProposal>,
    mut updater: AppDataDictionaryUpdater<'_>,
) -> Result<Option<AppDataUpdates>, Reject> {
    let mut proposals = proposals.into_iter();
    let only = proposals.next().ok_or(Reject::NotAnOperation)?;
    if proposals.next().is_some() {
        return Err(Reject::NotAnOperation);
    }
    let encoded = policy_update(only).ok_or(Reject::NotAnOperation)?;
    parse_policy(encoded)?;
    updater.set(ComponentData::from_parts(
        POLICY_COMPONENT,
        encoded.to_vec().into(),
    ));
    Ok(updater.changes())
}

/// The policy that a proposal brings, if it does no other thing.
pub(crate) fn proposed_policy(
    proposal: &AppDataUpdateProposal,
) -> Result<Option<PolicySummary>, Reject> {
    policy_update(proposal).map(parse_policy).transpose()
}

fn policy_update(proposal: &AppDataUpdateProposal) -> Option<&[u8]> {
    match (proposal.component_id(), proposal.operation()) {
        (POLICY_COMPONENT, AppDataUpdateOperation::Update(encoded)) => Some(encoded.as_slice()),
        _ => None,
    }
}
