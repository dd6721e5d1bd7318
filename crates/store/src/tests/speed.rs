//! How fast small sends go; run by hand: `cargo test --release -p sordino-store -- --ignored
//! --nocapture`. Prints, asserts nothing: a loaded machine is no defect.

use crate::conformance::block_on;
use crate::{Append, Changes, LogHandle, RedbOptions, RedbStore, Snapshot, Spend, Store};
use std::future::Future;
use std::time::{Duration, Instant};

const PAYLOAD_BYTES: usize = 1100;
const DURATION: Duration = Duration::from_secs(3);

/// One sender's lane: each send reads the head, appends to its log and spends a token.
async fn lane(store: &RedbStore, id: u8, until: Instant) -> u64 {
    let mut sent = 0_u64;
    while Instant::now() < until {
        let log = LogHandle([id; 32]);
        store
            .snapshot()
            .unwrap()
            .get(&crate::Key([id; 16]))
            .unwrap();
        let mut value = vec![id; PAYLOAD_BYTES];
        value[..8].copy_from_slice(&sent.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let mut nullifier = [id; 16];
        nullifier[..8].copy_from_slice(&value[..8]);
        let spend = vec![Spend {
            set: [1; 8],
            nullifier,
            expires_day: 9,
        }];
        let append = vec![Append {
            log,
            value,
            expires_day: 9,
        }];
        store
            .commit(Changes {
                append,
                spend,
                ..Changes::default()
            })
            .await
            .unwrap();
        sent += 1;
    }
    sent
}

async fn measure(lanes: u8) {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&dir.path().join("store"), RedbOptions::default()).unwrap();
    let begin = Instant::now();
    let tasks = (0..lanes).map(|id| Box::pin(lane(&store, id, begin + DURATION)));
    let mut tasks: Vec<_> = tasks.collect();
    let mut sent = 0;
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| match task.as_mut().poll(context) {
            std::task::Poll::Ready(count) => {
                sent += count;
                false
            }
            std::task::Poll::Pending => true,
        });
        if tasks.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    let rate = sent * 1000 / u64::try_from(begin.elapsed().as_millis()).unwrap();
    println!("{lanes} in flight: {rate} durable sends/s");
}

#[test]
#[ignore = "a measurement"]
fn durable_sends() {
    block_on(async {
        for lanes in [1, 16, 64] {
            measure(lanes).await;
        }
    });
}
