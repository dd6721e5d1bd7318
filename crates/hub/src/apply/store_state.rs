//! Owns how a changed state becomes records: a delta, a snapshot, or everything under new names.
//!
//! Invariant: after every write, the records that the head names and those kept for joiners are the
//! only ones of the generation that are left.

use crate::outcome::{Fault, Put, Refusal, StoreKey};
use crate::reseal::Writer;
use crate::state::{
    DeltaRecord, GroupState, Head, KeptSnapshot, Manifest, MlsState, RosterRecord, StoreKeys,
};
use sordino_crypto::{EarKey, Space};
use sordino_effects::Records;
use sordino_wire::limits::{MAX_DELTAS, MAX_KEPT_SNAPSHOTS};
use sordino_wire::{List, Salt};
use std::collections::BTreeSet;

/// One record of a generation beside its head.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Tree(u64),
    Roster(u64),
    Delta(u64),
    Snapshot(u64),
}

impl Name {
    fn space(self) -> Space {
        match self {
            Self::Tree(_) => Space::Tree,
            Self::Roster(_) => Space::Roster,
            Self::Delta(_) => Space::Delta,
            Self::Snapshot(_) => Space::Snapshot,
        }
    }

    fn record(self) -> String {
        match self {
            Self::Tree(epoch) => format!("tree/{epoch}"),
            Self::Roster(epoch) => format!("roster/{epoch}"),
            Self::Delta(epoch) => format!("delta/{epoch}"),
            Self::Snapshot(epoch) => format!("snapshot/{epoch}"),
        }
    }

    /// Where it lies.
    pub(crate) fn store_key(
        self,
        writer: &Writer<'_, '_, '_>,
        ear_key: &EarKey,
    ) -> Result<StoreKey, Fault> {
        let locator = ear_key.locator(&self.record()).map_err(|_| Fault::Crypto)?;
        let index = writer.shared.outer.index();
        index
            .blind(self.space(), &locator.0)
            .map_err(|_| Fault::Crypto)
    }
}

/// The records that a manifest names.
pub(crate) fn named(manifest: &Manifest) -> BTreeSet<Name> {
    let base = manifest.base_epoch;
    let deltas = (base.saturating_add(1)..).zip(manifest.deltas.iter());
    let mut names: BTreeSet<Name> = deltas.map(|(epoch, _)| Name::Delta(epoch)).collect();
    names.insert(Name::Tree(base));
    names.insert(Name::Roster(base));
    names
}

/// All records of a sealing: head, pending proposals, and what the manifest names.
pub(crate) fn sealing(
    writer: &Writer<'_, '_, '_>,
    ear_key: &EarKey,
    head: &Head,
) -> Result<StoreKeys, Fault> {
    let index = writer.shared.outer.index();
    let place = |space, record| {
        let locator = ear_key.locator(record).map_err(|_| Fault::Crypto)?;
        index.blind(space, &locator.0).map_err(|_| Fault::Crypto)
    };
    let mut keys = vec![
        place(Space::Head, "head")?,
        place(Space::Pending, "pending")?,
    ];
    for name in named(&head.manifest) {
        keys.push(name.store_key(writer, ear_key)?);
    }
    List::new(keys).map_err(|_| Fault::Inconsistent)
}

/// The records that a joiner's snapshot needs.
pub(crate) fn needed(kept: &KeptSnapshot) -> BTreeSet<Name> {
    let base = kept.base_epoch;
    let mut names: BTreeSet<Name> = (base.saturating_add(1)..=kept.epoch)
        .map(Name::Delta)
        .collect();
    names.insert(Name::Tree(base));
    names.insert(Name::Roster(base));
    names.insert(Name::Snapshot(kept.epoch));
    names
}

fn all_of(head: &Head) -> BTreeSet<Name> {
    let mut names = named(&head.manifest);
    for kept in head.kept.iter() {
        names.extend(needed(kept));
    }
    names
}

/// Writes a commit that keeps its generation: a delta if it fits, a snapshot otherwise.
pub(crate) fn write_commit(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    state: &mut GroupState,
    old: &Head,
    head: &mut Head,
    delta: &DeltaRecord,
) -> Result<(), Refusal> {
    let mut versions = old.manifest.deltas.iter().copied().collect::<Vec<Salt>>();
    let written = if snapshot_is_due(old) {
        None
    } else {
        writer.put_delta(&state.ear_key, delta)?
    };
    match written {
        Some(version) => {
            versions.push(version);
            head.manifest.deltas = List::new(versions).map_err(|_| Fault::Inconsistent)?;
        }
        None => {
            state.open_roster(writer.shared, records)?;
            let ear_key = EarKey::new(state.ear_key.secret().duplicate());
            write_snapshot(writer, &ear_key, head, state)?;
        }
    }
    Ok(())
}

