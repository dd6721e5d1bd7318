//! A hub in this process, clients of it, and a time that both agree on.

use sordino_client::{
    Client, ClientConfig, ContactState, Delays, Event, EventStream, Evidence, Group, GroupSettings,
    Handle, HubAddress, Invited, ManualClock, Recovery, RegisterWith,
};
use sordino_server::{
    Clock as _, DomainChoice, Running, Server, ServerConfig, StartError, TestClock, TokenSettings,
    free_prices,
};
use sordino_wire::{Domain, GroupAccess, Secret32};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const DAY_S: u64 = 86_400;
pub const HUB: &str = "hub.example.org";

pub struct World {
    hub: Option<Running>,
    pub config: ServerConfig,
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
    hub_clock: TestClock,
    client_clock: Arc<ManualClock>,
}

impl World {
    pub async fn start() -> Self {
        Self::start_as(|_| ()).await
    }

    /// A world in which nothing costs anything: for those who have no account that draws tokens.
    pub async fn free() -> Self {
        Self::start_as(|config| config.tokens.prices = free_prices()).await
    }

    /// A world with something changed.
    pub async fn start_as(change: impl FnOnce(&mut ServerConfig)) -> Self {
        // Freshly made KeyPackages must be valid by the wall clock too.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_s = now.as_secs();
        let hub_clock = TestClock::new(now_s);
        let directory = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::local(directory.path().join("hub"));
        config.domain = DomainChoice::Named(Domain::new(HUB).unwrap());
        config.clock = Arc::new(hub_clock.clone());
        config.tokens = TokenSettings::default();
        change(&mut config);
        let hub = Server::start(config.clone()).await.unwrap();
        // From now on always here, so that clients find it again.
        config.listen = hub.local_addr();
        Self {
            address: hub.local_addr(),
            hub: Some(hub),
            config,
            directory,
            hub_clock,
            client_clock: Arc::new(ManualClock::new(now_s)),
        }
    }

    pub fn hub(&self) -> &Running {
        self.hub.as_ref().unwrap()
    }

    /// The hub stops as it should.
    pub async fn stop(&mut self) {
        self.hub.take().unwrap().shutdown().await;
    }

    /// Another server on the same folder, at the same address.
    pub async fn start_again(&mut self) -> Result<(), StartError> {
        self.hub = Some(Server::start(self.config.clone()).await?);
        Ok(())
    }

    pub fn domain(&self) -> Domain {
        Domain::new(HUB).unwrap()
    }

    /// The hub's time.
    pub fn now_s(&self) -> u64 {
        self.hub_clock.now_s()
    }

    /// Time passes everywhere.
    pub fn pass(&self, by_s: u64) {
        self.hub_clock.advance(by_s);
        self.client_clock.advance(by_s);
    }

    pub fn vault(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.vault"))
    }

    pub fn client_config(&self, name: &str) -> ClientConfig {
        let address = HubAddress {
            url: format!("http://{}", self.address),
            domain: self.domain(),
        };
        let mut config = ClientConfig::new(self.vault(name), [7; 32], address);
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(30);
        config.clock = self.client_clock.clone();
        config
    }

    pub async fn user(&self, name: &str) -> Client {
        register(self.client_config(name), name).await
    }

    /// Users in one group; the first is its creator.
    pub async fn party(&self, names: &[&str], settings: GroupSettings) -> Party {
        let mut clients = Vec::new();
        for name in names {
            clients.push(self.user(name).await);
        }
        let first = clients[0].create_group(settings).await.unwrap();
        let mut groups = vec![first];
        for client in &clients[1..] {
            groups.push(add(&groups[0], client).await);
        }
        let party = Party { clients, groups };
        party.assert_together().await;
        party
    }
}

/// A group, and all who are in it, in the same order.
pub struct Party {
    pub clients: Vec<Client>,
    pub groups: Vec<Group>,
}

impl Party {
    /// A few rounds of some; one in trouble may fail for a round.
    pub async fn rounds(&self, who: &[usize], count: usize) {
        for _ in 0..count {
            for index in who {
                let _ = self.clients[*index].sync_once().await;
            }
        }
    }

