//! Owns the end of a generation: new names, a tombstone, and the window in which the keys of the
//! new one can still be put right (design page 2.4).
//!
//! Invariant: what the window keeps opens with the former generation's key and holds no key of the
//! new one; it is gone once another user has opened the new state.

use super::attend::{close_window, other_sealings, read_previous, remember_place};
use super::commit::{Committing, delivered};
use super::store_state::{retire_generation, sealing, write_snapshot};
use crate::outcome::{Expectation, Fault, Refusal, StoreKey};
use crate::reseal::Writer;
use crate::state::{ChainItem, GroupState, HEAD_FORMAT, Head, Previous, Tombstone, Unconfirmed};
use sordino_crypto::{EarKey, PreviousKey, Space};
use sordino_effects::Records;
use sordino_wire::{Bytes, DeliveryEvent, HandshakeBytes, List, encode, exact};

/// Starts a generation: everything is written under new keys at new places.
pub(crate) fn start(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    state: &mut GroupState,
    old: &Head,
    head: &mut Head,
    committing: &Committing<'_>,
    item: ChainItem,
) -> Result<(), Refusal> {
    leave_tombstone(writer, state, head)?;
    let retired = retire_generation(writer, records, &state.ear_key, old)?;
    let next = committing
        .request
        .next
        .generation
        .as_ref()
        .ok_or(Fault::Inconsistent)?;
    let roster = state.open_roster(writer.shared, records)?;
    roster
        .end_generation(next.wrapper.clone())
        .map_err(|_| Fault::Inconsistent)?;
    head.generation = old.generation.saturating_add(1);
    head.generation_day = writer.today();
    head.delivery_key = committing.next_ear_key.delivery_key()?.secret().duplicate();
    head.kept = List::default();
    let ear_key = &committing.next_ear_key;
    write_snapshot(writer, ear_key, head, state)?;
    head.manifest.pending = if state.pending.items.is_empty() {
        None
    } else {
        writer.put_pending(ear_key, &state.pending)?
    };

    if head.unconfirmed.is_some() {
        // The chain goes on; what it started from is kept, this generation's records are not.
        writer.changes.delete.extend(retired);
        return extend_window(writer, records, head, committing, state, item);
    }
    if state.has_one_user() {
        writer.changes.delete.extend(retired);
        return Ok(());
    }
    open_window(writer, state, old, head, committing, item, retired)
}

/// Whoever is behind gets `wrong_epoch` here, or parks a key request.
fn leave_tombstone(
    writer: &mut Writer<'_, '_, '_>,
    state: &GroupState,
    head: &mut Head,
) -> Result<(), Refusal> {
    let head_key = state.ear_key.head_key()?;
    let tombstone = Tombstone {
        format: Tombstone::FORMAT,
        group_id: head.group_id,
        epoch: head.epoch,
        questions: List::default(),
    };
    let store_key = state.opened.store_key;
    let version = writer.put_tombstone(store_key, &head_key, &tombstone)?;
    Ok(remember_place(head, store_key, &head_key, version)?)
}

fn open_window(
    writer: &mut Writer<'_, '_, '_>,
    state: &GroupState,
    old: &Head,
    head: &mut Head,
    committing: &Committing<'_>,
    item: ChainItem,
    retired: Vec<StoreKey>,
) -> Result<(), Refusal> {
    let locator = state.ear_key.locator("previous")?;
    let store_key = writer
        .shared
        .outer
        .index()
        .blind(Space::Previous, &locator.0)?;
    let key = state.ear_key.previous_key()?;
    let last_day = writer
        .today()
        .saturating_add(writer.shared.config.stream_entry_days);
    let old_store_keys = List::new(retired).map_err(|_| Fault::Encoding)?;
    let previous = Previous {
        format: HEAD_FORMAT,
        old_head: Bytes::new(encode(old)?).map_err(|_| Fault::Encoding)?,
        items: List::new(vec![item]).map_err(|_| Fault::Encoding)?,
        guard: head.guard,
        counter: head.counter,
        pending: state.pending.clone(),
        sealed: sealing(writer, &committing.next_ear_key, head)?,
        rekeyed: List::default(),
        old_store_keys: old_store_keys.clone(),
        last_day,
    };
    writer.changes.expect.push((store_key, Expectation::Absent));
    writer.put_previous(store_key, &key, &previous)?;
    head.unconfirmed = Some(Unconfirmed {
        supplier: committing.user.clone(),
        previous_store_key: store_key,
        previous_key: key.secret().duplicate(),
        chain: 1,
        last_day,
        old_store_keys,
        former_delivery_key: None,
    });
    Ok(())
}