/// Whether the next commit within the generation becomes a snapshot whatever its size.
pub(crate) fn snapshot_is_due(old: &Head) -> bool {
    old.manifest.deltas.len() >= MAX_DELTAS.saturating_sub(1)
}

/// Writes tree and roster whole; the roster has been opened.
pub(crate) fn write_snapshot(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    head: &mut Head,
    state: &GroupState,
) -> Result<(), Fault> {
    let roster = state.roster.opened().ok_or(Fault::Inconsistent)?;
    write_records(writer, ear_key, head, &state.mls, roster.clone())
}

/// Writes a tree and a roster.
pub(crate) fn write_records(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    head: &mut Head,
    mls: &MlsState,
    mut roster: RosterRecord,
) -> Result<(), Fault> {
    let tree = mls.snapshot()?;
    roster.format = crate::state::HEAD_FORMAT;
    roster.epoch = tree.epoch;
    head.manifest.base_epoch = tree.epoch;
    head.manifest.deltas = List::default();
    head.manifest.tree = writer.put_tree(ear_key, &tree)?;
    head.manifest.roster = writer.put_roster(ear_key, &roster)?;
    Ok(())
}

/// Keeps the new epoch for joiners by Welcome, and writes down where it is.
pub(crate) fn keep_for_joiners(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    head: &mut Head,
    last_day: u32,
    cursor: u64,
) -> Result<(), Refusal> {
    let today = writer.today();
    let mut kept = std::mem::take(&mut head.kept).into_vec();
    kept.retain(|k| k.last_day >= today);
    if kept.len() == MAX_KEPT_SNAPSHOTS {
        kept.remove(0);
    }
    kept.push(KeptSnapshot {
        epoch: head.epoch,
        base_epoch: head.manifest.base_epoch,
        last_day,
    });
    head.kept = List::new(kept).map_err(|_| Fault::Inconsistent)?;
    super::read::put_joiner_pointer(writer, ear_key, head, last_day, cursor)
}

/// Deletes what the old head named and the new one does not.
pub(crate) fn collect_garbage(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    old: &Head,
    head: &mut Head,
) -> Result<(), Fault> {
    let today = writer.today();
    let mut kept = std::mem::take(&mut head.kept).into_vec();
    kept.retain(|k| k.last_day >= today);
    head.kept = List::new(kept).map_err(|_| Fault::Inconsistent)?;
    let after = all_of(head);
    for name in all_of(old) {
        if !after.contains(&name) {
            let key = name.store_key(writer, ear_key)?;
            writer.changes.delete.push(key);
        }
    }
    Ok(())
}

/// At the end of a generation: what joiners may still ask for gets a last day; the rest is answered
/// as store keys, for deletion now or when the window closes.
pub(crate) fn retire_generation(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    ear_key: &EarKey,
    old: &Head,
) -> Result<Vec<StoreKey>, Refusal> {
    let today = writer.today();
    let window_day = today.saturating_add(writer.shared.config.stream_entry_days);
    let mut keep = std::collections::BTreeMap::new();
    for kept in old.kept.iter().filter(|k| k.last_day >= today) {
        for name in needed(kept) {
            let day = keep.entry(name).or_insert(kept.last_day);
            *day = (*day).max(kept.last_day);
        }
    }
    let current = named(&old.manifest);
    let mut retired = Vec::new();
    for name in all_of(old) {
        let key = name.store_key(writer, ear_key)?;
        match keep.get(&name) {
            Some(last_day) => {
                // A window may be opened on what is current, and needs it as long.
                let last_day = match current.contains(&name) {
                    true => (*last_day).max(window_day),
                    false => *last_day,
                };
                if let Some(value) = records.get(&key)? {
                    writer.changes.put.push(Put {
                        key,
                        value,
                        expires_day: Some(last_day),
                    });
                }
            }
            None if current.contains(&name) => retired.push(key),
            // What only a joiner whose days have passed could have asked for.
            None => writer.changes.delete.push(key),
        }
    }
    if old.manifest.pending.is_some() {
        let locator = ear_key.locator("pending")?;
        retired.push(
            writer
                .shared
                .outer
                .index()
                .blind(Space::Pending, &locator.0)?,
        );
    }
    Ok(retired)
}
