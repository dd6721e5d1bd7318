//! Owns what makes a credential or a connection key one of this account: user, provider, form and
//! signature.
//!
//! Invariant: nothing here looks at a record, so a stranger learns nothing from a refusal.

use crate::Shared;
use sordino_crypto::{check_client_credential, check_connection_key};
use sordino_wire::{
    AccountReject, ClientCredential, Domain, Handle, IdentifierUri, SignatureKey,
    SignedConnectionKey,
};

const REFUSED: AccountReject = AccountReject::InvalidCredential;

/// The user of a handle here.
pub(crate) fn user(shared: &Shared, handle: &Handle) -> Result<IdentifierUri, AccountReject> {
    handle.uri(&shared.config.domain).map_err(|_| REFUSED)
}

/// A credential of this user: certified by the key in it, for a client of this provider.
pub(crate) fn check_credential(
    shared: &Shared,
    handle: &Handle,
    credential: &ClientCredential,
) -> Result<(), AccountReject> {
    let right = credential.user == user(shared, handle)?
        && is_client(&credential.client, &shared.config.domain)
        // A device that could certify others by what it signs with would be no device.
        && credential.signature_key != credential.account_key;
    if !right {
        return Err(REFUSED);
    }
    check_client_credential(credential).map_err(|_| REFUSED)
}

/// A connection key of this user, certified by the account key.
pub(crate) fn check_key(
    shared: &Shared,
    handle: &Handle,
    account_key: &SignatureKey,
    connection_key: &SignedConnectionKey,
) -> Result<(), AccountReject> {
    let user = user(shared, handle)?;
    check_connection_key(&user, account_key, connection_key).map_err(|_| REFUSED)
}

/// `mimi://<domain>/d/<id>`.
fn is_client(client: &IdentifierUri, domain: &Domain) -> bool {
    let prefix = format!("mimi://{}/d/", domain.as_str());
    let id = client.as_str().strip_prefix(&prefix);
    id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}
