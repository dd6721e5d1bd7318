//! Owns when rows die, and their removal.
//!
//! Invariant: a row whose day or hour lies before that of the latest sweep counts as absent
//! everywhere, whether or not it has been removed. So a window dies at one moment although its
//! rows are removed in many transactions, and no log ever shows a hole.

use super::tables::{INDEX_PREFIX_BYTES, Kind, META_SWEPT, Tables, drop_row, index_key};
use crate::fault::StoreFault;
use crate::types::Expired;
use redb::ReadableTable;
use std::sync::atomic::{AtomicU64, Ordering};

/// At most so many rows are dropped in one transaction, whatever the caller's budget: commits
/// wait for it.
pub const MAX_EXPIRE_ROWS: usize = 10_000;

/// A request to drop what has expired.
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    pub(super) now_day: u32,
    pub(super) now_hour: u32,
    pub(super) budget_rows: usize,
}

/// The day and hour of the latest sweep; only the writer raises them.
pub(super) struct Swept(AtomicU64);

/// [`Swept`] at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizon {
    pub(super) day: u32,
    pub(super) hour: u32,
}

impl Horizon {
    /// Rows of this kind with a smaller time are dead.
    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Replay => self.hour,
            Kind::Record | Kind::Entry | Kind::Head => self.day,
        }
    }

    /// 8 bytes: day, hour.
    fn encode(self) -> u64 {
        u64::from(self.day) << 32 | u64::from(self.hour)
    }
}

impl Swept {
    pub(super) fn new(day: u32, hour: u32) -> Self {
        Self(AtomicU64::new(Horizon { day, hour }.encode()))
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreFault> {
        let row = row.try_into().map_err(|_| StoreFault::BadRow)?;
        Ok(Self(AtomicU64::new(u64::from_be_bytes(row))))
    }

    pub(super) fn get(&self) -> Horizon {
        let [a, b, c, d, e, f, g, h] = self.0.load(Ordering::Acquire).to_be_bytes();
        Horizon {
            day: u32::from_be_bytes([a, b, c, d]),
            hour: u32::from_be_bytes([e, f, g, h]),
        }
    }

    fn set(&self, to: Horizon) {
        self.0.store(to.encode(), Ordering::Release);
    }
}

/// Moves the horizon forward and drops rows behind it. A clock that went back changes nothing.
pub(super) fn sweep(
    tables: &mut Tables<'_>,
    swept: &Swept,
    request: Sweep,
) -> Result<(Expired, bool), StoreFault> {
    let old = swept.get();
    let now = Horizon {
        day: old.day.max(request.now_day),
        hour: old.hour.max(request.now_hour),
    };
    if now != old {
        // Before the rows go: a snapshot that misses some of them must know that they are dead.
        swept.set(now);
        let row = now.encode().to_be_bytes();
        tables
            .meta
            .insert(META_SWEPT, row.as_slice())
            .map_err(StoreFault::of)?;
    }
    let budget = request.budget_rows.min(MAX_EXPIRE_ROWS);
    let mut rows = 0;
    for kind in Kind::ALL {
        rows += drop_kind(tables, kind, now.of(kind), budget.saturating_sub(rows))?;
    }
    let more = rows >= budget && any_left(tables, now)?;
    Ok((Expired { rows, more }, now != old || rows > 0))
}

fn drop_kind(
    tables: &mut Tables<'_>,
    kind: Kind,
    horizon: u32,
    budget: usize,
) -> Result<usize, StoreFault> {
    let dead = dead_rows(tables, kind, horizon, budget)?;
    for index in &dead {
        let Some((time, key)) = split_index(index) else {
            continue;
        };
        match kind {
            Kind::Record => drop_row(&mut tables.records, time, key)?,
            Kind::Entry => drop_row(&mut tables.entries, time, key)?,
            Kind::Head => drop_row(&mut tables.heads, time, key)?,
            Kind::Replay => drop_row(&mut tables.replay, time, key)?,
        }
        tables
            .expiry
            .remove(index.as_slice())
            .map_err(StoreFault::of)?;
    }
    Ok(dead.len())
}

fn any_left(tables: &Tables<'_>, now: Horizon) -> Result<bool, StoreFault> {
    for kind in Kind::ALL {
        if !dead_rows(tables, kind, now.of(kind), 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Up to `max` keys of the expiry table that are behind the horizon, the oldest first.
fn dead_rows(
    tables: &Tables<'_>,
    kind: Kind,
    horizon: u32,
    max: usize,
) -> Result<Vec<Vec<u8>>, StoreFault> {
    let (from, to) = (index_key(kind, 0, &[]), index_key(kind, horizon, &[]));
    let range = tables.expiry.range::<&[u8]>(from.as_slice()..to.as_slice());
    let rows = range.map_err(StoreFault::of)?.take(max);
    rows.map(|row| {
        row.map(|(key, _)| key.value().to_vec())
            .map_err(StoreFault::of)
    })
    .collect()
}

fn split_index(index: &[u8]) -> Option<(u32, &[u8])> {
    let (prefix, key) = index.split_first_chunk::<INDEX_PREFIX_BYTES>()?;
    let [_, a, b, c, d] = *prefix;
    Some((u32::from_be_bytes([a, b, c, d]), key))
}
