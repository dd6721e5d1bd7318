//! Memory does not depend on how many groups there are in which nothing happens.

use crate::world::register;
use sordino_client::{ClientConfig, GroupSettings, HubAddress};
use sordino_server::{DomainChoice, Server, ServerConfig, free_prices};
use sordino_wire::Domain;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

const TEST: &str = "idle::memory_does_not_grow_with_groups";
/// Names the data folder to the process that is to be the server.
const SERVE: &str = "SORDINO_TEST_SERVE";
const DOMAIN: &str = "hub.example";
const LISTENING: &str = "listening at ";
const FEW: usize = 20;
const MANY: usize = 420;
/// Much less than the states of the groups take: two records of 8 KiB at the very least, each.
const BOUND_KB: u64 = 3_000;

/// A server alone in its process, so that its memory is its own.
struct ServerProcess {
    child: Child,
    // Closed early, it would end the server's printing.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl ServerProcess {
    fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(SERVE, data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the server ended");
            if let Some((_, address)) = line.split_once(LISTENING) {
                break address.trim().parse().unwrap();
            }
        };
        Self {
            child,
            _output: output,
            address,
        }
    }

    /// Resident memory without the pages of the program's file, in kB.
    fn own_kb(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let value = line.unwrap().split_whitespace().nth(1).unwrap();
        value.parse().unwrap()
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve(data_dir: &Path) {
    let domain = DomainChoice::Named(Domain::new(DOMAIN).unwrap());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = ServerConfig::new(domain, listen, data_dir);
    config.registration = ServerConfig::local(data_dir).registration;
    // More groups than tokens would pay for.
    config.tokens.prices = free_prices();
    let running = Server::start(config).await.unwrap();
    println!("{LISTENING}{}", running.local_addr());
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    told.await.unwrap().unwrap();
    running.shutdown().await;
}

static MAKERS: AtomicUsize = AtomicUsize::new(0);

async fn create(server: &ServerProcess, folder: &Path, groups: usize) {
    let mut makers = tokio::task::JoinSet::new();
    for maker in 0..4 {
        let hub = HubAddress {
            url: format!("http://{}", server.address),
            domain: Domain::new(DOMAIN).unwrap(),
        };
        let vault = folder.join(format!("{maker}-{groups}.vault"));
        let config = ClientConfig::new(vault, [7; 32], hub);
        let number = MAKERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("maker-{number}");
        makers.spawn(async move {
            let client = register(config, &name).await;
            for _ in 0..groups / 4 {
                client.create_group(GroupSettings::closed()).await.unwrap();
            }
        });
    }
    while let Some(made) = makers.join_next().await {
        made.unwrap();
    }
}

/// The memory of a server that has just started, once it has answered.
async fn fresh_kb(data_dir: &Path) -> u64 {
    let server = ServerProcess::start(data_dir);
    let folder = tempfile::tempdir().unwrap();
    create(&server, folder.path(), 4).await;
    let own_kb = server.own_kb();
    server.stop();
    own_kb
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_groups() {
    if let Some(data_dir) = std::env::var_os(SERVE) {
        return serve(Path::new(&data_dir)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("hub");
    let mut own_kb = Vec::new();
    let mut groups = 0;
    for wanted in [FEW, MANY] {
        let server = ServerProcess::start(&data_dir);
        create(&server, folder.path(), wanted - groups).await;
        server.stop();
        groups = wanted;
        own_kb.push(fresh_kb(&data_dir).await);
    }
    println!(
        "{FEW} groups: {} kB, {MANY} groups: {} kB",
        own_kb[0], own_kb[1]
    );
    let grown_kb = own_kb[1].saturating_sub(own_kb[0]);
    assert!(grown_kb < BOUND_KB, "{own_kb:?}");
}
