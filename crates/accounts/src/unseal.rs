//! Stage 2, unseal: opens what stands at a handle.
//!
//! Owns: the account's record, and which requests wait there.
//! Invariant: a handle that nobody has costs as much to look at as any other.

use crate::Shared;
use crate::outcome::Refusal;
use crate::state::{AccountRecord, AtHandle, FORMAT, Waiting};
use sordino_crypto::{Address, Space, unpad};
use sordino_effects::{Fault, RecordVersion, Records, address, open_record, version_of};
use sordino_wire::{Handle, exact};

/// Opens whatever stands at a handle.
pub(crate) fn open_handle(
    shared: &Shared,
    records: &dyn Records,
    handle: &Handle,
) -> Result<AtHandle, Refusal> {
    let address = account_address(shared, handle)?;
    let layer = shared.outer.index().account_layer(handle)?;
    let Some(opened) = open_record(&shared.outer, records, &address, &layer)? else {
        let decoy = shared
            .decoy
            .open(&shared.outer)
            .ok_or(Fault::Inconsistent)?;
        parse(&decoy)?;
        return Ok(AtHandle::Nobody);
    };
    Ok(match parse(&opened.value)?.account {
        Some(account) => AtHandle::Account(Box::new(account), opened.version),
        None => AtHandle::Gone,
    })
}

fn parse(value: &[u8]) -> Result<AccountRecord, Fault> {
    let record: AccountRecord = exact(value).map_err(|_| Fault::Inconsistent)?;
    if record.format != FORMAT {
        return Err(Fault::Inconsistent);
    }
    Ok(record)
}

/// Opens what waits at a handle today, with the version of its record where there is one.
pub(crate) fn open_waiting(
    shared: &Shared,
    records: &dyn Records,
    handle: &Handle,
    today: u32,
) -> Result<(Waiting, Option<RecordVersion>), Refusal> {
    let address = waiting_address(shared, handle)?;
    let Some(bytes) = records.get(&address.store_key)? else {
        return Ok((Waiting::default(), None));
    };
    let version = version_of(&bytes).ok_or(Fault::Inconsistent)?;
    // A record whose window key is gone is gone, though its row may still be there.
    let Ok(padded) = shared.outer.open_window(&address, &bytes) else {
        return Ok((Waiting::default(), Some(version)));
    };
    let waiting: Waiting = exact(unpad(&padded)?).map_err(|_| Fault::Inconsistent)?;
    Ok((waiting.since(today), Some(version)))
}

/// Where an account's record lies.
pub(crate) fn account_address(shared: &Shared, handle: &Handle) -> Result<Address, Fault> {
    Ok(address(&shared.outer, Space::Account, id(handle))?)
}

/// Where the list of what waits lies.
pub(crate) fn waiting_address(shared: &Shared, handle: &Handle) -> Result<Address, Fault> {
    Ok(address(&shared.outer, Space::Waiting, id(handle))?)
}

/// The log of what waits.
pub(crate) fn request_log(shared: &Shared, handle: &Handle) -> Result<[u8; 32], Fault> {
    Ok(shared.outer.index().handle(Space::RequestLog, id(handle))?)
}

fn id(handle: &Handle) -> &[u8] {
    handle.as_str().as_bytes()
}
