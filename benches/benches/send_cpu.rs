//! Processor time of one send before the store does anything, by the size of the group.

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
use sordino_benches::{BigGroup, LocalHub, Table, Written, median, percentile, thread_cpu};
use sordino_hub::Endpoint;
use std::time::Duration;

const MESSAGE_BYTES: usize = 1_024;
const ROUNDS: usize = 15;
const SENDS: u32 = 400;

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn main() {
    let mut table = Table::new(&[
        "members",
        "CPU µs, median (least-most)",
        "bytes written",
        "rows",
    ]);
    for members in [10, 100, 1_000] {
        let mut hub = LocalHub::new();
        let mut group = BigGroup::blank(&mut hub, 1, members);
        assert_eq!(group.members(), members as usize);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let request = group.message(MESSAGE_BYTES).next(&mut rng);
        let (_, changes) = hub.measure(Endpoint::GroupOperation, &request);
        let written = Written::of(&changes);
        let rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let before = thread_cpu();
                for _ in 0..SENDS {
                    let _ = hub.measure(Endpoint::GroupOperation, &request);
                }
                microseconds((thread_cpu() - before) / SENDS)
            })
            .collect();
        let spread = format!(
            "{:.1} ({:.1}-{:.1})",
            median(&rounds),
            percentile(&rounds, 0.0),
            percentile(&rounds, 1.0)
        );
        table.row(&[
            members.to_string(),
            spread,
            written.total().to_string(),
            written.rows.to_string(),
        ]);
    }
    table.print();
}
