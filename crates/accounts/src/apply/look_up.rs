//! Owns reading accounts: what anybody sees of a handle, and what its own devices see.
//!
//! Invariant: a handle that is nobody's has an entry like any other, the same each time, made of
//! the index key and the handle; it is made for those that are somebody's too, and thrown away, so
//! that both take as long.

use crate::Shared;
use crate::authenticate::Device;
use crate::certified::user;
use crate::outcome::{Refusal, Step};
use crate::state::AtHandle;
use sordino_wire::{AccountResponseBody, Handle};

/// What anybody sees.
pub(crate) fn look_up(shared: &Shared, handle: &Handle, at: AtHandle) -> Result<Step, Refusal> {
    let index = shared.outer.index();
    let decoy = index.decoy_entry(&shared.config.domain, handle)?;
    let entry = match at {
        AtHandle::Account(account, _) => account.entry(),
        AtHandle::Nobody | AtHandle::Gone => decoy,
    };
    Ok(Step::Answer(AccountResponseBody::Entry(entry)))
}

/// What a device of the account sees.
pub(crate) fn read_account(shared: &Shared, device: &Device<'_>) -> Result<Step, Refusal> {
    let user = user(shared, device.handle)?;
    let view = device.account.view(&user)?;
    Ok(Step::Answer(AccountResponseBody::Account(view)))
}
