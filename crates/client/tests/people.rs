//! Accounts, connections, contacts and pools, over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, connect, drain, handle, names, settle, state, texts};
use sordino_client::{
    AccountReject, Client, ClientError, ContactState, Event, GroupSettings, Handle, Invited,
    RegisterWith, Standing, raw,
};
use sordino_wire::{Bytes, RequestBody};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_from_registration_to_first_message() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    assert_eq!(alice.account().await.unwrap().user, world.uri("alice"));
    let found = alice.look_up(&handle("bob")).await.unwrap();
    assert_eq!(found.user, world.uri("bob"));
    assert_eq!(found.fingerprint, bob.fingerprint().unwrap());

    let asked = alice.connect(&handle("bob")).await.unwrap();
    assert_eq!(asked.state, ContactState::Asked);
    assert_eq!(asked.fingerprint, found.fingerprint);
    let early = asked.group.unwrap().send(b"hello?").await;
    assert!(matches!(early, Err(ClientError::NotConnected)));

    let mut events = bob.events();
    bob.sync_once().await.unwrap();
    let request = bob.connection_requests().await.unwrap().remove(0);
    let told = Event::ConnectionRequested { id: request.id };
    assert!(drain(&mut events).contains(&told));
    assert_eq!(request.from, world.uri("alice"));
    assert_eq!(request.fingerprint, alice.fingerprint().unwrap());

    let at_bob = bob.accept(request.id).await.unwrap();
    assert_eq!(at_bob.state, ContactState::Connected);
    assert!(bob.connection_requests().await.unwrap().is_empty());
    let mut events = alice.events();
    alice.sync_once().await.unwrap();
    let group = at_bob.group.unwrap();
    let connected = Event::Connected {
        user: world.uri("bob"),
        group: group.id(),
    };
    assert!(drain(&mut events).contains(&connected));
    group.send(b"hello alice").await.unwrap();
    settle(&[&alice, &bob]).await;
    let at_alice = alice.contact(&world.uri("bob")).await.unwrap();
    let at_alice = at_alice.group.unwrap();
    at_alice.send(b"hello bob").await.unwrap();
    settle(&[&bob]).await;
    assert_eq!(texts(&group).await, ["hello alice", "hello bob"]);
    assert_eq!(texts(&at_alice).await, ["hello alice"]);
    let people = group.members().await.unwrap();
    let mut standings: Vec<Standing> = people.iter().map(|person| person.standing).collect();
    standings.sort_by_key(|standing| *standing != Standing::Own);
    assert_eq!(standings, [Standing::Own, Standing::Contact]);
    // Connections are contacts, not rooms.
    assert!(alice.groups().is_empty() && bob.groups().is_empty());
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handles() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let again = Client::register(
        world.config("other"),
        &handle("alice"),
        RegisterWith::work(),
    )
    .await;
    assert!(matches!(
        again,
        Err(ClientError::AccountRefused(AccountReject::HandleTaken))
    ));
    // The vault is still good for another handle.
    Client::register(
        world.config("other"),
        &handle(" Alice2"),
        RegisterWith::work(),
    )
    .await
    .unwrap();
    // A vault that holds a device registers nothing more.
    drop(alice);
    let second = Client::register(
        world.config("alice"),
        &handle("alice3"),
        RegisterWith::work(),
    )
    .await;
    assert!(matches!(second, Err(ClientError::Vault(_))));
    for wrong in ["", "a", "ünïcode", "with space", "0digit", &"x".repeat(33)] {
        assert!(Handle::from_input(wrong).is_err(), "{wrong}");
    }
    let invited = Client::register(
        world.config("invited"),
        &handle("invited"),
        RegisterWith::Invitation("not a code".to_owned()),
    )
    .await;
    assert!(matches!(invited, Err(ClientError::AccountRefused(_))));
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_nobody_has_looks_like_any_other() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let found = alice.look_up(&handle("nobody")).await.unwrap();
    let again = alice.look_up(&handle("nobody")).await.unwrap();
    assert_eq!(found, again);
    let contact = alice.connect(&handle("nobody")).await.unwrap();
    assert_eq!(contact.state, ContactState::Asked);
    settle(&[&alice]).await;
    assert!(matches!(
        alice.connect(&handle("alice")).await,
        Err(ClientError::Oneself)
    ));
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_declined_in_silence() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    alice.connect(&handle("bob")).await.unwrap();
    bob.sync_once().await.unwrap();
    let request = bob.connection_requests().await.unwrap().remove(0);
    bob.decline(request.id).await.unwrap();
    assert!(matches!(
        bob.accept(request.id).await,
        Err(ClientError::NoSuchRequest)
    ));
    let mut events = alice.events();
    settle(&[&alice, &bob]).await;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Asked));
    assert!(drain(&mut events).is_empty());
    drop(bob);
    let bob = world.reopen("bob").await;
    settle(&[&bob]).await;
    assert!(bob.connection_requests().await.unwrap().is_empty());
    assert!(bob.contacts().await.unwrap().is_empty());
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_person_is_not_told() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    connect(&alice, &bob).await;
    connect(&carol, &bob).await;
    bob.block(&world.uri("alice")).await.unwrap();
    let mut events = alice.events();
    settle(&[&bob, &alice]).await;
    assert!(drain(&mut events).is_empty());
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Connected));
    let at_alice = alice.contact(&world.uri("bob")).await.unwrap();
    at_alice
        .group
        .unwrap()
        .send(b"are you there?")
        .await
        .unwrap();

    // The set that was fetched before is the last one: its Welcome is refused, and then there are
    // none.
    let mut events = bob.events();
    let settings = GroupSettings::closed;
    let group = alice.create_group(settings()).await.unwrap();
    assert_eq!(
        group.invite(&world.uri("bob")).await.unwrap(),
        Invited::Added
    );
    let group = alice.create_group(settings()).await.unwrap();
    assert_eq!(
        group.invite(&world.uri("bob")).await.unwrap(),
        Invited::ByConnection
    );
    settle(&[&bob]).await;
    assert_eq!(drain(&mut events), [Event::WelcomeRefused]);
    assert!(bob.groups().is_empty());
    assert!(bob.invites().await.unwrap().is_empty());
    assert!(matches!(
        bob.connect(&handle("alice")).await,
        Err(ClientError::Blocked)
    ));
    // Somebody else notices nothing.
    let at_carol = carol.create_group(settings()).await.unwrap();
    add(&at_carol, &bob).await;
    assert_eq!(names(&at_carol).await, ["bob", "carol"]);

    // Once unblocked, both can connect anew.
    bob.unblock(&world.uri("alice")).await.unwrap();
    bob.connect(&handle("alice")).await.unwrap();
    alice.sync_once().await.unwrap();
    let request = alice.connection_requests().await.unwrap().remove(0);
    alice.accept(request.id).await.unwrap();
    settle(&[&bob, &alice, &bob]).await;
    assert_eq!(state(&bob, &alice).await, Some(ContactState::Connected));
    let group = alice.create_group(settings()).await.unwrap();
    add(&group, &bob).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_ask_each_other_meet_in_one_group() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    alice.connect(&handle("bob")).await.unwrap();
    bob.connect(&handle("alice")).await.unwrap();
    settle(&[&alice, &bob, &alice]).await;
    let at_alice = alice.contact(&world.uri("bob")).await.unwrap();
    let at_bob = bob.contact(&world.uri("alice")).await.unwrap();
    assert_eq!(at_alice.state, ContactState::Connected);
    assert_eq!(at_bob.state, ContactState::Connected);
    let (at_alice, at_bob) = (at_alice.group.unwrap(), at_bob.group.unwrap());
    assert_eq!(at_alice.id(), at_bob.id());
    at_alice.send(b"both").await.unwrap();
    settle(&[&bob]).await;
    assert_eq!(texts(&at_bob).await, ["both"]);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_anew_when_the_generation_moves() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let asked = alice.connect(&handle("bob")).await.unwrap();
    bob.sync_once().await.unwrap();
    let first = bob.connection_requests().await.unwrap().remove(0);
    // As when an own device is removed from it.
    asked.group.unwrap().move_generation().await.unwrap();
    alice.sync_once().await.unwrap();
    assert!(matches!(
        bob.accept(first.id).await,
        Err(ClientError::NoSuchRequest)
    ));
    bob.sync_once().await.unwrap();
    let second = bob.connection_requests().await.unwrap().remove(0);
    assert_ne!(first.id, second.id);
    bob.accept(second.id).await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Connected));
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_handed_on_lets_nobody_in() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let mallory = world.user("mallory").await;
    alice.connect(&handle("bob")).await.unwrap();
    bob.sync_once().await.unwrap();
    let request = bob.connection_requests().await.unwrap().remove(0);
    raw::forward_request(&bob, request.id, &mallory).unwrap();
    mallory.accept(request.id).await.unwrap();
    let mut events = alice.events();
    alice.sync_once().await.unwrap();
    let told = drain(&mut events);
    let intruder = told.iter().find_map(|event| match event {
        Event::ConnectionIntruder { user, intruder } => Some((user, intruder)),
        _ => None,
    });
    let (user, intruder) = intruder.unwrap();
    assert_eq!(*user, world.uri("bob"));
    let identity = intruder.identity.as_ref().unwrap();
    assert_eq!(identity.user, world.uri("mallory"));
    settle(&[&alice, &mallory, &bob]).await;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Asked));
    assert_eq!(state(&mallory, &alice).await, Some(ContactState::Ended));
    // The person who was asked is asked anew, and is let in.
    let requests = bob.connection_requests().await.unwrap();
    let fresh = requests.iter().find(|r| r.id != request.id).unwrap();
    bob.accept(fresh.id).await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(state(&alice, &bob).await, Some(ContactState::Connected));
    world.hub.shutdown().await;
}

