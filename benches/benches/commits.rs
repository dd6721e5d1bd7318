//! Processor time and bytes of commits in a group of 1,000, before the store does anything.
//!
//! Each request is handled several times on the same state, of which nothing is kept; then it is
//! applied, and the next one is made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

use sordino_benches::{
    BigGroup, Change, LocalHub, Table, Transport, Written, done, median, percentile, thousands,
};
use sordino_hub::Endpoint;

const MEMBERS: u32 = 1_000;
/// One more than the deltas between two snapshots, so that each such series has one.
const COMMITS: usize = 32;
const REPEATS: usize = 3;
const AT: Endpoint = Endpoint::GroupOperation;

#[derive(Default)]
struct Figures {
    ms: Vec<f64>,
    written: Vec<Written>,
    request_bytes: Vec<f64>,
}

impl Figures {
    fn take(&mut self, hub: &mut LocalHub, request: &[u8], repeats: usize) {
        let mut times = Vec::new();
        for _ in 0..repeats {
            let (cpu, changes) = hub.measure(AT, request);
            times.push(cpu.as_secs_f64() * 1e3);
            if times.len() == 1 {
                self.written.push(Written::of(&changes));
            }
        }
        self.ms.push(median(&times));
        self.request_bytes.push(request.len() as f64);
    }

    fn row(&self, table: &mut Table, what: &str) {
        let bytes = |of: fn(&Written) -> usize| -> Vec<f64> {
            self.written.iter().map(|w| of(w) as f64).collect()
        };
        let total = bytes(Written::total);
        table.row(&[
            what.to_owned(),
            format!(
                "{:.2} ({:.2}-{:.2})",
                median(&self.ms),
                percentile(&self.ms, 0.0),
                percentile(&self.ms, 1.0)
            ),
            format!("{:.2}", self.ms.iter().sum::<f64>() / self.ms.len() as f64),
            thousands(median(&total)),
            thousands(total.iter().sum::<f64>() / total.len() as f64),
            thousands(percentile(&total, 1.0)),
            thousands(median(&bytes(|w| w.records))),
            thousands(median(&bytes(|w| w.entries))),
            thousands(median(&self.request_bytes)),
        ]);
    }
}

/// A series of commits, each applied.
fn series(hub: &mut LocalHub, group: &mut BigGroup, change: impl Fn(u32) -> Change) -> Figures {
    let mut figures = Figures::default();
    for n in 0..COMMITS as u32 {
        let request = group.build(hub, &change(n));
        figures.take(hub, &request, REPEATS);
        done(hub.exchange(AT, &request));
        group.merge();
    }
    figures
}

/// One commit that is only measured.
fn once(hub: &mut LocalHub, group: &mut BigGroup, change: &Change) -> Figures {
    let request = group.build(hub, change);
    let mut figures = Figures::default();
    for _ in 0..9 {
        figures.take(hub, &request, 1);
    }
    figures
}

fn main() {
    let mut table = Table::new(&[
        "commit, 1,000 members",
        "CPU ms, median (least-most)",
        "CPU ms, mean",
        "bytes written, median",
        "mean",
        "most",
        "of them records",
        "of them log entries",
        "request bytes",
    ]);
    for populated in [true, false] {
        let tree = if populated { "populated" } else { "blank" };
        let mut hub = LocalHub::new();
        let mut group = if populated {
            BigGroup::populated(&mut hub, 1, MEMBERS)
        } else {
            BigGroup::blank(&mut hub, 1, MEMBERS)
        };
        assert_eq!(group.members(), MEMBERS as usize);
        let gone = if populated { vec![500, 501] } else { vec![500] };
        once(&mut hub, &mut group, &Change::Remove(gone))
            .row(&mut table, &format!("remove a user, {tree}"));
        once(&mut hub, &mut group, &Change::Move).row(
            &mut table,
            &format!("update that starts a generation, {tree}"),
        );
        series(&mut hub, &mut group, |_| Change::Update)
            .row(&mut table, &format!("update with path, {tree}"));
        let first = MEMBERS * 2;
        series(&mut hub, &mut group, |n| {
            Change::Add(first + n..first + n + 1)
        })
        .row(&mut table, &format!("add without path, {tree}"));
    }
    table.print();
}
