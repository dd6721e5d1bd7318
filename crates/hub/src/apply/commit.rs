//! Owns commits: every row of design page 3.2 that carries one.
//!
//! Invariant: state, delivery, Welcomes and the old records' end are one write set; of two commits
//! of one epoch the store takes one.

use super::attend::{attend, has_ended};
use super::merge::{Base, CommitParts, Merged, merge};
use super::proposals::reissue;
use super::send::check_not_frozen;
use super::store_state::{collect_garbage, keep_for_joiners, snapshot_is_due, write_commit};
use super::welcome::deliver_welcome;
use crate::admit::Admitted;
use crate::authenticate::Who;
use crate::outcome::{Fault, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{ChainItem, EpochKey, GroupState, Head};
use crate::{Env, HubShared};
use sordino_crypto::{EarKey, SenderKey, keys_hash};
use sordino_effects::Records;
use sordino_rules::{Operation, RequiredAuth};
use sordino_wire::limits::{GENERATION_MAX_DAYS, MAX_CHAIN_COMMITS};
use sordino_wire::{
    CommitIntent, CommitRequest, DeliveredCommit, DeliveryEvent, GenerationStep, HandshakeBytes,
    IdentifierUri, List, Reject,
};

/// A commit on its way through apply.
pub(crate) struct Committing<'a> {
    pub(crate) request: &'a CommitRequest,
    pub(crate) merged: Merged,
    /// The committer's user.
    pub(crate) user: IdentifierUri,
    /// The key in force after the commit.
    pub(crate) next_ear_key: EarKey,
}

pub(crate) fn commit(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    who: Who,
    request: &CommitRequest,
) -> Result<Step, Refusal> {
    check_not_frozen(state.head())?;
    let old = state.head().duplicate()?;
    let parts = CommitParts {
        intent: request.intent,
        commit: request.commit.as_slice(),
        group_info: &request.group_info,
        key_check: &request.key_check,
        identity_entries: request.identity_entries.as_slice(),
    };
    let before = state.mls.members.clone();
    let base = Base {
        group_id: old.group_id,
        generation: old.generation,
        policy: &old.policy,
        mls: &mut state.mls,
        roster: &mut state.roster,
        pending: &state.pending,
    };
    let merged = merge(shared, base, &parts, Some(env.now_s), env.today())?;
    check_who(&merged, &who, &before)?;
    let user = merged
        .verdict
        .members
        .get(merged.verdict.committer)
        .map(|m| m.credential.user_pseudonym.clone())
        .ok_or(Fault::Inconsistent)?;
    let next_ear_key = check_keys(&old, &merged, request, env.today())?;
    check_chain(&old, who.user(), env.today())?;

    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    let committing = Committing {
        request,
        merged,
        user,
        next_ear_key,
    };
    let head = apply_to_head(&mut writer, records, &mut state, &old, &committing, &who)?;
    Ok(writer.finish(&admitted.settlement, outcome(head.epoch, head.counter))?)
}

/// The request's signer must be the commit's sender, and of the kind that its row asks for.
fn check_who(merged: &Merged, who: &Who, before: &sordino_rules::Members) -> Result<(), Reject> {
    let committer = merged.verdict.committer;
    let agrees = match (merged.verdict.auth, who) {
        (RequiredAuth::Leaf, Who::Leaf { leaf_index, .. }) => *leaf_index == committer,
        (RequiredAuth::PseudonymousUser, Who::User { leaf_index, .. }) => {
            // A resync signs as the leaf that it replaces; the new leaf may lie elsewhere.
            *leaf_index == committer || merged.verdict.replaced == Some(*leaf_index)
        }
        (RequiredAuth::Joiner, Who::Joiner { signature_key }) => {
            *signature_key == merged.committer_key
                && before.by_signature_key(signature_key).is_none()
        }
        _ => false,
    };
    if agrees {
        Ok(())
    } else {
        Err(Reject::BadAuthentication)
    }
}

