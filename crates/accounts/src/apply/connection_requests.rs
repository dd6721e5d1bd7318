//! Owns connection requests: they wait at a handle, in a log, and a list says which ones do.
//!
//! Invariant: whoever asks cannot tell whether the handle is anybody's, whether there was room, or
//! whether the request was there already: the same is answered, and as much is written. What was
//! settled is shown to no device again, and dies with its window.

use crate::Shared;
use crate::authenticate::Device;
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use crate::state::{Waiting, WaitingRequest};
use crate::unseal::{open_waiting, request_log};
use sordino_crypto::{Space, sha256};
use sordino_effects::{Env, Fault, Records, ReplaySlot, read_page};
use sordino_wire::limits::{MAX_STREAM_ENTRIES, MAX_STREAM_PAGE_BYTES, MAX_STREAM_WAIT_S};
use sordino_wire::{
    AccountReject, AccountResponseBody, List, ReadConnectionRequests, SendConnectionRequest,
    SettleConnectionRequests, StreamPage, encode,
};

/// Pages of the log that one request looks through for what still waits.
const MAX_PAGES: usize = 8;

/// Lets a request wait.
pub(crate) fn send(
    shared: &Shared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &SendConnectionRequest,
) -> Result<Step, Refusal> {
    let handle = &request.handle;
    let entry = encode(&request.request)?;
    let (mut waiting, version) = open_waiting(shared, records, handle, env.today())?;
    let mut writer = Writer::new(shared, env);
    let added = waiting.add(WaitingRequest {
        hash: sha256(&entry),
        last_day: writer.last_day(),
    });
    if added {
        writer.append_request(handle, &entry)?;
    }
    writer.put_waiting(handle, &waiting, version)?;
    Ok(writer.finish(None)?)
}

/// Shows what waits.
pub(crate) fn read(
    shared: &Shared,
    records: &dyn Records,
    env: &Env<'_>,
    device: &Device<'_>,
    request: &ReadConnectionRequests,
) -> Result<Step, Refusal> {
    if request.wait_s > MAX_STREAM_WAIT_S {
        let limit = u64::from(MAX_STREAM_WAIT_S);
        return Err(AccountReject::TooLarge { limit }.into());
    }
    let (waiting, _) = open_waiting(shared, records, device.handle, env.today())?;
    let log = request_log(shared, device.handle)?;
    let (page, complete) = waiting_page(shared, records, &log, request.from, &waiting)?;
    let idle = complete && page.entries.is_empty();
    let answer = AccountResponseBody::ConnectionRequests(page);
    if idle && request.wait_s > 0 {
        return Ok(Step::Wait {
            logs: vec![log],
            wait_s: request.wait_s,
            answer,
        });
    }
    Ok(Step::Answer(answer))
}

/// The first entries from a number on that still wait, and whether the log was read to its end.
fn waiting_page(
    shared: &Shared,
    records: &dyn Records,
    log: &[u8; 32],
    from: u64,
    waiting: &Waiting,
) -> Result<(StreamPage, bool), Refusal> {
    let mut from = from;
    let mut shown = None;
    for _ in 0..MAX_PAGES {
        let mut page = read_page(
            &shared.outer,
            records,
            Space::RequestLog,
            log,
            from,
            MAX_STREAM_ENTRIES,
            MAX_STREAM_PAGE_BYTES,
        )?;
        let end = page.next;
        // What lies before the oldest entry is over; that is no loss which anybody must notice.
        let last = page.entries.as_slice().last().map(|entry| entry.number);
        from = last.map_or(page.oldest.min(end), |last| last.saturating_add(1));
        let mut entries = page.entries.into_vec();
        entries.retain(|entry| waiting.has(&sha256(entry.entry.as_slice())));
        page.entries = List::new(entries).map_err(|_| Fault::Inconsistent)?;
        page.next = from;
        let (complete, found) = (from >= end, !page.entries.is_empty());
        shown = Some((page, complete));
        if complete || found {
            break;
        }
    }
    shown.ok_or_else(|| Fault::Inconsistent.into())
}

/// Forgets which requests wait.
pub(crate) fn settle(
    shared: &Shared,
    records: &dyn Records,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    device: &Device<'_>,
    request: &SettleConnectionRequests,
) -> Result<Step, Refusal> {
    let (waiting, version) = open_waiting(shared, records, device.handle, env.today())?;
    let settled = request.hashes.as_slice();
    let waiting = waiting.keep(|request| !settled.contains(&request.hash));
    let mut writer = Writer::new(shared, env);
    writer.put_waiting(device.handle, &waiting, version)?;
    Ok(writer.finish(replay)?)
}
