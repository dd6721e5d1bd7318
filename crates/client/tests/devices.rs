//! The devices of one user: linking, what they share, losing one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{World, add, assert_together, connect, link, names, settle, state, texts};
use sordino_client::{
    ClientError, ContactState, Event, GroupSettings, GroupStatus, Invited, Linking,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_knows_what_the_others_know_and_joins_by_itself() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let at_bob = bob.create_group(GroupSettings::closed()).await.unwrap();
    let at_alice = add(&at_bob, &alice).await;
    let alice2 = link(&world, &alice, "alice2").await;
    assert_eq!(alice.devices().await.unwrap().len(), 2);
    settle(&[&alice, &alice2, &bob, &alice, &alice2]).await;

    // It has the contact, the room and the conversation, and everybody knows whose it is.
    assert_eq!(state(&alice2, &bob).await, Some(ContactState::Connected));
    let at_alice2 = alice2.group(at_alice.id()).await.unwrap();
    at_alice2.send(b"from my other device").await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(texts(&at_bob).await, ["from my other device"]);
    assert_eq!(names(&at_bob).await, ["alice", "alice", "bob"]);
    assert_together(&[&at_alice, &at_alice2, &at_bob]).await;
    // The devices' own group is nobody's room.
    assert_eq!(alice.groups().len(), 1);
    assert_eq!(alice2.groups().len(), 1);

    // Whom it meets, the first one knows; and sets are of both devices.
    let carol = world.user("carol").await;
    connect(&alice2, &carol).await;
    settle(&[&alice2, &alice, &carol, &alice2, &alice]).await;
    assert_eq!(state(&alice, &carol).await, Some(ContactState::Connected));
    let at_carol = carol.create_group(GroupSettings::closed()).await.unwrap();
    let user = alice.credential().user;
    assert_eq!(at_carol.invite(&user).await.unwrap(), Invited::Added);
    settle(&[&alice, &alice2, &carol]).await;
    assert_eq!(names(&at_carol).await, ["alice", "alice", "carol"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_wrong_link_nobody() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let linking = Linking::start(world.config("alice2")).await.unwrap();
    let code = linking.code().to_owned();
    let wrong = code.replacen(code.chars().next().unwrap(), "q", 1);
    for text in [wrong.as_str(), &code[..code.len() - 3], "", "hello"] {
        let refused = alice.link_device(text).await;
        assert!(matches!(refused, Err(ClientError::BadLinkCode)));
    }
    // Shown again after an interruption, it is the same one.
    drop(linking);
    let linking = Linking::start(world.config("alice2")).await.unwrap();
    assert_eq!(linking.code(), code);
    let (linked, new) = tokio::join!(alice.link_device(&code), linking.finish());
    linked.unwrap();
    let new = new.unwrap();
    assert_eq!(new.credential().user, alice.credential().user);
    assert_eq!(alice.devices().await.unwrap().len(), 2);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_gets_nothing_new() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let at_bob = bob.create_group(GroupSettings::closed()).await.unwrap();
    let at_alice = add(&at_bob, &alice).await;
    let lost = link(&world, &alice, "alice2").await;
    let third = link(&world, &alice, "alice3").await;
    settle(&[&alice, &lost, &third, &bob, &alice, &lost, &third]).await;
    assert_eq!(names(&at_bob).await, ["alice", "alice", "alice", "bob"]);
    let fingerprint = alice.fingerprint().unwrap();
    let mut events = lost.events();

    alice
        .remove_device(&lost.credential().client)
        .await
        .unwrap();
    settle(&[&alice, &bob, &third, &alice, &bob, &third]).await;
    assert_eq!(names(&at_bob).await, ["alice", "alice", "bob"]);
    assert_eq!(alice.devices().await.unwrap().len(), 2);
    // The account has another key, which the contact has taken over, and the sibling uses.
    assert_ne!(alice.fingerprint().unwrap(), fingerprint);
    assert_eq!(third.fingerprint().unwrap(), alice.fingerprint().unwrap());
    let contact = bob.contact(&alice.credential().user).await.unwrap();
    assert_eq!(contact.fingerprint, alice.fingerprint().unwrap());
    assert_eq!(contact.state, ContactState::Connected);

    // The lost one is told, and is shut out everywhere.
    let _ = lost.sync_once().await;
    let _ = lost.sync_once().await;
    assert!(std::iter::from_fn(|| events.try_next()).any(|e| e == Event::DeviceRemoved));
    let at_lost = lost.group(at_alice.id()).await.unwrap();
    assert_eq!(at_lost.status().await.unwrap(), GroupStatus::Removed);
    assert!(matches!(
        lost.account().await,
        Err(ClientError::AccountRefused(_))
    ));
    at_alice.send(b"among ourselves").await.unwrap();
    settle(&[&bob, &third]).await;
    assert_eq!(texts(&at_bob).await, ["among ourselves"]);

    // The new pool is of the devices that stay.
    let room = bob.create_group(GroupSettings::closed()).await.unwrap();
    settle(&[&alice, &third, &bob, &alice, &third, &bob]).await;
    let user = alice.credential().user;
    assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
    settle(&[&alice, &third, &bob]).await;
    assert_eq!(names(&room).await, ["alice", "alice", "bob"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_removal_rooms_move_to_slots_that_the_lost_device_cannot_derive() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let at_bob = bob.create_group(GroupSettings::by_invite()).await.unwrap();
    let closed = bob.create_group(GroupSettings::closed()).await.unwrap();
    let at_alice = add(&at_bob, &alice).await;
    let closed_at_alice = add(&closed, &alice).await;
    // Whoever holds the code can come in again; the others stay where they are.
    at_alice.open_invites().await.unwrap();
    let lost = link(&world, &alice, "alice2").await;
    let third = link(&world, &alice, "alice3").await;
    settle(&[&alice, &lost, &third, &bob, &alice, &lost, &third]).await;
    let before = at_alice.own().await.unwrap().user_pseudonym;
    let closed_before = closed_at_alice.own().await.unwrap().user_pseudonym;
    at_alice.send(b"before the loss").await.unwrap();
    settle(&[&bob, &third]).await;

    alice
        .remove_device(&lost.credential().client)
        .await
        .unwrap();
    for _ in 0..4 {
        settle(&[&alice, &bob, &third]).await;
    }
    let after = at_alice.own().await.unwrap().user_pseudonym;
    assert_ne!(after, before);
    let at_third = third.group(at_alice.id()).await.unwrap();
    assert_eq!(at_third.own().await.unwrap().user_pseudonym, after);
    assert_eq!(
        closed_at_alice.own().await.unwrap().user_pseudonym,
        closed_before
    );
    // Nobody is there twice, everybody is known, and the history is still there.
    let people = at_bob.members().await.unwrap();
    assert!(people.iter().all(|person| person.user_pseudonym != before));
    assert_eq!(names(&at_bob).await, ["alice", "alice", "bob"]);
    at_third.send(b"after it").await.unwrap();
    settle(&[&alice, &bob, &third]).await;
    for group in [&at_alice, &at_bob, &at_third] {
        assert_eq!(texts(group).await, ["before the loss", "after it"]);
    }
    assert_together(&[&at_alice, &at_bob, &at_third]).await;
    world.hub.shutdown().await;
}
