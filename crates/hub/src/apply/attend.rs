//! Owns what every signed request does by the way once it has opened a group's state.
//!
//! A request of another user than the one who gave the keys confirms them (design page 2.4,
//! rule 2); parked key requests are collected and delivered (rule 3).
//! Invariant: the old records go in the same transaction that confirms, and with them every other
//! sealing of the state. No window is open for longer than its days: an absent member stops nobody.

use crate::HubShared;
use crate::outcome::{Expectation, Fault, Refusal, StoreKey};
use crate::reseal::Writer;
use crate::state::{
    GroupState, Head, ParkedQuestion, ParkingPlace, Previous, Tombstone, Unconfirmed,
};
use sordino_crypto::{Address, HeadKey, LayerKey, PreviousKey, Space, open_layer, unpad};
use sordino_effects::{Records, version_of};
use sordino_rules::Members;
use sordino_wire::limits::MAX_PARKED_KEY_REQUESTS;
use sordino_wire::{DeliveryEvent, IdentifierUri, KeyQuestion, List, Salt, exact};

/// Does all of it for a request that changes nothing else of the head, and writes the head if
/// anything changed.
pub(crate) fn attend_alone(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    state: &mut GroupState,
    user: &IdentifierUri,
) -> Result<(), Refusal> {
    let place = state.opened.store_key;
    let head = &mut state.opened.head;
    let before = head.counter;
    head.counter = before.saturating_add(1);
    if attend(writer, records, place, head, &state.mls.members, Some(user))? {
        writer.put_head(&state.ear_key, head)?;
    } else {
        head.counter = before;
    }
    Ok(())
}

/// Does all of it on the head that was read at a place and is going to be written, its counter
/// advanced.
/// Answers whether anything changed.
pub(crate) fn attend(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    place: StoreKey,
    head: &mut Head,
    members: &Members,
    user: Option<&IdentifierUri>,
) -> Result<bool, Refusal> {
    let ended = end_window(writer, records, place, head)?;
    let confirmed = match user {
        Some(user) => confirm(writer, records, place, head, user)?,
        None => false,
    };
    let collected = collect_parked(writer, records, head)?;
    let delivered = deliver_questions(writer, head, members)?;
    Ok(ended || confirmed || collected || delivered)
}

/// Whether the window has passed: what it kept has died.
pub(crate) fn has_ended(window: &Unconfirmed, today: u32) -> bool {
    today > window.last_day
}

/// Closes a window whose days have passed: there is nothing left to go back to.
fn end_window(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    place: StoreKey,
    head: &mut Head,
) -> Result<bool, Refusal> {
    let today = writer.today();
    let Some(window) = head.unconfirmed.take_if(|w| has_ended(w, today)) else {
        return Ok(false);
    };
    close_window(writer, records, place, &window)?;
    Ok(true)
}

/// Confirms the keys of this sealing, where another user gave them.
fn confirm(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    place: StoreKey,
    head: &mut Head,
    user: &IdentifierUri,
) -> Result<bool, Refusal> {
    let Some(unconfirmed) = head.unconfirmed.take() else {
        return Ok(false);
    };
    if unconfirmed.supplier == *user {
        head.unconfirmed = Some(unconfirmed);
        return Ok(false);
    }
    close_window(writer, records, place, &unconfirmed)?;
    writer.deliver(
        &head.delivery_key,
        head.counter,
        DeliveryEvent::KeysConfirmed(head.generation),
    )?;
    Ok(true)
}

/// Deletes what was kept in case the keys were wrong, and all sealings but the one at hand.
pub(crate) fn close_window(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    place: StoreKey,
    window: &Unconfirmed,
) -> Result<(), Refusal> {
    let key = PreviousKey::new(window.previous_key.duplicate());
    let store_key = window.previous_store_key;
    let previous = read_previous(writer.shared, records, store_key, &key)?;
    let delete = &mut writer.changes.delete;
    delete.push(store_key);
    delete.extend(window.old_store_keys.iter().copied());
    if let Some((previous, version)) = previous {
        delete.extend(other_sealings(place, &previous));
        let unchanged = Expectation::Is(version);
        writer.changes.expect.push((store_key, unchanged));
    }
    Ok(())
}

/// The records of all sealings of a state but the one whose head lies at a place.
pub(crate) fn other_sealings(place: StoreKey, previous: &Previous) -> Vec<StoreKey> {
    let rekeyed = previous.rekeyed.iter().map(|r| &r.store_keys);
    std::iter::once(&previous.sealed)
        .chain(rekeyed)
        .filter(|sealing| !sealing.iter().any(|key| *key == place))
        .flat_map(|sealing| sealing.iter().copied())
        .collect()
}

