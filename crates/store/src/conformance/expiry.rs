//! Expiry: windows, budgets, gaps, heads.

use super::{Place, append, expecting, has, key, log, ok, put, reopen, value};
use crate::{Changes, CommitError, Expect, Expired, LogPage, Replay, Snapshot, Store};

/// Drops everything that has expired.
async fn sweep(store: &impl Store, day: u32, hour: u32) -> usize {
    let mut rows = 0;
    loop {
        let expired = store.expire(day, hour, 7).await.unwrap();
        assert!(expired.rows <= 7);
        rows += expired.rows;
        if !expired.more {
            return rows;
        }
    }
}

fn page(store: &impl Store, from: u64) -> LogPage {
    store
        .snapshot()
        .unwrap()
        .read_log(&log(1), from, 1000, 1 << 20)
        .unwrap()
}

pub async fn records_live_through_their_last_day<P: Place>(place: &P) {
    let store = place.open();
    ok(&store, put(1, 1, Some(5))).await;
    ok(&store, put(2, 2, Some(6))).await;
    ok(&store, put(3, 3, None)).await;
    assert_eq!(sweep(&store, 5, 0).await, 0);
    assert_eq!(has(&store, 1), Some(value(1)));
    assert_eq!(sweep(&store, 6, 0).await, 1);
    assert_eq!((has(&store, 1), has(&store, 2)), (None, Some(value(2))));
    let store = reopen(place, store).await;
    assert_eq!(sweep(&store, 1000, 0).await, 1);
    assert_eq!((has(&store, 2), has(&store, 3)), (None, Some(value(3))));
    assert_eq!(sweep(&store, 1000, 0).await, 0);
}

pub async fn a_put_moves_the_expiry(place: &impl Place) {
    let store = place.open();
    for (k, first, then) in [
        (1, Some(5), Some(9)),
        (2, Some(5), None),
        (3, Some(9), Some(5)),
        (4, None, Some(5)),
    ] {
        ok(&store, put(k, 1, first)).await;
        ok(&store, put(k, 2, then)).await;
    }
    // Exactly the rows that are due, and no stale index row among them.
    assert_eq!(sweep(&store, 6, 0).await, 2);
    let there = [1, 2, 3, 4].map(|k| has(&store, k).is_some());
    assert_eq!(there, [true, true, false, false]);
    assert_eq!(sweep(&store, 10, 0).await, 1);
    assert_eq!([1, 2].map(|k| has(&store, k).is_some()), [false, true]);
}

pub async fn a_deleted_record_comes_back_with_its_own_expiry(place: &impl Place) {
    let store = place.open();
    ok(&store, put(1, 1, Some(5))).await;
    ok(
        &store,
        Changes {
            delete: vec![key(1)],
            ..Changes::default()
        },
    )
    .await;
    ok(&store, put(1, 2, Some(9))).await;
    assert_eq!(sweep(&store, 6, 0).await, 0);
    assert_eq!(has(&store, 1), Some(value(2)));
}

pub async fn a_gap_shows_in_oldest<P: Place>(place: &P) {
    let store = place.open();
    let start = log(1).start();
    for n in 0..20_u64 {
        // Two a day.
        ok(&store, append(1, n, u32::try_from(n / 2).unwrap())).await;
    }
    for day in 0..10_u32 {
        sweep(&store, day, 0).await;
        let oldest = start + 2 * u64::from(day);
        for from in start..oldest {
            let gap = LogPage {
                entries: vec![],
                oldest,
                next: start + 20,
            };
            assert_eq!(page(&store, from), gap);
        }
        let kept = page(&store, oldest);
        assert_eq!((kept.oldest, kept.next), (oldest, start + 20));
        let count = usize::try_from(start + 20 - oldest).unwrap();
        assert_eq!(
            (kept.entries[0].number, kept.entries.len()),
            (oldest, count)
        );
    }
    let store = reopen(place, store).await;
    sweep(&store, 10, 0).await;
    let empty = LogPage {
        entries: vec![],
        oldest: start + 20,
        next: start + 20,
    };
    assert_eq!(page(&store, start), empty);
    assert_eq!(page(&store, start + 20), empty);
}

