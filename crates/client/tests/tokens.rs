//! Tokens from the client's side: what they cost it, when it draws, what it does where the hub is not
//! honest about its keys, and what is never lost (design page 4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, add, connect, handle, link, register};
use sordino_client::{
    Client, ClientConfig, ClientError, Clock, Delays, GroupSettings, HubAddress, JoinRule,
    TokenClass, link_from_text, link_to_text,
};
use sordino_server::{DomainChoice, Rate, Running, Server, ServerConfig, TestClock, TokenSettings};
use sordino_wire::Domain;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const DAY_S: u64 = 86_400;
const WEEK_S: u64 = 7 * DAY_S;
const DOMAIN: &str = "hub.example";
/// How many messages a group may send at once.
const MESSAGES: u8 = 12;

/// The hub's clock is the clients'.
struct Shared(TestClock);

impl Clock for Shared {
    fn now_s(&self) -> u64 {
        sordino_server::Clock::now_s(&self.0)
    }
}

/// A hub whose clock stands, and what it says of its tokens.
struct Hub {
    running: Running,
    clock: TestClock,
    folder: tempfile::TempDir,
}

impl Hub {
    async fn start() -> Self {
        // MLS looks at the machine's clock, so time begins there.
        let now_s = sordino_client::SystemClock.now_s();
        Self::at(TestClock::new(now_s)).await
    }

    async fn at(clock: TestClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Self::open(folder.path(), &clock).await;
        Self {
            running,
            clock,
            folder,
        }
    }

    async fn open(folder: &std::path::Path, clock: &TestClock) -> Running {
        let mut config = ServerConfig::local(folder.join("hub"));
        config.domain = DomainChoice::Named(Domain::new(DOMAIN).unwrap());
        config.clock = Arc::new(clock.clone());
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
        config.tokens = TokenSettings {
            write_per_week: 20,
            contact_per_week: 6,
            epoch_s: Some(WEEK_S),
            ..TokenSettings::default()
        };
        config.budgets.messages.requests = Rate::new(MESSAGES.into(), 1).unwrap();
        Server::start(config).await.unwrap()
    }

    fn config_at(&self, name: &str, address: SocketAddr) -> ClientConfig {
        let hub = HubAddress {
            url: format!("http://{address}"),
            domain: Domain::new(DOMAIN).unwrap(),
        };
        let vault = self.folder.path().join(format!("{name}.vault"));
        let mut config = ClientConfig::new(vault, [7; 32], hub);
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(30);
        config.clock = Arc::new(Shared(self.clock.clone()));
        config
    }

    fn config(&self, name: &str) -> ClientConfig {
        self.config_at(name, self.running.local_addr())
    }

    async fn user(&self, name: &str) -> Client {
        register(self.config(name), name).await
    }

