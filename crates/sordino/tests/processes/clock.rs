//! A clock that jumps, under a hub in this process: the binary has the system's clock alone.

use crate::history::{Ledger, Observer, text};
use crate::people::{config, room, settle, user};
use sordino_client::{Client, ClientConfig, Group, HubAddress};
use sordino_server::{Clock as _, Server, ServerConfig, TestClock};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

/// By how much the clock jumps, one after the other; they add up to nothing.
const JUMPS_S: [i64; 10] = [
    5 * MINUTE_S,
    2 * HOUR_S,
    -2 * HOUR_S,
    -HOUR_S,
    3 * DAY_S,
    -3 * DAY_S,
    40 * DAY_S,
    -40 * DAY_S,
    -2 * DAY_S,
    2 * DAY_S + HOUR_S - 5 * MINUTE_S,
];

async fn say(groups: &[Group], from: u64, ledger: &Ledger) -> u64 {
    for (sender, group) in groups.iter().enumerate() {
        for number in from..from + 2 {
            group
                .send(text(sender, 0, number).as_bytes())
                .await
                .unwrap();
            ledger.message(sender, 0, number);
        }
        group.update().await.unwrap();
        ledger.commit(0, group.epoch().await.unwrap());
    }
    from + 2
}

async fn gather(folder: &Path, hub: &HubAddress, address: std::net::SocketAddr) -> Vec<Client> {
    let mut clients = Vec::new();
    for name in ["ada", "ben", "eve"] {
        let mut config: ClientConfig = config(folder, address, name);
        config.hub = hub.clone();
        clients.push(user(config, name).await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let clock = TestClock::new(now_s);
    let mut server = ServerConfig::local(folder.path().join("hub"));
    server.clock = Arc::new(clock.clone());
    let mut hub = Server::start(server.clone()).await.unwrap();
    server.listen = hub.local_addr();
    let address = HubAddress {
        url: hub.url(),
        domain: hub.domain().clone(),
    };
    let clients = gather(folder.path(), &address, hub.local_addr()).await;
    let groups = room(&clients).await;
    let ledger = Ledger::default();
    let mut observer = Observer::new(0, groups[2].clone(), clients[2].events()).await;
    let mut said = say(&groups[..2], 0, &ledger).await;

    for jump_s in JUMPS_S {
        let unread = said;
        said = say(&groups[..2], unread, &ledger).await;
        clock.set(clock.now_s().checked_add_signed(jump_s).unwrap());
        said = say(&groups[..2], said, &ledger).await;
        // With all that happens by itself at a start, on the new day.
        hub.shutdown().await;
        hub = Server::start(server.clone()).await.unwrap();
        said = say(&groups[..2], said, &ledger).await;
        observer.check(&ledger).await;
    }
    settle(&clients, &groups).await;
    observer.check(&ledger).await;
    hub.shutdown().await;
}
