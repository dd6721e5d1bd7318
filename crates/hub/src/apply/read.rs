//! Owns the reads of group state: membership, external commit and welcome information.
//!
//! Invariant: possession of the generation's key is all they ask for; a joiner by Welcome also
//! shows the key of the leaf that was added.

use crate::HubShared;
use crate::admit::Admitted;
use crate::authenticate::{Who, signer_in};
use crate::outcome::{Fault, Put, Refusal, Step};
use crate::reseal::Writer;
use crate::state::{GroupState, HEAD_FORMAT, Head, JoinerPointer, MlsState, Pending};
use crate::unseal::Reader;
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::LeafNodeIndex;
use sordino_crypto::{DeliveryKey, EarKey, LayerKey, PadClass, Space, stream_id};
use sordino_effects::{Records, address, open_record, seal_record};
use sordino_wire::{
    Bytes, DeliveredProposal, ExternalCommitInformation, List, Membership, Position, Reject,
    ResponseBody, Secret32, WelcomeInformationRequest, encode, exact,
};
use tls_codec::Serialize as _;

/// Roster with entries.
pub(crate) fn membership(
    shared: &HubShared,
    records: &dyn Records,
    state: &mut GroupState,
) -> Result<Step, Refusal> {
    let roster = state.open_roster(shared, records)?.roster.clone();
    Ok(Step::Answer(ResponseBody::Membership(Membership {
        position: position(shared, records, state.head())?,
        ratchet_tree: Bytes::new(state.mls.ratchet_tree()?).map_err(|_| Fault::Encoding)?,
        roster,
    })))
}

/// What an external commit is built from.
pub(crate) fn external_commit_information(
    shared: &HubShared,
    records: &dyn Records,
    state: &mut GroupState,
) -> Result<Step, Refusal> {
    let roster = state.open_roster(shared, records)?.roster.clone();
    let (extensions, signature) = super::merge::read_partial(&state.mls.group_info)?;
    let group_info = VerifiableGroupInfo::new(
        state.mls.group.group_context().clone(),
        extensions,
        state.mls.group.confirmation_tag().clone(),
        LeafNodeIndex::new(state.mls.signer),
        signature,
    );
    let group_info = group_info
        .tls_serialize_detached()
        .map_err(|_| Fault::Encoding)?;
    let pending = state
        .pending
        .items
        .iter()
        .map(|item| DeliveredProposal {
            proposal: item.message.clone(),
            inbox: item.inbox.clone(),
        })
        .collect();
    Ok(Step::Answer(ResponseBody::ExternalCommitInformation(
        ExternalCommitInformation {
            position: position(shared, records, state.head())?,
            group_info: Bytes::new(group_info).map_err(|_| Fault::Encoding)?,
            ratchet_tree: Bytes::new(state.mls.ratchet_tree()?).map_err(|_| Fault::Encoding)?,
            roster,
            pending: List::new(pending).map_err(|_| Fault::Encoding)?,
        },
    )))
}

/// What a joiner by Welcome needs: the tree of the Welcome's epoch, whatever happened since.
pub(crate) fn welcome_information(
    shared: &HubShared,
    records: &dyn Records,
    admitted: &Admitted,
    request: &WelcomeInformationRequest,
) -> Result<Step, Refusal> {
    let ear_key = EarKey::new(request.access.ear_key.duplicate());
    let pointer = read_joiner_pointer(shared, records, &ear_key, request.epoch)?;
    let reader = Reader {
        shared,
        records,
        ear_key: &ear_key,
    };
    let tree = reader.tree(pointer.base_epoch, None)?;
    let mut roster = reader.roster(pointer.base_epoch, None)?;
    let deltas = (pointer.base_epoch.saturating_add(1)..=request.epoch)
        .map(|epoch| reader.delta(epoch, None))
        .collect::<Result<Vec<_>, _>>()?;
    for delta in &deltas {
        roster.apply(delta).map_err(|_| Fault::Inconsistent)?;
    }
    let group_id = request.access.group_id;
    let mls = MlsState::load(group_id, tree, &deltas, &Pending::default())?;
    let who = signer_in(shared, admitted, group_id, &mls.members)?;
    let added = match who {
        Who::Joiner { signature_key } => mls.members.by_signature_key(&signature_key).is_some(),
        Who::Leaf { .. } | Who::User { .. } => false,
    };
    if !added {
        return Err(Reject::UnknownGroup.into());
    }
    Ok(Step::Answer(ResponseBody::Membership(Membership {
        position: pointer.position,
        ratchet_tree: Bytes::new(mls.ratchet_tree()?).map_err(|_| Fault::Encoding)?,
        roster: roster.roster,
    })))
}

/// Where the group stands now.
fn position(shared: &HubShared, records: &dyn Records, head: &Head) -> Result<Position, Refusal> {
    Ok(Position {
        epoch: head.epoch,
        generation: head.generation,
        counter: head.counter,
        cursor: next_number(shared, records, &head.delivery_key)?,
    })
}

/// The number that the next entry of a generation's stream gets.
pub(crate) fn next_number(
    shared: &HubShared,
    records: &dyn Records,
    delivery_key: &Secret32,
) -> Result<u64, Refusal> {
    let key = DeliveryKey::new(delivery_key.duplicate());
    let id = stream_id(&key, &shared.config.domain)?;
    let log = shared.outer.index().handle(Space::StreamLog, &id.0)?;
    Ok(records.read_log(&log, 0, 0, 0)?.next)
}

/// Writes where an epoch is, for its joiners. `cursor` may lie before the epoch: messages sent at
/// the same time take numbers, and joiners skip what is older than they are.
pub(crate) fn put_joiner_pointer(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    head: &Head,
    last_day: u32,
    cursor: u64,
) -> Result<(), Refusal> {
    let pointer = JoinerPointer {
        format: HEAD_FORMAT,
        base_epoch: head.manifest.base_epoch,
        position: Position {
            epoch: head.epoch,
            generation: head.generation,
            counter: head.counter,
            cursor,
        },
    };
    let locator = ear_key.locator(&format!("snapshot/{}", head.epoch))?;
    let address = address(&writer.shared.outer, Space::Snapshot, &locator.0)?;
    let key = LayerKey::from(&ear_key.tree_key()?);
    let value = encode(&pointer)?;
    let outer = &writer.shared.outer;
    let (put, _) = seal_record(
        outer,
        &address,
        &key,
        &value,
        // Among deltas it does not tell that somebody was added.
        PadClass::Delta,
        writer.env.rng,
    )?;
    writer.changes.put.push(Put {
        expires_day: Some(last_day),
        ..put
    });
    Ok(())
}

fn read_joiner_pointer(
    shared: &HubShared,
    records: &dyn Records,
    ear_key: &EarKey,
    epoch: u64,
) -> Result<JoinerPointer, Refusal> {
    let locator = ear_key.locator(&format!("snapshot/{epoch}"))?;
    let address = address(&shared.outer, Space::Snapshot, &locator.0)?;
    let key = LayerKey::from(&ear_key.tree_key()?);
    let Some(opened) = open_record(&shared.outer, records, &address, &key)? else {
        shared.decoy.open_in_vain(&shared.outer, &key);
        return Err(Reject::UnknownGroup.into());
    };
    let pointer: JoinerPointer = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
    if pointer.format != HEAD_FORMAT || pointer.position.epoch != epoch {
        return Err(Fault::Inconsistent.into());
    }
    Ok(pointer)
}