pub async fn an_empty_log_goes_on_counting<P: Place>(place: &P) {
    let store = place.open();
    let start = log(1).start();
    for n in 0..3 {
        ok(&store, append(1, n, 10)).await;
    }
    assert_eq!(sweep(&store, 40, 0).await, 3);
    let store = reopen(place, store).await;
    assert_eq!(page(&store, start).oldest, start + 3);
    assert_eq!(ok(&store, append(1, 3, 40)).await.numbers, [start + 3]);
    // The grace runs from the latest entry.
    sweep(&store, 70, 0).await;
    assert_eq!(page(&store, start).next, start + 4);
}

pub async fn the_head_dies_after_its_grace(place: &impl Place) {
    let store = place.open();
    let start = log(1).start();
    ok(&store, append(1, 1, 10)).await;
    ok(&store, append(1, 2, 12)).await;
    sweep(&store, 42, 0).await;
    assert_eq!(page(&store, start).next, start + 2);
    assert_eq!(sweep(&store, 43, 0).await, 1);
    assert_eq!(
        page(&store, start),
        LogPage {
            entries: vec![],
            oldest: start,
            next: start
        }
    );
    assert_eq!(ok(&store, append(1, 3, 50)).await.numbers, [start]);
    assert_eq!(page(&store, start).entries[0].value, value(3));
}

pub async fn a_window_dies_at_once<P: Place>(place: &P) {
    let store = place.open();
    let start = log(1).start();
    for n in 0..10 {
        ok(&store, append(1, n, 5)).await;
        ok(&store, put(u8::try_from(n).unwrap(), n, Some(5))).await;
    }
    ok(&store, append(1, 10, 6)).await;
    // No budget at all: the rows are there, and yet nothing of them is seen.
    assert_eq!(
        store.expire(6, 0, 0).await.unwrap(),
        Expired {
            rows: 0,
            more: true
        }
    );
    assert_eq!(
        store.expire(6, 0, 13).await.unwrap(),
        Expired {
            rows: 13,
            more: true
        }
    );
    let store = reopen(place, store).await;
    assert_eq!(page(&store, start).oldest, start + 10);
    assert!((0..10).all(|k| has(&store, k).is_none()));
    // A commit sees what a snapshot sees.
    for k in 0..10 {
        ok(&store, expecting(k, Expect::Absent, put(k, 20, Some(8)))).await;
    }
    let left = sweep(&store, 6, 0).await;
    assert!(left <= 7);
    assert!((0..10).all(|k| has(&store, k) == Some(value(20))));
    assert_eq!(page(&store, start + 10).entries.len(), 1);
}

pub async fn entries_never_expire_out_of_order(place: &impl Place) {
    let store = place.open();
    let start = log(1).start();
    for (n, day) in [(0, 5), (1, 3), (2, 6), (3, 1)] {
        ok(&store, append(1, n, day)).await;
    }
    sweep(&store, 4, 0).await;
    assert_eq!(page(&store, start).entries.len(), 4);
    sweep(&store, 6, 0).await;
    assert_eq!(page(&store, start).oldest, start + 2);
    assert_eq!(page(&store, start + 2).entries.len(), 2);
}

pub async fn replay_expires_by_the_hour(place: &impl Place) {
    let store = place.open();
    let answered = || Changes {
        replay: vec![Replay {
            key: key(1),
            value: value(1),
            expires_hour: 100,
        }],
        ..Changes::default()
    };
    ok(&store, answered()).await;
    assert_eq!(sweep(&store, 5, 100).await, 0);
    assert_eq!(store.commit(answered()).await, Err(CommitError::Replayed));
    // Days and hours are counted apart.
    assert_eq!(sweep(&store, 5, 101).await, 1);
    assert_eq!(store.snapshot().unwrap().replay(&key(1)).unwrap(), None);
}

pub async fn a_clock_that_goes_back_revives_nothing(place: &impl Place) {
    let store = place.open();
    ok(&store, put(1, 1, Some(5))).await;
    assert_eq!(
        store.expire(6, 9, 0).await.unwrap(),
        Expired {
            rows: 0,
            more: true
        }
    );
    assert_eq!(
        store.expire(2, 3, 0).await.unwrap(),
        Expired {
            rows: 0,
            more: true
        }
    );
    assert_eq!(has(&store, 1), None);
    assert_eq!(sweep(&store, 2, 3).await, 1);
}
