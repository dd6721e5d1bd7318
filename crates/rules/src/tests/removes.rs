//! Removing users, removing own clients, deleting.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::prelude::LeafNodeIndex;
use sordino_wire::{Capability, CommitAad, CommitIntent, List, Permission, PolicySummary, Reject};

fn removing(
    world: &mut World,
    device: usize,
    aad: CommitAad,
    leaves: &[u32],
) -> Result<Verdict, Reject> {
    removing_for(world, device, aad, leaves, CommitIntent::Apply)
}

fn removing_for(
    world: &mut World,
    device: usize,
    aad: CommitAad,
    leaves: &[u32],
    intent: CommitIntent,
) -> Result<Verdict, Reject> {
    let leaves: Vec<_> = leaves.iter().copied().map(LeafNodeIndex::new).collect();
    let bundle = world.commit(device, aad, |builder| builder.propose_removals(leaves));
    world.judge_for(bundle.commit(), intent)
}

fn group() -> World {
    World::with(&open_policy(), &[(0, 1), (1, 0), (1, 1), (2, 0)])
}

#[test]
fn a_user_is_removed_with_all_leaves() {
    let mut world = group();
    let leaves = [3, 2].map(LeafNodeIndex::new);
    let bundle = world.commit(0, moves(), |builder| builder.propose_removals(leaves));
    let verdict = world.accept(0, bundle.commit());
    assert_eq!(verdict.operation, Operation::RemoveUsers);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.removed, [2, 3]);
    assert_eq!(verdict.cleared().collect::<Vec<_>>(), [2, 3]);
    assert!(verdict.must_move_generation && verdict.moves_generation);
    assert!(verdict.entry_leaves.is_empty() && verdict.replaced.is_none());
    assert_eq!(verdict.members.len(), 3);
    // Freed leaves are filled again, from the left.
    let who = [Device::new(3, 0), Device::new(4, 0), Device::new(5, 0)];
    let packages: Vec<_> = who.iter().map(Device::key_package).collect();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds(packages));
    assert_eq!(world.accept(0, bundle.commit()).added, [2, 3, 5]);
}

#[test]
fn a_user_is_not_removed_in_part() {
    let mut world = group();
    assert_eq!(
        removing(&mut world, 0, moves(), &[2]),
        Err(Reject::NotAnOperation)
    );
    assert_eq!(
        removing(&mut world, 0, moves(), &[2, 4]),
        Err(Reject::NotAnOperation)
    );
}

#[test]
fn what_others_proposed_counts_towards_the_whole_user() {
    let mut world = group();
    world.hub_removes(2);
    let verdict = removing(&mut world, 0, moves(), &[3]).unwrap();
    assert_eq!(verdict.operation, Operation::RemoveUsers);
    assert_eq!(verdict.removed, [2, 3]);
}

#[test]
fn own_and_other_users_are_never_mixed() {
    let mut world = group();
    assert_eq!(
        removing(&mut world, 0, moves(), &[1, 4]),
        Err(Reject::NotAnOperation)
    );
}

#[test]
fn a_removal_moves_the_generation() {
    let mut world = group();
    assert_eq!(
        removing(&mut world, 0, stays(), &[4]),
        Err(Reject::Generation)
    );
    assert_eq!(
        removing(&mut world, 0, stays(), &[1]),
        Err(Reject::Generation)
    );
}

#[test]
fn removing_needs_the_permission() {
    let policy = PolicySummary {
        remove: Permission::Admins,
        admins: List::new(vec![Device::new(0, 0).user().clone()]).unwrap(),
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0), (2, 0)]);
    removing(&mut world, 0, moves(), &[2]).unwrap();
    assert_eq!(
        removing(&mut world, 1, moves(), &[2]),
        Err(Reject::Policy(Capability::Remove))
    );
}

