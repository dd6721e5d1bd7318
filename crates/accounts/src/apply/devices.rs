//! Owns the devices of an account: one comes in by the account key's word, or renews its
//! credential. Devices go with a new account key (see `keys`).
//!
//! Invariant: no two devices share a name or a key.

use crate::Shared;
use crate::authenticate::Signer;
use crate::certified::check_credential;
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use crate::state::{AtHandle, Client};
use sordino_effects::{Env, ReplaySlot};
use sordino_wire::limits::MAX_ACCOUNT_CLIENTS;
use sordino_wire::{AccountReject, ClientCredential, List};

/// Puts in the device that signs.
pub(crate) fn put(
    shared: &Shared,
    env: &mut Env<'_>,
    replay: Option<&ReplaySlot>,
    signer: Signer<'_>,
    at: AtHandle,
    credential: &ClientCredential,
) -> Result<Step, Refusal> {
    if credential.signature_key != *signer.client_key {
        return Err(AccountReject::BadAuthentication.into());
    }
    check_credential(shared, signer.handle, credential)?;
    // Who cannot show the account key's word must not learn whether there is an account.
    let AtHandle::Account(mut account, version) = at else {
        return Err(AccountReject::BadAuthentication.into());
    };
    if credential.account_key != account.account_key {
        return Err(AccountReject::BadAuthentication.into());
    }
    let mut clients = account.clients.into_vec();
    clients.retain(|client| client.client != credential.client);
    clients.push(credential.clone().into());
    if !are_unique(&clients) {
        return Err(AccountReject::InvalidCredential.into());
    }
    account.clients = List::new(clients).map_err(|_| AccountReject::LimitReached {
        limit: u32::try_from(MAX_ACCOUNT_CLIENTS).unwrap_or(u32::MAX),
    })?;
    let mut writer = Writer::new(shared, env);
    writer.put_account(signer.handle, Some(*account), Some(version))?;
    Ok(writer.finish(replay)?)
}

/// Whether no two devices share a name or a key.
pub(crate) fn are_unique(clients: &[Client]) -> bool {
    clients.iter().enumerate().all(|(index, client)| {
        clients.iter().skip(index + 1).all(|other| {
            client.client != other.client && client.signature_key != other.signature_key
        })
    })
}
