//! Wake-ups: none lost, none for others.

use super::{Place, append, expecting, log, ok, poll, put};
use crate::{CommitError, Expect, Snapshot, Store, Watch};
use std::pin::pin;

/// Whether the watch has something to report now.
fn ready(watch: &mut Watch) -> bool {
    poll(pin!(watch.changed())).is_ready()
}

/// Watchers are woken after the answer but before the next transaction, so that once another
/// commit was answered, those of the one before it have been woken.
async fn settle(store: &impl Store) {
    ok(store, put(200, 1, None)).await;
    ok(store, put(200, 2, None)).await;
}

pub async fn before_the_append(place: &impl Place) {
    let store = place.open();
    let mut watch = store.watch(&[log(1), log(2)]);
    for (n, l) in [(1, 2), (2, 1)] {
        assert!(!ready(&mut watch));
        let ((), _) = tokio::join!(watch.changed(), ok(&store, append(l, n, 5)));
    }
    settle(&store).await;
    assert!(!ready(&mut watch));
}

pub async fn after_the_append(place: &impl Place) {
    let store = place.open();
    let mut watch = store.watch(&[log(1)]);
    ok(&store, append(1, 1, 5)).await;
    // Nobody was waiting when it happened; the watch remembers.
    watch.changed().await;
    let page = store
        .snapshot()
        .unwrap()
        .read_log(&log(1), log(1).start(), 9, 999)
        .unwrap();
    assert_eq!(page.entries.len(), 1);
    ok(&store, append(1, 2, 5)).await;
    ok(&store, append(1, 3, 5)).await;
    settle(&store).await;
    // Two appends are one report.
    assert!(ready(&mut watch));
    assert!(!ready(&mut watch));
}

pub async fn many_watchers(place: &impl Place) {
    let store = place.open();
    let mut watches: Vec<Watch> = (0..500).map(|_| store.watch(&[log(1)])).collect();
    watches.extend((0..50).map(|_| store.watch(&[log(2), log(1)])));
    ok(&store, append(1, 1, 5)).await;
    for watch in &mut watches {
        watch.changed().await;
    }
}

pub async fn other_logs_and_refusals_wake_nobody(place: &impl Place) {
    let store = place.open();
    let mut watch = store.watch(&[log(1)]);
    ok(&store, append(2, 1, 5)).await;
    let refused = expecting(1, Expect::Present, append(1, 2, 5));
    assert_eq!(store.commit(refused).await, Err(CommitError::Conflict));
    settle(&store).await;
    assert!(!ready(&mut watch));
    // A watch that begins after an append does not report it.
    ok(&store, append(3, 1, 5)).await;
    settle(&store).await;
    assert!(!ready(&mut store.watch(&[log(3)])));
}

pub async fn a_cancelled_wait_loses_nothing(place: &impl Place) {
    let store = place.open();
    let mut watch = store.watch(&[log(1)]);
    {
        let mut wait = pin!(watch.changed());
        assert!(poll(wait.as_mut()).is_pending());
        ok(&store, append(1, 1, 5)).await;
        settle(&store).await;
        // Dropped here, notified but not polled again.
    }
    watch.changed().await;
}

pub async fn a_dropped_watch_is_gone(place: &impl Place) {
    let store = place.open();
    let watch = store.watch(&[log(1)]);
    let mut other = store.watch(&[log(1)]);
    drop(watch);
    ok(&store, append(1, 1, 5)).await;
    other.changed().await;
    drop(store);
    drop(other);
}
