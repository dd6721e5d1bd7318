//! Durable sends of 1 KiB over HTTP, beside bare commits of the same bytes in the same run.
//!
//! The server is a process of its own on a redb file; the client's connections, one request in
//! flight on each, share the machine with it. All rounds take turns, so that what else the machine
//! does falls on all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use redb::{Database, Durability, TableDefinition};
use sordino_benches::{
    BigGroup, Http, Lane, LocalHub, SendTemplate, ServerProcess, Table, median, percentile,
    serve_if_asked, spread,
};
use sordino_hub::Endpoint;
use sordino_store::{
    Append, Changes, Expect, Key, LogHandle, Put, RedbOptions, RedbStore, Replay, Store, Version,
};
use std::path::Path;
use std::time::Instant;
use tokio::runtime::Runtime;

const MESSAGE_BYTES: usize = 1_024;
const ROUNDS: usize = 7;
const LANES: [usize; 2] = [16, 64];
/// Operations per round and lane count: one to two seconds each.
const OPERATIONS: [usize; 2] = [2_000, 5_000];
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// The sizes of what one send changes.
#[derive(Clone, Copy)]
struct Sizes {
    entry: usize,
    outcome: usize,
}

fn sizes() -> Sizes {
    let mut hub = LocalHub::new();
    let mut group = BigGroup::blank(&mut hub, 1, 10);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let request = group.message(MESSAGE_BYTES).next(&mut rng);
    let (_, changes) = hub.measure(Endpoint::GroupOperation, &request);
    assert!(changes.put.is_empty() && changes.append.len() == 1 && changes.expect.len() == 2);
    Sizes {
        entry: changes.append[0].value.len(),
        outcome: changes.replay[0].value.len(),
    }
}

fn random(rng: &mut ChaCha20Rng, bytes: usize) -> Vec<u8> {
    let mut value = vec![0; bytes];
    rng.fill_bytes(&mut value);
    value
}

/// Transactions of redb itself with nothing around it: so many operations in each as are in
/// flight, durable as the store's are.
fn bare_redb(
    db: &Database,
    sizes: Sizes,
    in_flight: usize,
    operations: usize,
    rng: &mut ChaCha20Rng,
) -> f64 {
    let batches = operations / in_flight;
    let rows: Vec<Vec<(Vec<u8>, Vec<u8>)>> = (0..batches)
        .map(|_| {
            let mut rows = Vec::new();
            for _ in 0..in_flight {
                for bytes in [sizes.entry, sizes.outcome] {
                    rows.push((random(rng, 16), random(rng, bytes)));
                }
            }
            rows
        })
        .collect();
    let begin = Instant::now();
    for batch in &rows {
        let mut txn = db.begin_write().unwrap();
        txn.set_durability(Durability::Immediate).unwrap();
        txn.set_two_phase_commit(true);
        {
            let mut table = txn.open_table(ROWS).unwrap();
            for (key, value) in batch {
                table.insert(key.as_slice(), value.as_slice()).unwrap();
            }
        }
        txn.commit().unwrap();
    }
    (batches * in_flight) as f64 / begin.elapsed().as_secs_f64()
}

/// The two records that every send expects to be as they were.
fn expected() -> Vec<(Key, Vec<u8>)> {
    (1..=2).map(|n| (Key([n; 16]), vec![n; 64])).collect()
}

