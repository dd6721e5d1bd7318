//! What happens once: replays, spends, and the outbox.

use super::{Place, expecting, has, key, ok, put, reopen, value};
use crate::{Changes, CommitError, Expect, Outbox, OutboxEntry, Replay, Snapshot, Spend, Store};

fn replay(n: u8, changes: Changes) -> Changes {
    let replay = Replay {
        key: key(n),
        value: value(u64::from(n)),
        expires_hour: 50,
    };
    Changes {
        replay: vec![replay],
        ..changes
    }
}

fn spend(set: u8, nullifier: u8, changes: Changes) -> Changes {
    let spend = Spend {
        set: [set; 8],
        nullifier: [nullifier; 16],
    };
    Changes {
        spend: vec![spend],
        ..changes
    }
}

pub async fn a_replay_is_refused<P: Place>(place: &P) {
    let store = place.open();
    ok(&store, replay(1, put(1, 1, None))).await;
    let store = reopen(place, store).await;
    assert_eq!(
        store.commit(replay(1, put(1, 2, None))).await,
        Err(CommitError::Replayed)
    );
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.replay(&key(1)).unwrap(), Some(value(1)));
    assert_eq!(snapshot.replay(&key(2)).unwrap(), None);
    assert_eq!(has(&store, 1), Some(value(1)));
    // Replay keys and record keys do not meet.
    ok(&store, replay(2, put(1, 3, None))).await;
}

fn open_sets(sets: &[u8]) -> Changes {
    Changes {
        open_sets: sets.iter().map(|set| [*set; 8]).collect(),
        ..Changes::default()
    }
}

fn close_set(set: u8) -> Changes {
    Changes {
        close_sets: vec![[set; 8]],
        ..Changes::default()
    }
}

pub async fn a_set_is_spent_in_while_it_is_open<P: Place>(place: &P) {
    let store = place.open();
    let closed = Err(CommitError::SetClosed);
    assert_eq!(store.commit(spend(1, 1, put(1, 1, None))).await, closed);
    ok(&store, spend(1, 1, open_sets(&[1]))).await;
    // Opening it again forgets nothing.
    ok(&store, open_sets(&[1, 2])).await;
    let store = reopen(place, store).await;
    assert_eq!(
        store.commit(spend(1, 1, put(1, 1, None))).await,
        Err(CommitError::Spent)
    );
    ok(&store, spend(1, 2, Changes::default())).await;
    ok(&store, spend(2, 1, Changes::default())).await;
    let counts = |store: &P::Store| {
        let snapshot = store.snapshot().unwrap();
        [1, 2, 3].map(|set| snapshot.count_spent([set; 8]).unwrap())
    };
    assert_eq!(counts(&store), [Some(2), Some(1), None]);
    // What is spent in the change that closes the set goes with it.
    ok(&store, spend(1, 3, close_set(1))).await;
    ok(&store, close_set(3)).await;
    assert_eq!(counts(&store), [None, Some(1), None]);
    assert!(!store.snapshot().unwrap().spent([1; 8], [1; 16]).unwrap());
    assert_eq!(store.commit(spend(1, 1, put(1, 1, None))).await, closed);
    let store = reopen(place, store).await;
    assert_eq!(store.commit(spend(1, 1, put(1, 1, None))).await, closed);
    assert_eq!(
        (has(&store, 1), counts(&store)),
        (None, [None, Some(1), None])
    );
}

pub async fn a_nullifier_is_spent_once<P: Place>(place: &P) {
    let store = place.open();
    ok(&store, open_sets(&[1, 2, 3])).await;
    let (a, b) = tokio::join!(
        store.commit(spend(1, 1, put(1, 1, None))),
        store.commit(spend(1, 1, put(1, 2, None))),
    );
    assert_eq!((a.is_ok(), b), (true, Err(CommitError::Spent)));
    let store = reopen(place, store).await;
    assert_eq!(
        store.commit(spend(1, 1, put(1, 3, None))).await,
        Err(CommitError::Spent)
    );
    ok(&store, spend(2, 1, Changes::default())).await;
    let mut twice = spend(3, 3, put(2, 2, None));
    twice.spend.push(twice.spend[0]);
    assert_eq!(store.commit(twice).await, Err(CommitError::Spent));
    let snapshot = store.snapshot().unwrap();
    let spent = [(1, 1), (2, 1), (1, 2), (3, 3)].map(|(s, n)| snapshot.spent([s; 8], [n; 16]));
    assert_eq!(spent, [Ok(true), Ok(true), Ok(false), Ok(false)]);
    assert_eq!((has(&store, 1), has(&store, 2)), (Some(value(1)), None));
}

