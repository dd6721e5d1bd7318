//! Owns replacing an account's keys.
//!
//! Invariant: with the account key go all credentials of it, in the same transaction; the device
//! that asks was one before and is one after.

use super::devices::are_unique;
use crate::Shared;
use crate::authenticate::Device;
use crate::certified::{check_credential, check_key, user};
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use crate::state::{Account, Client};
use sordino_crypto::check_account_key_change;
use sordino_effects::{Env, Fault, ReplaySlot};
use sordino_wire::{AccountReject, List, ReplaceAccountKey, SignedConnectionKey};

/// A new account key, the devices that stay under it, and a connection key of its.
pub(crate) fn replace_account_key(
    shared: &Shared,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    device: Device<'_>,
    request: &ReplaceAccountKey,
) -> Result<Step, Refusal> {
    check_replacement(shared, &device, request)?;
    let clients: Vec<Client> = request.clients.iter().cloned().map(Client::from).collect();
    let account = Account {
        account_key: request.change.new_key.clone(),
        connection_key: request.connection_key.clone(),
        clients: List::new(clients).map_err(|_| Fault::Encoding)?,
    };
    if !are_unique(account.clients.as_slice()) || !account.has(device.client_key) {
        return Err(AccountReject::InvalidCredential.into());
    }
    let mut writer = Writer::new(shared, env);
    writer.put_account(device.handle, Some(account), Some(device.version))?;
    Ok(writer.finish(replay)?)
}

fn check_replacement(
    shared: &Shared,
    device: &Device<'_>,
    request: &ReplaceAccountKey,
) -> Result<(), AccountReject> {
    let refused = AccountReject::InvalidCredential;
    let change = &request.change;
    let continues = change.user == user(shared, device.handle)?
        && change.old_key == device.account.account_key
        && change.new_key != change.old_key;
    if !continues || check_account_key_change(change).is_err() {
        return Err(refused);
    }
    for credential in request.clients.iter() {
        if credential.account_key != change.new_key {
            return Err(refused);
        }
        check_credential(shared, device.handle, credential)?;
    }
    let connection_key = &request.connection_key;
    check_key(shared, device.handle, &change.new_key, connection_key)
}

/// A new connection key under the same account key.
pub(crate) fn replace_connection_key(
    shared: &Shared,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    device: Device<'_>,
    connection_key: &SignedConnectionKey,
) -> Result<Step, Refusal> {
    let mut account = device.account;
    check_key(shared, device.handle, &account.account_key, connection_key)?;
    account.connection_key = connection_key.clone();
    let mut writer = Writer::new(shared, env);
    writer.put_account(device.handle, Some(account), Some(device.version))?;
    Ok(writer.finish(replay)?)
}