/// The keys are there exactly when the generation moves, and are those of the key check.
fn check_keys(
    old: &Head,
    merged: &Merged,
    request: &CommitRequest,
    today: u32,
) -> Result<EarKey, Refusal> {
    let next = request.next.generation.as_ref();
    let overdue = today.saturating_sub(old.generation_day) >= GENERATION_MAX_DAYS;
    let moves = merged.verdict.moves_generation;
    // Who enters by a link does not know the generation's secret, so could not hand the chain of
    // wrapper keys on. The first commit of a member moves what is overdue.
    let may_stay = matches!(
        merged.verdict.operation,
        Operation::ExternalJoinInvite | Operation::ExternalJoinOpen
    );
    if moves != next.is_some() || (overdue && !moves && !may_stay) {
        return Err(Reject::Generation.into());
    }
    let wrapper = next.and_then(|n| n.wrapper.as_ref());
    if wrapper.is_some_and(|w| w.generation != old.generation) {
        return Err(Reject::Generation.into());
    }
    let ear_key = match next {
        Some(next) => EarKey::new(next.ear_key.duplicate()),
        None => EarKey::new(request.access.ear_key.duplicate()),
    };
    if next.is_some_and(|n| n.ear_key == request.access.ear_key) {
        return Err(Reject::Generation.into());
    }
    let sender_key = SenderKey::new(request.next.sender_key.duplicate());
    let epoch = old.epoch.saturating_add(1);
    let expected = keys_hash(old.group_id, epoch, &ear_key, &sender_key)?;
    if expected != request.key_check.keys_hash {
        return Err(Reject::KeyCheckMismatch.into());
    }
    Ok(ear_key)
}

/// Somebody else must have opened the state before the chain goes on for ever.
fn check_chain(old: &Head, signer: Option<&IdentifierUri>, today: u32) -> Result<(), Reject> {
    match &old.unconfirmed {
        Some(window)
            if usize::from(window.chain) >= MAX_CHAIN_COMMITS && !has_ended(window, today) =>
        {
            let confirms = signer.is_some_and(|user| *user != window.supplier);
            if confirms {
                Ok(())
            } else {
                Err(Reject::AwaitingConfirmation)
            }
        }
        _ => Ok(()),
    }
}

/// Makes the new head and writes everything.
fn apply_to_head(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    state: &mut GroupState,
    old: &Head,
    committing: &Committing<'_>,
    who: &Who,
) -> Result<Head, Refusal> {
    let request = committing.request;
    let merged = &committing.merged;
    let mut head = old.duplicate()?;
    head.counter = old.counter.saturating_add(1);
    head.epoch = old.epoch.saturating_add(1);
    // Parked requests and a confirmation belong to the generation that the request opened.
    let signer_user = who.user();
    attend(
        writer,
        records,
        state.opened.store_key,
        &mut head,
        &merged.verdict.members,
        signer_user,
    )?;
    head.policy = merged.policy.clone();
    head.context_hash = state.mls.context_hash()?;
    head.guard = writer.replace_guard(Some(old.guard))?;
    advance_sender_keys(&mut head, request, merged.verdict.moves_generation)?;

    if request.intent == CommitIntent::Delete {
        if request.welcome.is_some() {
            return Err(Reject::InvalidWelcome.into());
        }
        return super::generation::delete_group(writer, records, state, old, head, committing);
    }
    if merged.verdict.moves_generation || snapshot_is_due(old) {
        // The roster is needed all the same; then those who have been away for long are looked for.
        state.open_roster(writer.shared, records)?;
    }
    let (reissued, pending) = reissue(writer, old.group_id, &head, &state.pending, merged, state)?;
    deliver_welcome(
        writer,
        records,
        merged,
        &state.pending,
        request.welcome.as_ref(),
    )?;
    let former_pending = std::mem::replace(&mut state.pending, pending);
    let item = chain_item(writer, committing, former_pending);

    let cursor = super::read::next_number(writer.shared, records, &old.delivery_key)?;
    deliver_commit(writer, old, &head, committing, reissued)?;
    if merged.verdict.moves_generation {
        super::generation::start(writer, records, state, old, &mut head, committing, item)?;
    } else {
        let former = old.manifest.pending.is_some() || !state.pending.items.is_empty();
        if former {
            head.manifest.pending = writer.put_pending(&state.ear_key, &state.pending)?;
        }
        write_commit(writer, records, state, old, &mut head, &merged.delta)?;
        super::generation::extend_window(writer, records, &mut head, committing, state, item)?;
    }
    let ear_key = EarKey::new(committing.next_ear_key.secret().duplicate());
    if let Some(last_day) = merged.key_packages.iter().map(|(_, day)| *day).max() {
        let stream_start = if merged.verdict.moves_generation {
            super::read::next_number(writer.shared, records, &head.delivery_key)?
        } else {
            cursor
        };
        keep_for_joiners(writer, &ear_key, &mut head, last_day, stream_start)?;
    }
    if !merged.verdict.moves_generation {
        collect_garbage(writer, &state.ear_key, old, &mut head)?;
    }
    let place = writer.put_head(&ear_key, &head)?;
    if merged.verdict.moves_generation {
        writer
            .changes
            .expect
            .push((place, crate::outcome::Expectation::Absent));
    }
    Ok(head)
}

