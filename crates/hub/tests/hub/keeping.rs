//! What the store holds: snapshots, deltas, what joiners need, and nothing else.

use crate::scene::{add, all_agree, all_known, confirm, group_of, sync_all};
use crate::support::{Actor, Plan, World, done, rejected};
use sordino_wire::Reject;

/// Records of one group that nobody waits for: head, guard, tree, roster, and the group's mark.
const LEAST: usize = 5;

/// Adds somebody who joins later.
fn invite(world: &mut World, member: &mut Actor, user: u8) -> Actor {
    let mut late = Actor::new(world, user, 0);
    let entry = late.invitation(world);
    member.commit(world, &Plan::add(vec![entry]));
    late
}

#[test]
fn a_joiner_comes_after_further_commits() {
    let (mut world, mut members) = group_of(201, 2);
    let mut late = invite(&mut world, &mut members[0], 3);
    for turn in 0..6 {
        sync_all(&mut world, &mut members);
        members[turn % 2].commit(&mut world, &Plan::update());
    }
    late.join(&mut world);
    members.push(late);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_joiner_comes_after_the_generation_moved() {
    let (mut world, mut members) = group_of(202, 2);
    let mut late = invite(&mut world, &mut members[0], 3);
    for turn in 0..4 {
        sync_all(&mut world, &mut members);
        members[turn % 2].commit(&mut world, &Plan::moving());
    }
    late.join(&mut world);
    members.push(late);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_joiner_comes_after_forty_commits() {
    let (mut world, mut members) = group_of(203, 2);
    let mut late = invite(&mut world, &mut members[0], 3);
    for turn in 0..40 {
        sync_all(&mut world, &mut members);
        members[turn % 2].commit(&mut world, &Plan::update());
    }
    late.join(&mut world);
    members.push(late);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_joiner_comes_into_an_epoch_with_a_snapshot_of_its_own() {
    let (mut world, mut members) = group_of(204, 2);
    for _ in 0..30 {
        members[0].commit(&mut world, &Plan::update());
    }
    let mut late = invite(&mut world, &mut members[0], 3);
    members[0].commit(&mut world, &Plan::update());
    late.join(&mut world);
    members.push(late);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_joiner_comes_in_with_the_commit_that_moves_the_generation() {
    let (mut world, mut members) = group_of(205, 2);
    let mut late = Actor::new(&mut world, 3, 0);
    let entry = late.invitation(&mut world);
    let plan = Plan {
        moves: Some(true),
        ..Plan::add(vec![entry])
    };
    members[0].commit(&mut world, &plan);
    late.join(&mut world);
    members.push(late);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn one_delta_per_commit_until_the_thirty_second() {
    let (mut world, mut members) = group_of(206, 1);
    assert_eq!(world.store.records.len(), LEAST);
    for commits in 1..70 {
        members[0].commit(&mut world, &Plan::update());
        let deltas = commits % 32;
        assert_eq!(world.store.records.len(), LEAST + deltas, "after {commits}");
    }
    members[0].inspect(&mut world);
}

#[test]
fn a_large_commit_becomes_a_snapshot() {
    let (mut world, mut members) = group_of(207, 1);
    let new: Vec<Actor> = (2..8).map(|user| Actor::new(&mut world, user, 0)).collect();
    add(&mut world, &mut members, new);
    world.pass_days(85);
    members[0].commit(&mut world, &Plan::moving());
    members[1].sync(&mut world);
    confirm(&mut world, &members[1]);
    // And the tombstone.
    assert_eq!(world.store.records.len(), LEAST + 1);
}

#[test]
fn the_store_does_not_grow_with_history() {
    let (mut world, mut members) = group_of(208, 3);
    world.pass_days(85);
    for turn in 0..90 {
        let plan = match turn % 5 {
            0 => Plan::moving(),
            1 => Plan::rotating(),
            _ => Plan::update(),
        };
        members[turn % 3].commit(&mut world, &plan);
        sync_all(&mut world, &mut members);
    }
    confirm(&mut world, &members[0]);
    // 18 generations left a tombstone each; four deltas after the last snapshot.
    assert_eq!(world.store.records.len(), LEAST + 18 + 4);
    world.pass_days(366);
    assert_eq!(world.store.records.len(), LEAST + 4);
}

#[test]
fn what_was_kept_for_joiners_goes_with_their_key_packages() {
    let (mut world, mut members) = group_of(209, 1);
    for user in 2..6 {
        let mut late = invite(&mut world, &mut members[0], user);
        late.join(&mut world);
        members.push(late);
        sync_all(&mut world, &mut members);
    }
    world.pass_days(86);
    members[0].commit(&mut world, &Plan::moving());
    members[1].sync(&mut world);
    confirm(&mut world, &members[1]);
    world.pass_days(7);
    assert_eq!(world.store.records.len(), LEAST + 1);
    let answer = members[1].welcome_information(&mut world, 1);
    assert_eq!(rejected(answer), Reject::UnknownGroup);
}

#[test]
fn a_deleted_group_leaves_its_mark_and_a_tombstone() {
    let (mut world, mut members) = group_of(210, 3);
    world.pass_days(85);
    let others: Vec<u32> = members[1..].iter().map(Actor::leaf).collect();
    let plan = Plan {
        delete: true,
        ..Plan::remove(&others)
    };
    members[0].commit(&mut world, &plan);
    assert_eq!(world.store.records.len(), 2);
}

#[test]
fn rekeys_leave_nothing_behind() {
    let (mut world, mut members) = group_of(211, 4);
    world.pass_days(85);
    let before = sordino_crypto::EarKey::new(members[0].ear().secret().duplicate());
    members[0].commit(&mut world, &Plan::moving());
    for byte in 1..4u8 {
        members[usize::from(byte)].sync(&mut world);
        let secret = sordino_wire::Secret32::new([byte; 32]);
        let ear = sordino_crypto::EarKey::new(secret.duplicate());
        done(members[usize::from(byte)].rekey(&mut world, &before, &ear, &secret));
    }
    confirm(&mut world, &members[1]);
    assert_eq!(world.store.records.len(), LEAST + 1);
    all_agree(&mut world, &mut members);
}
