//! Owns reading streams (design page 3.4): possession of the id is all it takes.
//!
//! Invariant: an unknown stream is an empty one. Never sees who reads, nor which group it is.

use crate::HubShared;
use crate::outcome::{Fault, Refusal, Step};
use sordino_crypto::Space;
use sordino_effects::{Records, read_page};
use sordino_wire::limits::{MAX_STREAM_ENTRIES, MAX_STREAM_PAGE_BYTES, MAX_STREAM_WAIT_S};
use sordino_wire::{List, ReadStreams, Reject, ResponseBody, StreamPages};

pub(crate) fn read(
    shared: &HubShared,
    records: &dyn Records,
    request: &ReadStreams,
) -> Result<Step, Refusal> {
    check_wait(request.wait_s)?;
    let mut logs = Vec::new();
    let mut pages = Vec::new();
    let mut room = MAX_STREAM_PAGE_BYTES;
    let mut idle = !request.reads.is_empty();
    for wanted in request.reads.iter() {
        let log = shared
            .outer
            .index()
            .handle(Space::StreamLog, &wanted.stream_id.0)?;
        // A store gives a first entry whatever its size; an answer that is full takes none.
        let most = match room {
            0 => 0,
            _ => usize::from(wanted.max).min(MAX_STREAM_ENTRIES),
        };
        let page = read_page(
            &shared.outer,
            records,
            Space::StreamLog,
            &log,
            wanted.from,
            most,
            room,
        )?;
        let used: usize = page.entries.iter().map(|e| e.entry.as_slice().len()).sum();
        room = room.saturating_sub(used);
        idle &= page.entries.is_empty() && wanted.from.max(page.oldest) == page.next;
        idle &= wanted.from == 0 || wanted.from >= page.oldest;
        logs.push(log);
        pages.push(page);
    }
    let pages = List::new(pages).map_err(|_| Fault::Encoding)?;
    let answer = ResponseBody::Streams(StreamPages { pages });
    if idle && request.wait_s > 0 {
        return Ok(Step::Wait {
            logs,
            wait_s: request.wait_s,
            answer,
        });
    }
    Ok(Step::Answer(answer))
}

/// A wait is bounded.
pub(crate) fn check_wait(wait_s: u16) -> Result<(), Reject> {
    if wait_s > MAX_STREAM_WAIT_S {
        return Err(Reject::TooLarge {
            limit: u64::from(MAX_STREAM_WAIT_S),
        });
    }
    Ok(())
}
