//! Lost answers, hubs that are away, skewed clocks, and what a vault's file tells.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, assert_together, register, settle, texts};
use sordino_client::{
    Client, ClientError, Clock, GroupSettings, GroupStatus, HubAddress, Standing, SystemClock,
};
use sordino_wire::{DsRequest, RequestBody};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on, but swallows answers to group operations while it is told to.
struct Proxy {
    address: SocketAddr,
    swallow: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallow = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&swallow);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let hub = TcpStream::connect(upstream).await.unwrap();
                tokio::spawn(pump(client, hub, Arc::clone(&shared)));
            }
        });
        Self { address, swallow }
    }

    fn client_address(&self, world: &World) -> HubAddress {
        HubAddress {
            url: format!("http://{}", self.address),
            domain: world.hub.domain().clone(),
        }
    }
}

async fn pump(client: TcpStream, hub: TcpStream, swallow: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let operation = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&operation);
    let out = tokio::spawn(async move {
        let mut buffer = vec![0u8; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let bytes = &buffer[..count];
            if bytes.starts_with(b"POST ") {
                let is_operation = bytes.starts_with(b"POST /group_operation");
                seen.store(usize::from(is_operation), Ordering::SeqCst);
            }
            if to_hub.write_all(bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0u8; 65_536];
    while let Ok(count @ 1..) = from_hub.read(&mut buffer).await {
        let swallowed = operation.load(Ordering::SeqCst) == 1
            && swallow
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if swallowed || to_client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    out.abort();
}

async fn behind_a_proxy(world: &World, name: &str) -> (Proxy, Client) {
    let proxy = Proxy::start(world.hub.local_addr()).await;
    let mut config = world.config(name);
    config.hub = proxy.client_address(world);
    (proxy, register(config, name).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_changes_nothing() {
    let world = World::start().await;
    let (proxy, alice) = behind_a_proxy(&world, "alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    for number in 0..5u8 {
        proxy
            .swallow
            .store(usize::from(number % 3), Ordering::SeqCst);
        at_alice.send(&[b'0' + number]).await.unwrap();
        proxy.swallow.store(1, Ordering::SeqCst);
        at_alice.update().await.unwrap();
    }
    proxy.swallow.store(0, Ordering::SeqCst);
    settle(&[&alice, &bob]).await;
    assert_eq!(texts(&at_bob).await, ["0", "1", "2", "3", "4"]);
    assert_eq!(texts(&at_alice).await, ["0", "1", "2", "3", "4"]);
    assert_eq!(at_bob.epoch().await.unwrap(), 6);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_died_while_deleting_a_group_finds_it_deleted() {
    let world = World::start().await;
    let (proxy, alice) = behind_a_proxy(&world, "alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let id = at_alice.id();
    proxy.swallow.store(1_000, Ordering::SeqCst);
    assert!(matches!(
        at_alice.delete().await,
        Err(ClientError::Unreachable)
    ));
    drop(at_alice);
    drop(alice);
    let alice = world.reopen("alice").await;
    settle(&[&alice, &bob]).await;
    let at_alice = alice.group(id).await.unwrap();
    assert_eq!(at_alice.status().await.unwrap(), GroupStatus::Deleted);
    assert_eq!(at_bob.status().await.unwrap(), GroupStatus::Removed);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_request_and_answer() {
    let world = World::start().await;
    let (proxy, alice) = behind_a_proxy(&world, "alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let id = at_alice.id();

    // Every answer is lost: the hub has the commit and the message, alice does not know.
    proxy.swallow.store(1_000, Ordering::SeqCst);
    assert!(matches!(
        at_alice.update().await,
        Err(ClientError::Unreachable)
    ));
    assert!(at_alice.is_busy().await.unwrap());
    drop(at_alice);
    drop(alice);
    let alice = world.reopen("alice").await;
    let at_alice = alice.group(id).await.unwrap();
    assert!(at_alice.is_busy().await.unwrap());
    alice.sync_once().await.unwrap();
    assert!(!at_alice.is_busy().await.unwrap());
    assert_eq!(at_alice.epoch().await.unwrap(), 2);
    drop(at_alice);
    drop(alice);

    let mut config = world.config("alice");
    config.hub = proxy.client_address(&world);
    let alice = Client::open(config).await.unwrap();
    let at_alice = alice.group(id).await.unwrap();
    assert!(matches!(
        at_alice.send(b"only once").await,
        Err(ClientError::Unreachable)
    ));
    drop(at_alice);
    drop(alice);
    let alice = world.reopen("alice").await;
    let at_alice = alice.group(id).await.unwrap();
    settle(&[&alice, &bob]).await;
    assert_eq!(texts(&at_bob).await, ["only once"]);
    assert_eq!(texts(&at_alice).await, ["only once"]);
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}

/// A clock that somebody sets.
#[derive(Clone, Default)]
struct Set(Arc<AtomicI64>);

impl Clock for Set {
    fn now_s(&self) -> u64 {
        let off_s = self.0.load(Ordering::SeqCst);
        SystemClock.now_s().saturating_add_signed(off_s)
    }
}

/// Passes everything on, and keeps what goes to the hub.
async fn listener(upstream: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let hub = TcpStream::connect(upstream).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_hub, mut to_hub) = hub.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_hub, &mut to_client).await });
            let heard = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut buffer = vec![0u8; 65_536];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    heard.lock().unwrap().extend_from_slice(&buffer[..count]);
                    to_hub.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    (address, heard)
}

/// The messages among what was heard, with their nonces.
fn messages(heard: &[u8]) -> Vec<([u8; 16], Vec<u8>)> {
    let mut messages = Vec::new();
    let mut rest = heard;
    while let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap());
        let body = &rest[end + 4..][..length];
        if let Ok(parsed) = DsRequest::parse(body)
            && let RequestBody::Send(send) = &parsed.request.body
        {
            let freshness = parsed.request.auth.freshness().unwrap();
            messages.push((freshness.nonce.0, send.message.as_slice().to_vec()));
        }
        rest = &rest[end + 4 + length..];
    }
    messages
}

/// A copy of a request from the future is on time later: it must be the same one then.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_time_was_wrong_keeps_its_nonce() {
    let world = World::start().await;
    let (address, heard) = listener(world.hub.local_addr()).await;
    let clock = Set::default();
    let mut config = world.config("alice");
    config.hub.url = format!("http://{address}");
    config.clock = Arc::new(clock.clone());
    let alice = register(config, "alice").await;
    let room = alice.create_group(GroupSettings::closed()).await.unwrap();
    room.send(b"before").await.unwrap();
    clock.0.store(7_200, Ordering::SeqCst);
    heard.lock().unwrap().clear();
    room.send(b"from the future").await.unwrap();
    let messages = messages(&heard.lock().unwrap());
    assert_eq!(messages.len(), 2, "refused once");
    assert_eq!(messages[0], messages[1]);
    settle(&[&alice]).await;
    assert_eq!(texts(&room).await, ["before", "from the future"]);
    world.hub.shutdown().await;
}

struct Skewed(i64);

impl Clock for Skewed {
    fn now_s(&self) -> u64 {
        SystemClock.now_s().saturating_add_signed(self.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_learns_the_hubs_time() {
    let world = World::start().await;
    let mut config = world.config("alice");
    config.clock = Arc::new(Skewed(7_200));
    let alice = register(config, "alice").await;
    let mut config = world.config("bob");
    config.clock = Arc::new(Skewed(-7_200));
    let bob = register(config, "bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.send(b"what time is it?").await.unwrap();
    at_bob.update().await.unwrap();
    at_alice.catch_up().await.unwrap();
    assert_eq!(texts(&at_alice).await, ["what time is it?"]);
    let message = &at_alice.messages(0, 1).await.unwrap()[0];
    assert!(message.time_s.abs_diff(SystemClock.now_s()) < 120);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_senders_and_rooms_without_identities() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let settings = GroupSettings::closed()
        .with_named_senders()
        .without_identities();
    let at_alice = alice.create_group(settings).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.send(b"signed").await.unwrap();
    at_bob.update().await.unwrap();
    at_alice.catch_up().await.unwrap();
    assert_eq!(texts(&at_alice).await, ["signed"]);
    let sender = &at_alice.messages(0, 1).await.unwrap()[0].sender;
    assert_eq!(sender.identity, None);
    let own = at_bob.own().await.unwrap();
    assert_eq!(sender.client_pseudonym, own.client_pseudonym);
    assert_eq!(sender.standing, Standing::Unidentified);
    assert_eq!(own.standing, Standing::Own);
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vaults_file_tells_nothing() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    at_bob.send(b"a secret between us").await.unwrap();
    at_alice.catch_up().await.unwrap();
    let people = at_alice.members().await.unwrap();
    let id = at_alice.id();
    let client_key = alice.credential().signature_key.clone();
    drop((at_alice, at_bob, alice, bob));
    for name in ["alice", "bob"] {
        let file = std::fs::read(world.vault(name)).unwrap();
        let mut needles = vec![
            b"a secret between us".to_vec(),
            b"mimi://".to_vec(),
            id.0.to_vec(),
            client_key.as_slice().to_vec(),
        ];
        for person in &people {
            needles.push(person.user_pseudonym.as_str().as_bytes().to_vec());
            needles.push(person.client_pseudonym.as_str().as_bytes().to_vec());
        }
        for needle in needles {
            assert!(!file.windows(needle.len()).any(|window| window == needle));
        }
    }
    world.hub.shutdown().await;
}

/// Stops a client in the middle of whatever it does, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let at_bob = add(&at_alice, &bob).await;
    let id = at_alice.id();
    drop((at_bob, bob));
    let mut acknowledged = Vec::new();
    for round in 0..40u64 {
        let bob = world.reopen("bob").await;
        let at_bob = bob.group(id).await.unwrap();
        let task = tokio::spawn(async move {
            let text = format!("{round}");
            match round % 4 {
                0 => at_bob.update().await?,
                1 => at_bob.move_generation().await?,
                2 => at_bob.resync().await?,
                _ => {}
            }
            at_bob.send(text.as_bytes()).await?;
            Ok::<_, ClientError>(text)
        });
        if round % 3 == 0 {
            at_alice.update().await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(round * 7 % 41)).await;
        if round % 5 != 0 {
            task.abort();
        }
        if let Ok(Ok(text)) = task.await {
            acknowledged.push(text);
        }
        drop(bob);
    }
    let bob = world.reopen("bob").await;
    let at_bob = bob.group(id).await.unwrap();
    for _ in 0..6 {
        let _ = bob.sync_once().await;
        let _ = alice.sync_once().await;
    }
    at_bob.send(b"alive").await.unwrap();
    settle(&[&alice, &bob]).await;
    let heard = texts(&at_alice).await;
    assert_eq!(heard.last().unwrap(), "alive");
    let mut once = heard.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), heard.len(), "a message came twice: {heard:?}");
    for text in &acknowledged {
        assert!(heard.contains(text), "{text} is lost; heard {heard:?}");
    }
    assert!(!acknowledged.is_empty());
    assert_together(&[&at_alice, &at_bob]).await;
    world.hub.shutdown().await;
}
