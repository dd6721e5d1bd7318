//! Owns rekey: the right keys where a committer gave wrong ones (design page 2.4, rule 2).
//!
//! Invariant: a leaf of the newest tree asks, one sealing per user and four at most; all sealings
//! of one state share its guard, so the group cannot fork.

use super::attend::{attend, read_previous, remember_place};
use super::generation::window_of;
use super::merge::{Base, CommitParts, merge};
use super::store_state::{sealing, write_snapshot};
use crate::admit::Admitted;
use crate::authenticate::{Who, require_epoch, signer_in};
use crate::outcome::{Expectation, Fault, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{
    ChainItem, EpochKey, GroupState, Head, OpenedHead, Previous, ReadOnlyStorage, Rekeyed,
    Unconfirmed,
};
use crate::unseal::{AtHead, guard_key, open_place, open_rest};
use crate::{Env, HubShared};
use sordino_crypto::{EarKey, PreviousKey, Space};
use sordino_effects::{Records, version_of};
use sordino_wire::limits::MAX_REKEYS;
use sordino_wire::{
    CommitIntent, DeliveredCommit, DeliveryEvent, GenerationStep, GroupId, IdentifierUri, List,
    Reject, RekeyRequest, Salt, exact,
};

pub(crate) fn rekey(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    request: &RekeyRequest,
) -> Result<Step, Refusal> {
    let group_id = request.access.group_id;
    let new_key = EarKey::new(request.ear_key.duplicate());
    // Somebody else may have given the right keys meanwhile.
    match open_place_of(shared, records, &new_key, group_id) {
        Ok(AtHead::Head(opened)) => {
            let state = open_rest(shared, records, new_key, *opened)?;
            return add_sender_key(shared, records, env, admitted, state, request);
        }
        Ok(AtHead::Tombstone(tombstone, ..)) => {
            let current = tombstone.epoch;
            return Err(Reject::WrongEpoch { current }.into());
        }
        Err(Refusal::Reject(Reject::UnknownGroup)) => {}
        Err(other) => return Err(other),
    }
    let ear_key = EarKey::new(request.access.ear_key.duplicate());
    match open_place_of(shared, records, &ear_key, group_id)? {
        AtHead::Head(opened) => {
            let state = open_rest(shared, records, ear_key, *opened)?;
            seal_open_state(shared, records, env, admitted, state, request)
        }
        AtHead::Tombstone(tombstone, ..) => {
            let moved = Reject::WrongEpoch {
                current: tombstone.epoch,
            };
            seal_from_previous(shared, records, env, admitted, ear_key, moved, request)
        }
    }
}

fn open_place_of(
    shared: &HubShared,
    records: &dyn Records,
    ear_key: &EarKey,
    group_id: GroupId,
) -> Result<AtHead, Refusal> {
    let locator = ear_key.locator("head")?;
    open_place(shared, records, locator, &ear_key.head_key()?, group_id)
}

fn leaf_of(
    shared: &HubShared,
    admitted: &Admitted,
    state: &GroupState,
) -> Result<IdentifierUri, Reject> {
    match signer_in(shared, admitted, state.head().group_id, &state.mls.members)? {
        Who::Leaf { user, .. } => Ok(user),
        Who::User { .. } | Who::Joiner { .. } => Err(Reject::BadAuthentication),
    }
}

fn too_many() -> Reject {
    Reject::LimitReached {
        limit: u32::try_from(MAX_REKEYS).unwrap_or(u32::MAX),
    }
}

/// The generation's key is right, the epoch's sender key is not.
fn add_sender_key(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    request: &RekeyRequest,
) -> Result<Step, Refusal> {
    require_epoch(admitted, state.head().epoch)?;
    let user = leaf_of(shared, admitted, &state)?;
    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    let place = state.opened.store_key;
    let head = &mut state.opened.head;
    head.counter = head.counter.saturating_add(1);
    attend(
        &mut writer,
        records,
        place,
        head,
        &state.mls.members,
        Some(&user),
    )?;
    let epoch = head.epoch;
    if !head
        .sender_keys_of(epoch)
        .any(|k| k.key == request.sender_key)
    {
        let mut users = std::mem::take(&mut head.sender_rekeys).into_vec();
        if users.contains(&user) {
            return Err(too_many().into());
        }
        users.push(user);
        head.sender_rekeys = List::new(users).map_err(|_| too_many())?;
        let mut keys = std::mem::take(&mut head.sender_keys).into_vec();
        keys.push(EpochKey {
            epoch,
            key: request.sender_key.duplicate(),
        });
        head.sender_keys = List::new(keys).map_err(|_| too_many())?;
    }
    writer.put_head(&state.ear_key, head)?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}

/// The state opens under a key that somebody made up, and its right key is known by now.
fn seal_open_state(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    request: &RekeyRequest,
) -> Result<Step, Refusal> {
    require_epoch(admitted, state.head().epoch)?;
    let user = leaf_of(shared, admitted, &state)?;
    let window = state
        .head()
        .unconfirmed
        .as_ref()
        .ok_or(Reject::Generation)?;
    let store_key = window.previous_store_key;
    let key = PreviousKey::new(window.previous_key.duplicate());
    let (previous, version) =
        read_previous(shared, records, store_key, &key)?.ok_or(Reject::Generation)?;
    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    writer
        .changes
        .expect
        .push((store_key, Expectation::Is(version)));
    let place = Place {
        store_key,
        key,
        user,
    };
    state.open_roster(shared, records)?;
    seal(writer, admitted, state, previous, place, request, false)
}

/// The state is under a key that nobody else knows: made again from what the window keeps.
fn seal_from_previous(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    ear_key: EarKey,
    moved: Reject,
    request: &RekeyRequest,
) -> Result<Step, Refusal> {
    let today = env.today();
    let mut writer = Writer::new(shared, env);
    let (store_key, key) = window_of(&writer, &ear_key)?;
    let Some((previous, version)) = read_previous(shared, records, store_key, &key)? else {
        return Err(moved.into());
    };
    let guard = guard_key(shared, previous.guard)?;
    let guard_value = records.get(&guard)?.ok_or(moved)?;
    let guard_version = version_of(&guard_value).ok_or(Fault::Inconsistent)?;
    let mut old_head: Head =
        exact(previous.old_head.as_slice()).map_err(|_| Fault::Inconsistent)?;
    let oldest = old_head.epoch;
    let locator = ear_key.locator("head")?;
    let tombstone = shared.outer.index().blind(Space::Head, &locator.0)?;
    // Of a version that it never had, so that it is looked at.
    remember_place(
        &mut old_head,
        tombstone,
        &ear_key.head_key()?,
        Salt([0; 16]),
    )?;
    let opened = OpenedHead {
        head: old_head,
        store_key,
        version,
        guard_version: [0; 16],
    };
    let mut state = open_rest(shared, records, ear_key, opened)?;
    state.open_roster(shared, records)?;
    for item in previous.items.iter() {
        apply_again(shared, records, &mut state, item, today)?;
    }
    // The asker may be behind by as much as the chain is long.
    let newest = state.head().epoch;
    match admitted.auth.freshness() {
        Some(f) if (oldest..=newest).contains(&f.epoch) => {}
        _ => return Err(Reject::WrongEpoch { current: newest }.into()),
    }
    let user = leaf_of(shared, admitted, &state)?;
    writer
        .changes
        .expect
        .push((store_key, Expectation::Is(version)));
    writer
        .changes
        .expect
        .push((guard, Expectation::Is(guard_version)));
    state.opened.head.guard = previous.guard;
    state.opened.head.counter = previous.counter;
    state.pending = previous.pending.clone();
    let place = Place {
        store_key,
        key,
        user,
    };
    seal(writer, admitted, state, previous, place, request, true)
}

/// Applies a commit of the chain again; it was accepted once.
fn apply_again(
    shared: &HubShared,
    records: &dyn Records,
    state: &mut GroupState,
    item: &ChainItem,
    today: u32,
) -> Result<(), Refusal> {
    let parts = CommitParts {
        intent: CommitIntent::Apply,
        commit: item.commit.as_slice(),
        group_info: &item.group_info,
        key_check: &item.key_check,
        identity_entries: item.identity_entries.as_slice(),
    };
    for pending in item.pending.items.iter() {
        let (reference, queued) = super::read_queued(pending.queued.as_slice())?;
        let storage = ReadOnlyStorage::default();
        // Those of the first commit were loaded with the state.
        let _ = state.mls.group.remove_proposal(&storage, &reference);
        let added = state.mls.group.add_proposal(&storage, queued);
        added.map_err(|_| Fault::Inconsistent)?;
    }
    let head = &mut state.opened.head;
    let base = Base {
        group_id: head.group_id,
        generation: head.generation,
        policy: &head.policy,
        mls: &mut state.mls,
        roster: &mut state.roster,
        pending: &item.pending,
    };
    let merged = merge(shared, base, &parts, None, today).map_err(|_| Fault::Inconsistent)?;
    head.epoch = head.epoch.saturating_add(1);
    head.policy = merged.policy;
    if item.step == GenerationStep::Moves {
        head.generation = head.generation.saturating_add(1);
        head.generation_day = today;
        let roster = state.open_roster(shared, records)?;
        roster
            .end_generation(item.wrapper.clone())
            .map_err(|_| Fault::Inconsistent)?;
    }
    Ok(())
}

/// Where the window's record lies, and who asks.
struct Place {
    store_key: [u8; 16],
    key: PreviousKey,
    user: IdentifierUri,
}

/// Writes a further sealing of the newest state under the key that the asker gives.
fn seal(
    mut writer: Writer<'_, '_, '_>,
    admitted: &Admitted,
    state: GroupState,
    mut previous: Previous,
    place: Place,
    request: &RekeyRequest,
    from_previous: bool,
) -> Result<Step, Refusal> {
    if previous.rekeyed.iter().any(|r| r.user == place.user) {
        return Err(too_many().into());
    }
    let old_head: Head = exact(previous.old_head.as_slice()).map_err(|_| Fault::Inconsistent)?;
    let ear_key = EarKey::new(request.ear_key.duplicate());
    let mut head = state.head().duplicate()?;
    head.counter = head.counter.saturating_add(1);
    head.delivery_key = ear_key.delivery_key()?.secret().duplicate();
    head.context_hash = state.mls.context_hash()?;
    head.kept = List::default();
    head.manifest.pending = if state.pending.items.is_empty() {
        None
    } else {
        writer.put_pending(&ear_key, &state.pending)?
    };
    let sender_key = EpochKey {
        epoch: head.epoch,
        key: request.sender_key.duplicate(),
    };
    head.sender_keys = List::new(vec![sender_key]).map_err(|_| Fault::Inconsistent)?;
    head.sender_rekeys = List::default();
    head.unconfirmed = Some(Unconfirmed {
        supplier: place.user.clone(),
        previous_store_key: place.store_key,
        previous_key: place.key.secret().duplicate(),
        chain: u8::try_from(previous.items.len()).unwrap_or(u8::MAX),
        last_day: previous.last_day,
        old_store_keys: previous.old_store_keys.clone(),
        former_delivery_key: Some(old_head.delivery_key.duplicate()),
    });
    write_snapshot(&mut writer, &ear_key, &mut head, &state)?;
    let store_key = writer.put_head(&ear_key, &head)?;
    writer.changes.expect.push((store_key, Expectation::Absent));

    let store_keys = sealing(&writer, &ear_key, &head)?;
    let mut rekeyed = std::mem::take(&mut previous.rekeyed).into_vec();
    rekeyed.push(Rekeyed {
        user: place.user,
        store_keys,
    });
    previous.rekeyed = List::new(rekeyed).map_err(|_| too_many())?;
    writer.put_previous(place.store_key, &place.key, &previous)?;
    if from_previous {
        deliver_chain(&mut writer, &head, &previous)?;
    }
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}

/// The first commit of the chain went into the former generation's stream; the others went where
/// the asker cannot read.
fn deliver_chain(
    writer: &mut Writer<'_, '_, '_>,
    head: &Head,
    previous: &Previous,
) -> Result<(), Refusal> {
    for item in previous.items.iter().skip(1) {
        let delivered = DeliveredCommit {
            commit: item.commit.clone(),
            key_check: item.key_check.clone(),
            identity_entries: item.identity_entries.clone(),
            wrapper: item.wrapper.clone(),
            reissued: List::default(),
        };
        let event = DeliveryEvent::Commit(Box::new(delivered));
        writer.deliver(&head.delivery_key, head.counter, event)?;
    }
    Ok(())
}