    /// Equal epoch authenticators and equal members: nobody was separated, nobody was lost.
    pub async fn assert_together(&self) {
        for group in &self.groups {
            group.catch_up().await.unwrap();
        }
        let first = self.groups[0].epoch_authenticator().await.unwrap();
        for group in &self.groups {
            assert_eq!(group.epoch_authenticator().await.unwrap(), first);
            assert_eq!(group.members().await.unwrap().len(), self.groups.len());
        }
    }

    /// Everybody says something that everybody hears.
    pub async fn assert_talks(&self) {
        let all: Vec<usize> = (0..self.groups.len()).collect();
        let mut expected = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let text = format!("{index} is here");
            group.send(text.as_bytes()).await.unwrap();
            expected.push(text);
        }
        self.rounds(&all, 2).await;
        for group in &self.groups {
            let heard = texts(group).await;
            let recent = &heard[heard.len() - expected.len()..];
            assert_eq!(recent, expected);
        }
        self.assert_together().await;
    }
}

pub async fn register(config: ClientConfig, name: &str) -> Client {
    let handle = Handle::from_input(name).unwrap();
    Client::register(config, &handle, RegisterWith::work())
        .await
        .unwrap()
}

/// One user asks, the other accepts, both give their keys, fill their pools and fetch a set.
pub async fn connect(asker: &Client, asked: &Client) {
    let user = asked.credential().user;
    let name = user.as_str().rsplit('/').next().unwrap();
    asker
        .connect(&Handle::from_input(name).unwrap())
        .await
        .unwrap();
    asked.sync_once().await.unwrap();
    let requests = asked.connection_requests().await.unwrap();
    let from = asker.credential().user;
    let request = requests.iter().find(|r| r.from == from).unwrap();
    asked.accept(request.id).await.unwrap();
    for _ in 0..3 {
        asked.sync_once().await.unwrap();
        asker.sync_once().await.unwrap();
    }
}

async fn are_connected(one: &Client, other: &Client) -> bool {
    let contact = one.contact(&other.credential().user).await;
    contact.is_ok_and(|contact| contact.state == ContactState::Connected)
}

/// Adds a user with one device and lets it take its Welcome; they connect before if they must.
pub async fn add(group: &Group, who: &Client) -> Group {
    let adder = group.client();
    if !are_connected(&adder, who).await {
        connect(&adder, who).await;
    }
    let invited = group.invite(&who.credential().user).await.unwrap();
    assert_eq!(invited, Invited::Added);
    who.sync_once().await.unwrap();
    who.group(group.id()).await.unwrap()
}

/// Everything that has happened since the last look.
pub fn drain(events: &mut EventStream) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

/// What cheats left behind.
pub fn evidence(events: &[Event]) -> Vec<Evidence> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Evidence { evidence, .. } => Some(evidence.clone()),
            _ => None,
        })
        .collect()
}

/// The ways in which a group came back.
pub fn recoveries(events: &[Event]) -> Vec<Recovery> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Recovered { how, .. } => Some(*how),
            _ => None,
        })
        .collect()
}

/// The texts of a group's messages.
pub async fn texts(group: &Group) -> Vec<String> {
    let messages = group.messages(0, 10_000).await.unwrap();
    messages
        .iter()
        .map(|message| String::from_utf8(message.content.clone()).unwrap())
        .collect()
}

/// The key that opens a group's public state now, as any member knows it.
pub async fn ear_key(client: &Client, group: &Group) -> Secret32 {
    let seen = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&seen);
    client.set_request_hook(Some(Arc::new(move |body, _| {
        if let sordino_wire::RequestBody::Commit(request) = body {
            *slot.lock().unwrap() = Some(request.access.ear_key.duplicate());
        }
    })));
    group.update().await.unwrap();
    client.set_request_hook(None);
    let key = seen.lock().unwrap().take();
    key.unwrap()
}

pub fn access(group: &Group, ear_key: &Secret32) -> GroupAccess {
    GroupAccess {
        group_id: group.id(),
        ear_key: ear_key.duplicate(),
    }
}

/// One POST on a connection of its own: status and body.
pub async fn post(address: SocketAddr, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let (head, body) = exchange(address, "POST", path, body).await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body)
}

/// One request: the answer's head and body.
pub async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {HUB}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A body that is refused by its announced length is not taken off the wire.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head, answer.split_off(end + 4))
}
