//! Owns a hub in this process, clients of it, and the list of everything that they must not leave
//! behind.

use sordino_client::{
    Client, ClientConfig, ContactState, Delays, Group, Handle, HubAddress, Invited, RegisterWith,
    raw,
};
use sordino_server::{Running, Server, ServerConfig, TokenSettings};
use sordino_wire::media;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Kinds and things.
pub type Known = BTreeSet<(&'static str, Vec<u8>)>;

pub struct World {
    pub hub: Running,
    address: SocketAddr,
    /// Where clients connect.
    via: SocketAddr,
    folder: tempfile::TempDir,
}

fn server_config(folder: &tempfile::TempDir) -> ServerConfig {
    let mut config = ServerConfig::local(folder.path().join("hub"));
    // Everything costs what it costs at a hub that anybody can reach.
    config.tokens = TokenSettings::default();
    config
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = Server::start(server_config(&folder)).await.unwrap();
        let address = hub.local_addr();
        Self {
            hub,
            address,
            via: address,
            folder,
        }
    }

    /// From now on, new clients connect to something in between.
    pub fn via(&mut self, address: SocketAddr) {
        self.via = address;
    }

    /// Drops the server without telling it to stop, and starts another on the same folder.
    pub async fn restart(self) -> Self {
        let Self {
            hub,
            address,
            via,
            folder,
        } = self;
        drop(hub);
        for _ in 0..200 {
            let mut config = server_config(&folder);
            config.listen = address;
            if let Ok(hub) = Server::start(config).await {
                return Self {
                    hub,
                    address,
                    via,
                    folder,
                };
            }
            // Its tasks are still ending.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not come back");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn data_dir(&self) -> PathBuf {
        self.hub.data_dir().to_path_buf()
    }

    pub fn config(&self, name: &str) -> ClientConfig {
        let vault = self.folder.path().join(format!("{name}.vault"));
        let hub = HubAddress {
            url: format!("http://{}", self.via),
            domain: self.hub.domain().clone(),
        };
        let mut config = ClientConfig::new(vault, [7; 32], hub);
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(30);
        config.wait_s = 2;
        config
    }

    pub async fn user(&self, name: &str) -> Client {
        register(self.config(name), name).await
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
pub async fn add(group: &Group, who: &Client, known: &mut Known) -> Group {
    let adder = group.client();
    if !are_connected(&adder, who).await {
        connect(&adder, who).await;
    }
    note(known, &[&adder, who]).await;
    let invited = group.invite(&who.credential().user).await.unwrap();
    assert_eq!(invited, Invited::Added);
    who.sync_once().await.unwrap();
    let group = who.group(group.id()).await.unwrap();
    note(known, &[who]).await;
    group
}

/// A few rounds for everybody, so that questions are asked, answered and acted upon.
pub async fn settle(clients: &[&Client], known: &mut Known) {
    for _ in 0..3 {
        for client in clients {
            client.sync_once().await.unwrap();
            note(known, &[client]).await;
        }
    }
}

/// Adds what these devices know now; keys move on, so it is done often.
pub async fn note(known: &mut Known, clients: &[&Client]) {
    for client in clients {
        let traces = raw::traces(client).await.unwrap();
        known.extend(traces.into_iter().map(|trace| (trace.kind, trace.bytes)));
        let user = client.credential().user;
        let name = user.as_str().rsplit('/').next().unwrap();
        known.insert(("bare name", name.as_bytes().to_vec()));
    }
}

/// Sends a message and remembers it.
pub async fn say(group: &Group, text: &str, known: &mut Known) {
    group.send(text.as_bytes()).await.unwrap();
    known.insert(("message", text.as_bytes().to_vec()));
}

/// The values of one kind.
pub fn of_kind<'k>(known: &'k Known, kind: &'static str) -> impl Iterator<Item = &'k [u8]> {
    known
        .iter()
        .filter(move |(k, _)| *k == kind)
        .map(|(_, bytes)| bytes.as_slice())
}

/// The answer to a request over HTTP, whatever it is.
pub async fn exchange(hub: SocketAddr, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(hub).await.unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: {hub}\r\nconnection: close\r\n\
         content-type: {}\r\ncontent-length: {length}\r\n\r\n",
        media::OCTETS
    );
    // A server that refuses early may not take it all.
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}
