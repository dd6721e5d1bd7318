//! A disk that fails at the n-th write, sync or resize, for every n, and then loses power.
//!
//! Checked after every reopening: each change is there wholly or not at all, the acknowledged
//! ones are there, nothing comes before its predecessor, and the store goes on from there.

use crate::conformance::volatile::{Crash, Disk, Fault};
use crate::conformance::{append, block_on, has, key, log, put, value, version};
use crate::{
    Changes, CommitError, Committed, Expect, Outbox, RedbOptions, RedbStore, Replay, Snapshot,
    Spend, Store, StoreFault,
};

const STEPS: u8 = 4;
const PER_STEP: u8 = 3;
const CHANGES: u8 = STEPS * PER_STEP;

/// The record that every change replaces, so that each needs its predecessor.
const CHAIN: u8 = 255;

/// Touches every table; the values are large enough that transactions span several pages.
fn change(n: u8) -> Changes {
    let id = u64::from(n);
    let expect = if n == 0 {
        Expect::Absent
    } else {
        Expect::Is(version(id))
    };
    let mut changes = Changes {
        expect: vec![(key(CHAIN), expect)],
        append: append(1, id, 100).append,
        spend: vec![Spend {
            set: [1; 8],
            nullifier: [n; 16],
            expires_day: 100,
        }],
        replay: Some(Replay {
            key: key(n),
            value: value(id),
            expires_hour: 100,
        }),
        outbox: vec![Outbox {
            destination: [1; 16],
            value: value(id),
        }],
        ..put(CHAIN, id + 1, Some(100 + u32::from(n)))
    };
    changes.append.extend(append(2, id, 1).append);
    let mut large = put(n, id, None).put;
    large[0].value.resize(3000, n);
    changes.put.extend(large);
    changes
}

fn open(disk: &Disk) -> Option<RedbStore> {
    let options = RedbOptions {
        cache_bytes: 1 << 20,
        ..RedbOptions::default()
    };
    RedbStore::with_backend(disk.clone(), options).ok()
}

/// Runs everything; tells which changes were acknowledged.
async fn work(disk: &Disk) -> Vec<bool> {
    let Some(store) = open(disk) else {
        return vec![false; CHANGES.into()];
    };
    let mut acked = Vec::new();
    let mut broken = false;
    for step in 0..STEPS {
        let n = step * PER_STEP;
        let (a, b, c) = tokio::join!(
            store.commit(change(n)),
            store.commit(change(n + 1)),
            store.commit(change(n + 2)),
        );
        for answer in [a, b, c] {
            check_answer(&answer, &mut broken);
            acked.push(answer.is_ok());
        }
        // Rows of log 2 die on the way.
        let swept = store.expire(2, 0, 2).await;
        broken |= swept.is_err();
    }
    if broken {
        assert_eq!(store.snapshot().map(|_| ()), Err(StoreFault::Poisoned));
    }
    store.shutdown().await;
    acked
}

/// Once broken, always broken.
fn check_answer(answer: &Result<Committed, CommitError>, broken: &mut bool) {
    match answer {
        Ok(_) => assert!(!*broken, "acknowledged after a fault"),
        Err(CommitError::Unavailable(_)) => *broken = true,
        Err(other) => panic!("refused: {other}"),
    }
}

/// Checks what a boot after the crash finds.
fn check(store: &RedbStore, acked: &[bool], what: &str) -> u8 {
    let snapshot = store.snapshot().unwrap();
    let start = log(1).start();
    let page = snapshot.read_log(&log(1), start, 1000, 1 << 20).unwrap();
    let done = u8::try_from(page.entries.len()).unwrap();
    assert_eq!(page.next, start + u64::from(done), "{what}");
    let chain = (done > 0).then(|| value(done.into()));
    assert_eq!(has(store, CHAIN), chain, "{what}");
    for n in 0..CHANGES {
        let there = n < done;
        let nth = usize::from(n);
        assert!(
            there || !acked[nth],
            "{what}: change {n} was acknowledged and is lost"
        );
        let spent = snapshot.spent([1; 8], [n; 16]).unwrap();
        let replay = snapshot.replay(&key(n)).unwrap().is_some();
        assert_eq!(
            [has(store, n).is_some(), spent, replay],
            [there; 3],
            "{what}: change {n}"
        );
    }
    let outbox = snapshot.read_outbox(&[1; 16], 1000, 1 << 20).unwrap();
    let sent: Vec<_> = outbox.into_iter().map(|e| e.value).collect();
    assert_eq!(
        sent,
        (0..u64::from(done)).map(value).collect::<Vec<_>>(),
        "{what}"
    );
    let second = snapshot
        .read_log(&log(2), log(2).start(), 1000, 1 << 20)
        .unwrap();
    assert_eq!(second.next - log(2).start(), u64::from(done), "{what}");
    done
}

/// Boots, checks, goes on to the end, and checks again.
async fn reboot(disk: &Disk, acked: &[bool], what: &str) {
    let Some(store) = open(disk) else {
        // A file whose creation was cut short holds nothing that anybody was promised.
        assert!(!acked.contains(&true), "{what}: does not open");
        return;
    };
    let done = check(&store, acked, what);
    for n in done..CHANGES {
        store.commit(change(n)).await.unwrap();
    }
    while store.expire(2, 0, 100).await.unwrap().more {}
    check(&store, &vec![true; CHANGES.into()], what);
    store.shutdown().await;
}

async fn one_run(fault: Fault, n: u64) -> bool {
    let disk = Disk::new(fault);
    let acked = work(&disk).await;
    let crashes = [
        Crash::LoseAll,
        Crash::KeepAll,
        Crash::Tear(n),
        Crash::Tear(!n),
    ];
    for crash in crashes {
        let what = format!("{fault:?} {crash:?}");
        reboot(&disk.crash(crash, Fault::Never), &acked, &what).await;
    }
    // And once more while it recovers.
    let second = disk.crash(Crash::Tear(n ^ 0x5555), Fault::From(n % 17));
    drop(open(&second));
    let third = second.crash(Crash::Tear(n ^ 0xaaaa), Fault::Never);
    reboot(&third, &acked, &format!("{fault:?}, twice")).await;
    disk.failed()
}

fn every_fault(fault: impl Fn(u64) -> Fault) {
    block_on(async {
        let mut n = 0;
        while one_run(fault(n), n).await {
            n += 1;
        }
        println!("{n} faults");
        assert!(n > 50, "the workload is too small to mean anything: {n}");
    });
}

#[test]
fn a_disk_that_dies_at_any_write() {
    every_fault(Fault::From);
}

#[test]
fn a_disk_that_fails_once_at_any_write() {
    every_fault(Fault::Once);
}