/// Sender keys within tolerance, never across generations.
fn advance_sender_keys(
    head: &mut Head,
    request: &CommitRequest,
    moves_generation: bool,
) -> Result<(), Fault> {
    let mut keys = std::mem::take(&mut head.sender_keys).into_vec();
    let oldest = head
        .epoch
        .saturating_sub(u64::from(head.policy.epoch_tolerance));
    keys.retain(|k| !moves_generation && k.epoch >= oldest);
    // Should rekeys have added too many, the oldest go.
    while keys.len() > usize::from(head.policy.epoch_tolerance).saturating_add(4) {
        keys.remove(0);
    }
    keys.push(EpochKey {
        epoch: head.epoch,
        key: request.next.sender_key.duplicate(),
    });
    head.sender_keys = List::new(keys).map_err(|_| Fault::Inconsistent)?;
    head.sender_rekeys = List::default();
    Ok(())
}

/// Delivers the commit in the stream of the generation that it was made in.
pub(crate) fn deliver_commit(
    writer: &mut Writer<'_, '_, '_>,
    old: &Head,
    head: &Head,
    committing: &Committing<'_>,
    reissued: Vec<HandshakeBytes>,
) -> Result<(), Refusal> {
    let event = delivered(committing, reissued)?;
    // On a sealing made by rekey, those who are on another one read the former generation again.
    let former = old
        .unconfirmed
        .as_ref()
        .and_then(|w| w.former_delivery_key.as_ref());
    if let Some(former) = former {
        writer.deliver(former, head.counter, event.clone())?;
    }
    Ok(writer.deliver(&old.delivery_key, head.counter, event)?)
}

/// The commit as members get it.
pub(crate) fn delivered(
    committing: &Committing<'_>,
    reissued: Vec<HandshakeBytes>,
) -> Result<DeliveryEvent, Fault> {
    let request = committing.request;
    let next = request.next.generation.as_ref();
    Ok(DeliveryEvent::Commit(Box::new(DeliveredCommit {
        commit: request.commit.clone(),
        key_check: request.key_check.clone(),
        identity_entries: request.identity_entries.clone(),
        wrapper: next.and_then(|n| n.wrapper.clone()),
        reissued: List::new(reissued).map_err(|_| Fault::Encoding)?,
    })))
}

/// The commit as it is kept in case its keys are wrong.
fn chain_item(
    writer: &Writer<'_, '_, '_>,
    committing: &Committing<'_>,
    pending: crate::state::Pending,
) -> ChainItem {
    let request = committing.request;
    let next = request.next.generation.as_ref();
    ChainItem {
        time_s: crate::admit::floor_time(writer.env.now_s),
        commit: request.commit.clone(),
        group_info: request.group_info.clone(),
        key_check: request.key_check.clone(),
        identity_entries: request.identity_entries.clone(),
        step: if next.is_some() {
            GenerationStep::Moves
        } else {
            GenerationStep::Stays
        },
        wrapper: next.and_then(|n| n.wrapper.clone()),
        pending,
    }
}
