//! The writer: merging, waiting, refusing, all made deterministic by a gate at the disk's sync.

use crate::conformance::volatile::{Crash, Disk, Fault};
use crate::conformance::{append, block_on, expecting, has, log, ok, poll, put, value};
use crate::{CommitError, Expect, RedbOptions, RedbStore, Snapshot, Store, StoreFault};
use std::pin::{Pin, pin};

fn store(disk: &Disk, queue_length: usize) -> RedbStore {
    let options = RedbOptions {
        queue_length,
        ..RedbOptions::default()
    };
    RedbStore::with_backend(disk.clone(), options).unwrap()
}

/// Queues changes while the writer is held in a sync, so that they form one batch.
macro_rules! held {
    ($disk:ident, $store:ident, $changes:expr) => {{
        $disk.close_gate();
        let mut first = Box::pin($store.commit(put(0, 1, None)));
        assert!(poll(first.as_mut()).is_pending());
        $disk.wait_until_held();
        let mut waiting: Vec<_> = $changes
            .into_iter()
            .map(|c| Box::pin($store.commit(c)))
            .collect();
        for commit in &mut waiting {
            assert!(poll(commit.as_mut()).is_pending());
        }
        (first, waiting)
    }};
}

#[test]
fn what_waits_becomes_one_transaction() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 200);
        let before = disk.syncs();
        ok(&store, put(9, 9, None)).await;
        let per_transaction = disk.syncs() - before;
        let (first, waiting) = held!(disk, store, (0..100).map(|n| append(1, n, 5)));
        let before = disk.syncs();
        disk.open_gate();
        first.await.unwrap();
        for (n, commit) in (0..).zip(waiting) {
            assert_eq!(commit.await.unwrap().numbers, [log(1).start() + n]);
        }
        // The rest of the held one, and one more.
        assert!(disk.syncs() - before <= 2 * per_transaction);
    });
}

#[test]
fn members_of_a_batch_do_not_spoil_each_other() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 200);
        let is = |n| Expect::Is(crate::conformance::version(n));
        let changes = [
            expecting(1, Expect::Absent, put(1, 1, None)),
            expecting(1, Expect::Absent, append(1, 2, 5)),
            expecting(1, is(1), put(1, 3, None)),
            expecting(1, is(1), append(1, 4, 5)),
            expecting(1, is(3), append(1, 5, 5)),
        ];
        let (first, waiting) = held!(disk, store, changes);
        disk.open_gate();
        first.await.unwrap();
        let mut answers = Vec::new();
        for commit in waiting {
            answers.push(commit.await.map(|c| c.numbers));
        }
        let conflict = || Err(CommitError::Conflict);
        let number = vec![log(1).start()];
        assert_eq!(
            answers,
            [Ok(vec![]), conflict(), Ok(vec![]), conflict(), Ok(number)]
        );
        assert_eq!(has(&store, 1), Some(value(3)));
    });
}

#[test]
fn a_failed_transaction_fails_everyone_in_it() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 200);
        let refused = expecting(1, Expect::Present, put(1, 1, None));
        let changes = [put(1, 1, None), refused, append(1, 1, 5)];
        let (first, waiting) = held!(disk, store, changes);
        // What is queued behind the held transaction will not reach the disk, nor will it.
        disk.set_fault(Fault::From(0));
        disk.open_gate();
        assert!(matches!(
            first.await,
            Err(CommitError::Unavailable(StoreFault::Io(_)))
        ));
        for commit in waiting {
            assert!(matches!(commit.await, Err(CommitError::Unavailable(_))));
        }
        disk.set_fault(Fault::Never);
        let poisoned = StoreFault::Poisoned;
        let later = store.commit(put(5, 5, None)).await;
        assert_eq!(later, Err(CommitError::Unavailable(poisoned)));
        assert_eq!(store.snapshot().unwrap_err(), poisoned);
        let disk = disk.crash(Crash::LoseAll, Fault::Never);
        let store = self::store(&disk, 1);
        assert_eq!(has(&store, 1), None);
    });
}

#[test]
fn nobody_is_woken_before_it_is_durable() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 200);
        let mut watch = store.watch(&[log(1)]);
        disk.close_gate();
        let mut commit = Box::pin(store.commit(append(1, 1, 5)));
        assert!(poll(commit.as_mut()).is_pending());
        disk.wait_until_held();
        assert!(poll(pin!(watch.changed())).is_pending());
        let page = store
            .snapshot()
            .unwrap()
            .read_log(&log(1), log(1).start(), 9, 99)
            .unwrap();
        assert_eq!(page.entries, []);
        disk.open_gate();
        commit.await.unwrap();
        watch.changed().await;
    });
}

#[test]
fn a_full_queue_makes_commit_wait() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 2);
        let (first, waiting) = held!(disk, store, (1..6).map(|n| put(n, 1, None)));
        // Two are queued; the rest wait for a place, and dropping them withdraws them.
        let mut waiting = waiting.into_iter();
        let queued: Vec<_> = waiting.by_ref().take(2).collect();
        let third = waiting.next().unwrap();
        drop(waiting);
        disk.open_gate();
        let third: Pin<Box<_>> = third;
        let (first, third) = tokio::join!(first, third);
        assert!(first.is_ok() && third.is_ok());
        for commit in queued {
            commit.await.unwrap();
        }
        store.shutdown().await;
        let there = [1, 2, 3, 4, 5].map(|k| has(&store, k).is_some());
        assert_eq!(there, [true, true, true, false, false]);
    });
}

#[test]
fn shutdown_finishes_the_queue() {
    block_on(async {
        let disk = Disk::new(Fault::Never);
        let store = store(&disk, 200);
        let (first, waiting) = held!(disk, store, (1..50).map(|n| put(n, 1, None)));
        let mut stop = Box::pin(store.shutdown());
        assert!(poll(stop.as_mut()).is_pending());
        let mut late = Box::pin(store.commit(put(99, 1, None)));
        assert!(poll(late.as_mut()).is_pending());
        disk.open_gate();
        stop.await;
        first.await.unwrap();
        for commit in waiting {
            commit.await.unwrap();
        }
        // Queued after the stop but before the writer saw it: finished too.
        late.await.unwrap();
        assert_eq!(has(&store, 99), Some(value(1)));
        let stopped = CommitError::Unavailable(StoreFault::Stopped);
        assert_eq!(store.commit(put(1, 1, None)).await, Err(stopped));
    });
}
