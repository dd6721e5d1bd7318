//! Owns the rows of outbox queues.
//!
//! Invariant: numbers of one queue grow while it has entries. A queue that ran empty begins
//! somewhere else, so that a late acknowledgement cannot remove what it did not mean.

use super::tables::Tables;
use crate::fault::StoreFault;
use crate::names::outbox_start;
use crate::types::{Outbox, OutboxEntry};
use redb::ReadableTable;

type Row = [u8; 24];

fn row_key(destination: &[u8; 16], number: u64) -> Row {
    let mut row = [0; 24];
    let bytes = destination.iter().copied().chain(number.to_be_bytes());
    for (to, from) in row.iter_mut().zip(bytes) {
        *to = from;
    }
    row
}

fn split_key(row: &Row) -> Result<([u8; 16], u64), StoreFault> {
    let (destination, number) = row.split_first_chunk().ok_or(StoreFault::BadRow)?;
    let number = number.try_into().map_err(|_| StoreFault::BadRow)?;
    Ok((*destination, u64::from_be_bytes(number)))
}

pub(super) fn push(tables: &mut Tables<'_>, entry: &Outbox) -> Result<(), StoreFault> {
    let (from, to) = (
        row_key(&entry.destination, 0),
        row_key(&entry.destination, u64::MAX),
    );
    let last = {
        let mut rows = tables
            .outbox
            .range::<&Row>(&from..=&to)
            .map_err(StoreFault::of)?;
        let last = rows.next_back().transpose().map_err(StoreFault::of)?;
        last.map(|(key, _)| split_key(key.value())).transpose()?
    };
    let number = match last {
        Some((_, last)) => last.saturating_add(1),
        None => outbox_start(&entry.value),
    };
    let key = row_key(&entry.destination, number);
    tables
        .outbox
        .insert(&key, entry.value.as_slice())
        .map_err(StoreFault::of)?;
    Ok(())
}

/// Returns whether a row was removed.
pub(super) fn acknowledge(
    tables: &mut Tables<'_>,
    destination: &[u8; 16],
    numbers: &[u64],
) -> Result<bool, StoreFault> {
    let mut removed = false;
    for number in numbers {
        let key = row_key(destination, *number);
        removed |= tables
            .outbox
            .remove(&key)
            .map_err(StoreFault::of)?
            .is_some();
    }
    Ok(removed)
}

pub(super) fn read(
    table: &impl ReadableTable<&'static Row, &'static [u8]>,
    destination: &[u8; 16],
    max_entries: usize,
    max_bytes: usize,
) -> Result<Vec<OutboxEntry>, StoreFault> {
    let (from, to) = (row_key(destination, 0), row_key(destination, u64::MAX));
    let rows = table.range::<&Row>(&from..=&to).map_err(StoreFault::of)?;
    let (mut entries, mut bytes) = (Vec::new(), 0_usize);
    for row in rows.take(max_entries) {
        let (key, value) = row.map_err(StoreFault::of)?;
        bytes = bytes.saturating_add(value.value().len());
        if bytes > max_bytes && !entries.is_empty() {
            break;
        }
        let (_, number) = split_key(key.value())?;
        entries.push(OutboxEntry {
            number,
            value: value.value().to_vec(),
        });
    }
    Ok(entries)
}

pub(super) fn destinations(
    table: &impl ReadableTable<&'static Row, &'static [u8]>,
    after: Option<[u8; 16]>,
    max: usize,
) -> Result<Vec<[u8; 16]>, StoreFault> {
    let mut found = Vec::new();
    let mut last = after;
    while found.len() < max {
        // One seek per destination: a long queue is skipped, not read.
        let rows = match last {
            Some(last) => table.range::<&Row>((
                std::ops::Bound::Excluded(&row_key(&last, u64::MAX)),
                std::ops::Bound::Unbounded,
            )),
            None => table.range::<&Row>(..),
        };
        let first = rows
            .map_err(StoreFault::of)?
            .next()
            .transpose()
            .map_err(StoreFault::of)?;
        let Some((key, _)) = first else { break };
        let (destination, _) = split_key(key.value())?;
        found.push(destination);
        last = Some(destination);
    }
    Ok(found)
}
