//! Owns registering: a handle becomes an account with its first device.
//!
//! Invariant: a handle is registered once, for ever; the admission is used up in the same
//! transaction or not at all, and only who has one learns whether a handle is taken.

use super::admission;
use crate::Shared;
use crate::authenticate::Signer;
use crate::certified::{check_credential, check_key};
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use crate::state::{Account, AtHandle};
use sordino_effects::{Env, Fault, Records, ReplaySlot};
use sordino_wire::{AccountReject, List, Register};

pub(crate) fn register(
    shared: &Shared,
    records: &dyn Records,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    signer: Signer<'_>,
    at: AtHandle,
    request: &Register,
) -> Result<Step, Refusal> {
    let (handle, credential) = (signer.handle, &request.credential);
    if credential.signature_key != *signer.client_key {
        return Err(AccountReject::BadAuthentication.into());
    }
    check_credential(shared, handle, credential)?;
    let account_key = &credential.account_key;
    check_key(shared, handle, account_key, &request.connection_key)?;
    let admission = &request.admission;
    let invitation = admission::check(shared, records, env, admission, handle, account_key)?;
    if !matches!(at, AtHandle::Nobody) {
        return Err(AccountReject::HandleTaken.into());
    }
    let mut writer = Writer::new(shared, env);
    if let Some(invitation) = invitation {
        writer.spend(&invitation)?;
    }
    let clients = vec![credential.clone().into()];
    let account = Account {
        account_key: account_key.clone(),
        connection_key: request.connection_key.clone(),
        clients: List::new(clients).map_err(|_| Fault::Encoding)?,
    };
    writer.put_account(handle, Some(account), None)?;
    // What came before was sealed to keys that nobody has.
    writer.delete_waiting(handle)?;
    Ok(writer.finish(replay)?)
}
