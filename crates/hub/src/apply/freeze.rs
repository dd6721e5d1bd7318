//! Owns re-initialisation: the new group exists, the old one is frozen with a signed pointer.
//!
//! openmls has no ReInit, and this way the members need not agree on anything before they move.

use super::attend::attend;
use super::send::check_not_frozen;
use crate::admit::Admitted;
use crate::outcome::{Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::GroupState;
use crate::unseal::open_group;
use crate::{Env, HubShared};
use sordino_crypto::verify_struct;
use sordino_effects::Records;
use sordino_rules::allows;
use sordino_wire::{
    Capability, DeliveryEvent, IdentifierUri, Reinitialise, Reject, SuccessorPointerTbs,
};

/// Label under which a leaf signs a successor pointer.
const SUCCESSOR_LABEL: &str = "Successor";

#[expect(
    clippy::too_many_arguments,
    reason = "the values of the stages before, each of its own"
)]
pub(crate) fn freeze(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    leaf_index: u32,
    user: &IdentifierUri,
    request: &Reinitialise,
) -> Result<Step, Refusal> {
    check_not_frozen(state.head())?;
    if !allows(&state.head().policy, user, Capability::Destroy) {
        return Err(Reject::Policy(Capability::Destroy).into());
    }
    check_pointer(&state, leaf_index, request)?;
    // Opening it shows that it is on this hub, and of the one version that there is so far.
    let target = open_group(shared, records, &request.target)?;
    if target.head().frozen.is_some() {
        return Err(Reject::UnknownGroup.into());
    }

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
        Some(user),
    )?;
    head.frozen = Some(request.pointer.clone());
    writer.put_head(&state.ear_key, head)?;
    let event = DeliveryEvent::Frozen(request.pointer.clone());
    writer.deliver(&head.delivery_key, head.counter, event)?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(&admitted.settlement, outcome)?)
}

fn check_pointer(
    state: &GroupState,
    leaf_index: u32,
    request: &Reinitialise,
) -> Result<(), Reject> {
    let pointer = &request.pointer;
    let same = pointer.group_id == state.head().group_id;
    if same || pointer.group_id != request.target.group_id || pointer.leaf_index != leaf_index {
        return Err(Reject::BadAuthentication);
    }
    let content = SuccessorPointerTbs {
        group_id: state.head().group_id,
        epoch: state.head().epoch,
        successor: pointer.group_id,
    };
    let member = state
        .mls
        .members
        .get(leaf_index)
        .ok_or(Reject::BadAuthentication)?;
    let key = &member.credential.signature_key;
    verify_struct(key, SUCCESSOR_LABEL, &content, &pointer.signature)
        .map_err(|_| Reject::BadAuthentication)
}
