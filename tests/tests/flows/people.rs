//! People over time, and people who are not who they say.

use crate::support::{DAY_S, World, add, connect, drain, post, texts};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sordino_client::{Client, ContactState, Event, GroupSettings, Handle, Invited};
use sordino_crypto::{
    GroupSecret, RequestParts, SigningKey, make_client_credential, make_connection_request,
    seal_connection_request,
};
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponse,
    AccountResponseBody, ClientCredential, Digest, Domain, GroupId, IdentifierUri, Secret32,
    SendConnectionRequest, media,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Asks as nobody.
async fn ask(world: &World, body: AccountRequestBody) -> AccountResponseBody {
    let auth = AccountAuthentication::Nobody;
    let request = AccountRequest::free(body, auth).encode().unwrap();
    let (status, answer) = post(world.address, media::CONNECTION_REQUEST, &request).await;
    assert_eq!(status, 200);
    AccountResponse::parse(&answer).unwrap().body
}

/// A connection request to bob, by somebody with this credential and key.
async fn send_forged(world: &World, key: &SigningKey, credential: &ClientCredential) {
    let bob = Handle::from_input("bob").unwrap();
    let entry = ask(world, AccountRequestBody::LookUp(bob.clone())).await;
    let AccountResponseBody::Entry(entry) = entry else {
        panic!("no entry");
    };
    let secret = GroupSecret::new(Secret32::new([4; 32]));
    let request = make_connection_request(RequestParts {
        client_key: key,
        client_credential: credential,
        recipient: &bob.uri(&world.domain()).unwrap(),
        recipient_key: &entry.connection_key.hpke_key,
        request_id: Digest([5; 32]),
        time_s: world.now_s() / 60 * 60,
        hub_domain: &world.domain(),
        group_id: GroupId([6; 16]),
        epoch: 0,
        generation: 0,
        secret: &secret,
        giver_leaf_key: &key.public(),
    })
    .unwrap();
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let request =
        seal_connection_request(&entry.connection_key.hpke_key, &request, &mut rng).unwrap();
    let send = SendConnectionRequest {
        handle: bob,
        request,
    };
    let answer = ask(world, AccountRequestBody::SendConnectionRequest(send)).await;
    assert_eq!(answer, AccountResponseBody::Done);
}

fn uri(domain: &Domain, kind: char, name: &str) -> IdentifierUri {
    IdentifierUri::new(format!("mimi://{}/{kind}/{name}", domain.as_str())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_anothers_name_is_never_shown() {
    let mut world = World::free().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let mut events = bob.events();
    // Mallory certifies herself as alice, as a person at another provider, and as nobody.
    let account_key = SigningKey::from_seed(&[1; 32]);
    let key = SigningKey::from_seed(&[2; 32]);
    let elsewhere = Domain::new("elsewhere.example").unwrap();
    let device = uri(&world.domain(), 'd', "0");
    for user in [
        alice.credential().user,
        uri(&elsewhere, 'u', "alice"),
        uri(&world.domain(), 'u', "nobody"),
    ] {
        let credential = make_client_credential(&user, &device, &key, &account_key).unwrap();
        send_forged(&world, &key, &credential).await;
        bob.sync_once().await.unwrap();
        assert!(bob.connection_requests().await.unwrap().is_empty());
    }
    // Alice's own credential does not sign for mallory either.
    send_forged(&world, &key, &alice.credential()).await;
    for _ in 0..2 {
        bob.sync_once().await.unwrap();
    }
    assert!(bob.connection_requests().await.unwrap().is_empty());
    assert!(bob.contacts().await.unwrap().is_empty());
    assert!(drain(&mut events).is_empty());
    // And alice herself is shown.
    connect(&alice, &bob).await;
    world.stop().await;
}

/// Counts the sets that a client takes out of pools.
fn count_fetches(client: &Client) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    client.set_request_hook(Some(Arc::new(move |body, _| {
        if matches!(body, sordino_wire::RequestBody::FetchKeyPackages(_)) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    })));
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_are_fetched_ahead_and_renewed_before_they_end() {
    let mut world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    connect(&alice, &bob).await;
    // What is used was fetched before, and nothing is fetched at that moment.
    let fetched = count_fetches(&alice);
    let room = alice.create_group(GroupSettings::closed()).await.unwrap();
    let user = bob.credential().user;
    assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    alice.sync_once().await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    bob.sync_once().await.unwrap();
    let at_bob = bob.group(room.id()).await.unwrap();
    at_bob.send(b"here").await.unwrap();
    room.catch_up().await.unwrap();
    assert_eq!(texts(&room).await, ["here"]);

    // Three months later the sets of that day have ended, and others have taken their place.
    // Nobody was asked to do anything.
    for _ in 0..7 {
        world.pass(14 * DAY_S);
        world.hub().run_maintenance().await.unwrap();
        for client in [&bob, &alice] {
            client.sync_once().await.unwrap();
        }
    }
    let contact = alice.contact(&user).await.unwrap();
    assert_eq!(contact.state, ContactState::Connected);
    // The set that had ended was replaced, and the new one found in its pool: else it would be
    // looked for again and again.
    let renewed = fetched.load(Ordering::SeqCst);
    assert!(renewed >= 2);
    for _ in 0..2 {
        alice.sync_once().await.unwrap();
    }
    assert_eq!(fetched.load(Ordering::SeqCst), renewed);
    alice.set_request_hook(None);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_contact_drains_what_is_for_another() {
    let mut world = World::start().await;
    let bob = world.user("bob").await;
    let mallory = world.user("mallory").await;
    let carol = world.user("carol").await;
    connect(&mallory, &bob).await;
    connect(&carol, &bob).await;
    let mut events = bob.events();
    // Bob is away; mallory uses up whatever there is for her.
    let user = bob.credential().user;
    let mut added = 0;
    loop {
        let room = mallory.create_group(GroupSettings::closed()).await.unwrap();
        if room.invite(&user).await.unwrap() == Invited::ByConnection {
            break;
        }
        added += 1;
    }
    assert!(added >= 4);
    for _ in 0..3 {
        let room = carol.create_group(GroupSettings::closed()).await.unwrap();
        assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
    }
    bob.sync_once().await.unwrap();
    assert_eq!(bob.groups().len(), added + 3);
    let told = drain(&mut events);
    assert!(told.iter().any(|e| matches!(e, Event::Invited { .. })));
    // Back again, bob is there for both as before.
    for client in [&bob, &carol, &mallory] {
        client.sync_once().await.unwrap();
    }
    for client in [&carol, &mallory] {
        let room = client.create_group(GroupSettings::closed()).await.unwrap();
        add(&room, &bob).await;
    }
    world.stop().await;
}
