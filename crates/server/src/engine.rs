//! Owns driving a service: a snapshot, the service's step, the commit; again when another commit came
//! first; later when there is nothing to read yet.
//!
//! Invariant: an answer that a service ties to a commit is handed out only after the store has
//! acknowledged it. The runtime's threads do only short work: what can take long goes to other
//! threads, a bounded number at a time.

use crate::clock::Clock;
use crate::mint::Mint;
use crate::occasion::Occasion;
use crate::random;
use crate::records::{SnapshotRecords, handles, to_store};
use crate::service::Service;
use crate::stop::Stop;
use crate::wipe::wipe_stack;
use axum::body::Bytes;
use sordino_effects::{Env, Fault, Step};
use sordino_limiter::{Attempt, Limits, NetworkName};
use sordino_store::{CommitError, RedbStore, Store, StoreFault, Watch};
use sordino_wire::limits::MAX_STREAM_WAIT_S;
use sordino_wire::{Domain, TokenBytes};
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

/// Why there is no answer of a service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Too much at once.
    Overloaded,
    /// A service panicked, or the system failed. Nothing was committed by this request.
    Failed,
}

/// What carries out the steps of services on the one store.
pub(crate) struct Engine {
    store: RedbStore,
    clock: Arc<dyn Clock>,
    domain: Domain,
    limits: Arc<Limits>,
    mint: Arc<Mint>,
    workers: Semaphore,
    queued: AtomicUsize,
    max_queued: usize,
    broken: AtomicBool,
}

impl Engine {
    pub(crate) fn new(
        store: RedbStore,
        clock: Arc<dyn Clock>,
        domain: Domain,
        limits: Arc<Limits>,
        mint: Arc<Mint>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_mul(WORKERS_PER_CORE);
        Self {
            store,
            clock,
            domain,
            limits,
            mint,
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

    /// Whether the store takes changes, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        !self.broken.load(Ordering::Acquire) && self.store.snapshot().is_ok()
    }

    pub(crate) fn mint(&self) -> &Arc<Mint> {
        &self.mint
    }

    /// What one request is given beside time and randomness.
    pub(crate) fn occasion(
        &self,
        network: Option<NetworkName>,
        header_token: Option<TokenBytes>,
    ) -> Arc<Occasion> {
        let attempt = Attempt::new(Arc::clone(&self.limits), network, self.now_s());
        let (mint, provider) = (Arc::clone(&self.mint), self.domain.clone());
        Arc::new(Occasion::new(attempt, mint, provider, header_token))
    }

    /// Answers one request.
    pub(crate) async fn answer<S: Service>(
        self: &Arc<Self>,
        service: &Arc<S>,
        bytes: Bytes,
        endpoint: S::Endpoint,
        occasion: &Arc<Occasion>,
        stop: &mut Stop,
    ) -> Result<S::Answer, NoAnswer> {
        let mut tries = 0;
        let mut waiting: Option<(Watch, Instant)> = None;
        loop {
            match self.step(service, &bytes, endpoint, occasion).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Failed { fault, answer } => {
                    // The store's own failures are logged where they are met.
                    if fault != Fault::Store {
                        tracing::error!(%fault, "a service failed on its own data");
                    }
                    return Ok(answer);
                }
                Step::Commit(effects) => {
                    let committed = self.store.commit(to_store(effects.changes)).await;
                    match committed {
                        Ok(_) => return Ok(effects.reply),
                        Err(CommitError::Unavailable(fault)) => {
                            self.note(fault);
                            return Ok(S::unavailable(RETRY_AFTER_S));
                        }
                        Err(
                            CommitError::Conflict
                            | CommitError::Spent
                            | CommitError::SetClosed
                            | CommitError::Replayed,
                        ) => tries += 1,
                    }
                    if tries == MAX_TRIES {
                        tracing::debug!("a request lost to others too often");
                        return Ok(S::unavailable(RETRY_AFTER_S));
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

    /// One step of a service on a new snapshot.
    pub(crate) async fn step<S: Service>(
        self: &Arc<Self>,
        service: &Arc<S>,
        bytes: &Bytes,
        endpoint: S::Endpoint,
        occasion: &Arc<Occasion>,
    ) -> Result<Step<S::Answer>, NoAnswer> {
        if S::is_short(bytes, endpoint)
            && let Some(step) = self.step_here(
                service.as_ref(),
                bytes,
                endpoint,
                occasion,
                SHORT_READ_BYTES,
            )?
        {
            return Ok(step);
        }
        let (engine, service, bytes) = (Arc::clone(self), Arc::clone(service), bytes.clone());
        let occasion = Arc::clone(occasion);
        let step = self.work(move || {
            engine.step_here(service.as_ref(), &bytes, endpoint, &occasion, usize::MAX)
        });
        step.await??.ok_or(NoAnswer::Failed)
    }

    /// Long work on another thread, when there is one.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let _queued = self.queue().ok_or(NoAnswer::Overloaded)?;
        let _worker = self.workers.acquire().await.map_err(|_| NoAnswer::Failed)?;
        let wiped = move || {
            let done = work();
            wipe_stack();
            done
        };
        tokio::task::spawn_blocking(wiped)
            .await
            .map_err(|_| NoAnswer::Failed)
    }

    /// `None`: there is more to read of logs than the budget; nothing was done.
    fn step_here<S: Service>(
        &self,
        service: &S,
        bytes: &[u8],
        endpoint: S::Endpoint,
        occasion: &Occasion,
        budget_bytes: usize,
    ) -> Result<Option<Step<S::Answer>>, NoAnswer> {
        let mut rng = random::generator().map_err(|_| NoAnswer::Failed)?;
        let snapshot = match self.store.snapshot() {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                self.note(fault);
                return Ok(Some(Step::Answer(S::unavailable(RETRY_AFTER_S))));
            }
        };
        let records = SnapshotRecords::new(snapshot, budget_bytes);
        let mut env = Env {
            now_s: self.clock.now_s(),
            rng: &mut rng,
            limiter: occasion,
            origin: occasion,
            issuer: occasion,
            header_token: occasion.header_token.as_ref(),
        };
        // A service works on copies: nothing of a step that panicked is kept.
        let step = catch_unwind(AssertUnwindSafe(|| {
            service.handle(bytes, endpoint, &records, &mut env)
        }));
        if let Some(fault) = records.fault() {
            self.note(fault);
        }
        let step = step.map_err(|_| {
            tracing::error!("a service panicked; the request was refused");
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
