//! Create, add, send, remove, update, policy, over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, assert_together, connect, drain, names, settle, texts};
use sordino_client::{ClientError, Event, GroupSettings, GroupStatus, Operation, Permission};

#[tokio::test(flavor = "multi_thread")]
async fn two_users_talk() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(names(&at_alice).await, ["alice"]);
    let mut events = bob.events();
    let at_bob = add(&at_alice, &bob).await;
    assert!(drain(&mut events).contains(&Event::Joined { group: at_bob.id() }));
    assert_eq!(names(&at_bob).await, ["alice", "bob"]);
    assert_eq!(names(&at_alice).await, ["alice", "bob"]);

    at_alice.send(b"hello bob").await.unwrap();
    at_bob.catch_up().await.unwrap();
    at_bob.send(b"hello alice").await.unwrap();
    at_alice.catch_up().await.unwrap();
    at_bob.catch_up().await.unwrap();
    let expected = ["hello bob", "hello alice"];
    assert_eq!(texts(&at_alice).await, expected);
    assert_eq!(texts(&at_bob).await, expected);
    let received = at_bob.messages(0, 1).await.unwrap();
    let sender = received[0].sender.identity.as_ref().unwrap();
    assert_eq!(sender.user, world.uri("alice"));
    assert!(!received[0].own);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_reads_no_more() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let at_carol = add(&at_alice, &carol).await;
    assert_together(&[&at_alice, &at_bob, &at_carol]).await;
    let carol_as_seen = at_carol.own().await.unwrap();

    let mut events = carol.events();
    at_alice.remove(&carol_as_seen).await.unwrap();
    assert_eq!(at_alice.generation().await.unwrap(), 1);
    at_alice.send(b"without carol").await.unwrap();
    settle(&[&alice, &bob, &carol]).await;
    assert_eq!(texts(&at_bob).await, ["without carol"]);
    assert!(texts(&at_carol).await.is_empty());
    assert_eq!(at_carol.status().await.unwrap(), GroupStatus::Removed);
    assert!(drain(&mut events).contains(&Event::Removed {
        group: at_carol.id()
    }));
    assert!(matches!(
        at_carol.send(b"still here?").await,
        Err(ClientError::Inactive(GroupStatus::Removed))
    ));
    assert_eq!(names(&at_bob).await, ["alice", "bob"]);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_rotate_and_generations_move() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.update().await.unwrap();
    at_alice.catch_up().await.unwrap();
    at_alice.update().await.unwrap();
    at_bob.move_generation().await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(at_alice.generation().await.unwrap(), 1);
    assert_eq!(names(&at_alice).await, ["alice", "bob"]);
    assert_eq!(names(&at_bob).await, ["alice", "bob"]);
    at_alice.send(b"after all that").await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(texts(&at_bob).await, ["after all that"]);
    assert_together(&[&at_alice, &at_bob]).await;
    assert!(at_alice.inspect().await.unwrap().agrees);
    // Whoever comes after a move still learns everybody.
    let carol = world.user("carol").await;
    let at_carol = add(&at_alice, &carol).await;
    assert_eq!(names(&at_carol).await, ["alice", "bob", "carol"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.leave().await.unwrap();
    assert_eq!(at_bob.status().await.unwrap(), GroupStatus::Active);
    // Who knows of it removes before speaking.
    at_alice.catch_up().await.unwrap();
    at_alice.send(b"bye").await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(names(&at_alice).await, ["alice"]);
    assert_eq!(at_bob.status().await.unwrap(), GroupStatus::Removed);
    assert!(texts(&at_bob).await.is_empty());

    // And even in silence, somebody removes who left.
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.leave().await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(at_bob.status().await.unwrap(), GroupStatus::Removed);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_is_enforced_before_anything_is_sent() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    let settings = GroupSettings::closed().moderated();
    let at_alice = alice.create_group(settings).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    connect(&bob, &carol).await;
    assert!(matches!(
        at_bob.invite(&world.uri("carol")).await,
        Err(ClientError::NotAllowed(_))
    ));
    let mut policy = at_alice.policy().await.unwrap();
    policy.add = Permission::Members;
    let mut events = bob.events();
    at_alice.change_policy(policy).await.unwrap();
    let at_carol = add(&at_bob, &carol).await;
    assert_together(&[&at_alice, &at_bob, &at_carol]).await;
    let operations: Vec<Operation> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::Committed { operation, .. } => Some(operation),
            _ => None,
        })
        .collect();
    assert_eq!(operations, [Operation::ChangePolicy, Operation::AddUsers]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_commits_at_once() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let mut groups = vec![at_alice.clone()];
    let mut clients = vec![alice];
    for name in ["bob", "carol", "dave"] {
        let client = world.user(name).await;
        groups.push(add(&at_alice, &client).await);
        clients.push(client);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, group) in groups.iter().cloned().enumerate() {
        tasks.spawn(async move {
            group.update().await.unwrap();
            group
                .send(format!("from {number}").as_bytes())
                .await
                .unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for client in &clients {
        client.sync_once().await.unwrap();
    }
    assert_together(&groups.iter().collect::<Vec<_>>()).await;
    let said = texts(&groups[0]).await;
    assert_eq!(said.len(), 4);
    for group in &groups {
        assert_eq!(texts(group).await, said);
    }
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_frozen_or_deleted() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let old = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&old, &bob).await;
    let new = alice.create_group(GroupSettings::closed()).await.unwrap();
    old.reinitialise(&new).await.unwrap();
    at_bob.catch_up().await.unwrap();
    assert_eq!(at_bob.status().await.unwrap(), GroupStatus::Frozen);
    assert_eq!(at_bob.successor().await.unwrap(), Some(new.id()));

    let doomed = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&doomed, &bob).await;
    doomed.delete().await.unwrap();
    at_bob.catch_up().await.unwrap();
    assert!(matches!(
        at_bob.status().await.unwrap(),
        GroupStatus::Removed | GroupStatus::Deleted
    ));
    assert_eq!(doomed.status().await.unwrap(), GroupStatus::Deleted);
    world.hub.shutdown().await;
}
