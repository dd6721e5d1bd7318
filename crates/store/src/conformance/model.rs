//! Owns histories in small names, and the maps that say how a store behaves in them.
//!
//! Property tests and the fuzzer make the histories; each is run on a disk that loses power, and
//! compared with the maps after every step.

use super::volatile::{Crash, Disk, Fault};
use super::{key, log};
use crate::{
    Append, Changes, CommitError, Committed, Expect, LOG_HEAD_GRACE_DAYS, Put, RedbOptions,
    RedbStore, Replay, Snapshot, Spend, Store, Version,
};
use std::collections::BTreeMap;

/// Names of records and logs are below this.
pub const NAMES: u8 = 3;
/// Names of nullifiers and replay keys are below this.
pub const ONCE_NAMES: u8 = 8;
/// `u32::MAX`: no expiry.
type Row = (u32, Vec<u8>);

#[derive(Default)]
struct Log {
    next: u64,
    day: u32,
    entries: BTreeMap<u64, Row>,
}

#[derive(Default)]
struct Model {
    records: BTreeMap<u8, Row>,
    logs: BTreeMap<u8, Log>,
    spent: BTreeMap<u8, u32>,
    replay: BTreeMap<u8, Row>,
    day: u32,
}

/// A change in small names.
#[derive(Clone, Debug)]
pub struct Step {
    /// 0: absent, 1: present, 2: as it is.
    pub expect: Option<(u8, u8)>,
    pub put: Vec<(u8, Option<u32>)>,
    pub delete: Option<u8>,
    pub append: Vec<(u8, u32)>,
    pub spend: Option<(u8, u32)>,
    pub replay: Option<(u8, u32)>,
}

#[derive(Clone, Debug)]
pub enum Action {
    Commit(Step),
    Expire { days: u32, budget: usize },
    Reopen,
}

impl Model {
    /// The change that a step means now; every value is another one.
    fn changes(&self, step: &Step, fresh: &mut u64) -> Changes {
        let mut value = || {
            *fresh += 1;
            super::value(*fresh)
        };
        let day = |ahead: u32| self.day + ahead;
        let expect = step.expect.map(|(name, kind)| {
            let now = self.records.get(&name).and_then(|(_, v)| Version::of(v));
            let expect = match (kind, now) {
                (0, _) => Expect::Absent,
                (1, _) => Expect::Present,
                (_, version) => Expect::Is(version.unwrap_or(Version([7; 16]))),
            };
            (key(name), expect)
        });
        let put = step.put.iter().map(|(name, ahead)| Put {
            key: key(*name),
            value: value(),
            expires_day: ahead.map(day),
        });
        let put = put.collect();
        let append = step.append.iter().map(|(name, ahead)| Append {
            log: log(*name),
            value: value(),
            expires_day: day(*ahead),
        });
        let append = append.collect();
        let spend = step.spend.map(|(name, ahead)| Spend {
            set: [1; 8],
            nullifier: [name; 16],
            expires_day: day(ahead),
        });
        let replay = step.replay.map(|(name, ahead)| Replay {
            key: key(name),
            value: value(),
            expires_hour: day(ahead),
        });
        let (expect, spend) = (expect.into_iter().collect(), spend.into_iter().collect());
        let delete = step.delete.map(key).into_iter().collect();
        Changes {
            expect,
            put,
            delete,
            append,
            spend,
            replay,
            outbox: vec![],
        }
    }

    fn refusal(&self, changes: &Changes) -> Option<CommitError> {
        let name = |k: &crate::Key| k.0[0];
        if changes
            .replay
            .as_ref()
            .is_some_and(|r| self.replay.contains_key(&name(&r.key)))
        {
            return Some(CommitError::Replayed);
        }
        if changes
            .spend
            .iter()
            .any(|s| self.spent.contains_key(&s.nullifier[0]))
        {
            return Some(CommitError::Spent);
        }
        let holds = changes.expect.iter().all(|(k, expect)| {
            let now = self.records.get(&name(k)).and_then(|(_, v)| Version::of(v));
            match expect {
                Expect::Absent => now.is_none(),
                Expect::Present => now.is_some(),
                Expect::Is(version) => now == Some(*version),
            }
        });
        (!holds).then_some(CommitError::Conflict)
    }

