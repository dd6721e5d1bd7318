//! Owns key requests and their answers (design page 2.4, rule 3).
//!
//! Invariant: a request opens head or tombstone with keys its asker knew, is parked there once per
//! leaf key, and is answered once. Never sees the secret that the answer carries.

use super::attend::park;
use super::inbox;
use crate::admit::Admitted;
use crate::outcome::{Expectation, Fault, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{OpenedHead, Tombstone};
use crate::unseal::{AtHead, open_place};
use crate::{Env, HubShared};
use sordino_crypto::{HeadKey, sha256, verify_struct};
use sordino_effects::Records;
use sordino_wire::limits::MAX_PARKED_KEY_REQUESTS;
use sordino_wire::{
    AnswerKeyRequest, DeliveryEvent, GroupId, InboxDelivery, KeyQuestion, KeyQuestionTbs,
    KeyRequest, List, OpenInbox, Reject, encode,
};

/// Label under which the asker's leaf signs.
const KEY_REQUEST_LABEL: &str = "KeyRequest";

/// Parks a key request; the same one again changes nothing.
pub(crate) fn ask(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &KeyRequest,
) -> Result<Step, Refusal> {
    let access = &request.head;
    let question = &request.question;
    let head_key = HeadKey::new(access.head_key.duplicate());
    let place = open_place(shared, records, access.locator, &head_key, access.group_id)?;
    check_question(shared, access.group_id, question)?;
    let mut writer = Writer::new(shared, env);
    let to = &question.inbox;
    let open = OpenInbox {
        inbox_id: to.inbox_id,
        hpke_key: to.hpke_key.clone(),
        last_day: question.last_day,
        deposit_hash: None,
    };
    inbox::open_in(&mut writer, records, &open)?;
    let (epoch, counter) = match place {
        AtHead::Head(opened) => park_in_head(&mut writer, *opened, &head_key, question)?,
        AtHead::Tombstone(tombstone, address, version) => {
            let epoch = tombstone.epoch;
            writer
                .changes
                .expect
                .push((address.store_key, Expectation::Is(version)));
            park_in_tombstone(
                &mut writer,
                *tombstone,
                address.store_key,
                &head_key,
                question,
            )?;
            (epoch, 0)
        }
    };
    Ok(writer.finish(None, outcome(epoch, counter))?)
}

fn check_question(
    shared: &HubShared,
    group_id: GroupId,
    question: &KeyQuestion,
) -> Result<(), Reject> {
    if question.inbox.domain != shared.config.domain {
        return Err(Reject::InboxUnavailable { index: 0 });
    }
    let content = KeyQuestionTbs {
        hub_domain: shared.config.domain.clone(),
        group_id,
        leaf_key: question.leaf_key.clone(),
        hpke_key: question.hpke_key.clone(),
        inbox: question.inbox.clone(),
        last_day: question.last_day,
    };
    verify_struct(
        &question.leaf_key,
        KEY_REQUEST_LABEL,
        &content,
        &question.signature,
    )
    .map_err(|_| Reject::BadAuthentication)
}

fn park_in_head(
    writer: &mut Writer<'_, '_, '_>,
    mut opened: OpenedHead,
    head_key: &HeadKey,
    question: &KeyQuestion,
) -> Result<(u64, u64), Refusal> {
    writer.expect(&opened)?;
    let head = &mut opened.head;
    head.counter = head.counter.saturating_add(1);
    if !park(head, question.clone()) {
        return Err(too_many().into());
    }
    // Members look for the asker in their tree themselves, so the current members get it at once.
    let undelivered = head.questions.iter().any(|q| q.delivered == 0);
    if undelivered {
        let mut questions = std::mem::take(&mut head.questions).into_vec();
        for parked in questions.iter_mut().filter(|q| q.delivered == 0) {
            let event = DeliveryEvent::KeyQuestion(parked.question.clone());
            writer.deliver(&head.delivery_key, head.counter, event)?;
            parked.delivered = 1;
        }
        head.questions = List::new(questions).map_err(|_| Fault::Inconsistent)?;
    }
    writer.put_head_at(opened.store_key, head_key, head)?;
    Ok((head.epoch, head.counter))
}

fn park_in_tombstone(
    writer: &mut Writer<'_, '_, '_>,
    mut tombstone: Tombstone,
    store_key: [u8; 16],
    head_key: &HeadKey,
    question: &KeyQuestion,
) -> Result<(), Refusal> {
    let mut questions = std::mem::take(&mut tombstone.questions).into_vec();
    questions.retain(|q| q.leaf_key != question.leaf_key);
    questions.push(question.clone());
    tombstone.questions = List::new(questions).map_err(|_| too_many())?;
    writer.put_tombstone(store_key, head_key, &tombstone)?;
    Ok(())
}

fn too_many() -> Reject {
    let limit = u32::try_from(MAX_PARKED_KEY_REQUESTS).unwrap_or(u32::MAX);
    Reject::LimitReached { limit }
}

/// Puts an answer into the asker's inbox, once.
pub(crate) fn answer(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut opened: OpenedHead,
    request: &AnswerKeyRequest,
) -> Result<Step, Refusal> {
    let mut writer = Writer::new(shared, env);
    writer.expect(&opened)?;
    let head = &mut opened.head;
    let mut questions = std::mem::take(&mut head.questions).into_vec();
    let mut asked = None;
    for (index, parked) in questions.iter().enumerate() {
        if parked.delivered == 1 && sha256(&encode(&parked.question)?) == request.question {
            asked = Some(index);
        }
    }
    let index = asked.ok_or(Reject::QuestionUnknown)?;
    let parked = questions.remove(index);
    head.questions = List::new(questions).map_err(|_| Fault::Inconsistent)?;
    let delivery = InboxDelivery::KeyAnswer {
        question: request.question,
        key_object: request.key_object.clone(),
    };
    inbox::deliver_all(&mut writer, records, &[(parked.question.inbox, delivery)])?;
    head.counter = head.counter.saturating_add(1);
    let event = DeliveryEvent::KeyQuestionAnswered(request.question);
    writer.deliver(&head.delivery_key, head.counter, event)?;
    let head_key = HeadKey::new(request.head.head_key.duplicate());
    writer.put_head_at(opened.store_key, &head_key, &opened.head)?;
    let outcome = outcome(opened.head.epoch, opened.head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}
