//! Logs: numbers, pages, ends.

use super::{Place, append, log, ok, reopen, value};
use crate::{Changes, LogPage, Snapshot, Store};

fn page(store: &impl Store, l: u8, from: u64) -> LogPage {
    store
        .snapshot()
        .unwrap()
        .read_log(&log(l), from, 1000, 1 << 20)
        .unwrap()
}

pub async fn numbers_are_contiguous_across_reopening<P: Place>(place: &P) {
    let mut store = place.open();
    let start = log(1).start();
    for n in 0..12_u64 {
        let numbers = ok(&store, append(1, n, 5)).await.numbers;
        assert_eq!(numbers, [start + n]);
        if n % 4 == 3 {
            store = reopen(place, store).await;
        }
    }
    let page = page(&store, 1, start);
    assert_eq!((page.oldest, page.next), (start, start + 12));
    for (n, entry) in (0..).zip(&page.entries) {
        assert_eq!((entry.number, &entry.value), (start + n, &value(n)));
    }
    assert_eq!(page.entries.len(), 12);
}

pub async fn an_unknown_log_is_empty(place: &impl Place) {
    let store = place.open();
    ok(&store, append(1, 1, 5)).await;
    let start = log(2).start();
    let page = page(&store, 2, start);
    assert_eq!(
        page,
        LogPage {
            entries: vec![],
            oldest: start,
            next: start
        }
    );
}

pub async fn pages_are_bounded(place: &impl Place) {
    let store = place.open();
    for n in 0..5 {
        ok(&store, append(1, n, 5)).await;
    }
    let snapshot = store.snapshot().unwrap();
    let start = log(1).start();
    let size = value(0).len();
    let read = |from, entries, bytes| {
        let page = snapshot.read_log(&log(1), from, entries, bytes).unwrap();
        assert_eq!((page.oldest, page.next), (from, start + 5));
        page.entries
            .iter()
            .map(|e| e.number - start)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(start, 3, 1000), [0, 1, 2]);
    assert_eq!(read(start + 3, 3, 1000), [3, 4]);
    assert_eq!(read(start + 1, 9, 2 * size), [1, 2]);
    assert_eq!(read(start + 1, 9, 3 * size - 1), [1, 2]);
    // One entry comes always, or a reader would never get past a large one.
    assert_eq!(read(start + 1, 9, 1), [1]);
    assert_eq!(read(start, 0, 1000), []);
}

pub async fn many_logs_in_one_change(place: &impl Place) {
    let store = place.open();
    let appends = [(1, 1), (2, 2), (1, 3), (3, 4), (1, 5)];
    let append = appends
        .iter()
        .flat_map(|(l, n)| append(*l, *n, 5).append)
        .collect();
    let numbers = ok(
        &store,
        Changes {
            append,
            ..Changes::default()
        },
    )
    .await
    .numbers;
    let (a, b, c) = (log(1).start(), log(2).start(), log(3).start());
    assert_eq!(numbers, [a, b, a + 1, c, a + 2]);
    let values: Vec<_> = page(&store, 1, a)
        .entries
        .into_iter()
        .map(|e| e.value)
        .collect();
    assert_eq!(values, [value(1), value(3), value(5)]);
    assert_eq!(
        (page(&store, 2, b).next, page(&store, 3, c).next),
        (b + 1, c + 1)
    );
}

pub async fn reading_past_the_end(place: &impl Place) {
    let store = place.open();
    ok(&store, append(1, 1, 5)).await;
    let next = log(1).start() + 1;
    for from in [next, next + 1, u64::MAX] {
        assert_eq!(
            page(&store, 1, from),
            LogPage {
                entries: vec![],
                oldest: next,
                next
            }
        );
    }
}

pub async fn before_the_start_is_a_gap(place: &impl Place) {
    let store = place.open();
    ok(&store, append(1, 1, 5)).await;
    let start = log(1).start();
    assert!(start > 0);
    let found = page(&store, 1, 0);
    assert_eq!(
        found,
        LogPage {
            entries: vec![],
            oldest: start,
            next: start + 1
        }
    );
}
