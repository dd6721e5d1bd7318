//! How the cost of a send and of a commit grows from 10 to 10,000 members, before the store does
//! anything. Trees whose parents are blank, which is the dearer case for an update.

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
use sordino_benches::{BigGroup, Change, LocalHub, Table, Written, median, thousands, thread_cpu};
use sordino_hub::Endpoint;

const AT: Endpoint = Endpoint::GroupOperation;
const MEMBERS: [u32; 4] = [10, 100, 1_000, 10_000];
const MESSAGE_BYTES: usize = 1_024;
const SENDS: u32 = 200;
const COMMITS: usize = 7;

/// Median CPU of a commit in milliseconds, and what it writes; nothing is applied.
fn commit(hub: &mut LocalHub, group: &mut BigGroup, change: &Change) -> [String; 2] {
    let request = group.build(hub, change);
    let mut ms = Vec::new();
    let mut written = 0;
    for _ in 0..COMMITS {
        let (cpu, changes) = hub.measure(AT, &request);
        ms.push(cpu.as_secs_f64() * 1e3);
        written = Written::of(&changes).total();
    }
    [
        format!("{:.2}", median(&ms)),
        thousands(written as f64 / 1e3),
    ]
}

fn send(hub: &mut LocalHub, group: &mut BigGroup) -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let request = group.message(MESSAGE_BYTES).next(&mut rng);
    let before = thread_cpu();
    for _ in 0..SENDS {
        let _ = hub.measure(AT, &request);
    }
    let each = (thread_cpu() - before) / SENDS;
    format!("{:.1}", each.as_secs_f64() * 1e6)
}

fn main() {
    let mut table = Table::new(&[
        "members",
        "send, CPU µs",
        "update with path, CPU ms",
        "written, kB",
        "add, CPU ms",
        "written, kB",
        "remove a user, CPU ms",
        "written, kB",
    ]);
    for members in MEMBERS {
        let mut hub = LocalHub::new();
        let mut group = BigGroup::blank(&mut hub, 1, members);
        assert_eq!(group.members(), members as usize);
        let mut row = vec![thousands(f64::from(members)), send(&mut hub, &mut group)];
        // The first commit after a new generation writes a snapshot; what is measured comes behind it.
        for _ in 0..2 {
            group.commit(&mut hub, &Change::Update);
        }
        let add = Change::Add(members..members + 1);
        // One user more than can be is none that can be added.
        let adds = members < 10_000;
        row.extend(commit(&mut hub, &mut group, &Change::Update));
        match adds {
            true => row.extend(commit(&mut hub, &mut group, &add)),
            false => row.extend(["–".to_owned(), "–".to_owned()]),
        }
        let gone = Change::Remove(vec![members / 2]);
        row.extend(commit(&mut hub, &mut group, &gone));
        table.row(&row);
    }
    table.print();
}
