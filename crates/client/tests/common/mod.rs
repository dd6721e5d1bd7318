//! A hub in this process and clients of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub
)]

use sordino_client::{
    Client, ClientConfig, ContactState, Delays, Event, EventStream, Group, Handle, HubAddress,
    IdentifierUri, Invited, Linking, RegisterWith,
};
use sordino_server::{Running, Server, ServerConfig, TokenSettings};
use std::path::PathBuf;
use std::time::Duration;

pub struct World {
    pub hub: Running,
    pub directory: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::local(directory.path().join("hub"));
        // Everything costs what it costs at a hub that anybody can reach.
        config.tokens = TokenSettings::default();
        let hub = Server::start(config).await.unwrap();
        Self { hub, directory }
    }

    pub fn address(&self) -> HubAddress {
        HubAddress {
            url: format!("http://{}", self.hub.local_addr()),
            domain: self.hub.domain().clone(),
        }
    }

    pub fn vault(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.vault"))
    }

    pub fn config(&self, name: &str) -> ClientConfig {
        let mut config = ClientConfig::new(self.vault(name), [7; 32], self.address());
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(30);
        config
    }

    pub fn uri(&self, name: &str) -> IdentifierUri {
        let domain = self.hub.domain().as_str();
        IdentifierUri::new(format!("mimi://{domain}/u/{name}")).unwrap()
    }

    pub async fn user(&self, name: &str) -> Client {
        register(self.config(name), name).await
    }

    pub async fn reopen(&self, name: &str) -> Client {
        Client::open(self.config(name)).await.unwrap()
    }
}

pub fn handle(name: &str) -> Handle {
    Handle::from_input(name).unwrap()
}

pub async fn register(config: ClientConfig, name: &str) -> Client {
    Client::register(config, &handle(name), RegisterWith::work())
        .await
        .unwrap()
}

/// The handle of a client's user.
pub fn handle_of(client: &Client) -> Handle {
    let user = client.credential().user;
    handle(user.as_str().rsplit('/').next().unwrap())
}

pub async fn state(client: &Client, other: &Client) -> Option<ContactState> {
    let contact = client.contact(&other.credential().user).await;
    contact.ok().map(|contact| contact.state)
}

/// One user asks, the other accepts, both give their keys, fill their pools and fetch a set.
pub async fn connect(asker: &Client, asked: &Client) {
    asker.connect(&handle_of(asked)).await.unwrap();
    asked.sync_once().await.unwrap();
    let requests = asked.connection_requests().await.unwrap();
    let user = asker.credential().user;
    let request = requests.iter().find(|r| r.from == user).unwrap();
    asked.accept(request.id).await.unwrap();
    for _ in 0..3 {
        asked.sync_once().await.unwrap();
        asker.sync_once().await.unwrap();
    }
    assert_eq!(state(asker, asked).await, Some(ContactState::Connected));
    assert_eq!(state(asked, asker).await, Some(ContactState::Connected));
}

/// Adds a user with one device and lets it take its Welcome; they connect before if they must.
pub async fn add(group: &Group, who: &Client) -> Group {
    let adder = group.client();
    if state(&adder, who).await != Some(ContactState::Connected) {
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

/// The texts of a group's messages.
pub async fn texts(group: &Group) -> Vec<String> {
    let messages = group.messages(0, 1_000).await.unwrap();
    messages
        .iter()
        .map(|message| String::from_utf8(message.content.clone()).unwrap())
        .collect()
}

/// The users that a device sees, sorted; `?` for the unidentified.
pub async fn names(group: &Group) -> Vec<String> {
    let mut names: Vec<String> = group
        .members()
        .await
        .unwrap()
        .into_iter()
        .map(|person| match person.identity {
            Some(identity) => identity
                .user
                .as_str()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned(),
            None => "?".to_owned(),
        })
        .collect();
    names.sort();
    names
}

/// Links a further device of a user.
pub async fn link(world: &World, first: &Client, name: &str) -> Client {
    let linking = Linking::start(world.config(name)).await.unwrap();
    let code = linking.code().to_owned();
    let (linked, new) = tokio::join!(first.link_device(&code), linking.finish());
    linked.unwrap();
    new.unwrap()
}

/// A few rounds for everybody, so that questions are asked, answered and acted upon.
pub async fn settle(clients: &[&Client]) {
    for _ in 0..4 {
        for client in clients {
            client.sync_once().await.unwrap();
        }
    }
}

/// Equal epoch authenticators: nobody was separated.
pub async fn assert_together(groups: &[&Group]) {
    for group in groups {
        group.catch_up().await.unwrap();
    }
    let first = groups[0].epoch_authenticator().await.unwrap();
    for group in groups {
        assert_eq!(group.epoch_authenticator().await.unwrap(), first);
    }
}
