//! Owns sending: one sealed entry, whatever the size of the group (design page 3.2).
//!
//! Invariant: a message is accepted in its epoch or within tolerance, never across generations.
//! Never sees who sends, unless the policy has roles for sending.

use super::attend::attend_alone;
use crate::admit::Admitted;
use crate::outcome::{Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{GroupState, Head, OpenedHead};
use crate::{Env, HubShared};
use openmls::framing::{ContentType, MlsMessageBodyIn, MlsMessageIn};
use sordino_effects::Records;
use sordino_rules::allows;
use sordino_wire::{
    Capability, DeliveryEvent, IdentifierUri, MessageBytes, Reject, SendAsLeaf, SendMessage,
    SenderRule,
};
use tls_codec::DeserializeBytes as _;

/// By any member of the epoch.
pub(crate) fn send(
    shared: &HubShared,
    env: &mut Env<'_>,
    admitted: &Admitted,
    opened: OpenedHead,
    epoch: u64,
    request: &SendMessage,
) -> Result<Step, Refusal> {
    let head = &opened.head;
    check_not_frozen(head)?;
    if head.policy.senders != SenderRule::Anonymous {
        return Err(Reject::Policy(Capability::Send).into());
    }
    check_message(head, epoch, &request.message)?;
    let mut writer = Writer::new(shared, env);
    writer.expect(&opened)?;
    let event = DeliveryEvent::Message(request.message.clone());
    writer.deliver(&head.delivery_key, head.counter, event)?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}

/// By a leaf whose user may send.
#[expect(
    clippy::too_many_arguments,
    reason = "the values of the stages before, each of its own"
)]
pub(crate) fn send_as_leaf(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    _leaf_index: u32,
    user: &IdentifierUri,
    request: &SendAsLeaf,
) -> Result<Step, Refusal> {
    check_not_frozen(state.head())?;
    if !allows(&state.head().policy, user, Capability::Send) {
        return Err(Reject::Policy(Capability::Send).into());
    }
    check_message(state.head(), state.head().epoch, &request.message)?;
    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    attend_alone(&mut writer, records, &mut state, user)?;
    let head = state.head();
    let event = DeliveryEvent::Message(request.message.clone());
    writer.deliver(&head.delivery_key, head.counter, event)?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}

/// Nothing goes into a group that was frozen in favour of another.
pub(crate) fn check_not_frozen(head: &Head) -> Result<(), Reject> {
    match &head.frozen {
        Some(pointer) => Err(Reject::Frozen {
            pointer: pointer.clone(),
        }),
        None => Ok(()),
    }
}

/// An application message as PrivateMessage, of this group and of the epoch that authorised it.
fn check_message(head: &Head, epoch: u64, message: &MessageBytes) -> Result<(), Reject> {
    let parsed = MlsMessageIn::tls_deserialize_exact_bytes(message.as_slice())
        .map_err(|_| Reject::Malformed)?;
    let private = match parsed.extract() {
        MlsMessageBodyIn::PrivateMessage(private) => private,
        MlsMessageBodyIn::PublicMessage(_) => return Err(Reject::PublicApplication),
        _ => return Err(Reject::Malformed),
    };
    let protocol = openmls::framing::ProtocolMessage::from(private);
    if protocol.content_type() != ContentType::Application {
        return Err(Reject::PrivateHandshake);
    }
    if protocol.group_id().as_slice() != head.group_id.0 {
        return Err(Reject::UnknownGroup);
    }
    if protocol.epoch().as_u64() != epoch {
        return Err(Reject::WrongEpoch {
            current: head.epoch,
        });
    }
    Ok(())
}
