//! Owns the store on a redb file: opening it, its options, and the handle others share.
//!
//! Invariant: one writer thread per file; after a failed write nothing more is read or written
//! until the file is reopened, because what is in memory may differ from what is on the disk.

mod commit;
mod expiry;
mod log;
mod open;
mod outbox;
mod snapshot;
mod spent;
mod tables;
mod writer;

pub use expiry::MAX_EXPIRE_ROWS;
pub use log::LOG_HEAD_GRACE_DAYS;
pub use snapshot::RedbSnapshot;
pub use tables::FORMAT_VERSION;
pub use writer::MAX_BATCH_BYTES;

use crate::api::Store;
use crate::fault::{CommitError, OpenError, StoreFault};
use crate::types::{Changes, Committed, Expired, LogHandle};
use crate::watch::{Registry, Watch};
use expiry::{Sweep, Swept};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use writer::{Job, Writer};

/// The page cache unless told otherwise: 32 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 32 << 20;

/// How many changes one transaction takes unless told otherwise.
pub const DEFAULT_MAX_BATCH: usize = 256;

/// How many changes wait for the writer unless told otherwise.
pub const DEFAULT_QUEUE_LENGTH: usize = 1024;

/// How a file is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RedbOptions {
    /// The size of redb's page cache, in bytes.
    pub cache_bytes: usize,
    /// At most so many changes in one transaction; at least 1.
    pub max_batch: usize,
    /// So many changes may wait for the writer before `commit` itself waits; at least 1.
    pub queue_length: usize,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            cache_bytes: DEFAULT_CACHE_BYTES,
            max_batch: DEFAULT_MAX_BATCH,
            queue_length: DEFAULT_QUEUE_LENGTH,
        }
    }
}

/// The store on one redb file. Clones share it. The file is closed when [`Store::shutdown`] has
/// returned and the last clone and snapshot are gone.
#[derive(Clone)]
pub struct RedbStore {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Job>,
    stopped: watch::Receiver<()>,
}

/// What the writer thread and the handles have in common.
struct Shared {
    db: redb::Database,
    watchers: Arc<Registry>,
    state: State,
    swept: Swept,
}

/// Whether the store may be used.
struct State(AtomicU8);

const RUNNING: u8 = 0;
const STOPPED: u8 = 1;
const POISONED: u8 = 2;

impl State {
    fn check(&self) -> Result<(), StoreFault> {
        match self.0.load(Ordering::Acquire) {
            RUNNING => Ok(()),
            STOPPED => Err(StoreFault::Stopped),
            _ => Err(StoreFault::Poisoned),
        }
    }

    /// Poisoned outranks stopped.
    fn raise(&self, to: u8) {
        self.0.fetch_max(to, Ordering::AcqRel);
    }
}

impl RedbStore {
    /// Opens a file, creating it with mode 0600 if there is none (by way of `<path>.new`, so that
    /// a crash during creation leaves nothing that cannot be opened; the file system must know
    /// hard links). Reads the whole file: a damaged one is refused, now rather than when somebody
    /// needs what was lost.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, options: RedbOptions) -> Result<Self, OpenError> {
        open::guarded(|| {
            let mut db = open::open_file(path, open::VERIFY_CACHE_BYTES)?;
            open::verify(&mut db)?;
            // What was read to be checked stays in the cache as long as the database is open.
            drop(db);
            let db = open::open_file(path, options.cache_bytes)?;
            Self::start(db, options)
        })
    }

    /// Opens a store on something else than a file, for tests of faults.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn with_backend(
        backend: impl redb::StorageBackend,
        options: RedbOptions,
    ) -> Result<Self, OpenError> {
        let builder = open::builder(options.cache_bytes);
        let db = builder
            .create_with_backend(backend)
            .map_err(OpenError::of)?;
        Self::start(db, options)
    }

    /// The time of the latest sweep in seconds since 1970, floored to an hour; 0 if there was none.
    pub fn swept_s(&self) -> u64 {
        u64::from(self.shared.swept.get().hour) * 3_600
    }

    fn start(db: redb::Database, options: RedbOptions) -> Result<Self, OpenError> {
        let swept = open::prepare(&db)?;
        let shared = Arc::new(Shared {
            db,
            watchers: Arc::default(),
            state: State(AtomicU8::new(RUNNING)),
            swept,
        });
        let (queue, jobs) = mpsc::channel(options.queue_length.max(1));
        let (running, stopped) = watch::channel(());
        let writer = Writer::new(Arc::clone(&shared), jobs, options.max_batch.max(1), running);
        std::thread::Builder::new()
            .name("sordino-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|e| OpenError::Thread(e.kind()))?;
        Ok(Self {
            shared,
            queue,
            stopped,
        })
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreFault> {
        self.shared.state.check()?;
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(job(reply)).await;
        sent.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())
    }

    /// Why the writer did not take or answer a job.
    fn gone(&self) -> StoreFault {
        self.shared
            .state
            .check()
            .err()
            .unwrap_or(StoreFault::Stopped)
    }
}

impl Store for RedbStore {
    type Snapshot = RedbSnapshot;

    fn snapshot(&self) -> Result<RedbSnapshot, StoreFault> {
        // After a failed commit the engine may show pages that never reached the disk.
        if self.shared.state.check() == Err(StoreFault::Poisoned) {
            return Err(StoreFault::Poisoned);
        }
        RedbSnapshot::take(&self.shared.db, &self.shared.swept)
    }

    async fn commit(&self, changes: Changes) -> Result<Committed, CommitError> {
        changes.check_sizes()?;
        self.ask(|reply| Job::commit(changes, reply)).await?
    }

    fn watch(&self, logs: &[LogHandle]) -> Watch {
        self.shared.watchers.watch(logs)
    }

    async fn expire(
        &self,
        now_day: u32,
        now_hour: u32,
        budget_rows: usize,
    ) -> Result<Expired, StoreFault> {
        let sweep = Sweep {
            now_day,
            now_hour,
            budget_rows,
        };
        self.ask(|reply| Job::expire(sweep, reply)).await?
    }

    async fn ack_outbox(&self, destination: [u8; 16], numbers: Vec<u64>) -> Result<(), StoreFault> {
        self.ask(|reply| Job::acknowledge(destination, numbers, reply))
            .await?
    }

    async fn shutdown(&self) {
        // An error means that it is stopping already.
        let _ = self.queue.send(Job::Stop).await;
        // The writer drops its end when it has finished, which is the only event.
        let mut stopped = self.stopped.clone();
        while stopped.changed().await.is_ok() {}
    }
}

#[cfg(test)]
impl RedbStore {
    pub(crate) fn watched_logs(&self) -> usize {
        self.shared.watchers.logs()
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbStore(..)")
    }
}
