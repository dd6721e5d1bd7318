//! Memory and time to start of a server with 10 and with 10,000 groups in which nothing happens; with
//! others where `SORDINO_IDLE_GROUPS` says so, as in `1,100000`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

use sordino_benches::{BigGroup, Http, ServerProcess, Table, median, serve_if_asked, thousands};
use std::path::Path;

const GROUPS: &str = "10,10000";
const MAKERS: u64 = 16;
const STARTS: usize = 5;
/// The server's database in its data folder.
const DATABASE: &str = "hub.redb";

fn create(server: &ServerProcess, groups: u64) {
    std::thread::scope(|scope| {
        for maker in 0..MAKERS {
            scope.spawn(move || {
                let mut http = Http::connect(server.address());
                for number in (maker..groups).step_by(MAKERS as usize) {
                    let _ = BigGroup::create(&mut http, number);
                }
            });
        }
    });
}

fn file_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

/// What redb says of a closed file: bytes of keys and values, and bytes of the pages in use.
fn stored_bytes(folder: &Path) -> (u64, u64) {
    let db = redb::Database::open(folder.join(DATABASE)).unwrap();
    let txn = db.begin_write().unwrap();
    let stats = txn.stats().unwrap();
    let allocated = stats.allocated_pages() * stats.page_size() as u64;
    let stored = stats.stored_bytes();
    txn.abort().unwrap();
    (stored, allocated)
}

fn main() {
    serve_if_asked();
    let mut table = Table::new(&[
        "groups",
        "created per second",
        "own memory after that, kB",
        "own memory after a new start, kB",
        "resident after a new start, kB",
        "start, ms",
        "data folder, MB",
        "pages in use, MB",
        "keys and values, MB",
    ]);
    let sizes = std::env::var("SORDINO_IDLE_GROUPS").unwrap_or(GROUPS.to_owned());
    for groups in sizes.split(',').map(|n| n.trim().parse::<u64>().unwrap()) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("server");
        let server = ServerProcess::start(&data);
        let begin = std::time::Instant::now();
        create(&server, groups);
        let rate = groups as f64 / begin.elapsed().as_secs_f64();
        let grown = server.private_kb();
        server.stop();
        let (mut own, mut resident, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let server = ServerProcess::start(&data);
            own.push(server.private_kb());
            resident.push(server.resident_kb());
            starts.push(server.started_in().as_secs_f64() * 1e3);
            server.stop();
        }
        let (stored, allocated) = stored_bytes(&data);
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        table.row(&[
            thousands(groups as f64),
            thousands(rate),
            thousands(grown),
            thousands(median(&own)),
            thousands(median(&resident)),
            format!("{:.0}", median(&starts)),
            megabytes(file_bytes(&data)),
            megabytes(allocated),
            megabytes(stored),
        ]);
    }
    table.print();
}
