//! Contacts of a user with several devices: what one does, the others know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, connect, drain, handle, names, settle, state, texts};
use sordino_client::{Client, ContactState, Event, GroupSettings, Invited, Linking, Standing};
use sordino_wire::RequestBody;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn link(world: &World, first: &Client, name: &str) -> Client {
    let linking = Linking::start(world.config(name)).await.unwrap();
    let code = linking.code().to_owned();
    let (_, new) = tokio::try_join!(first.link_device(&code), linking.finish()).unwrap();
    settle(&[first, &new]).await;
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_once_for_all_devices() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let carol = world.user("carol").await;
    let bob2 = link(&world, &bob, "bob2").await;
    for asker in [&alice, &carol] {
        asker.connect(&handle("bob")).await.unwrap();
    }
    for device in [&bob, &bob2] {
        device.sync_once().await.unwrap();
        assert_eq!(device.connection_requests().await.unwrap().len(), 2);
    }
    let requests = bob.connection_requests().await.unwrap();
    let of = |name: &str| {
        let from = world.uri(name);
        requests.iter().find(|r| r.from == from).unwrap().id
    };
    bob.decline(of("carol")).await.unwrap();
    bob.accept(of("alice")).await.unwrap();
    // The other device says yes as well, before it has heard.
    bob2.accept(of("alice")).await.unwrap();
    settle(&[&bob, &bob2, &alice, &bob, &bob2]).await;
    assert!(bob2.connection_requests().await.unwrap().is_empty());
    assert_eq!(state(&bob2, &carol).await, None);
    for device in [&bob, &bob2] {
        assert_eq!(state(device, &alice).await, Some(ContactState::Connected));
    }
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Connected));
    let at_alice = alice.contact(&world.uri("bob")).await.unwrap();
    let at_alice = at_alice.group.unwrap();
    assert_eq!(names(&at_alice).await, ["alice", "bob", "bob"]);
    let at_bob2 = bob2.contact(&world.uri("alice")).await.unwrap();
    at_bob2.group.unwrap().send(b"from both").await.unwrap();
    settle(&[&alice]).await;
    assert_eq!(texts(&at_alice).await, ["from both"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_share_one_set_and_a_block_counts_everywhere() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let bob2 = link(&world, &bob, "bob2").await;
    let fetched = Arc::new(AtomicUsize::new(0));
    for device in [&bob, &bob2] {
        let counter = Arc::clone(&fetched);
        device.set_request_hook(Some(Arc::new(move |body, _| {
            if matches!(body, RequestBody::FetchKeyPackages(_)) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        })));
    }
    connect(&bob, &alice).await;
    settle(&[&bob, &bob2, &alice]).await;
    let before = fetched.load(Ordering::SeqCst);
    let room = bob2.create_group(GroupSettings::closed()).await.unwrap();
    let user = alice.credential().user;
    assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
    assert_eq!(fetched.load(Ordering::SeqCst), before, "it was there");
    settle(&[&bob2, &bob, &alice]).await;
    let again = bob.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(again.invite(&user).await.unwrap(), Invited::Added);
    settle(&[&alice, &bob2, &bob]).await;
    assert_eq!(alice.groups().len(), 2);

    // Both devices' entries stand in the sets for alice.
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let user = bob.credential().user;
    assert_eq!(at_alice.invite(&user).await.unwrap(), Invited::Added);
    settle(&[&bob, &bob2, &alice]).await;
    assert_eq!(names(&at_alice).await, ["alice", "bob", "bob"]);

    // One device blocks; the other knows before long, even if it changed something meanwhile.
    bob2.block(&world.uri("alice")).await.unwrap();
    settle(&[&bob, &bob2]).await;
    assert_eq!(state(&bob, &alice).await, Some(ContactState::Blocked));
    assert_eq!(state(&bob2, &alice).await, Some(ContactState::Blocked));
    let mut events = bob.events();
    let contact = alice.contact(&user).await.unwrap();
    contact.group.unwrap().send(b"hello?").await.unwrap();
    settle(&[&alice, &bob, &bob2]).await;
    assert_eq!(drain(&mut events), []);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_on_a_lost_device_asks_on_another() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let lost = link(&world, &alice, "alice2").await;
    lost.connect(&handle("bob")).await.unwrap();
    settle(&[&lost, &alice, &lost, &alice]).await;
    bob.sync_once().await.unwrap();
    let first = bob.connection_requests().await.unwrap()[0].id;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Asked));
    alice
        .remove_device(&lost.credential().client)
        .await
        .unwrap();
    settle(&[&alice]).await;
    assert!(bob.accept(first).await.is_err());
    bob.sync_once().await.unwrap();
    let requests = bob.connection_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    bob.accept(requests[0].id).await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Connected));
    assert_eq!(state(&bob, &alice).await, Some(ContactState::Connected));
    world.hub.shutdown().await;
}

/// A contact has another account key, and its first sign of it is a Welcome.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_key_is_heard_of_before_a_welcome_is_refused() {
    let world = World::start().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    connect(&alice, &bob).await;
    let alice2 = link(&world, &alice, "alice2").await;
    settle(&[&alice, &alice2, &bob]).await;
    alice
        .remove_device(&alice2.credential().client)
        .await
        .unwrap();
    settle(&[&alice]).await;
    let room = alice.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(
        room.invite(&world.uri("bob")).await.unwrap(),
        Invited::Added
    );
    let mut events = bob.events();
    bob.sync_once().await.unwrap();
    let told = drain(&mut events);
    assert!(!told.contains(&Event::WelcomeRefused), "{told:?}");
    let changed = Event::AccountKeyChanged {
        user: world.uri("alice"),
    };
    assert!(told.contains(&changed));
    let at_bob = bob.group(room.id()).await.unwrap();
    let people = at_bob.members().await.unwrap();
    let alice_there = people.iter().find(|p| p.standing != Standing::Own).unwrap();
    assert_eq!(alice_there.standing, Standing::Contact);
    world.hub.shutdown().await;
}