    /// A line of the operator's numbers.
    async fn number(&self, line: &str) -> u64 {
        let address = self.running.metrics_addr().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let lines = text.lines().filter(|l| l.starts_with(line));
        lines
            .map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    async fn spent(&self) -> u64 {
        self.number("sordino_tokens_spent").await
    }
}

/// What is left of a class, in all epochs together.
fn left(client: &Client, class: TokenClass) -> usize {
    let tokens = client.tokens().into_iter();
    tokens.filter(|t| t.class == class).map(|t| t.left).sum()
}

fn balance(client: &Client) -> (usize, usize) {
    let of = |class| left(client, class);
    (of(TokenClass::Write), of(TokenClass::Contact))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_has_the_running_epochs_tokens_and_pays_by_the_list() {
    let hub = Hub::start().await;
    let alice = hub.user("alice").await;
    assert_eq!(balance(&alice), (20, 6));
    assert_eq!(hub.spent().await, 0);
    alice.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(balance(&alice), (15, 6));
    alice.look_up(&handle("nobody")).await.unwrap();
    assert_eq!(balance(&alice), (15, 5));
    // The same question on the same day is the same request.
    alice.look_up(&handle("nobody")).await.unwrap();
    assert_eq!(balance(&alice), (15, 5));
    assert_eq!(hub.spent().await, 6);
    assert_eq!(hub.number("sordino_token_requests_refused").await, 0);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_none_are_left_a_request_says_until_when_and_nothing_is_lost() {
    let hub = Hub::start().await;
    let alice = hub.user("alice").await;
    let room = alice.create_group(GroupSettings::closed()).await.unwrap();
    for number in 0..6 {
        alice
            .look_up(&handle(&format!("somebody{number}")))
            .await
            .unwrap();
    }
    assert_eq!(left(&alice, TokenClass::Contact), 0);
    let refused = alice.look_up(&handle("somebody9")).await;
    let Err(ClientError::NoTokens { again_s }) = refused else {
        panic!("{refused:?}")
    };
    assert!((1..=WEEK_S).contains(&again_s), "{again_s}");
    // What members do is free.
    room.send(b"still here").await.unwrap();
    hub.clock.advance(again_s);
    hub.running.run_maintenance().await.unwrap();
    alice.look_up(&handle("somebody9")).await.unwrap();
    assert_eq!(left(&alice, TokenClass::Contact), 5);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_epochs_batch_is_drawn_at_some_time_of_the_running_one() {
    let hub = Hub::start().await;
    let mut times = Vec::new();
    for name in ["ada", "ben", "cyd"] {
        let client = hub.user(name).await;
        times.push((client, None));
    }
    let begin_s = sordino_server::Clock::now_s(&hub.clock);
    let end_s = times[0].0.tokens()[0].end_s;
    assert_eq!(balance(&times[0].0), (20, 6));
    // A look every hour, until the epoch has ended.
    while sordino_server::Clock::now_s(&hub.clock) < end_s {
        for (client, drawn_s) in &mut times {
            client.sync_once().await.unwrap();
            if drawn_s.is_none() && client.tokens().len() == 4 {
                *drawn_s = Some(sordino_server::Clock::now_s(&hub.clock) - begin_s);
            }
        }
        hub.clock.advance(3_600);
    }
    hub.clock.set(end_s - 1);
    for (client, _) in &times {
        client.sync_once().await.unwrap();
        assert_eq!(balance(client), (40, 12), "this epoch's and the next one's");
    }
    // Not all at once, and not all at the end.
    let times_s: Vec<_> = times.iter().map(|(_, drawn_s)| *drawn_s).collect();
    assert!(
        times_s.iter().any(|time| *time != times_s[0]),
        "{times_s:?}"
    );

    // When the next one begins there is nothing to wait for: the hub hears nothing but what is paid.
    hub.clock.set(end_s);
    hub.running.run_maintenance().await.unwrap();
    let (client, _) = &times[0];
    let before = hub.number("sordino_tokens_issued").await;
    client.look_up(&handle("somebody")).await.unwrap();
    assert_eq!(hub.number("sordino_tokens_issued").await, before);
    assert_eq!(left(client, TokenClass::Contact), 11);
    assert_eq!(hub.number("sordino_token_requests_refused").await, 0);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_keeps_its_tokens_for_the_same_thing() {
    let hub = Hub::start().await;
    let (alice, bob) = (hub.user("alice").await, hub.user("bob").await);
    let settings = GroupSettings::by_invite();
    let room = alice.create_group(settings).await.unwrap();
    let link = room.invite_link().await.unwrap();
    let text = link_to_text(&link).unwrap();
    let mut wrong = link_from_text(&text).unwrap();
    assert_eq!(room.policy().await.unwrap().join, JoinRule::Invite);
    let code = wrong.code.as_mut().unwrap();
    code.0[0] ^= 1;
    let before = left(&bob, TokenClass::Write);
    let spent = hub.spent().await;
    let refused = bob.join_by_invite(&wrong).await;
    assert!(
        matches!(refused, Err(ClientError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(hub.spent().await, spent, "a refused join spends nothing");
    bob.join_by_invite(&link).await.unwrap();
    assert_eq!(hub.spent().await, spent + 2);
    assert_eq!(before - left(&bob, TokenClass::Write), 2);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_costs_no_second_time() {
    let hub = Hub::start().await;
    let proxy = Proxy::start(hub.running.local_addr(), None).await;
    let alice = register(hub.config_at("alice", proxy.address), "alice").await;
    proxy.swallow.store(3, std::sync::atomic::Ordering::SeqCst);
    alice.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(left(&alice, TokenClass::Write), 15);
    assert_eq!(hub.spent().await, 5);
    assert_eq!(hub.number("sordino_token_requests_refused").await, 0);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_the_same_after_the_client_was_opened_again() {
    let hub = Hub::start().await;
    let alice = hub.user("alice").await;
    alice.create_group(GroupSettings::closed()).await.unwrap();
    let before = alice.tokens();
    let issued = hub.number("sordino_tokens_issued").await;
    drop(alice);
    let alice = Client::open(hub.config("alice")).await.unwrap();
    assert_eq!(alice.tokens(), before);
    alice.create_group(GroupSettings::closed()).await.unwrap();
    assert_eq!(left(&alice, TokenClass::Write), 10);
    assert_eq!(hub.number("sordino_tokens_issued").await, issued);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_one_account_share_one_batch_and_spend_no_token_twice() {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let first = left(&alice, TokenClass::Write);
    let second = link(&world, &alice, "alice2").await;
    let third = link(&world, &second, "alice3").await;
    let all = [&alice, &second, &third];
    for device in all {
        assert!(left(device, TokenClass::Write) > 20);
    }
    let held: usize = all.iter().map(|d| left(d, TokenClass::Write)).sum();
    assert!(held < first, "{held} of {first}: what linking cost is gone");
    // Each opens rooms until it has no tokens left: no token is another's, so none is refused.
    for device in all {
        while left(device, TokenClass::Write) >= 5 {
            device.create_group(GroupSettings::closed()).await.unwrap();
        }
    }
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_two_ways_tell_differently_are_not_drawn_with() {
    let hub = Hub::start().await;
    // Whoever asks for the terms where pseudonyms are is told those of another issuer.
    let other = Hub::at(hub.clock.clone()).await;
    let terms = Some(other.running.local_addr());
    let proxy = Proxy::start(hub.running.local_addr(), terms).await;
    let alice = register(hub.config_at("alice", proxy.address), "alice").await;
    assert!(alice.tokens().is_empty());
    let refused = alice.create_group(GroupSettings::closed()).await;
    assert!(
        matches!(refused, Err(ClientError::TokenKeys(_))),
        "{refused:?}"
    );
    assert_eq!(hub.number("sordino_tokens_issued").await, 0);
    assert_eq!(other.number("sordino_tokens_issued").await, 0);
    other.running.shutdown().await;
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_exchanged_unannounced_are_not_drawn_with() {
    let hub = Hub::start().await;
    let alice = hub.user("alice").await;
    // A day later, the terms are asked for again: an issuer with other keys for the same time.
    let other = Hub::at(hub.clock.clone()).await;
    drop(alice);
    let address = other.running.local_addr();
    let proxy = Proxy::everything_about_terms(hub.running.local_addr(), address).await;
    let alice = Client::open(hub.config_at("alice", proxy.address))
        .await
        .unwrap();
    hub.clock.advance(DAY_S + 1);
    let refused = alice.create_group(GroupSettings::closed()).await;
    assert!(
        matches!(refused, Err(ClientError::TokenKeys(_))),
        "{refused:?}"
    );
    assert_eq!(hub.spent().await, 0);
    other.running.shutdown().await;
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_meet_pay_for_it_and_for_nothing_else() {
    let hub = Hub::start().await;
    let (alice, bob) = (hub.user("alice").await, hub.user("bob").await);
    connect(&alice, &bob).await;
    let room = alice.create_group(GroupSettings::closed()).await;
    // The connection and its pools took the rest; whoever has no tokens waits, and says so.
    if let Ok(room) = room {
        let at_bob = add(&room, &bob).await;
        at_bob.send(b"hello").await.unwrap();
    }
    assert_eq!(hub.number("sordino_token_requests_refused").await, 0);
    let spent = usize::try_from(hub.spent().await).unwrap();
    let had = 2 * (20 + 6);
    let (a, b) = (balance(&alice), balance(&bob));
    assert_eq!(had - spent, a.0 + a.1 + b.0 + b.1);
    hub.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_groups_budget_a_message_takes_a_token_and_then_it_waits() {
    let hub = Hub::start().await;
    let alice = hub.user("alice").await;
    let room = alice.create_group(GroupSettings::closed()).await.unwrap();
    for number in 0..MESSAGES + 15 {
        room.send(&[number]).await.unwrap();
    }
    // Fifteen more than the budget, and nobody had to show who sends.
    assert_eq!(left(&alice, TokenClass::Write), 0);
    let queued = room.send(b"later").await;
    assert!(
        matches!(queued, Err(ClientError::Queued { retry_after_s: 1.. })),
        "{queued:?}"
    );
    room.catch_up().await.unwrap();
    assert_eq!(
        room.messages(0, 100).await.unwrap().len(),
        usize::from(MESSAGES) + 15
    );
    // It is not lost.
    hub.clock.advance(3_600);
    alice.sync_once().await.unwrap();
    room.catch_up().await.unwrap();
    let messages = room.messages(0, 100).await.unwrap();
    assert_eq!(messages.last().unwrap().content, b"later");
    assert_eq!(messages.len(), usize::from(MESSAGES) + 16);
    hub.running.shutdown().await;
}

/// Passes everything on; swallows answers to group operations while it is told to, and asks
/// another hub where it is about terms.
struct Proxy {
    address: SocketAddr,
    swallow: Arc<std::sync::atomic::AtomicUsize>,
}

impl Proxy {
    async fn start(upstream: SocketAddr, direct_terms: Option<SocketAddr>) -> Self {
        Self::run(upstream, move |head| {
            direct_terms.filter(|_| head.starts_with(b"POST /token_terms"))
        })
        .await
    }

    /// Both ways to the terms lead to another hub, and with the account's way all that is asked there.
    async fn everything_about_terms(upstream: SocketAddr, other: SocketAddr) -> Self {
        Self::run(upstream, move |head| {
            let accounts = head.starts_with(b"POST /accounts");
            (accounts || head.starts_with(b"POST /token_terms")).then_some(other)
        })
        .await
    }

    async fn run(
        upstream: SocketAddr,
        route: impl Fn(&[u8]) -> Option<SocketAddr> + Send + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallow = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let shared = Arc::clone(&swallow);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (shared, route) = (Arc::clone(&shared), route.clone());
                tokio::spawn(async move { pump(client, upstream, route, shared).await });
            }
        });
        Self { address, swallow }
    }
}

/// One connection: where its first request goes, all of it goes.
async fn pump(
    mut client: TcpStream,
    upstream: SocketAddr,
    route: impl Fn(&[u8]) -> Option<SocketAddr>,
    swallow: Arc<std::sync::atomic::AtomicUsize>,
) {
    use std::sync::atomic::Ordering::SeqCst;
    let mut head = vec![0u8; 65_536];
    let Ok(count @ 1..) = client.read(&mut head).await else {
        return;
    };
    let is_operation = head.starts_with(b"POST /group_operation");
    let to = route(&head[..count]).unwrap_or(upstream);
    let mut hub = TcpStream::connect(to).await.unwrap();
    hub.write_all(&head[..count]).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let out = tokio::spawn(async move {
        let mut buffer = vec![0u8; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if to_hub.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0u8; 65_536];
    while let Ok(count @ 1..) = from_hub.read(&mut buffer).await {
        let swallowed = is_operation
            && swallow
                .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if swallowed || to_client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    out.abort();
}