/// Commits of the store with the same bytes and the same expectations as sends.
fn bare_store(
    runtime: &Runtime,
    store: &RedbStore,
    sizes: Sizes,
    in_flight: usize,
    operations: usize,
    rng: &mut ChaCha20Rng,
) -> f64 {
    let mut lanes: Vec<Vec<Changes>> = (0..in_flight).map(|_| Vec::new()).collect();
    for n in 0..operations {
        let version = |value: &[u8]| Expect::Is(Version::of(value).unwrap());
        lanes[n % in_flight].push(Changes {
            expect: expected()
                .into_iter()
                .map(|(key, value)| (key, version(&value)))
                .collect(),
            append: vec![Append {
                log: LogHandle([5; 32]),
                value: random(rng, sizes.entry),
                expires_day: 30_000,
            }],
            replay: vec![Replay {
                key: Key(random(rng, 16).try_into().unwrap()),
                value: random(rng, sizes.outcome),
                expires_hour: 700_000,
            }],
            ..Changes::default()
        });
    }
    runtime.block_on(async {
        let begin = Instant::now();
        let tasks: Vec<_> = lanes
            .into_iter()
            .map(|lane| {
                let store = store.clone();
                tokio::spawn(async move {
                    for changes in lane {
                        store.commit(changes).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        operations as f64 / begin.elapsed().as_secs_f64()
    })
}

/// What one round over HTTP gave.
struct Sent {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// The server's processor time per send.
    server_us: f64,
}

fn over_http(
    runtime: &Runtime,
    server: &ServerProcess,
    template: &mut SendTemplate,
    in_flight: usize,
    operations: usize,
    rng: &mut ChaCha20Rng,
) -> Sent {
    let mut lanes: Vec<Vec<Vec<u8>>> = (0..in_flight).map(|_| Vec::new()).collect();
    for n in 0..operations {
        let request = Lane::render(Endpoint::GroupOperation, &template.next(rng));
        lanes[n % in_flight].push(request);
    }
    let address = server.address();
    runtime.block_on(async {
        let mut connected = Vec::new();
        for requests in lanes {
            connected.push((Lane::connect(address).await, requests));
        }
        let cpu = server.cpu();
        let begin = Instant::now();
        let tasks: Vec<_> = connected
            .into_iter()
            .map(|(mut lane, requests)| {
                tokio::spawn(async move {
                    let mut latencies = Vec::with_capacity(requests.len());
                    for request in requests {
                        let sent = Instant::now();
                        lane.send(&request).await;
                        latencies.push(sent.elapsed().as_secs_f64() * 1e3);
                    }
                    latencies
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        let elapsed = begin.elapsed().as_secs_f64();
        Sent {
            per_second: operations as f64 / elapsed,
            p50_ms: percentile(&latencies, 0.5),
            p99_ms: percentile(&latencies, 0.99),
            server_us: (server.cpu() - cpu).as_secs_f64() * 1e6 / operations as f64,
        }
    })
}

fn open_store(runtime: &Runtime, folder: &Path) -> RedbStore {
    let store = RedbStore::open(&folder.join("store"), RedbOptions::default()).unwrap();
    let put = expected().into_iter().map(|(key, value)| Put {
        key,
        value,
        expires_day: None,
    });
    let changes = Changes {
        put: put.collect(),
        ..Changes::default()
    };
    runtime.block_on(store.commit(changes)).unwrap();
    store
}

#[derive(Default)]
struct Figures {
    redb: Vec<f64>,
    store: Vec<f64>,
    small: Vec<Sent>,
    large: Vec<Sent>,
}

impl Figures {
    fn of(sent: &[Sent], field: fn(&Sent) -> f64) -> Vec<f64> {
        sent.iter().map(field).collect()
    }

    fn rows(&self, table: &mut Table, in_flight: usize) {
        let (redb, store) = (median(&self.redb), median(&self.store));
        for (what, rates) in [
            ("bare redb transactions", &self.redb),
            ("bare RedbStore commits", &self.store),
        ] {
            let ratio = format!("{:.2}", median(rates) / redb);
            let unknown = String::from("–");
            table.row(&[
                what.into(),
                in_flight.to_string(),
                spread(rates),
                ratio,
                format!("{:.2}", median(rates) / store),
                unknown.clone(),
                unknown.clone(),
                unknown,
            ]);
        }
        for (what, sent) in [
            ("sends, 10 members", &self.small),
            ("sends, 1,000 members", &self.large),
        ] {
            let rates = Self::of(sent, |s| s.per_second);
            let one = |field| format!("{:.1}", median(&Self::of(sent, field)));
            table.row(&[
                what.into(),
                in_flight.to_string(),
                spread(&rates),
                format!("{:.2}", median(&rates) / redb),
                format!("{:.2}", median(&rates) / store),
                one(|s| s.p50_ms),
                one(|s| s.p99_ms),
                one(|s| s.server_us),
            ]);
        }
    }

    /// 1,000 members against 10, round by round, since rounds next to each other met the same noise.
    fn ratio(&self) -> Vec<f64> {
        let pairs = self.large.iter().zip(&self.small);
        pairs
            .map(|(large, small)| large.per_second / small.per_second)
            .collect()
    }
}

fn main() {
    serve_if_asked();
    let sizes = sizes();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = ServerProcess::start(&folder.path().join("server"));
    let mut http = Http::connect(server.address());
    let mut small = BigGroup::blank(&mut http, 1, 10).message(MESSAGE_BYTES);
    let mut large = BigGroup::blank(&mut http, 2, 1_000).message(MESSAGE_BYTES);
    let db = Database::create(folder.path().join("bare")).unwrap();
    let store = open_store(&runtime, folder.path());
    let mut rng = ChaCha20Rng::seed_from_u64(7);

    let mut figures = [Figures::default(), Figures::default()];
    for round in 0..ROUNDS {
        for ((figures, in_flight), operations) in figures.iter_mut().zip(LANES).zip(OPERATIONS) {
            figures
                .redb
                .push(bare_redb(&db, sizes, in_flight, operations, &mut rng));
            let rate = bare_store(&runtime, &store, sizes, in_flight, operations, &mut rng);
            figures.store.push(rate);
            let mut send =
                |template| over_http(&runtime, &server, template, in_flight, operations, &mut rng);
            // Whoever comes second finds the file larger: they take turns.
            if round % 2 == 0 {
                figures.small.push(send(&mut small));
                figures.large.push(send(&mut large));
            } else {
                figures.large.push(send(&mut large));
                figures.small.push(send(&mut small));
            }
        }
    }
    let mut table = Table::new(&[
        "1 KiB, durable",
        "in flight",
        "per second, median (least-most)",
        "of bare redb",
        "of bare store",
        "p50 ms",
        "p99 ms",
        "server CPU µs",
    ]);
    for (figures, in_flight) in figures.iter().zip(LANES) {
        figures.rows(&mut table, in_flight);
    }
    table.print();
    println!(
        "bytes written per send: {} + {}",
        sizes.entry, sizes.outcome
    );
    for (figures, in_flight) in figures.iter().zip(LANES) {
        let ratios = figures.ratio();
        println!(
            "1,000 members against 10, {in_flight} in flight: {:.2} ({:.2}-{:.2})",
            median(&ratios),
            percentile(&ratios, 0.0),
            percentile(&ratios, 1.0)
        );
    }
    server.stop();
}
