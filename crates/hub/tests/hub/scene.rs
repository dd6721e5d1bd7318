//! Scenes that many tests begin with, and what must be true at their end.

use crate::support::{Actor, Plan, World, done, policy};
use sordino_crypto::Slot;
use sordino_wire::{LeafOperation, PolicySummary};

/// A group of one-device users 1 to `users`; the first created it and added the others.
pub(crate) fn group_of(seed: u64, users: u8) -> (World, Vec<Actor>) {
    group_with(seed, users, &policy())
}

pub(crate) fn group_with(seed: u64, users: u8, policy: &PolicySummary) -> (World, Vec<Actor>) {
    let mut world = World::new(seed);
    let mut members = vec![Actor::create(&mut world, 1, policy)];
    let others: Vec<Actor> = (2..=users).map(|u| Actor::new(&mut world, u, 0)).collect();
    if !others.is_empty() {
        add(&mut world, &mut members, others);
    }
    (world, members)
}

/// The first member adds devices of new users, and everybody catches up.
pub(crate) fn add(world: &mut World, members: &mut Vec<Actor>, mut new: Vec<Actor>) {
    let entries = new
        .iter_mut()
        .map(|actor| actor.invitation(world))
        .collect();
    members[0].commit(world, &Plan::add(entries));
    for actor in &mut new {
        actor.join(world);
    }
    members.extend(new);
    sync_all(world, members);
}

/// A member adds a further device of its own.
pub(crate) fn add_device(world: &mut World, member: &mut Actor, device: u8) -> Actor {
    let rejoin = match member.slot {
        Slot::Group { rejoin, .. }
        | Slot::KeyPackageSet {
            contact_generation: rejoin,
            ..
        } => rejoin,
    };
    let mut new = Actor::rejoining(world, member.user, device, rejoin);
    let entry = new.invitation(world);
    let proof = member.proof(world, LeafOperation::AddOwnClient, &new.leaf_key().public());
    let plan = Plan {
        adds: vec![entry],
        proofs: vec![proof],
        ..Plan::default()
    };
    member.commit(world, &plan);
    new.join(world);
    new
}

pub(crate) fn sync_all(world: &mut World, members: &mut [Actor]) {
    for member in members {
        member.sync(world);
    }
}

/// All are in one epoch with one secret; each finds everybody's identity; each can send, and the
/// others read it.
#[track_caller]
pub(crate) fn all_agree(world: &mut World, members: &mut [Actor]) {
    sync_all(world, members);
    let epoch = members[0].epoch();
    let authenticator = members[0].mls().epoch_authenticator().as_slice().to_vec();
    let names: Vec<String> = members.iter().map(|m| m.name.clone()).collect();
    for member in members.iter() {
        assert!(member.is_member(), "{} is out", member.name);
        assert_eq!(member.epoch(), epoch, "{} is behind", member.name);
        assert_eq!(member.mls().epoch_authenticator().as_slice(), authenticator);
        assert_eq!(member.mls().members().count(), members.len());
        assert_eq!(member.generation, members[0].generation);
    }
    for index in 0..members.len() {
        let text = format!("hello from {}", names[index]).into_bytes();
        done(members[index].say(world, &text));
        sync_all(world, members);
        let heard = members.iter().filter(|m| m.heard(&text)).count();
        assert_eq!(heard, members.len() - 1);
    }
}

/// Everybody finds everybody's identity.
#[track_caller]
pub(crate) fn all_known(world: &mut World, members: &[Actor]) {
    let mut names: Vec<String> = members.iter().map(|m| m.name.clone()).collect();
    names.sort();
    for member in members.iter().filter(|m| m.now().secret.is_some()) {
        let membership = member.inspect(world);
        let roster = member.check_roster(&membership);
        for other in members {
            assert_eq!(roster[&other.leaf()], other.name);
        }
        let mut found: Vec<String> = roster.into_values().collect();
        found.sort();
        assert_eq!(found, names);
    }
}

/// Somebody else's device confirms the keys.
#[track_caller]
pub(crate) fn confirm(world: &mut World, member: &Actor) {
    done(member.confirm(world));
}
