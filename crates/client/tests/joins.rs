//! Invite links, open rooms, connections, proposals to join, further devices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, assert_together, drain, names, register, settle, texts};
use sordino_client::{
    ClientError, Clock, Event, GroupSettings, ManualClock, Reject, SystemClock, link_from_text,
    link_to_text,
};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn by_invite_unidentified_then_identified() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let settings = GroupSettings::by_invite();
    let at_alice = alice.create_group(settings).await.unwrap();
    let text = link_to_text(&at_alice.invite_link().await.unwrap()).unwrap();
    let link = link_from_text(&text).unwrap();
    let mut events = bob.events();
    let at_bob = bob.join_by_invite(&link).await.unwrap();
    assert!(drain(&mut events).contains(&Event::Joined { group: at_bob.id() }));
    at_alice.catch_up().await.unwrap();
    assert_eq!(names(&at_alice).await, ["?", "alice"]);
    settle(&[&bob, &alice]).await;
    assert_eq!(names(&at_alice).await, ["alice", "bob"]);
    assert_eq!(names(&at_bob).await, ["alice", "bob"]);
    at_bob.send(b"here I am").await.unwrap();
    settle(&[&alice]).await;
    assert_eq!(texts(&at_alice).await, ["here I am"]);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_voids_links() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    let settings = GroupSettings::by_invite();
    let at_alice = alice.create_group(settings).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let link = at_alice.invite_link().await.unwrap();
    at_alice.remove(&at_bob.own().await.unwrap()).await.unwrap();
    assert!(carol.join_by_invite(&link).await.is_err());
    assert!(carol.groups().is_empty());
    let fresh = at_alice.invite_link().await.unwrap();
    carol.join_by_invite(&fresh).await.unwrap();
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_refused() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let settings = GroupSettings::by_invite();
    let at_alice = alice.create_group(settings).await.unwrap();
    let mut link = at_alice.invite_link().await.unwrap();
    link.code = Some(sordino_wire::Digest([0; 32]));
    assert!(matches!(
        bob.join_by_invite(&link).await,
        Err(ClientError::Refused(Reject::Policy(_)))
    ));
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn into_an_open_room() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let room = GroupSettings::open().without_identities();
    let at_alice = alice.create_group(room).await.unwrap();
    let link = at_alice.invite_link().await.unwrap();
    let at_bob = bob.join_open(&link).await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(names(&at_alice).await, ["?", "?"]);
    at_alice.send(b"nobody knows").await.unwrap();
    settle(&[&bob]).await;
    assert_eq!(texts(&at_bob).await, ["nobody knows"]);

    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_asks_to_be_added() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let room = GroupSettings::open().without_identities();
    let at_alice = alice.create_group(room).await.unwrap();
    let link = at_alice.invite_link().await.unwrap();
    bob.propose_join(&link).await.unwrap();
    let mut events = alice.events();
    at_alice.catch_up().await.unwrap();
    assert!(
        drain(&mut events)
            .iter()
            .any(|event| matches!(event, Event::JoinProposed { .. }))
    );
    // A message does not wait for it.
    at_alice.send(b"before").await.unwrap();
    at_alice.commit_pending().await.unwrap();
    bob.sync_once().await.unwrap();
    let at_bob = bob.group(at_alice.id()).await.unwrap();
    at_alice.send(b"after").await.unwrap();
    settle(&[&bob]).await;
    assert_eq!(texts(&at_bob).await, ["after"]);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

/// A resync without the group's secret breaks the chain of wrapper keys: entries before it stay
/// closed, which is nobody's fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_resync_before_the_secret_came_accuses_nobody() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let clock = Arc::new(ManualClock::new(SystemClock.now_s()));
    let mut config = world.config("bob");
    config.clock = Arc::<ManualClock>::clone(&clock);
    let bob = register(config, "bob").await;
    let settings = GroupSettings::by_invite();
    let at_alice = alice.create_group(settings).await.unwrap();
    let link = at_alice.invite_link().await.unwrap();
    let mut events = bob.events();
    let at_bob = bob.join_by_invite(&link).await.unwrap();
    at_bob.resync().await.unwrap();
    for _ in 0..3 {
        clock.advance(20);
        bob.sync_once().await.unwrap();
    }
    assert_eq!(names(&at_bob).await, ["?", "bob"]);
    let heard = drain(&mut events);
    let accused = |event: &Event| matches!(event, Event::Evidence { .. });
    assert!(!heard.iter().any(accused), "{heard:?}");
    // Whoever renews the own entry is known again.
    alice.sync_once().await.unwrap();
    at_alice.update().await.unwrap();
    bob.sync_once().await.unwrap();
    assert_eq!(names(&at_bob).await, ["alice", "bob"]);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_commits_no_more() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.leave().await.unwrap();
    let refused = at_bob.update().await;
    let being_removed = ClientError::NotAllowed(Reject::BeingRemoved);
    assert_eq!(refused.unwrap_err().to_string(), being_removed.to_string());
    let refused = at_bob.commit_pending().await;
    assert!(matches!(refused, Err(ClientError::NotAllowed(_))));
    // It still may speak, until the others have let it go.
    at_bob.send(b"farewell").await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(texts(&at_alice).await, ["farewell"]);
    assert_eq!(names(&at_alice).await, ["alice"]);
    world.hub.shutdown().await;
}
