//! What the store holds: snapshots, deltas, what joiners need, and nothing else.

use crate::scene::{add, all_agree, all_known, confirm, group_of, group_with, sync_all};
use crate::support::{Actor, Kind, Plan, World, done, policy, possession_bytes, rejected};
use sordino_crypto::{EarKey, LayerKey, PadClass, Space};
use sordino_effects::{address, open_record, seal_record};
use sordino_hub::{Endpoint, Step};
use sordino_wire::{JoinRule, PolicySummary, Reject, RequestBody, WelcomeInformationRequest};

/// Records of one group that nobody waits for: head, guard, tree, roster, and the group's mark.
const LEAST: usize = 5;

fn duplicate(ear: &EarKey) -> EarKey {
    EarKey::new(ear.secret().duplicate())
}

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

#[test]
fn joiners_come_in_any_order() {
    let (mut world, mut members) = group_of(212, 1);
    let mut first = invite(&mut world, &mut members[0], 2);
    let mut second = invite(&mut world, &mut members[0], 3);
    second.join(&mut world);
    first.join(&mut world);
    members.extend([first, second]);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn where_an_epoch_is_is_forgotten_with_the_key_package() {
    let (mut world, mut members) = group_of(213, 1);
    invite(&mut world, &mut members[0], 2);
    // The delta, the KeyPackage's mark, the inbox, and where the epoch is.
    assert_eq!(world.store.records.len(), LEAST + 4);
    world.pass_days(90);
    assert_eq!(world.store.records.len(), LEAST + 1);
}

#[test]
fn a_former_snapshot_goes_with_the_last_key_package_that_needs_it() {
    // The generation ends while somebody may still ask for it, or when nobody may.
    for (days_before, days_after) in [(70, 20), (90, 0)] {
        let (mut world, mut members) = group_of(214, 1);
        invite(&mut world, &mut members[0], 2);
        for _ in 0..32 {
            members[0].commit(&mut world, &Plan::update());
        }
        world.pass_days(days_before);
        members[0].commit(&mut world, &Plan::moving());
        world.pass_days(days_after);
        // The tombstone, the window's record, and what it keeps: tree, roster, a delta.
        assert_eq!(world.store.records.len(), LEAST + 1 + 1 + 3);
    }
}

#[test]
fn what_nobody_committed_is_no_longer_pending() {
    let open = PolicySummary {
        join: JoinRule::Open,
        ..policy()
    };
    let (mut world, mut members) = group_with(215, 2, &open);
    let (epoch, ear) = (members[0].epoch(), duplicate(members[0].ear()));
    let mut guest = Actor::new(&mut world, 3, 0);
    done(guest.ask_to_join(&mut world, epoch, &ear));
    members[0].sync(&mut world);
    let access = members[0].access();
    let pending = members[0].external_information(&mut world, access).pending;
    assert_eq!(pending.len(), 1);
    let without = Plan {
        without_pending: true,
        ..Plan::update()
    };
    members[0].commit(&mut world, &without);
    let access = members[0].access();
    let pending = members[0].external_information(&mut world, access).pending;
    assert!(pending.is_empty());
}

#[test]
fn who_has_been_away_is_removed_within_a_generation_too() {
    let (mut world, mut members) = group_of(216, 3);
    world.pass_days(65);
    for turn in [1, 0] {
        members[turn].commit(&mut world, &Plan::moving());
        sync_all(&mut world, &mut members[..2]);
    }
    confirm(&mut world, &members[1]);
    for _ in 0..31 {
        members[0].commit(&mut world, &Plan::update());
    }
    world.pass_days(26);
    // The commit that becomes a snapshot.
    members[0].commit(&mut world, &Plan::update());
    assert_eq!(members[0].pending.len(), 1);
    let access = members[0].access();
    let pending = members[0].external_information(&mut world, access).pending;
    assert_eq!(pending.len(), 1);
}

/// Puts another value in the place of a record, sealed as it was.
fn rewrite(
    world: &mut World,
    ear: &EarKey,
    (space, name): (Space, &str),
    key: &LayerKey,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let locator = ear.locator(name).unwrap();
    let address = address(&world.outer, space, &locator.0).unwrap();
    let opened = open_record(&world.outer, &world.store, &address, key);
    let mut value = opened.unwrap().unwrap().value;
    change(&mut value);
    let (outer, rng) = (&world.outer, &mut world.rng);
    let (put, _) = seal_record(outer, &address, key, &value, PadClass::PowerOfTwo, rng).unwrap();
    let row = world.store.records.get_mut(&put.key).unwrap();
    row.value = put.value;
}

#[test]
fn a_head_that_is_not_the_trees_is_a_fault() {
    // Behind format and group id: the epoch. Behind an empty manifest: the hash of the context.
    for at in [25, 104] {
        let (mut world, members) = group_of(217, 1);
        let ear = duplicate(members[0].ear());
        let key = LayerKey::from(&ear.head_key().unwrap());
        let bytes = possession_bytes(RequestBody::InspectMembership(members[0].access()));
        let endpoint = Endpoint::ExternalCommitInformation;
        assert!(matches!(world.step(&bytes, endpoint), Step::Answer(_)));
        rewrite(&mut world, &ear, (Space::Head, "head"), &key, |value| {
            value[at] ^= 1;
        });
        assert!(matches!(world.step(&bytes, endpoint), Step::Failed { .. }));
    }
}

#[test]
fn where_an_epoch_is_said_to_be_must_be_of_that_epoch_and_format() {
    // The format, and behind it and the number of the snapshot, the epoch.
    for at in [1, 17] {
        let (mut world, mut members) = group_of(218, 1);
        let late = invite(&mut world, &mut members[0], 2);
        let ear = duplicate(members[0].ear());
        let key = LayerKey::from(&ear.tree_key().unwrap());
        let body = RequestBody::WelcomeInformation(WelcomeInformationRequest {
            access: members[0].access(),
            epoch: 1,
        });
        let bytes = late.signing(&mut world).bytes(&world, Kind::Joiner, body);
        let endpoint = Endpoint::WelcomeInformation;
        assert!(matches!(world.step(&bytes, endpoint), Step::Answer(_)));
        let record = (Space::Snapshot, "snapshot/1");
        rewrite(&mut world, &ear, record, &key, |value| value[at] ^= 1);
        assert!(matches!(world.step(&bytes, endpoint), Step::Failed { .. }));
    }
}