pub async fn replay_comes_before_spent_before_conflict(place: &impl Place) {
    let store = place.open();
    ok(&store, open_sets(&[1])).await;
    let all = || {
        replay(
            1,
            spend(1, 1, expecting(1, Expect::Absent, put(1, 1, None))),
        )
    };
    ok(&store, all()).await;
    assert_eq!(store.commit(all()).await, Err(CommitError::Replayed));
    let changes = Changes {
        replay: vec![],
        ..all()
    };
    assert_eq!(store.commit(changes.clone()).await, Err(CommitError::Spent));
    let changes = Changes {
        spend: vec![],
        ..changes
    };
    assert_eq!(store.commit(changes).await, Err(CommitError::Conflict));
}

fn send(destination: u8, n: u64) -> Changes {
    let outbox = vec![Outbox {
        destination: [destination; 16],
        value: value(n),
    }];
    Changes {
        outbox,
        ..Changes::default()
    }
}

fn waiting(store: &impl Store, destination: u8) -> Vec<OutboxEntry> {
    store
        .snapshot()
        .unwrap()
        .read_outbox(&[destination; 16], 100, 1 << 20)
        .unwrap()
}

fn values(entries: &[OutboxEntry]) -> Vec<Vec<u8>> {
    entries.iter().map(|e| e.value.clone()).collect()
}

pub async fn outbox_keeps_its_order<P: Place>(place: &P) {
    let store = place.open();
    for n in 0..5 {
        ok(&store, send(1, n)).await;
        ok(&store, send(2, 100 + n)).await;
    }
    let store = reopen(place, store).await;
    ok(&store, send(1, 5)).await;
    let entries = waiting(&store, 1);
    assert_eq!(values(&entries), (0..6).map(value).collect::<Vec<_>>());
    assert!(entries.is_sorted_by_key(|e| e.number));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(
        snapshot.read_outbox(&[1; 16], 2, 1000).unwrap(),
        entries[..2]
    );
    assert_eq!(snapshot.read_outbox(&[1; 16], 9, 1).unwrap(), entries[..1]);
    let numbers = entries[..4].iter().map(|e| e.number).collect();
    store.ack_outbox([1; 16], numbers).await.unwrap();
    assert_eq!(waiting(&store, 1), entries[4..]);
    assert_eq!(waiting(&store, 2).len(), 5);
    ok(&store, send(1, 6)).await;
    assert_eq!(values(&waiting(&store, 1)), [value(4), value(5), value(6)]);
}

pub async fn late_acknowledgements_hit_nothing(place: &impl Place) {
    let store = place.open();
    ok(&store, send(1, 1)).await;
    let first: Vec<u64> = waiting(&store, 1).iter().map(|e| e.number).collect();
    store.ack_outbox([1; 16], first.clone()).await.unwrap();
    assert_eq!(waiting(&store, 1), []);
    ok(&store, send(1, 2)).await;
    store.ack_outbox([1; 16], first).await.unwrap();
    assert_eq!(values(&waiting(&store, 1)), [value(2)]);
}

pub async fn destinations_are_listed(place: &impl Place) {
    let store = place.open();
    for (destination, n) in [(7, 1), (3, 2), (255, 3), (3, 4), (0, 5)] {
        ok(&store, send(destination, n)).await;
    }
    let snapshot = store.snapshot().unwrap();
    let list = |after, max| snapshot.outbox_destinations(after, max).unwrap();
    assert_eq!(list(None, 9), [[0; 16], [3; 16], [7; 16], [255; 16]]);
    assert_eq!(list(None, 2), [[0; 16], [3; 16]]);
    assert_eq!(list(Some([3; 16]), 9), [[7; 16], [255; 16]]);
    assert_eq!(list(Some([255; 16]), 9), [[0; 16]; 0]);
}