/// Opens the record at `locator("previous")`.
pub(crate) fn read_previous(
    shared: &HubShared,
    records: &dyn Records,
    store_key: [u8; 16],
    key: &PreviousKey,
) -> Result<Option<(Previous, [u8; 16])>, Refusal> {
    let Some(bytes) = records.get(&store_key)? else {
        return Ok(None);
    };
    let address = Address {
        space: Space::Previous,
        store_key,
    };
    let Ok(inner) = shared.outer.open_window(&address, &bytes) else {
        return Ok(None);
    };
    let Ok(padded) = open_layer(&LayerKey::from(key), &address, &inner) else {
        return Ok(None);
    };
    let value = unpad(&padded)?;
    let previous = exact(value).map_err(|_| Fault::Inconsistent)?;
    let version = version_of(&bytes).ok_or(Fault::Inconsistent)?;
    Ok(Some((previous, version)))
}

/// Looks at the tombstones of former generations, where members who are behind may have parked.
fn collect_parked(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    head: &mut Head,
) -> Result<bool, Refusal> {
    let mut places = Vec::new();
    let mut changed = false;
    for place in std::mem::take(&mut head.places).into_vec() {
        let Some(bytes) = records.get(&place.store_key)? else {
            changed = true;
            continue;
        };
        let version = version_of(&bytes).ok_or(Fault::Inconsistent)?;
        if version == place.version.0 {
            places.push(place);
            continue;
        }
        changed = true;
        if let Some(place) = empty_place(writer, head, place, &bytes, version)? {
            places.push(place);
        }
    }
    head.places = List::new(places).map_err(|_| Fault::Inconsistent)?;
    Ok(changed)
}

fn empty_place(
    writer: &mut Writer<'_, '_, '_>,
    head: &mut Head,
    place: ParkingPlace,
    bytes: &[u8],
    version: [u8; 16],
) -> Result<Option<ParkingPlace>, Refusal> {
    let head_key = HeadKey::new(place.head_key.duplicate());
    let address = Address {
        space: Space::Head,
        store_key: place.store_key,
    };
    let Ok(inner) = writer.shared.outer.open(&address, bytes) else {
        return Ok(None);
    };
    let Ok(padded) = open_layer(&LayerKey::from(&head_key), &address, &inner) else {
        return Ok(None);
    };
    let mut tombstone: Tombstone = exact(unpad(&padded)?).map_err(|_| Fault::Inconsistent)?;
    for question in std::mem::take(&mut tombstone.questions).into_vec() {
        // Where there is no room, the asker asks again.
        let _ = park(head, question);
    }
    writer
        .changes
        .expect
        .push((place.store_key, Expectation::Is(version)));
    let version = writer.put_tombstone(place.store_key, &head_key, &tombstone)?;
    Ok(Some(ParkingPlace { version, ..place }))
}

/// Parks a key request in a head: one per leaf key.
pub(crate) fn park(head: &mut Head, question: KeyQuestion) -> bool {
    let mut questions = std::mem::take(&mut head.questions).into_vec();
    if questions.iter().any(|q| q.question == question) {
        head.questions = List::new(questions).unwrap_or_default();
        return true;
    }
    questions.retain(|q| q.question.leaf_key != question.leaf_key);
    let room = questions.len() < MAX_PARKED_KEY_REQUESTS;
    if room {
        questions.push(ParkedQuestion {
            question,
            delivered: 0,
        });
    }
    head.questions = List::new(questions).unwrap_or_default();
    room
}

/// Delivers what is parked in the head, if the asker is a member.
fn deliver_questions(
    writer: &mut Writer<'_, '_, '_>,
    head: &mut Head,
    members: &Members,
) -> Result<bool, Refusal> {
    let today = writer.today();
    let mut changed = false;
    let mut questions = std::mem::take(&mut head.questions).into_vec();
    let before = questions.len();
    questions.retain(|q| {
        let is_member = members
            .iter()
            .any(|m| m.credential.signature_key == q.question.leaf_key);
        is_member && q.question.last_day >= today
    });
    changed |= questions.len() != before;
    for parked in questions.iter_mut().filter(|q| q.delivered == 0) {
        let event = DeliveryEvent::KeyQuestion(parked.question.clone());
        writer.deliver(&head.delivery_key, head.counter, event)?;
        parked.delivered = 1;
        changed = true;
    }
    head.questions = List::new(questions).map_err(|_| Fault::Inconsistent)?;
    Ok(changed)
}

/// A place where a generation that ends will be remembered.
pub(crate) fn remember_place(
    head: &mut Head,
    store_key: [u8; 16],
    head_key: &HeadKey,
    version: Salt,
) -> Result<(), Fault> {
    let mut places = std::mem::take(&mut head.places).into_vec();
    if places.len() == sordino_wire::limits::MAX_PARKING_PLACES {
        places.remove(0);
    }
    places.push(ParkingPlace {
        store_key,
        head_key: head_key.secret().duplicate(),
        version,
    });
    head.places = List::new(places).map_err(|_| Fault::Inconsistent)?;
    Ok(())
}
