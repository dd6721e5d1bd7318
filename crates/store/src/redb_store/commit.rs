//! Owns the application of one [`Changes`] inside a transaction that others share.
//!
//! Invariant: everything that can refuse it is looked at before its first row is written, so a
//! refused one leaves nothing behind and never aborts its neighbours.

use super::expiry::Horizon;
use super::log::{Head, read_head};
use super::tables::{Kind, NEVER, Tables, delete_row, live_row, put_row};
use super::{outbox, spent};
use crate::fault::{CommitError, StoreFault};
use crate::names::entry_key;
use crate::types::{Changes, Committed, Expect, Key, LogHandle, Replay, Version};
use std::collections::HashMap;

/// Where one append goes.
struct Place {
    number: u64,
    entry_day: u32,
}

/// What the checks found out about the appends.
#[derive(Default)]
struct Plan {
    /// One per append, in order.
    places: Vec<Place>,
    /// Of each log: its head afterwards and which append is its last.
    heads: HashMap<LogHandle, (Head, usize)>,
}

/// Applies a change, seeing what earlier ones wrote in this transaction.
///
/// The outer error is a fault of the transaction as a whole; the inner one refuses this change.
pub(super) fn apply(
    tables: &mut Tables<'_>,
    changes: &Changes,
    now: Horizon,
) -> Result<Result<Committed, CommitError>, StoreFault> {
    match check(tables, changes, now) {
        Ok(plan) => {
            write(tables, changes, &plan)?;
            Ok(Ok(Committed {
                numbers: plan.places.iter().map(|p| p.number).collect(),
            }))
        }
        // One bad row must not stop the store for everybody else.
        Err(CommitError::Unavailable(fault)) if fault != StoreFault::BadRow => Err(fault),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn check(tables: &mut Tables<'_>, changes: &Changes, now: Horizon) -> Result<Plan, CommitError> {
    for Replay { key, .. } in &changes.replay {
        if live_row(&tables.replay, &key.0, now.hour, |_, _| Ok(()))?.is_some() {
            return Err(CommitError::Replayed);
        }
    }
    spent::check(tables, changes)?;
    for (key, expect) in &changes.expect {
        check_record(tables, key, *expect, now)?;
    }
    plan_appends(tables, changes, now).map_err(CommitError::Unavailable)
}

fn check_record(
    tables: &Tables<'_>,
    key: &Key,
    expect: Expect,
    now: Horizon,
) -> Result<(), CommitError> {
    let found = live_row(&tables.records, &key.0, now.day, |_, value| {
        Version::of(value).ok_or(StoreFault::BadRow)
    })?;
    let holds = match expect {
        Expect::Absent => found.is_none(),
        Expect::Present => found.is_some(),
        Expect::Is(version) => found == Some(version),
    };
    if holds {
        Ok(())
    } else {
        Err(CommitError::Conflict)
    }
}

fn plan_appends(tables: &Tables<'_>, changes: &Changes, now: Horizon) -> Result<Plan, StoreFault> {
    let mut plan = Plan::default();
    for (i, append) in changes.append.iter().enumerate() {
        let head = match plan.heads.get(&append.log) {
            Some((head, _)) => *head,
            None => read_head(&tables.heads, &append.log, now)?,
        };
        let (number, entry_day, head) =
            head.assign(append.expires_day).ok_or(StoreFault::BadRow)?;
        plan.places.push(Place { number, entry_day });
        plan.heads.insert(append.log, (head, i));
    }
    Ok(plan)
}

fn write(tables: &mut Tables<'_>, changes: &Changes, plan: &Plan) -> Result<(), StoreFault> {
    write_records(tables, changes)?;
    write_appends(tables, changes, plan)?;
    spent::write(tables, changes)?;
    for replay in &changes.replay {
        let (rows, expiry) = (&mut tables.replay, &mut tables.expiry);
        let (key, hour) = (&replay.key.0, replay.expires_hour);
        put_row(rows, expiry, Kind::Replay, key, hour, &[&replay.value])?;
    }
    changes
        .outbox
        .iter()
        .try_for_each(|entry| outbox::push(tables, entry))
}

fn write_records(tables: &mut Tables<'_>, changes: &Changes) -> Result<(), StoreFault> {
    let (records, expiry) = (&mut tables.records, &mut tables.expiry);
    for put in &changes.put {
        let day = put.expires_day.unwrap_or(NEVER);
        put_row(
            records,
            expiry,
            Kind::Record,
            &put.key.0,
            day,
            &[&put.value],
        )?;
    }
    for key in &changes.delete {
        delete_row(records, expiry, Kind::Record, &key.0)?;
    }
    Ok(())
}

fn write_appends(
    tables: &mut Tables<'_>,
    changes: &Changes,
    plan: &Plan,
) -> Result<(), StoreFault> {
    for (i, (append, place)) in changes.append.iter().zip(&plan.places).enumerate() {
        let key = entry_key(&append.log, place.number);
        let (entries, expiry) = (&mut tables.entries, &mut tables.expiry);
        put_row(
            entries,
            expiry,
            Kind::Entry,
            &key,
            place.entry_day,
            &[&append.value],
        )?;
        // The head is written once, with the log's last entry of this change.
        if let Some((head, last)) = plan.heads.get(&append.log)
            && *last == i
        {
            head.write(tables, &append.log, &append.value)?;
        }
    }
    Ok(())
}
