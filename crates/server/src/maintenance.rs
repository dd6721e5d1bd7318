//! Owns what happens by itself: rows expire, window keys are retired and made.
//!
//! Invariant: one round at a time, and rounds go by the injected clock: what a round does depends
//! on the day and hour alone, so it can be repeated at will. A time that came by a jump destroys
//! nothing until it has stood for an hour, unless a round is asked for.

use crate::clock::{day_of, hour_of};
use crate::doubt::Doubt;
use crate::engine::Engine;
use crate::error::MaintenanceError;
use crate::keys::{extend_windows, roll_windows};
use crate::stop::Stop;
use sordino_crypto::OuterKeys;
use sordino_store::{Expired, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

/// How often a round begins.
const ROUND_INTERVAL: Duration = Duration::from_secs(60);
/// Rows per transaction: few, so that requests are hardly held up.
const ROWS_PER_STEP: usize = 1_000;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Rows dropped.
    pub expired_rows: usize,
}

/// Upkeep of one server.
pub(crate) struct Maintenance {
    engine: Arc<Engine>,
    outer: Arc<OuterKeys>,
    window_keys: PathBuf,
    days_ahead: u32,
    /// Held during a round.
    doubt: Mutex<Doubt>,
}

impl Maintenance {
    pub(crate) fn new(
        engine: Arc<Engine>,
        outer: Arc<OuterKeys>,
        window_keys: PathBuf,
        days_ahead: u32,
    ) -> Self {
        let doubt = Mutex::new(Doubt::since(engine.store().swept_s()));
        Self {
            engine,
            outer,
            window_keys,
            days_ahead,
            doubt,
        }
    }

    /// The keys at rest, for entries that tests put into the store.
    #[cfg(test)]
    pub(crate) fn outer(&self) -> &OuterKeys {
        &self.outer
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// One round that somebody asks for, who knows what time it is.
    pub(crate) async fn round(&self) -> Result<MaintenanceReport, MaintenanceError> {
        let mut doubt = self.doubt.lock().await;
        *doubt = Doubt::default();
        let (now_s, uptime_s) = (self.engine.now_s(), self.engine.uptime_s());
        doubt.allows(now_s, uptime_s);
        self.expire(now_s).await
    }

    /// One round among others. `None`: the clock jumped, and nothing was destroyed.
    pub(crate) async fn scheduled_round(
        &self,
    ) -> Result<Option<MaintenanceReport>, MaintenanceError> {
        let mut doubt = self.doubt.lock().await;
        let (now_s, uptime_s) = (self.engine.now_s(), self.engine.uptime_s());
        if doubt.allows(now_s, uptime_s) {
            return self.expire(now_s).await.map(Some);
        }
        // Requests seal under keys of the days to come, whichever day it is.
        self.change_windows(now_s, extend_windows).await?;
        Ok(None)
    }

    /// Window keys first: what a key opened is unreadable even where dropping rows fails.
    async fn expire(&self, now_s: u64) -> Result<MaintenanceReport, MaintenanceError> {
        self.change_windows(now_s, roll_windows).await?;
        let mut report = MaintenanceReport::default();
        loop {
            let store = self.engine.store();
            let Expired { rows, more } = store
                .expire(day_of(now_s), hour_of(now_s), ROWS_PER_STEP)
                .await?;
            report.expired_rows = report.expired_rows.saturating_add(rows);
            if !more {
                return Ok(report);
            }
        }
    }

    async fn change_windows(
        &self,
        now_s: u64,
        change: fn(&OuterKeys, &Path, u64, u32) -> Result<(), MaintenanceError>,
    ) -> Result<(), MaintenanceError> {
        let outer = Arc::clone(&self.outer);
        let (path, days_ahead) = (self.window_keys.clone(), self.days_ahead);
        // It writes a file and waits for the disk.
        tokio::task::spawn_blocking(move || change(&outer, &path, now_s, days_ahead))
            .await
            .unwrap_or(Err(MaintenanceError::WindowKeys(std::io::ErrorKind::Other)))
    }
}

/// Rounds until the server stops.
pub(crate) async fn run(maintenance: Arc<Maintenance>, mut stop: Stop) {
    let mut rounds = interval(ROUND_INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = false;
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            _ = rounds.tick() => {}
        }
        // A round that has begun is not broken off: it ends soon, step by step.
        let round = maintenance.scheduled_round().await;
        let doubtful = matches!(round, Ok(None));
        match round {
            Ok(Some(report)) if report.expired_rows > 0 => {
                tracing::debug!(rows = report.expired_rows, "rows expired");
            }
            Ok(Some(_)) => {}
            Ok(None) if !warned => tracing::warn!(
                "the clock is ahead of the last upkeep: nothing expires for an hour, in case it is \
                 wrong"
            ),
            Ok(None) => {}
            Err(MaintenanceError::Store(_)) => tracing::error!("dropping expired rows failed"),
            Err(_) => tracing::error!("window keys could not be renewed"),
        }
        warned = doubtful;
    }
}
