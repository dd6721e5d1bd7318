//! A hub on loopback, and users of the client library beside the member.

use sordino_client::{Client, ClientConfig, Delays, Handle, HubAddress, ManualClock, RegisterWith};
use sordino_server::{DomainChoice, Running, Server, ServerConfig, TestClock};
use sordino_wire::{Domain, SignatureKey};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HUB: &str = "hub.example.org";

pub(crate) struct Home {
    hub: Running,
    clock: TestClock,
    client_clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) async fn start() -> Self {
        // Freshly made KeyPackages must be valid by the wall clock too.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = TestClock::new(now.as_secs());
        let directory = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::local(directory.path().join("hub"));
        config.domain = DomainChoice::Named(Domain::new(HUB).unwrap());
        config.clock = Arc::new(clock.clone());
        Self {
            hub: Server::start(config).await.unwrap(),
            clock,
            client_clock: Arc::new(ManualClock::new(now.as_secs())),
            directory,
        }
    }

    pub(crate) async fn stop(self) {
        self.hub.shutdown().await;
    }

    pub(crate) fn domain(&self) -> Domain {
        Domain::new(HUB).unwrap()
    }

    pub(crate) fn clock(&self) -> TestClock {
        self.clock.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.hub.local_addr()
    }

    pub(crate) fn hub_key(&self) -> SignatureKey {
        self.hub.hub_signature_key().clone()
    }

    /// A user of the client library.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let address = HubAddress {
            url: format!("http://{}", self.address()),
            domain: self.domain(),
        };
        let vault = self.directory.path().join(name);
        let mut config = ClientConfig::new(vault, [7; 32], address);
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(30);
        config.clock = self.client_clock.clone();
        let handle = Handle::from_input(name).unwrap();
        Client::register(config, &handle, RegisterWith::work())
            .await
            .unwrap()
    }
}

/// One POST on a connection of its own.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {HUB}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    answer.split_off(end + 4)
}