#[test]
fn own_clients_are_removed_under_any_policy() {
    let policy = PolicySummary {
        remove: Permission::Nobody,
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0), (1, 1), (1, 2)]);
    let verdict = removing(&mut world, 1, moves(), &[2]).unwrap();
    assert_eq!(verdict.operation, Operation::RemoveOwnClients);
    assert_eq!(verdict.auth, RequiredAuth::PseudonymousUser);
    assert_eq!(verdict.removed, [2]);
    assert_eq!(
        removing(&mut world, 1, moves(), &[2, 3]).unwrap().removed,
        [2, 3]
    );
}

#[test]
fn a_leaf_that_is_not_there_is_not_removed() {
    let mut world = group();
    let bundle = world.commit(0, moves(), |builder| {
        builder.propose_removals([LeafNodeIndex::new(4)])
    });
    let mut view = world.stage(bundle.commit()).unwrap().1;
    view.proposals[0].content = Content::Remove(9);
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(Reject::InvalidCommit)
    );
    view.proposals[0].content = Content::Remove(0);
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(Reject::InvalidCommit)
    );
    view.proposals[0].content = Content::Remove(4);
    view.proposals.push(view.proposals[0].clone());
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(Reject::InvalidCommit)
    );
}

#[test]
fn a_group_is_deleted_by_removing_everybody_else() {
    let mut world = group();
    let everybody = [1, 2, 3, 4];
    let delete = CommitIntent::Delete;
    let verdict = removing_for(&mut world, 0, moves(), &everybody, delete).unwrap();
    assert_eq!(verdict.operation, Operation::Delete);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.members.len(), 1);
    assert!(verdict.entry_leaves.is_empty());
    // Without the intent it mixes own and other users.
    assert_eq!(
        removing(&mut world, 0, moves(), &everybody),
        Err(Reject::NotAnOperation)
    );
    for some in [&[1, 2, 3][..], &[]] {
        let aad = if some.is_empty() { stays() } else { moves() };
        assert_eq!(
            removing_for(&mut world, 0, aad, some, delete),
            Err(Reject::NotAnOperation)
        );
    }
}

#[test]
fn members_see_a_deletion_without_being_told() {
    let mut world = group();
    let leaves = [1, 2, 3, 4].map(LeafNodeIndex::new);
    let bundle = world.commit(0, moves(), |builder| builder.propose_removals(leaves));
    let members = world.members();
    let view = world.stage(bundle.commit()).unwrap().1;
    assert!(view.leaves_committer_alone(&members));
    let bundle = world.commit(0, moves(), |builder| {
        builder.propose_removals([LeafNodeIndex::new(4)])
    });
    let view = world.stage(bundle.commit()).unwrap().1;
    assert!(!view.leaves_committer_alone(&members));
}

#[test]
fn deleting_needs_the_permission_and_adds_nobody() {
    let policy = PolicySummary {
        destroy: Permission::Nobody,
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0)]);
    let delete = CommitIntent::Delete;
    assert_eq!(
        removing_for(&mut world, 0, moves(), &[1], delete),
        Err(Reject::Policy(Capability::Destroy))
    );
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let package = Device::new(2, 0).key_package();
    let bundle = world.commit(0, moves(), |builder| {
        builder
            .propose_adds([package])
            .propose_removals([LeafNodeIndex::new(1)])
    });
    assert_eq!(
        world.judge_for(bundle.commit(), delete),
        Err(Reject::NotAnOperation)
    );
}

#[test]
fn a_lonely_member_deletes_by_an_empty_commit() {
    let mut world = World::new(&open_policy());
    let bundle = world.commit(0, stays(), |builder| builder.force_self_update(true));
    let verdict = world
        .judge_for(bundle.commit(), CommitIntent::Delete)
        .unwrap();
    assert_eq!(verdict.operation, Operation::Delete);
}

#[test]
fn adds_and_removes_are_not_one_operation() {
    let mut world = group();
    let package = Device::new(3, 0).key_package();
    let bundle = world.commit(0, moves(), |builder| {
        builder
            .propose_adds([package])
            .propose_removals([LeafNodeIndex::new(4)])
    });
    assert_eq!(world.judge(bundle.commit()), Err(Reject::NotAnOperation));
}
