//! Owns the rows of logs: heads, and pages of entries.
//!
//! Invariant: numbers of one log are contiguous and never given twice while its head lives; of
//! the numbers from some point to the head's every one is kept, and none before that point.

use super::expiry::Horizon;
use super::tables::{Kind, Tables, live_row, put_row};
use crate::fault::StoreFault;
use crate::names::{entry_key, head_key, head_mask, head_salt};
use crate::types::{LogEntry, LogHandle, LogPage};
use redb::ReadableTable;

/// The head of a log outlives its last entry by so many days, so that a log that fell silent
/// does not begin again at a number that some reader has already passed.
pub const LOG_HEAD_GRACE_DAYS: u32 = 30;

/// What the head row of a log says.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// The number of the next entry.
    pub(super) next: u64,
    /// The last day of the latest entry; that of the next one is not before it.
    pub(super) entry_day: u32,
}

impl Head {
    /// Of a log that has no entries.
    fn new(log: &LogHandle) -> Self {
        Self {
            next: log.start(),
            entry_day: 0,
        }
    }

    /// Assigns a number: the entry's, its last day, and the head after it.
    pub(super) fn assign(self, expires_day: u32) -> Option<(u64, u32, Self)> {
        let entry_day = expires_day.max(self.entry_day);
        let next = self.next.checked_add(1)?;
        Some((self.next, entry_day, Self { next, entry_day }))
    }

    /// Writes the row. The salt comes from the value of the latest entry.
    pub(super) fn write(
        self,
        tables: &mut Tables<'_>,
        log: &LogHandle,
        value: &[u8],
    ) -> Result<(), StoreFault> {
        let salt = head_salt(log, self.next, value);
        let masked = self.next ^ head_mask(log, &salt);
        // The index row changes with the day alone: a busy log costs one per day.
        let day = self.entry_day.saturating_add(LOG_HEAD_GRACE_DAYS);
        let (heads, expiry) = (&mut tables.heads, &mut tables.expiry);
        let row = [salt.as_slice(), &masked.to_be_bytes()];
        put_row(heads, expiry, Kind::Head, &head_key(log), day, &row)
    }
}

/// The head of a log, that of an empty one if there is no row.
pub(super) fn read_head(
    heads: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    log: &LogHandle,
    now: Horizon,
) -> Result<Head, StoreFault> {
    let head = live_row(heads, &head_key(log), now.day, |day, row| {
        let (salt, masked) = row.split_first_chunk().ok_or(StoreFault::BadRow)?;
        let masked = masked.try_into().map_err(|_| StoreFault::BadRow)?;
        let next = u64::from_be_bytes(masked) ^ head_mask(log, salt);
        // Another row moved here would unmask to noise.
        if next <= log.start() {
            return Err(StoreFault::BadRow);
        }
        Ok(Head {
            next,
            entry_day: day.saturating_sub(LOG_HEAD_GRACE_DAYS),
        })
    })?;
    Ok(head.unwrap_or(Head::new(log)))
}

/// What a reader wants of a log.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) from: u64,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
}

pub(super) fn read_page(
    heads: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    rows: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    log: &LogHandle,
    wanted: Wanted,
    now: Horizon,
) -> Result<LogPage, StoreFault> {
    let next = read_head(heads, log, now)?.next;
    let first = wanted.from.max(log.start());
    let oldest = first_kept(first, next, |number| {
        let kept = live_row(rows, &entry_key(log, number), now.day, |_, _| Ok(()))?;
        Ok(kept.is_some())
    })?;
    let mut page = LogPage {
        entries: Vec::new(),
        oldest,
        next,
    };
    if oldest != wanted.from {
        return Ok(page);
    }
    let mut bytes = 0_usize;
    for number in (oldest..next).take(wanted.max_entries) {
        let value = live_row(
            rows,
            &entry_key(log, number),
            now.day,
            |_, v| Ok(v.to_vec()),
        )?;
        // Between the oldest kept number and the head there is no hole.
        let value = value.ok_or(StoreFault::BadRow)?;
        bytes = bytes.saturating_add(value.len());
        if bytes > wanted.max_bytes && !page.entries.is_empty() {
            break;
        }
        page.entries.push(LogEntry { number, value });
    }
    Ok(page)
}

/// The first number in `first..next` that is kept, else `next`. Entries die in order, so a
/// binary search finds it; mostly the first look does.
fn first_kept(
    first: u64,
    next: u64,
    kept: impl Fn(u64) -> Result<bool, StoreFault>,
) -> Result<u64, StoreFault> {
    let (mut low, mut high) = (first, next);
    let mut probe = first;
    while low < high {
        if kept(probe)? {
            high = probe;
        } else {
            low = probe.saturating_add(1);
        }
        probe = low.midpoint(high);
    }
    // Asked for numbers that were not given yet: the answer is where the log ends.
    Ok(low.min(next))
}
