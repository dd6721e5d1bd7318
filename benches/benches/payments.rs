//! What paying adds to a request, through the whole of the hub up to its commit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

#[path = "../../crates/hub/tests/support/till.rs"]
mod till;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_benches::{BigGroup, LocalHub, Table, Transport, median, now_s, percentile};
use sordino_hub::Endpoint;
use sordino_wire::{DsRequest, TokenClass};
use till::Till;

const GROUPS: u64 = 200;

fn spread(micros: &[f64]) -> String {
    format!(
        "{:.0} ({:.0}-{:.0})",
        median(micros),
        percentile(micros, 0.05),
        percentile(micros, 0.95)
    )
}

fn main() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (mut free, mut charging) = (LocalHub::new(), LocalHub::new());
    let till = Till::new(&free.domain(), now_s() - 10, &mut rng);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut requests = Vec::new();
    for number in 0..GROUPS {
        let (_, bytes) = BigGroup::to_create(&free, number);
        let mut paid = DsRequest::parse(&bytes).unwrap().request;
        paid.tokens = till.draw(TokenClass::Write, 5, now_s(), &mut rng);
        requests.push((bytes, paid.encode().unwrap()));
    }
    charging.charge(Box::new(till));
    let mut rows = (0, 0);
    for (bytes, paid) in &requests {
        let (cpu, changes) = free.measure(Endpoint::GroupOperation, bytes);
        without.push(cpu.as_secs_f64() * 1e6);
        rows.0 = changes.put.len() + changes.replay.len();
        let (cpu, changes) = charging.measure(Endpoint::GroupOperation, paid);
        with.push(cpu.as_secs_f64() * 1e6);
        rows.1 = changes.put.len() + changes.replay.len() + changes.spend.len();
    }
    let difference = median(&with) - median(&without);
    let mut table = Table::new(&["creating a group", "CPU µs, median (5 %-95 %)", "rows"]);
    table.row(&["free".into(), spread(&without), rows.0.to_string()]);
    table.row(&["for five tokens".into(), spread(&with), rows.1.to_string()]);
    table.row(&[
        "difference; per token".into(),
        format!("{difference:.0}; {:.0}", difference / 5.0),
        (rows.1 - rows.0).to_string(),
    ]);
    table.print();
}