/// Breaks the identity entry that goes with the next request of a kind.
fn break_entry(client: &Client) {
    client.set_request_hook(Some(Arc::new(|body, _| {
        let entry = match body {
            RequestBody::CreateGroup(create) => create.identity_entry.as_mut(),
            RequestBody::Commit(commit) => {
                let mut entries = commit.identity_entries.as_slice().to_vec();
                if let Some(entry) = entries.first_mut() {
                    let mut bytes = entry.ciphertext.as_slice().to_vec();
                    bytes[0] ^= 1;
                    entry.ciphertext = Bytes::new(bytes).unwrap();
                }
                commit.identity_entries = sordino_wire::List::new(entries).unwrap();
                None
            }
            _ => None,
        };
        if let Some(entry) = entry {
            let mut bytes = entry.ciphertext.as_slice().to_vec();
            bytes[0] ^= 1;
            entry.ciphertext = Bytes::new(bytes).unwrap();
        }
    })));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_accepted_whose_identity_does_not_show() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    // Alice's group does not prove that she is in it: bob stays out.
    break_entry(&alice);
    alice.connect(&handle("bob")).await.unwrap();
    alice.set_request_hook(None);
    bob.sync_once().await.unwrap();
    let request = bob.connection_requests().await.unwrap().remove(0);
    let outcome = bob.accept(request.id).await;
    assert!(
        matches!(outcome, Err(ClientError::IdentityMismatch)),
        "{outcome:?}"
    );
    let at_alice = alice.contact(&world.uri("bob")).await.unwrap();
    let at_alice = at_alice.group.unwrap();
    at_alice.catch_up().await.unwrap();
    assert_eq!(at_alice.members().await.unwrap().len(), 1);

    // Carol is asked, and what she brings does not prove that it is she: alice removes her.
    let carol = world.user("carol").await;
    alice.connect(&handle("carol")).await.unwrap();
    carol.sync_once().await.unwrap();
    let request = carol.connection_requests().await.unwrap().remove(0);
    break_entry(&carol);
    carol.accept(request.id).await.unwrap();
    carol.set_request_hook(None);
    let mut events = alice.events();
    settle(&[&alice, &carol]).await;
    assert!(
        drain(&mut events)
            .iter()
            .any(|event| matches!(event, Event::ConnectionIntruder { .. }))
    );
    assert_eq!(state(&alice, &carol).await, Some(ContactState::Asked));
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_leaves_the_connection() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    connect(&alice, &bob).await;
    connect(&carol, &bob).await;
    // Bob is away. One set was fetched ahead of time, and one waits in its place since.
    let mut groups = Vec::new();
    loop {
        let group = alice.create_group(GroupSettings::closed()).await.unwrap();
        let invited = group.invite(&world.uri("bob")).await.unwrap();
        groups.push(group);
        if invited == Invited::ByConnection {
            break;
        }
    }
    assert!((5..=6).contains(&groups.len()), "{}", groups.len());
    let again = groups[0].invite(&world.uri("bob")).await;
    assert!(matches!(again, Err(ClientError::AlreadyMember)));
    // A group in which members do not let in whom they like is not opened for that.
    let moderated = GroupSettings::closed().moderated();
    let moderated = alice.create_group(moderated).await.unwrap();
    let outcome = moderated.invite(&world.uri("bob")).await;
    assert!(matches!(outcome, Err(ClientError::PoolEmpty)));
    // Carol's pool is another one.
    let at_carol = carol.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(
        at_carol.invite(&world.uri("bob")).await.unwrap(),
        Invited::Added
    );

    let mut events = bob.events();
    settle(&[&bob]).await;
    let last = groups.last().unwrap();
    let invited = Event::Invited {
        user: world.uri("alice"),
        group: last.id(),
    };
    assert!(drain(&mut events).contains(&invited));
    assert_eq!(bob.groups().len(), groups.len());
    let invites = bob.invites().await.unwrap();
    assert_eq!(invites.len(), 1);
    let at_bob = bob.join(&invites[0]).await.unwrap();
    assert!(bob.invites().await.unwrap().is_empty());
    settle(&[&alice, &bob]).await;
    at_bob.send(b"here").await.unwrap();
    settle(&[&alice]).await;
    assert_eq!(texts(last).await, ["here"]);
    assert_eq!(names(last).await, ["alice", "bob"]);
    // And the pool is full again.
    let group = alice.create_group(GroupSettings::closed()).await.unwrap();
    add(&group, &bob).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_of_another_suite_are_passed_over() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    bob.set_request_hook(Some(Arc::new(|body, _| {
        if let RequestBody::PublishKeyPackages(publish) = body {
            let mut entries = publish.entries.as_slice().to_vec();
            for entry in &mut entries {
                entry.cipher_suite = 3;
            }
            publish.entries = sordino_wire::List::new(entries).unwrap();
        }
    })));
    connect(&alice, &bob).await;
    let group = alice.create_group(GroupSettings::closed()).await.unwrap();
    let mut events = alice.events();
    let outcome = group.invite(&world.uri("bob")).await;
    assert!(
        matches!(outcome, Err(ClientError::UnusableKeyPackages)),
        "{outcome:?}"
    );
    let told = Event::UnusableKeyPackages {
        user: world.uri("bob"),
    };
    assert!(drain(&mut events).contains(&told));
    assert_eq!(names(&group).await, ["alice"]);
    assert_eq!(group.epoch().await.unwrap(), 0);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_deleted() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let before = bob.look_up(&handle("alice")).await.unwrap();
    alice.delete_account().await.unwrap();
    let refused = alice.account().await;
    assert!(matches!(
        refused,
        Err(ClientError::AccountRefused(
            AccountReject::BadAuthentication
        ))
    ));
    assert_ne!(bob.look_up(&handle("alice")).await.unwrap(), before);
    let again = Client::register(
        world.config("again"),
        &handle("alice"),
        RegisterWith::work(),
    )
    .await;
    assert!(matches!(
        again,
        Err(ClientError::AccountRefused(AccountReject::HandleTaken))
    ));
    world.hub.shutdown().await;
}