    fn commit(&mut self, changes: Changes) -> Result<Committed, CommitError> {
        if let Some(refusal) = self.refusal(&changes) {
            return Err(refusal);
        }
        for put in changes.put {
            self.records.insert(
                put.key.0[0],
                (put.expires_day.unwrap_or(u32::MAX), put.value),
            );
        }
        for key in changes.delete {
            self.records.remove(&key.0[0]);
        }
        let mut numbers = Vec::new();
        for append in changes.append {
            let fresh = Log {
                next: append.log.start(),
                ..Log::default()
            };
            let log = self.logs.entry(append.log.0[0]).or_insert(fresh);
            log.day = log.day.max(append.expires_day);
            log.entries.insert(log.next, (log.day, append.value));
            numbers.push(log.next);
            log.next += 1;
        }
        for spend in changes.spend {
            self.spent.insert(spend.nullifier[0], spend.expires_day);
        }
        if let Some(replay) = changes.replay {
            self.replay
                .insert(replay.key.0[0], (replay.expires_hour, replay.value));
        }
        Ok(Committed { numbers })
    }

    fn expire(&mut self, days: u32) {
        self.day += days;
        let day = self.day;
        self.records.retain(|_, (last, _)| *last >= day);
        self.spent.retain(|_, last| *last >= day);
        self.replay.retain(|_, (last, _)| *last >= day);
        self.logs
            .retain(|_, log| log.day + LOG_HEAD_GRACE_DAYS >= day);
        for log in self.logs.values_mut() {
            log.entries.retain(|_, (last, _)| *last >= day);
        }
    }

    fn compare(&self, store: &RedbStore) {
        let snapshot = store.snapshot().unwrap();
        for name in 0..NAMES {
            let record = snapshot.get(&key(name)).unwrap().map(|r| r.value);
            assert_eq!(record.as_ref(), self.records.get(&name).map(|(_, v)| v));
            let start = log(name).start();
            let fresh = Log {
                next: start,
                ..Log::default()
            };
            let model = self.logs.get(&name).unwrap_or(&fresh);
            let oldest = model.entries.keys().next().copied().unwrap_or(model.next);
            let page = snapshot
                .read_log(&log(name), oldest, 1000, 1 << 20)
                .unwrap();
            assert_eq!((page.oldest, page.next), (oldest, model.next));
            let entries = page.entries.into_iter().map(|e| (e.number, e.value));
            let expected = model.entries.iter().map(|(n, (_, v))| (*n, v.clone()));
            assert_eq!(entries.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            let gap = snapshot.read_log(&log(name), start, 1000, 1 << 20).unwrap();
            assert_eq!(gap.oldest, oldest);
        }
        for name in 0..ONCE_NAMES {
            let spent = snapshot.spent([1; 8], [name; 16]).unwrap();
            assert_eq!(spent, self.spent.contains_key(&name));
            let replay = snapshot.replay(&key(name)).unwrap();
            assert_eq!(replay.as_ref(), self.replay.get(&name).map(|(_, v)| v));
        }
    }
}

fn open(disk: &Disk) -> RedbStore {
    let options = RedbOptions {
        cache_bytes: 1 << 20,
        ..RedbOptions::default()
    };
    RedbStore::with_backend(disk.clone(), options).unwrap()
}

pub async fn run(actions: Vec<Action>) {
    let mut disk = Disk::new(Fault::Never);
    let mut store = open(&disk);
    let mut model = Model::default();
    let mut fresh = 0;
    for action in actions {
        match action {
            Action::Commit(step) => {
                let changes = model.changes(&step, &mut fresh);
                let expected = model.commit(changes.clone());
                assert_eq!(store.commit(changes).await, expected);
            }
            Action::Expire { days, budget } => {
                model.expire(days);
                let expired = store.expire(model.day, model.day, budget).await.unwrap();
                assert!(expired.rows <= budget);
            }
            Action::Reopen => {
                // The power goes: what was answered must be there, and nothing else.
                disk = disk.crash(Crash::Tear(fresh), Fault::Never);
                store = open(&disk);
            }
        }
        model.compare(&store);
    }
}
