//! Crashes, lost state, gaps, and commits that cheat.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, assert_together, drain, names, settle, texts};
use sordino_client::raw::HookContext;
use sordino_client::{Client, Event, Evidence, Group, GroupSettings, GroupStatus, Recovery};
use sordino_crypto::{EarKey, SenderKey, keys_hash};
use sordino_wire::{HandshakeBytes, KeyCheckTbs, RequestBody, Secret32};
use std::sync::Arc;

async fn trio(world: &World) -> (Vec<Client>, Vec<Group>) {
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let at_carol = add(&at_alice, &carol).await;
    assert_together(&[&at_alice, &at_bob, &at_carol]).await;
    (vec![alice, bob, carol], vec![at_alice, at_bob, at_carol])
}

async fn rounds(clients: &[Client], count: usize) {
    for _ in 0..count {
        for client in clients {
            // A client in trouble may fail for a round.
            let _ = client.sync_once().await;
        }
    }
}

fn recovered(events: &[Event]) -> Vec<Recovery> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Recovered { how, .. } => Some(*how),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_vault_goes_on() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    groups[0].send(b"one").await.unwrap();
    let id = groups[1].id();
    let mut clients = clients.into_iter();
    let (alice, bob, carol) = (
        clients.next().unwrap(),
        clients.next().unwrap(),
        clients.next().unwrap(),
    );
    let mut groups = groups.into_iter();
    let at_alice = groups.next().unwrap();
    drop(groups);
    drop(bob);
    let bob = world.reopen("bob").await;
    let at_bob = bob.group(id).await.unwrap();
    settle(&[&bob, &carol, &alice]).await;
    at_bob.send(b"two").await.unwrap();
    settle(&[&alice]).await;
    assert_eq!(texts(&at_alice).await, ["one", "two"]);
    assert_eq!(texts(&at_bob).await, ["one"]);
    at_bob.catch_up().await.unwrap();
    assert_eq!(texts(&at_bob).await, ["one", "two"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_mls_state_is_resynced_and_the_key_rotated() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    groups[1].update().await.unwrap();
    let before = groups[1].own().await.unwrap();
    let mut events = clients[1].events();
    groups[1].lose_mls_state().await.unwrap();
    assert_eq!(groups[1].status().await.unwrap(), GroupStatus::Recovering);
    rounds(&clients, 3).await;
    assert_eq!(groups[1].status().await.unwrap(), GroupStatus::Active);
    assert_eq!(recovered(&drain(&mut events)), [Recovery::Resynced]);
    assert_eq!(groups[1].own().await.unwrap(), before);
    assert!(!groups[1].is_busy().await.unwrap());
    groups[1].send(b"back again").await.unwrap();
    rounds(&clients, 1).await;
    assert_eq!(texts(&groups[0]).await, ["back again"]);
    assert_eq!(names(&groups[2]).await, ["alice", "bob", "carol"]);
    assert_together(&groups.iter().collect::<Vec<_>>()).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_on_request() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    groups[2].resync().await.unwrap();
    rounds(&clients, 2).await;
    assert_eq!(groups[2].status().await.unwrap(), GroupStatus::Active);
    assert_together(&groups.iter().collect::<Vec<_>>()).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_the_generation_asks_for_the_key() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    // Carol loses her state, then the generation moves without her.
    groups[2].lose_mls_state().await.unwrap();
    groups[0].move_generation().await.unwrap();
    rounds(&clients[..2], 2).await;
    let mut events = clients[2].events();
    rounds(&clients, 2).await;
    // Somebody's next request that opens the state delivers the question.
    groups[1].update().await.unwrap();
    rounds(&clients, 4).await;
    assert_eq!(groups[2].status().await.unwrap(), GroupStatus::Active);
    let ways = recovered(&drain(&mut events));
    assert_eq!(
        ways,
        [
            Recovery::KeyRequested,
            Recovery::KeyReceived,
            Recovery::Resynced
        ]
    );
    assert_eq!(names(&groups[2]).await, ["alice", "bob", "carol"]);
    assert_together(&groups.iter().collect::<Vec<_>>()).await;
    world.hub.shutdown().await;
}

/// A committer that gives the hub other keys and signs for them.
fn wrong_keys(body: &mut RequestBody, context: &HookContext<'_>) {
    let RequestBody::Commit(request) = body else {
        return;
    };
    request.next.sender_key = Secret32::new([66; 32]);
    if let Some(generation) = &mut request.next.generation {
        generation.ear_key = Secret32::new([67; 32]);
    }
    let ear_key = match &request.next.generation {
        Some(generation) => generation.ear_key.duplicate(),
        None => request.access.ear_key.duplicate(),
    };
    let check = &mut request.key_check;
    check.keys_hash = keys_hash(
        context.group_id,
        check.epoch,
        &EarKey::new(ear_key),
        &SenderKey::new(Secret32::new([66; 32])),
    )
    .unwrap();
    let tbs = KeyCheckTbs {
        group_id: context.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    check.signature = context
        .leaf_key
        .unwrap()
        .sign_struct("KeyCheck", &tbs)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sender_key_is_evidence_and_rekeyed() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    let mut events = clients[1].events();
    clients[0].set_request_hook(Some(Arc::new(wrong_keys)));
    let _ = groups[0].update().await;
    clients[0].set_request_hook(None);
    rounds(&clients[1..], 3).await;
    let seen = drain(&mut events);
    assert!(seen.iter().any(|event| matches!(
        event,
        Event::Evidence {
            evidence: Evidence::WrongKeys { .. },
            ..
        }
    )));
    assert!(recovered(&seen).contains(&Recovery::Rekeyed));
    groups[1].send(b"we go on").await.unwrap();
    rounds(&clients, 1).await;
    assert_eq!(texts(&groups[2]).await, ["we go on"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_generation_key_is_evidence_and_rekeyed() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    let mut events = clients[1].events();
    clients[0].set_request_hook(Some(Arc::new(wrong_keys)));
    let _ = groups[0].move_generation().await;
    clients[0].set_request_hook(None);
    rounds(&clients[1..], 3).await;
    let seen = drain(&mut events);
    assert!(recovered(&seen).contains(&Recovery::Rekeyed), "{seen:?}");
    groups[1].update().await.unwrap();
    groups[1].send(b"we go on").await.unwrap();
    rounds(&clients[1..], 2).await;
    assert_eq!(texts(&groups[2]).await, ["we go on"]);
    assert_together(&[&groups[1], &groups[2]]).await;
    world.hub.shutdown().await;
}

/// A committer whose commit carries a confirmation tag that nobody can verify.
fn broken_commit(body: &mut RequestBody, context: &HookContext<'_>) {
    let RequestBody::Commit(request) = body else {
        return;
    };
    let mut commit = request.commit.as_slice().to_vec();
    // The membership tag of a PublicMessage is its last 32 bytes and their length: breaking it
    // is invisible to the hub and fatal to members.
    let last = commit.len() - 1;
    commit[last] ^= 1;
    let check = &mut request.key_check;
    check.commit_hash = sordino_crypto::sha256(&commit);
    request.commit = HandshakeBytes::new(commit).unwrap();
    let tbs = KeyCheckTbs {
        group_id: context.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    check.signature = context
        .leaf_key
        .unwrap()
        .sign_struct("KeyCheck", &tbs)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unprocessable_commit_is_reported_and_resynced() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    let mut events = clients[1].events();
    clients[0].set_request_hook(Some(Arc::new(broken_commit)));
    let _ = groups[0].update().await;
    clients[0].set_request_hook(None);
    rounds(&clients[1..], 4).await;
    let seen = drain(&mut events);
    assert!(seen.iter().any(|event| matches!(
        event,
        Event::Evidence {
            evidence: Evidence::Unprocessable { .. },
            ..
        }
    )));
    assert!(recovered(&seen).contains(&Recovery::Resynced), "{seen:?}");
    groups[1].send(b"we go on").await.unwrap();
    rounds(&clients[1..], 2).await;
    assert_eq!(texts(&groups[2]).await, ["we go on"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unprocessable_commit_that_moves_the_generation() {
    let world = World::start().await;
    let (clients, groups) = trio(&world).await;
    let mut events = clients[1].events();
    clients[0].set_request_hook(Some(Arc::new(broken_commit)));
    let _ = groups[0].move_generation().await;
    clients[0].set_request_hook(None);
    rounds(&clients[1..], 8).await;
    let seen = drain(&mut events);
    let ways = recovered(&seen);
    assert!(ways.contains(&Recovery::RandomRekey), "{seen:?}");
    assert!(ways.contains(&Recovery::Resynced), "{seen:?}");
    rounds(&clients[1..], 8).await;
    groups[1].send(b"we go on").await.unwrap();
    rounds(&clients[1..], 4).await;
    assert_eq!(texts(&groups[2]).await, ["we go on"]);
    world.hub.shutdown().await;
}
