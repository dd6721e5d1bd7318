//! Owns who waits for which log.
//!
//! Invariant: it holds exactly the logs that a living [`Watch`] names, and forgets each with the
//! last one. It never sees entries, only that there are new ones.

use crate::types::LogHandle;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Waits for appends to any of a set of logs. Dropping it ends the registration.
pub struct Watch {
    registry: Arc<Registry>,
    id: u64,
    logs: Vec<LogHandle>,
    signal: Arc<Notify>,
}

impl Watch {
    /// Resolves once an append to one of the logs became durable since the registration or since
    /// the last time this resolved; several appends may be reported at once. May resolve for an
    /// append that a snapshot has already shown. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        self.signal.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.registry.lock();
        for log in &self.logs {
            if let Some(watchers) = all.by_log.get_mut(log) {
                watchers.remove(&self.id);
                if watchers.is_empty() {
                    all.by_log.remove(log);
                }
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch(..)")
    }
}

/// All watches of one store.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Watchers>);

#[derive(Default)]
struct Watchers {
    next_id: u64,
    by_log: HashMap<LogHandle, HashMap<u64, Arc<Notify>>>,
}

impl Registry {
    pub(crate) fn watch(self: &Arc<Self>, logs: &[LogHandle]) -> Watch {
        let signal = Arc::new(Notify::new());
        let mut all = self.lock();
        let id = all.next_id;
        all.next_id = id.wrapping_add(1);
        for log in logs {
            let watchers = all.by_log.entry(*log).or_default();
            watchers.insert(id, Arc::clone(&signal));
        }
        Watch {
            registry: Arc::clone(self),
            id,
            logs: logs.to_vec(),
            signal,
        }
    }

    /// Wakes everyone who watches one of these logs.
    pub(crate) fn wake(&self, logs: &[LogHandle]) {
        // Woken outside the lock: a waker may run code that drops a watch.
        let signals: Vec<Arc<Notify>> = {
            let all = self.lock();
            let found = logs.iter().filter_map(|log| all.by_log.get(log));
            found.flat_map(HashMap::values).cloned().collect()
        };
        for signal in signals {
            // Leaves a permit if nobody is waiting at this moment, so no wake-up is lost.
            signal.notify_one();
        }
    }

    /// How many logs are watched.
    #[cfg(test)]
    pub(crate) fn logs(&self) -> usize {
        self.lock().by_log.len()
    }

    fn lock(&self) -> MutexGuard<'_, Watchers> {
        // Every change under the lock is complete by itself, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