/// A commit while the window is open: it joins the chain, and other sealings are stale.
pub(crate) fn extend_window(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    head: &mut Head,
    committing: &Committing<'_>,
    state: &GroupState,
    item: ChainItem,
) -> Result<(), Refusal> {
    let Some(mut window) = head.unconfirmed.take() else {
        return Ok(());
    };
    let place = state.opened.store_key;
    if state.has_one_user() {
        return close_window(writer, records, place, &window);
    }
    let key = PreviousKey::new(window.previous_key.duplicate());
    let store_key = window.previous_store_key;
    let Some((mut previous, version)) = read_previous(writer.shared, records, store_key, &key)?
    else {
        // It died with its window: there is nothing left to go back to.
        return close_window(writer, records, place, &window);
    };
    let mut items = std::mem::take(&mut previous.items).into_vec();
    items.push(item);
    // How long it may be was checked.
    previous.items = List::new(items).map_err(|_| Fault::Inconsistent)?;
    let others = other_sealings(place, &previous);
    if !others.is_empty() && window.former_delivery_key.is_none() {
        // Those who made other sealings read the former generation again.
        let former: Head = exact(previous.old_head.as_slice()).map_err(|_| Fault::Inconsistent)?;
        window.former_delivery_key = Some(former.delivery_key.duplicate());
        let event = delivered(committing, Vec::new())?;
        writer.deliver(&former.delivery_key, head.counter, event)?;
    }
    writer.changes.delete.extend(others);
    previous.guard = head.guard;
    previous.counter = head.counter;
    previous.pending = state.pending.clone();
    previous.sealed = sealing(writer, &committing.next_ear_key, head)?;
    previous.rekeyed = List::default();
    writer
        .changes
        .expect
        .push((store_key, Expectation::Is(version)));
    writer.put_previous(store_key, &key, &previous)?;
    window.chain = window.chain.saturating_add(1);
    window.supplier = committing.user.clone();
    head.unconfirmed = Some(window);
    Ok(())
}

/// Drops a group: its members get the commit and the notice, and a tombstone stays.
pub(crate) fn delete_group(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    state: &GroupState,
    old: &Head,
    mut head: Head,
    committing: &Committing<'_>,
) -> Result<Head, Refusal> {
    let no_more: Vec<HandshakeBytes> = Vec::new();
    super::commit::deliver_commit(writer, old, &head, committing, no_more)?;
    writer.deliver(&old.delivery_key, head.counter, DeliveryEvent::Deleted)?;
    leave_tombstone(writer, state, &mut head)?;
    let retired = retire_generation(writer, records, &state.ear_key, old)?;
    writer.changes.delete.extend(retired);
    if let Some(window) = head.unconfirmed.take() {
        close_window(writer, records, state.opened.store_key, &window)?;
    }
    // The guard of a group that is gone guards nothing.
    let guard = crate::unseal::guard_key(writer.shared, head.guard)?;
    writer.changes.put.retain(|put| put.key != guard);
    Ok(head)
}

/// Where a generation's window record lies, and what opens it.
pub(crate) fn window_of(
    writer: &Writer<'_, '_, '_>,
    ear_key: &EarKey,
) -> Result<(StoreKey, PreviousKey), Refusal> {
    let locator = ear_key.locator("previous")?;
    let store_key = writer
        .shared
        .outer
        .index()
        .blind(Space::Previous, &locator.0)?;
    Ok((store_key, ear_key.previous_key()?))
}
