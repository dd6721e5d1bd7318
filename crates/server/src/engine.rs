//! Owns driving the hub: a snapshot, the hub's step, the commit; again when another commit came
//! first; later when there is nothing to read yet.
//!
//! Invariant: an answer that the hub ties to a commit is handed out only after the store has
//! acknowledged it. The runtime's threads do only short work: what can take long goes to other
//! threads, a bounded number at a time.

use crate::clock::Clock;
use crate::random;
use crate::records::{SnapshotRecords, handles, to_store};
use crate::stop::Stop;
use axum::body::Bytes;
use sordino_hub::{Endpoint, Env, Fault, Hub, Step};
use sordino_store::{CommitError, RedbStore, Store, StoreFault, Watch};
use sordino_wire::limits::MAX_STREAM_WAIT_S;
use sordino_wire::{Reject, ResponseBody};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How often a request is handled anew because another commit came first.
const MAX_TRIES: usize = 64;
/// When to try again after that, in seconds.
const RETRY_AFTER_S: u32 = 1;
/// What a short piece of work may read of logs: a usual page. A long page is long work.
const SHORT_READ_BYTES: usize = 64 * 1024;
/// Long pieces of work at once, per core: more than one, since they also wait for the disk.
const WORKERS_PER_CORE: usize = 4;
/// Long pieces of work that may wait, per worker, before requests are turned away.
const QUEUE_PER_WORKER: usize = 32;

/// Why there is no answer of the hub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Too much at once.
    Overloaded,
    /// The hub panicked, or the system failed. Nothing was committed by this request.
    Failed,
}

/// The hub on its store.
pub(crate) struct Engine {
    hub: Hub,
    store: RedbStore,
    clock: Arc<dyn Clock>,
    workers: Semaphore,
    queued: AtomicUsize,
    max_queued: usize,
    broken: AtomicBool,
}

impl Engine {
    pub(crate) fn new(hub: Hub, store: RedbStore, clock: Arc<dyn Clock>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_mul(WORKERS_PER_CORE);
        Self {
            hub,
            store,
            clock,
            workers: Semaphore::new(workers),
            queued: AtomicUsize::new(0),
            max_queued: workers.saturating_mul(QUEUE_PER_WORKER),
            broken: AtomicBool::new(false),
        }
    }

    pub(crate) fn store(&self) -> &RedbStore {
        &self.store
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.clock.now_s()
    }

    pub(crate) fn uptime_s(&self) -> u64 {
        self.clock.uptime_s()
    }

