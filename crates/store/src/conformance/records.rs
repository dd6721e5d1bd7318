//! Records: compare and swap, all or nothing, order, snapshots.

use super::{Place, append, expecting, has, key, log, ok, put, reopen, value, version};
use crate::{
    Changes, CommitError, Expect, Outbox, Put, Replay, Snapshot, Spend, Store, StoreFault,
};

pub async fn cas_conflicts(place: &impl Place) {
    let store = place.open();
    let is = |n| Expect::Is(version(n));
    let refused = [
        expecting(1, Expect::Present, put(1, 1, None)),
        expecting(1, is(1), put(1, 1, None)),
    ];
    for changes in refused {
        assert_eq!(store.commit(changes).await, Err(CommitError::Conflict));
    }
    assert_eq!(has(&store, 1), None);
    ok(&store, expecting(1, Expect::Absent, put(1, 1, None))).await;
    let refused = [
        expecting(1, Expect::Absent, put(1, 2, None)),
        expecting(1, is(2), put(1, 2, None)),
    ];
    for changes in refused {
        assert_eq!(store.commit(changes).await, Err(CommitError::Conflict));
    }
    ok(&store, expecting(1, is(1), put(1, 2, None))).await;
    ok(&store, expecting(1, Expect::Present, put(1, 3, None))).await;
    let record = store.snapshot().unwrap().get(&key(1)).unwrap().unwrap();
    assert_eq!((record.version, record.value), (version(3), value(3)));
}

/// A change that touches everything, and is refused by its expectation if `k` is there.
fn everything(k: u8, n: u64) -> Changes {
    Changes {
        expect: vec![(key(k), Expect::Absent)],
        delete: vec![key(99)],
        spend: vec![Spend {
            set: [1; 8],
            nullifier: [k; 16],
        }],
        open_sets: vec![[1; 8]],
        replay: vec![Replay {
            key: key(k),
            value: value(n),
            expires_hour: 9,
        }],
        outbox: vec![Outbox {
            destination: [1; 16],
            value: value(n),
        }],
        append: append(1, n, 9).append,
        ..put(k, n, None)
    }
}

pub async fn refused_changes_leave_nothing(place: &impl Place) {
    let store = place.open();
    ok(&store, put(99, 99, None)).await;
    ok(&store, put(1, 1, None)).await;
    let mut changes = everything(2, 2);
    changes.expect.push((key(1), Expect::Absent));
    assert_eq!(store.commit(changes).await, Err(CommitError::Conflict));
    let see = |store: &dyn Fn() -> bool| assert!(store());
    let snapshot = store.snapshot().unwrap();
    see(&|| snapshot.get(&key(2)).unwrap().is_none());
    see(&|| snapshot.get(&key(99)).unwrap().is_some());
    see(&|| snapshot.replay(&key(2)).unwrap().is_none());
    see(&|| !snapshot.spent([1; 8], [2; 16]).unwrap());
    see(&|| snapshot.read_outbox(&[1; 16], 9, 999).unwrap().is_empty());
    see(&|| {
        snapshot
            .read_log(&log(1), log(1).start(), 9, 999)
            .unwrap()
            .next
            == log(1).start()
    });
    // The same without the obstacle is taken whole.
    ok(&store, everything(2, 2)).await;
    let snapshot = store.snapshot().unwrap();
    see(&|| snapshot.get(&key(2)).unwrap().is_some());
    see(&|| snapshot.get(&key(99)).unwrap().is_none());
    see(&|| snapshot.replay(&key(2)).unwrap() == Some(value(2)));
    see(&|| snapshot.spent([1; 8], [2; 16]).unwrap());
    see(&|| snapshot.read_outbox(&[1; 16], 9, 999).unwrap().len() == 1);
    see(&|| {
        snapshot
            .read_log(&log(1), log(1).start(), 9, 999)
            .unwrap()
            .entries
            .len()
            == 1
    });
}

