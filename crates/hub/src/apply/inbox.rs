//! Owns inboxes (design page 3.4): what is addressed to one client that is not yet inside.
//!
//! Invariant: an inbox takes at most four deliveries, all sealed to its owner's key before they are
//! stored, and dies on its day. Never sees whose it is.

use super::stream::check_wait;
use crate::outcome::{Expectation, Fault, Put, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::{Env, HubShared};
use sordino_crypto::{Address, Space, inbox_id, seal_inbox_delivery, sha256};
use sordino_effects::{Records, address, read_page, version_of};
use sordino_wire::limits::{
    MAX_INBOX_DAYS, MAX_INBOX_DELIVERIES, MAX_STREAM_ENTRIES, MAX_STREAM_PAGE_BYTES,
};
use sordino_wire::{
    Deposit, Digest, HpkeKey, InboxAddress, InboxDelivery, InboxId, OpenInbox, ReadInbox, Reject,
    ResponseBody, encode, exact,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// An inbox as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct InboxRecord {
    hpke_key: HpkeKey,
    last_day: u32,
    room: u8,
    /// What the secret of whoever deposits hashes to. It is always there, so that the kinds of
    /// inboxes have one size.
    deposit_hash: Digest,
}

/// Stands where no deposits may come: nobody knows what hashes to it.
const NO_DEPOSITS: Digest = Digest([0; 32]);

/// Opens an inbox; the same request again changes nothing.
pub(crate) fn open(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &OpenInbox,
) -> Result<Step, Refusal> {
    let mut writer = Writer::new(shared, env);
    open_in(&mut writer, records, request)?;
    Ok(writer.finish(None, outcome(0, 0))?)
}

/// Opens an inbox within another request.
pub(crate) fn open_in(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    request: &OpenInbox,
) -> Result<(), Refusal> {
    let OpenInbox {
        inbox_id,
        hpke_key,
        last_day,
        deposit_hash,
    } = request.clone();
    let deposit_hash = deposit_hash.unwrap_or(NO_DEPOSITS);
    let today = writer.today();
    if last_day < today || last_day > today.saturating_add(MAX_INBOX_DAYS) {
        return Err(Reject::InboxUnavailable { index: 0 }.into());
    }
    let address = address(&writer.shared.outer, Space::Inbox, &inbox_id.0)?;
    if let Some((record, _)) = read_record(writer.shared, records, &address)? {
        let same = record.hpke_key == hpke_key
            && record.last_day == last_day
            && record.deposit_hash == deposit_hash;
        return if same {
            Ok(())
        } else {
            Err(Reject::InboxUnavailable { index: 0 }.into())
        };
    }
    let record = InboxRecord {
        hpke_key,
        last_day,
        room: MAX_INBOX_DELIVERIES,
        deposit_hash,
    };
    writer
        .changes
        .expect
        .push((address.store_key, Expectation::Absent));
    put_record(writer, &address, &record)
}

/// Delivers into several inboxes within one request; `index` tells which one refuses.
pub(crate) fn deliver_all(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    deliveries: &[(InboxAddress, InboxDelivery)],
) -> Result<(), Refusal> {
    let mut seen: Vec<InboxId> = Vec::new();
    for (index, (to, delivery)) in (0u32..).zip(deliveries) {
        let refused = Reject::InboxUnavailable { index };
        if to.domain != writer.shared.config.domain || seen.contains(&to.inbox_id) {
            return Err(refused.into());
        }
        seen.push(to.inbox_id);
        deliver(writer, records, to, delivery, NO_DEPOSITS, refused)?;
    }
    Ok(())
}

/// Puts something into an inbox that was opened for deposits.
pub(crate) fn deposit(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &Deposit,
) -> Result<Step, Refusal> {
    let refused = Reject::InboxUnavailable { index: 0 };
    if request.inbox.domain != shared.config.domain {
        return Err(refused.into());
    }
    let mut writer = Writer::new(shared, env);
    let hash = sha256(request.deposit_secret.expose());
    let delivery = InboxDelivery::Deposit(request.contents.clone());
    deliver(
        &mut writer,
        records,
        &request.inbox,
        &delivery,
        hash,
        refused,
    )?;
    Ok(writer.finish(None, outcome(0, 0))?)
}

fn deliver(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    to: &InboxAddress,
    delivery: &InboxDelivery,
    deposit_hash: Digest,
    refused: Reject,
) -> Result<(), Refusal> {
    let today = writer.today();
    let address = address(&writer.shared.outer, Space::Inbox, &to.inbox_id.0)?;
    let Some((mut record, version)) = read_record(writer.shared, records, &address)? else {
        return Err(refused.into());
    };
    let other_kind = record.deposit_hash != deposit_hash;
    if record.hpke_key != to.hpke_key || record.last_day < today || other_kind {
        return Err(refused.into());
    }
    record.room = record.room.checked_sub(1).ok_or(refused)?;
    writer
        .changes
        .expect
        .push((address.store_key, Expectation::Is(version)));
    put_record(writer, &address, &record)?;

    let sealed = seal_inbox_delivery(&to.hpke_key, to.inbox_id, delivery, writer.env.rng)?;
    let entry = encode(&sealed)?;
    let log = writer
        .shared
        .outer
        .index()
        .handle(Space::InboxLog, &to.inbox_id.0)?;
    let days = record.last_day.saturating_sub(today);
    Ok(writer.append(Space::InboxLog, log, &entry, days)?)
}

/// Reads an inbox by its secret.
pub(crate) fn read(
    shared: &HubShared,
    records: &dyn Records,
    request: &ReadInbox,
) -> Result<Step, Refusal> {
    check_wait(request.wait_s)?;
    let id = inbox_id(&request.inbox_secret);
    let log = shared.outer.index().handle(Space::InboxLog, &id.0)?;
    let page = read_page(
        &shared.outer,
        records,
        Space::InboxLog,
        &log,
        request.from,
        MAX_STREAM_ENTRIES,
        MAX_STREAM_PAGE_BYTES,
    )?;
    let idle = page.entries.is_empty();
    let answer = ResponseBody::Inbox(page);
    if idle && request.wait_s > 0 {
        return Ok(Step::Wait {
            logs: vec![log],
            wait_s: request.wait_s,
            answer,
        });
    }
    Ok(Step::Answer(answer))
}

fn read_record(
    shared: &HubShared,
    records: &dyn Records,
    address: &Address,
) -> Result<Option<(InboxRecord, [u8; 16])>, Refusal> {
    let Some(bytes) = records.get(&address.store_key)? else {
        return Ok(None);
    };
    let Ok(plain) = shared.outer.open_window(address, &bytes) else {
        return Ok(None);
    };
    let record = exact(&plain).map_err(|_| Fault::Inconsistent)?;
    let version = version_of(&bytes).ok_or(Fault::Inconsistent)?;
    Ok(Some((record, version)))
}

fn put_record(
    writer: &mut Writer<'_, '_, '_>,
    address: &Address,
    record: &InboxRecord,
) -> Result<(), Refusal> {
    let plain = encode(record)?;
    let value =
        writer
            .shared
            .outer
            .seal_window(address, record.last_day, &plain, writer.env.rng)?;
    let expires_day = Some(record.last_day);
    writer.changes.put.push(Put {
        key: address.store_key,
        value,
        expires_day,
    });
    Ok(())
}
