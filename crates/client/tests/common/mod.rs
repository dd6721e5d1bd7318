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
    Client, ClientConfig, Delays, Event, EventStream, Group, HubAddress, IdentifierUri,
};
use sordino_server::{Running, Server, ServerConfig};
use std::path::PathBuf;
use std::time::Duration;

pub struct World {
    pub hub: Running,
    pub directory: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = ServerConfig::local(directory.path().join("hub"));
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
        config.delays = Delays {
            answer_s: 0,
            confirm_s: 0,
            remove_s: 0,
        };
        config.retry_pause = Duration::from_millis(30);
        config
    }

    pub fn uri(&self, name: &str) -> IdentifierUri {
        let domain = self.hub.domain().as_str();
        IdentifierUri::new(format!("mimi://{domain}/u/{name}")).unwrap()
    }

    pub async fn user(&self, name: &str) -> Client {
        Client::create_user(self.config(name), &self.uri(name))
            .await
            .unwrap()
    }

    pub async fn reopen(&self, name: &str) -> Client {
        Client::open(self.config(name)).await.unwrap()
    }
}

/// Adds a user with one device and lets it take its Welcome.
pub async fn add(group: &Group, who: &Client) -> Group {
    let set = who
        .key_package_set(&who.credential().user.clone())
        .await
        .unwrap();
    group.add_users(vec![set]).await.unwrap();
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
