//! Real clients of a hub in another process.

use sordino_client::{
    Client, ClientConfig, Delays, Group, GroupSettings, Handle, HubAddress, RegisterWith,
};
use sordino_wire::Domain;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long members may take until they know each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client of a hub for development is set up.
pub fn config(folder: &Path, address: SocketAddr, name: &str) -> ClientConfig {
    let hub = HubAddress {
        url: format!("http://{address}"),
        domain: Domain::new(address.to_string()).unwrap(),
    };
    let vault = folder.join(format!("{name}.vault"));
    let mut config = ClientConfig::new(vault, [7; 32], hub);
    config.delays = Delays::none();
    config.retry_pause = Duration::from_millis(30);
    config
}

/// A new user with one device.
pub async fn user(config: ClientConfig, name: &str) -> Client {
    let handle = Handle::from_input(name).unwrap();
    let registered = Client::register(config, &handle, RegisterWith::work());
    registered.await.unwrap()
}

/// All of them in one room, by its link; the first one makes it.
pub async fn room(clients: &[Client]) -> Vec<Group> {
    let first = clients[0]
        .create_group(GroupSettings::open())
        .await
        .unwrap();
    let mut groups = vec![first];
    for client in &clients[1..] {
        let link = groups[0].invite_link().await.unwrap();
        groups.push(client.join_open(&link).await.unwrap());
        settle(clients, &groups).await;
    }
    groups
}

/// Until everybody who is in has the room's secret and the same epoch.
pub async fn settle(clients: &[Client], groups: &[Group]) {
    let begin = Instant::now();
    loop {
        for client in clients {
            let _ = client.sync_once().await;
        }
        let mut views = Vec::new();
        let mut busy = false;
        for group in groups {
            busy |= group.is_busy().await.unwrap_or(true);
            views.push(group.epoch_authenticator().await.ok());
        }
        views.dedup();
        if !busy && views.len() == 1 && views[0].is_some() {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "the members do not settle");
    }
}