pub async fn queued_changes_see_their_predecessors(place: &impl Place) {
    let store = place.open();
    // Polled in this order, so queued in this order; a backend may merge them.
    let (a, b, c, d) = tokio::join!(
        store.commit(expecting(1, Expect::Absent, put(1, 1, None))),
        store.commit(expecting(1, Expect::Is(version(1)), put(1, 2, None))),
        store.commit(expecting(1, Expect::Is(version(1)), put(2, 3, None))),
        store.commit(expecting(1, Expect::Is(version(2)), put(1, 4, None))),
    );
    assert!(a.is_ok() && b.is_ok() && d.is_ok());
    assert_eq!(c, Err(CommitError::Conflict));
    assert_eq!((has(&store, 1), has(&store, 2)), (Some(value(4)), None));
}

pub async fn puts_survive_reopening<P: Place>(place: &P) {
    let store = place.open();
    for n in 0..20 {
        ok(&store, put(n, u64::from(n), Some(5))).await;
    }
    let store = reopen(place, store).await;
    for n in 0..20 {
        assert_eq!(has(&store, n), Some(value(u64::from(n))));
    }
    assert_eq!(has(&store, 20), None);
}

pub async fn deletes_and_repeated_keys(place: &impl Place) {
    let store = place.open();
    let mut twice = put(1, 1, None);
    twice.put.extend(put(1, 2, None).put);
    ok(&store, twice).await;
    assert_eq!(has(&store, 1), Some(value(2)));
    // Deletes come after puts; deleting what is not there is no error.
    let delete = Changes {
        delete: vec![key(1), key(7)],
        ..put(1, 3, Some(4))
    };
    ok(&store, delete).await;
    assert_eq!(has(&store, 1), None);
}

pub async fn values_without_version_are_refused(place: &impl Place) {
    let store = place.open();
    let short = Put {
        key: key(1),
        value: vec![1; 15],
        expires_day: None,
    };
    let changes = Changes {
        put: vec![short],
        ..put(2, 2, None)
    };
    let refused = Err(CommitError::Unavailable(StoreFault::BadValue));
    assert_eq!(store.commit(changes).await, refused);
    let mut changes = append(1, 1, 1);
    changes.append[0].value.truncate(15);
    assert_eq!(store.commit(changes).await, refused);
    ok(&store, put(2, 2, None)).await;
}

pub async fn snapshots_do_not_move(place: &impl Place) {
    let store = place.open();
    ok(&store, put(1, 1, Some(3))).await;
    ok(&store, append(1, 1, 3)).await;
    let before = store.snapshot().unwrap();
    ok(&store, put(1, 2, Some(3))).await;
    ok(&store, put(2, 3, Some(3))).await;
    ok(&store, append(1, 2, 3)).await;
    store.expire(4, 0, 100).await.unwrap();
    assert_eq!(before.get(&key(1)).unwrap().unwrap().value, value(1));
    assert_eq!(before.get(&key(2)).unwrap(), None);
    let page = before.read_log(&log(1), log(1).start(), 9, 999).unwrap();
    assert_eq!((page.entries.len(), page.next), (1, log(1).start() + 1));
    assert_eq!((has(&store, 1), has(&store, 2)), (None, None));
}

pub async fn nothing_after_shutdown(place: &impl Place) {
    let store = place.open();
    let (queued, ()) = tokio::join!(store.commit(put(1, 1, None)), store.shutdown());
    assert!(queued.is_ok());
    let stopped = StoreFault::Stopped;
    assert_eq!(
        store.commit(put(1, 2, None)).await,
        Err(CommitError::Unavailable(stopped))
    );
    assert_eq!(store.expire(1, 1, 1).await, Err(stopped));
    store.shutdown().await;
    drop(store);
    assert_eq!(has(&place.open(), 1), Some(value(1)));
}

pub async fn an_empty_change_is_fine(place: &impl Place) {
    let store = place.open();
    assert_eq!(ok(&store, Changes::default()).await.numbers, []);
}
