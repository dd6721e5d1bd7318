//! Owns the end of an account.
//!
//! Invariant: a device alone does not end it, the account key must agree; afterwards the handle
//! looks to strangers like one that nobody ever had, and is nobody's again.

use crate::Shared;
use crate::authenticate::Device;
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use sordino_crypto::check_account_deletion;
use sordino_effects::{Env, ReplaySlot};
use sordino_wire::{AccountReject, SignatureBytes};

pub(crate) fn delete(
    shared: &Shared,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    device: Device<'_>,
    signature: &SignatureBytes,
) -> Result<Step, Refusal> {
    check_account_deletion(&device.account.account_key, device.nonce, signature)
        .map_err(|_| AccountReject::InvalidCredential)?;
    let mut writer = Writer::new(shared, env);
    writer.put_account(device.handle, None, Some(device.version))?;
    writer.delete_waiting(device.handle)?;
    Ok(writer.finish(replay)?)
}
