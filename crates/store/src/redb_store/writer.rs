//! Owns the writer thread: it merges what waits into one durable transaction and answers after.
//!
//! Invariant: nobody is answered, and nobody woken, before the transaction is on the disk. When
//! it fails everyone in it gets `Unavailable` (even those refused, for their refusal may rest on
//! a neighbour's rows), and the store is poisoned.

use super::commit::apply;
use super::expiry::{Sweep, sweep};
use super::open::begin_write;
use super::outbox;
use super::tables::Tables;
use super::{POISONED, STOPPED, Shared};
use crate::fault::{CommitError, StoreFault};
use crate::types::{Changes, Committed, Expired, LogHandle};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A transaction takes no further change once its values have this size together: 32 MiB.
pub const MAX_BATCH_BYTES: usize = 32 << 20;

/// Something for the writer to do, and where the answer goes.
pub(super) enum Job {
    Commit(Task<Changes, Committed, CommitError>),
    Expire(Task<Sweep, Expired, StoreFault>),
    Acknowledge(Task<([u8; 16], Vec<u64>), (), StoreFault>),
    /// Take nothing more, finish what is queued, then end.
    Stop,
}

/// A request, its outcome as long as that is not durable, and who waits for it.
pub(super) struct Task<Q, A, E> {
    request: Q,
    outcome: Option<Result<A, E>>,
    reply: oneshot::Sender<Result<A, E>>,
}

impl<Q, A, E: From<StoreFault>> Task<Q, A, E> {
    fn new(request: Q, reply: oneshot::Sender<Result<A, E>>) -> Self {
        Self {
            request,
            outcome: None,
            reply,
        }
    }

    fn answer(self, fault: Option<StoreFault>) {
        let outcome = match fault {
            Some(fault) => Err(fault.into()),
            None => self.outcome.unwrap_or(Err(StoreFault::Stopped.into())),
        };
        // Whoever asked may have gone away; the change stands all the same.
        let _ = self.reply.send(outcome);
    }
}

impl Job {
    pub(super) fn commit(
        changes: Changes,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
    ) -> Self {
        Self::Commit(Task::new(changes, reply))
    }

    pub(super) fn expire(
        request: Sweep,
        reply: oneshot::Sender<Result<Expired, StoreFault>>,
    ) -> Self {
        Self::Expire(Task::new(request, reply))
    }

    pub(super) fn acknowledge(
        destination: [u8; 16],
        numbers: Vec<u64>,
        reply: oneshot::Sender<Result<(), StoreFault>>,
    ) -> Self {
        Self::Acknowledge(Task::new((destination, numbers), reply))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Commit(task) => task.request.value_bytes(),
            Self::Expire(_) | Self::Acknowledge(_) | Self::Stop => 0,
        }
    }

    fn answer(self, fault: Option<StoreFault>) {
        match self {
            Self::Commit(task) => task.answer(fault),
            Self::Expire(task) => task.answer(fault),
            Self::Acknowledge(task) => task.answer(fault),
            Self::Stop => {}
        }
    }

    /// Does it within a transaction; returns whether a row was written.
    fn run(&mut self, tables: &mut Tables<'_>, shared: &Shared) -> Result<bool, StoreFault> {
        let wrote = match self {
            Self::Commit(task) => {
                let outcome = apply(tables, &task.request, shared.swept.get())?;
                task.outcome.insert(outcome).is_ok()
            }
            Self::Expire(task) => {
                let (expired, wrote) = sweep(tables, &shared.swept, task.request)?;
                task.outcome = Some(Ok(expired));
                wrote
            }
            Self::Acknowledge(task) => {
                let (destination, numbers) = &task.request;
                let wrote = outbox::acknowledge(tables, destination, numbers)?;
                task.outcome = Some(Ok(()));
                wrote
            }
            Self::Stop => false,
        };
        Ok(wrote)
    }

    /// The logs that got an entry.
    fn appended(&self) -> impl Iterator<Item = LogHandle> {
        let appends = match self {
            Self::Commit(task) if matches!(task.outcome, Some(Ok(_))) => &*task.request.append,
            _ => &[],
        };
        appends.iter().map(|append| append.log)
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    max_batch: usize,
    /// Dropped last, which tells `shutdown` that the rest is gone.
    _running: watch::Sender<()>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        jobs: mpsc::Receiver<Job>,
        max_batch: usize,
        running: watch::Sender<()>,
    ) -> Self {
        Self {
            shared,
            jobs,
            max_batch,
            _running: running,
        }
    }

    /// Works until told to stop or until the last handle of the store is gone.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        while let Some(first) = self.jobs.blocking_recv() {
            let batch = self.gather(first);
            self.write(batch);
        }
    }

    /// What waits now, up to the limits of a batch.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.bytes();
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            if matches!(job, Job::Stop) {
                // What is queued still comes out; nothing more goes in.
                self.jobs.close();
            }
            batch.push(job);
            if batch.len() >= self.max_batch || bytes >= MAX_BATCH_BYTES {
                break;
            }
            next = self.jobs.try_recv().ok();
            bytes = bytes.saturating_add(next.as_ref().map_or(0, Job::bytes));
        }
        batch
    }

    fn write(&self, mut batch: Vec<Job>) {
        let outcome = self
            .shared
            .state
            .check()
            .and_then(|()| self.transact(&mut batch));
        if let Err(fault) = outcome {
            if fault != StoreFault::Poisoned {
                // The kind alone: what was being written belongs to somebody.
                tracing::error!(%fault, "the store refuses further work until it is reopened");
            }
            self.shared.state.raise(POISONED);
            batch.into_iter().for_each(|job| job.answer(Some(fault)));
            return;
        }
        let mut logs: Vec<LogHandle> = batch.iter().flat_map(Job::appended).collect();
        batch.into_iter().for_each(|job| job.answer(None));
        logs.sort_unstable_by_key(|log| log.0);
        logs.dedup();
        self.shared.watchers.wake(&logs);
    }

    /// One durable transaction for the whole batch.
    fn transact(&self, batch: &mut [Job]) -> Result<(), StoreFault> {
        let txn = begin_write(&self.shared.db)?;
        let mut wrote = false;
        {
            let mut tables = Tables::open(&txn)?;
            for job in batch {
                wrote |= job.run(&mut tables, &self.shared)?;
            }
        }
        if wrote {
            txn.commit().map_err(StoreFault::of)
        } else {
            // Nothing but refusals: no reason to touch the disk.
            txn.abort().map_err(StoreFault::of)
        }
    }
}

/// Marks the store when the thread ends, however it ends.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        // A panic in the engine leaves as much in doubt as a failed write.
        self.0.state.raise(if std::thread::panicking() {
            POISONED
        } else {
            STOPPED
        });
    }
}
