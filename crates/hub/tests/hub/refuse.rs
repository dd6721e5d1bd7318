//! Commits that must be refused, and that must change nothing.

use crate::support::{Actor, Plan, World};
use sordino_hub::Endpoint;
use sordino_wire::{CommitRequest, CredentialRule, Reject, RequestBody};

/// A member's commit, changed before it is signed, that must be refused.
#[track_caller]
pub(crate) fn refuse(
    world: &mut World,
    member: &mut Actor,
    plan: &Plan,
    change: impl FnOnce(&mut CommitRequest, &Actor),
) -> Reject {
    let mut request = member.draft(world, plan);
    change(&mut request, member);
    let kind = member.kind_of(plan);
    let signing = member.signing(world);
    let bytes = signing.bytes(world, kind, RequestBody::Commit(Box::new(request)));
    world.refused(&bytes, Endpoint::GroupOperation)
}

#[track_caller]
pub(crate) fn refuse_plan(world: &mut World, member: &mut Actor, plan: &Plan) -> Reject {
    refuse(world, member, plan, |_, _| {})
}

pub(crate) fn credential(rule: CredentialRule) -> Reject {
    Reject::InvalidCredential(rule)
}
