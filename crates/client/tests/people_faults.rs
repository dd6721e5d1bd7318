//! The hub goes away, and the client with it, after any number of answers: whatever had begun
//! between people comes to its end afterwards, once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, handle, names, settle, state, texts};
use sordino_client::{
    Client, ClientError, ContactState, GroupSettings, HubAddress, Invited, RegisterWith,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes on so many answers; the next request reaches the hub, its answer reaches nobody, and from
/// then on there is no hub.
struct Cut {
    address: SocketAddr,
    left: Arc<AtomicI64>,
}

impl Cut {
    async fn after(answers: i64, hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicI64::new(answers));
        let shared = Arc::clone(&left);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.load(Ordering::SeqCst) >= 0 {
                    let hub = TcpStream::connect(hub).await.unwrap();
                    tokio::spawn(pump(client, hub, Arc::clone(&shared)));
                }
            }
        });
        Self { address, left }
    }

    fn is_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }
}

async fn pump(client: TcpStream, hub: TcpStream, left: Arc<AtomicI64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let unanswered = Arc::new(AtomicI64::new(0));
    let asked = Arc::clone(&unanswered);
    let gone = Arc::clone(&left);
    let out = tokio::spawn(async move {
        let mut buffer = vec![0u8; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let bytes = &buffer[..count];
            if bytes.starts_with(b"POST ") || bytes.starts_with(b"GET ") {
                if gone.load(Ordering::SeqCst) < 0 {
                    break;
                }
                asked.fetch_add(1, Ordering::SeqCst);
            }
            if to_hub.write_all(bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0u8; 65_536];
    while let Ok(count @ 1..) = from_hub.read(&mut buffer).await {
        let first = unanswered.swap(0, Ordering::SeqCst) > 0;
        if first && left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            break;
        }
        if to_client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    out.abort();
}

/// A pair of people, everything between whom is interrupted after `answers` answers.
struct Pair {
    world: Arc<World>,
    answers: i64,
    alice: String,
    bob: String,
}

impl Pair {
    async fn cut(&self) -> (Cut, HubAddress) {
        let cut = Cut::after(self.answers, self.world.hub.local_addr()).await;
        let mut address = self.world.address();
        address.url = format!("http://{}", cut.address);
        (cut, address)
    }

    async fn open_behind_cut(&self, name: &str) -> (Cut, Client) {
        let (cut, address) = self.cut().await;
        let mut config = self.world.config(name);
        config.hub = address;
        (cut, Client::open(config).await.unwrap())
    }

    async fn reopen(&self, name: &str) -> Client {
        self.world.reopen(name).await
    }

    async fn register(&self, name: &str) -> Client {
        let (cut, address) = self.cut().await;
        let mut config = self.world.config(name);
        config.hub = address;
        match Client::register(config, &handle(name), RegisterWith::work()).await {
            Ok(client) => drop(client),
            Err(error) => {
                assert!(matches!(error, ClientError::Unreachable), "{error}");
                assert!(cut.is_cut());
            }
        }
        // The same call goes on where it stopped, or there is nothing left to do.
        let config = self.world.config(name);
        match Client::register(config, &handle(name), RegisterWith::work()).await {
            Ok(client) => client,
            Err(error) => {
                assert!(matches!(error, ClientError::Vault(_)), "{error}");
                self.reopen(name).await
            }
        }
    }

    async fn play(&self) {
        let (alice, bob) = (self.alice.as_str(), self.bob.as_str());
        drop(self.register(alice).await);
        let at_bob = self.register(bob).await;

        let (_cut, client) = self.open_behind_cut(alice).await;
        let _ = client.connect(&handle(bob)).await;
        drop(client);
        let at_alice = self.reopen(alice).await;
        at_alice.connect(&handle(bob)).await.unwrap();
        settle(&[&at_alice, &at_bob]).await;
        let requests = at_bob.connection_requests().await.unwrap();
        assert_eq!(requests.len(), 1, "asked once, after {}", self.answers);
        let id = requests[0].id;
        drop(at_bob);

        let (_cut, client) = self.open_behind_cut(bob).await;
        let _ = client.accept(id).await;
        let _ = client.sync_once().await;
        drop(client);
        let at_bob = self.reopen(bob).await;
        settle(&[&at_bob]).await;
        if state(&at_bob, &at_alice).await != Some(ContactState::Connected) {
            // The first request of all was the last: nothing had been noted.
            at_bob.accept(id).await.unwrap();
        }
        drop(at_alice);

        // Keys are given, pools filled, sets fetched.
        for _ in 0..3 {
            let (_cut, client) = self.open_behind_cut(alice).await;
            let _ = client.sync_once().await;
            drop(client);
            settle(&[&at_bob]).await;
        }
        let at_alice = self.reopen(alice).await;
        settle(&[&at_alice, &at_bob]).await;
        assert_eq!(
            state(&at_alice, &at_bob).await,
            Some(ContactState::Connected)
        );
        let room = at_alice.create_group(GroupSettings::closed()).await;
        let id = room.unwrap().id();
        drop(at_alice);

        let (_cut, client) = self.open_behind_cut(alice).await;
        let room = client.group(id).await.unwrap();
        let user = at_bob.credential().user;
        let _ = room.invite(&user).await;
        drop((room, client));
        let at_alice = self.reopen(alice).await;
        settle(&[&at_alice, &at_bob]).await;
        let room = at_alice.group(id).await.unwrap();
        match room.invite(&user).await {
            Ok(invited) => assert_eq!(invited, Invited::Added),
            Err(error) => assert!(matches!(error, ClientError::AlreadyMember), "{error}"),
        }
        settle(&[&at_bob, &at_alice]).await;
        assert_eq!(names(&room).await, [alice, bob]);
        let in_room = at_bob.group(id).await.unwrap();
        in_room.send(b"all is well").await.unwrap();
        settle(&[&at_alice]).await;
        assert_eq!(texts(&room).await, ["all is well"]);
        // And the other way round.
        let room = at_bob.create_group(GroupSettings::closed()).await.unwrap();
        let user = at_alice.credential().user;
        assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_between_people_is_lost_or_done_twice() {
    let world = Arc::new(World::start().await);
    let mut pairs = tokio::task::JoinSet::new();
    for answers in 0..10 {
        let pair = Pair {
            world: Arc::clone(&world),
            answers,
            alice: format!("alice-{answers}"),
            bob: format!("bob-{answers}"),
        };
        pairs.spawn(async move {
            pair.play().await;
            pair.answers
        });
    }
    let mut done = Vec::new();
    while let Some(played) = pairs.join_next().await {
        done.extend(played.ok());
    }
    done.sort_unstable();
    assert_eq!(
        done,
        (0..10).collect::<Vec<_>>(),
        "interrupted after so many"
    );
}