    /// The hub.
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether the store takes changes, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        !self.broken.load(Ordering::Acquire) && self.store.snapshot().is_ok()
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        bytes: Bytes,
        endpoint: Endpoint,
        stop: &mut Stop,
    ) -> Result<ResponseBody, NoAnswer> {
        let mut tries = 0;
        let mut waiting: Option<(Watch, Instant)> = None;
        loop {
            match self.step(&bytes, endpoint).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Failed { fault, answer } => {
                    // The store's own failures are logged where they are met.
                    if fault != Fault::Store {
                        tracing::error!(%fault, "the hub failed on its own data");
                    }
                    return Ok(answer);
                }
                Step::Commit(effects) => {
                    let committed = self.store.commit(to_store(effects.changes)).await;
                    match committed {
                        Ok(_) => return Ok(effects.reply),
                        Err(CommitError::Unavailable(fault)) => {
                            self.note(fault);
                            return Ok(unavailable());
                        }
                        Err(CommitError::Conflict | CommitError::Spent | CommitError::Replayed) => {
                            tries += 1;
                        }
                    }
                    if tries == MAX_TRIES {
                        tracing::debug!("a request lost to others too often");
                        return Ok(unavailable());
                    }
                }
                Step::Wait {
                    logs,
                    wait_s,
                    answer,
                } => {
                    let Some((watch, until)) = &mut waiting else {
                        // What was appended between the snapshot and the registration would go
                        // unnoticed: look once more before waiting.
                        let wait = Duration::from_secs(wait_s.min(MAX_STREAM_WAIT_S).into());
                        let watch = self.store.watch(&handles(&logs));
                        waiting = Some((watch, Instant::now() + wait));
                        continue;
                    };
                    tokio::select! {
                        () = stop.stopped() => return Ok(answer),
                        () = tokio::time::sleep_until(*until) => return Ok(answer),
                        () = watch.changed() => {}
                    }
                }
            }
        }
    }

    /// One step of the hub on a new snapshot.
    pub(crate) async fn step(
        self: &Arc<Self>,
        bytes: &Bytes,
        endpoint: Endpoint,
    ) -> Result<Step, NoAnswer> {
        if is_short(bytes, endpoint)
            && let Some(step) = self.step_here(bytes, endpoint, SHORT_READ_BYTES)?
        {
            return Ok(step);
        }
        let _queued = self.queue().ok_or(NoAnswer::Overloaded)?;
        let _worker = self.workers.acquire().await.map_err(|_| NoAnswer::Failed)?;
        let (engine, bytes) = (Arc::clone(self), bytes.clone());
        let step =
            tokio::task::spawn_blocking(move || engine.step_here(&bytes, endpoint, usize::MAX));
        let step = step.await.unwrap_or(Err(NoAnswer::Failed))?;
        step.ok_or(NoAnswer::Failed)
    }

    /// `None`: there is more to read of logs than the budget; nothing was done.
    fn step_here(
        &self,
        bytes: &[u8],
        endpoint: Endpoint,
        budget_bytes: usize,
    ) -> Result<Option<Step>, NoAnswer> {
        let mut rng = random::generator().map_err(|_| NoAnswer::Failed)?;
        let snapshot = match self.store.snapshot() {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                self.note(fault);
                return Ok(Some(Step::Answer(unavailable())));
            }
        };
        let records = SnapshotRecords::new(snapshot, budget_bytes);
        let mut env = Env {
            now_s: self.clock.now_s(),
            rng: &mut rng,
        };
        // The hub works on copies: nothing of a step that panicked is kept.
        let step = catch_unwind(AssertUnwindSafe(|| {
            self.hub.handle(bytes, endpoint, &records, &mut env)
        }));
        if let Some(fault) = records.fault() {
            self.note(fault);
        }
        let step = step.map_err(|_| {
            tracing::error!("the hub panicked; the request was refused");
            NoAnswer::Failed
        })?;
        Ok((!records.is_cut_short()).then_some(step))
    }

    /// Remembers a failure that only opening the store again can mend.
    pub(crate) fn note(&self, fault: StoreFault) {
        let lasting = matches!(fault, StoreFault::Poisoned | StoreFault::Damaged);
        if lasting && !self.broken.swap(true, Ordering::AcqRel) {
            tracing::error!("the store failed; the server must be started again");
        } else if !lasting {
            tracing::warn!("the store did not answer");
        }
    }

    fn queue(&self) -> Option<Queued<'_>> {
        let queued = Queued(&self.queued);
        let before = self.queued.fetch_add(1, Ordering::AcqRel);
        (before < self.max_queued).then_some(queued)
    }
}

/// A place in the queue for long work.
struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn unavailable() -> ResponseBody {
    ResponseBody::Rejected(Reject::Unavailable {
        retry_after_s: RETRY_AFTER_S,
    })
}

/// Whether a request is likely to be short work (a send, a read of a stream or inbox): then a hop
/// to another thread would cost more than the work. It is a guess for the sake of speed alone, and
/// put right once there turns out to be much to read; made from the request's type (`uint16 version; uint16 type`), before anything is parsed.
fn is_short(bytes: &[u8], endpoint: Endpoint) -> bool {
    const SEND: [u8; 2] = 4u16.to_be_bytes();
    match endpoint {
        Endpoint::Streams | Endpoint::Inboxes => true,
        Endpoint::GroupOperation => bytes.get(2..4) == Some(SEND.as_slice()),
        Endpoint::WelcomeInformation
        | Endpoint::ExternalCommitInformation
        | Endpoint::GroupKeyPackages => false,
    }
}
