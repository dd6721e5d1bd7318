//! Owns a server in a process of its own, so that its memory and its processor time can be told
//! from the clients'. The process is the bench's own program, started again.

use crate::transport::Transport as _;
use sordino_server::{Budgets, DomainChoice, Server, ServerConfig, free_prices};
use sordino_wire::Domain;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVE: &str = "serve-for-a-bench";

/// To be called first in `main`: serves, and does not return, in the process that is to be the
/// server.
pub fn serve_if_asked() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|a| a == SERVE) else {
        return;
    };
    let folder = arguments[at + 1].clone();
    // A name, since a folder keeps its domain and the port is another one each time.
    let domain = Domain::new("hub.example").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = ServerConfig::new(DomainChoice::Named(domain), listen, folder);
        // What a hub can do is measured, not what it allows one group or network.
        config.tokens.prices = free_prices();
        config.budgets = Budgets::unlimited();
        let running = Server::start(config).await.unwrap();
        println!("{}", running.local_addr());
        let stopped = tokio::task::spawn_blocking(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        });
        stopped.await.unwrap();
        running.shutdown().await;
    });
    std::process::exit(0);
}

/// A server.
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    started_in: Duration,
}

impl ServerProcess {
    /// Starts a server on a data folder; it serves when this returns.
    pub fn start(folder: &Path) -> Self {
        let begin = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().unwrap();
        // The directory is the first thing that clients ask for.
        let _ = crate::Http::connect(address).domain();
        Self {
            child,
            address,
            started_in: begin.elapsed(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the start of the process to its first answer.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    fn status(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(path).unwrap()
    }

    /// Resident memory of its own, in kB: without the pages of its program file.
    pub fn private_kb(&self) -> f64 {
        let status = self.status("status");
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let value = line.unwrap().split_whitespace().nth(1).unwrap();
        value.parse().unwrap()
    }

    /// Resident memory, in kB.
    pub fn resident_kb(&self) -> f64 {
        let status = self.status("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.unwrap().split_whitespace().nth(1).unwrap();
        value.parse().unwrap()
    }

    /// Processor time of all its threads so far (to 10 ms).
    pub fn cpu(&self) -> Duration {
        let stat = self.status("stat");
        let fields = stat[stat.rfind(')').unwrap() + 2..].split(' ');
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .map(|f| f.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Stops it in order.
    pub fn stop(mut self) {
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
