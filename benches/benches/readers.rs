//! A thousand connected readers of one stream: deliveries per second, and how late they come.
//!
//! The readers are WebSockets, as apps in the foreground have; they and the server share two
//! cores. A delivery is one entry in one reader's hands; it is late by the time since it was due to
//! be sent, so durability is part of it, and so is waiting for a sender.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_benches::{
    BigGroup, Http, Lane, SendTemplate, ServerProcess, Socket, Table, percentile, process_cpu,
    serve_if_asked, thousands,
};
use sordino_hub::Endpoint;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

const READERS: usize = 1_000;
const MESSAGE_BYTES: usize = 1_024;
const SECONDS: u64 = 5;
/// Messages per second.
const RATES: [u64; 5] = [10, 20, 50, 100, 150];
/// Connections that send them in turn.
const SENDERS: usize = 8;
/// Senders at once, and messages of each, where as much is sent as the server takes.
const FLOOD: (usize, usize) = (16, 125);

/// What all readers of a run have in common.
struct Board {
    /// The number of the run's first entry, and how many there will be.
    first: u64,
    expected: usize,
    /// When each message was due. The hub numbers entries in the order of their commits, which is
    /// that of the messages, but for neighbours now and then.
    sent: Vec<Instant>,
    latencies_ms: Vec<f64>,
    pages: usize,
    finished: usize,
}

type Shared = Rc<RefCell<Board>>;

/// Reads until all entries of the run are there.
async fn read(mut socket: Socket, board: Shared) -> Socket {
    loop {
        let pages = socket.pages().await;
        let now = Instant::now();
        let mut board = board.borrow_mut();
        let entries = pages.pages.as_slice()[0].entries.as_slice();
        board.pages += 1;
        for entry in entries {
            let index = (entry.number - board.first) as usize;
            if let Some(sent) = board.sent.get(index).copied() {
                board.latencies_ms.push((now - sent).as_secs_f64() * 1e3);
            }
        }
        let last = entries.last().map_or(0, |e| e.number + 1);
        if last == board.first + board.expected as u64 {
            board.finished += 1;
            return socket;
        }
    }
}

struct Run {
    table: Table,
    address: std::net::SocketAddr,
    next: u64,
}

impl Run {
    /// Starts the readers, lets somebody send, waits until everybody has everything.
    async fn measure<F: Future<Output = ()>>(
        &mut self,
        server: &ServerProcess,
        sockets: Vec<Socket>,
        what: &str,
        messages: usize,
        send: impl FnOnce(Shared) -> F,
    ) -> Vec<Socket> {
        let board = Rc::new(RefCell::new(Board {
            first: self.next,
            expected: messages,
            sent: Vec::new(),
            latencies_ms: Vec::with_capacity(messages * READERS),
            pages: 0,
            finished: 0,
        }));
        let tasks: Vec<_> = sockets
            .into_iter()
            .map(|socket| tokio::task::spawn_local(read(socket, board.clone())))
            .collect();
        let (cpu, own_cpu, begin) = (server.cpu(), process_cpu(), Instant::now());
        send(board.clone()).await;
        let sending = begin.elapsed();
        let mut sockets = Vec::new();
        for task in tasks {
            sockets.push(task.await.unwrap());
        }
        let elapsed = begin.elapsed();
        let (cpu, own_cpu) = (server.cpu() - cpu, process_cpu() - own_cpu);
        self.next += messages as u64;
        let board = board.borrow();
        assert_eq!(board.finished, READERS);
        let deliveries = (messages * READERS) as f64;
        let late = |share| {
            if board.latencies_ms.is_empty() {
                return String::from("–");
            }
            format!("{:.0}", percentile(&board.latencies_ms, share))
        };
        let per_delivery = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6 / deliveries);
        self.table.row(&[
            what.to_owned(),
            thousands(messages as f64 / sending.as_secs_f64()),
            thousands(deliveries / elapsed.as_secs_f64()),
            late(0.5),
            late(0.99),
            format!("{:.1}", deliveries / board.pages as f64),
            per_delivery(cpu),
            per_delivery(own_cpu),
            format!("{:.2}", cpu.as_secs_f64() / elapsed.as_secs_f64()),
        ]);
        sockets
    }

    async fn at_rate(
        &mut self,
        server: &ServerProcess,
        sockets: Vec<Socket>,
        requests: Vec<Vec<u8>>,
        rate: u64,
    ) -> Vec<Socket> {
        let mut lanes = Vec::new();
        for _ in 0..SENDERS {
            lanes.push(Lane::connect(self.address).await);
        }
        let what = format!("{rate} messages/s");
        let messages = requests.len();
        let send = |board: Shared| async move {
            let mut tasks = Vec::new();
            let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
            let (free, mut idle) = tokio::sync::mpsc::unbounded_channel();
            lanes
                .into_iter()
                .for_each(|lane| assert!(free.send(lane).is_ok()));
            for request in requests {
                let due = tick.tick().await.into_std();
                board.borrow_mut().sent.push(due);
                let (mut lane, free) = (idle.recv().await.unwrap(), free.clone());
                tasks.push(tokio::task::spawn_local(async move {
                    lane.send(&request).await;
                    let _ = free.send(lane);
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        };
        self.measure(server, sockets, &what, messages, send).await
    }

    async fn flood(
        &mut self,
        server: &ServerProcess,
        sockets: Vec<Socket>,
        requests: Vec<Vec<u8>>,
    ) -> Vec<Socket> {
        let (senders, each) = FLOOD;
        let mut lanes = Vec::new();
        for _ in 0..senders {
            lanes.push(Lane::connect(self.address).await);
        }
        let send = |_| async move {
            let mut tasks = Vec::new();
            for (mut lane, requests) in lanes.into_iter().zip(requests.chunks(each)) {
                let requests = requests.to_vec();
                tasks.push(tokio::task::spawn_local(async move {
                    for request in requests {
                        lane.send(&request).await;
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        };
        let what = format!("as fast as {senders} senders can");
        self.measure(server, sockets, &what, senders * each, send)
            .await
    }
}

fn requests(template: &mut SendTemplate, rng: &mut ChaCha20Rng, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|_| Lane::render(Endpoint::GroupOperation, &template.next(rng)))
        .collect()
}

async fn run(server: &ServerProcess, mut group: BigGroup, next: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut template = group.message(MESSAGE_BYTES);
    let address = server.address();
    let before_kb = server.private_kb();
    let mut sockets = Vec::new();
    for _ in 0..READERS {
        sockets.push(Socket::subscribe(address, group.stream(), next).await);
    }
    println!(
        "the server's own memory: {} kB, with {READERS} readers {} kB\n",
        thousands(before_kb),
        thousands(server.private_kb())
    );
    let mut run = Run {
        table: Table::new(&[
            "offered",
            "messages/s taken",
            "deliveries/s",
            "p50 ms",
            "p99 ms",
            "entries per page",
            "server CPU µs per delivery",
            "readers' CPU µs per delivery",
            "server cores",
        ]),
        address,
        next,
    };
    for rate in RATES {
        let messages = requests(&mut template, &mut rng, (rate * SECONDS) as usize);
        sockets = run.at_rate(server, sockets, messages, rate).await;
    }
    let messages = requests(&mut template, &mut rng, FLOOD.0 * FLOOD.1);
    run.flood(server, sockets, messages).await;
    run.table.print();
}

fn main() {
    serve_if_asked();
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("server"));
    let mut http = Http::connect(server.address());
    let group = BigGroup::blank(&mut http, 1, READERS as u32);
    let next = group.stream_next(&mut http);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, run(&server, group, next));
    server.stop();
}
