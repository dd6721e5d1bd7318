//! Stage 3, authenticate: which device of which account asks.
//!
//! Owns: the signature of a request, and that its key is a device's now.
//! Invariant: unknown account, unknown device, revoked device and wrong signature are one answer.

use crate::Shared;
use crate::admit::{Admitted, Claim};
use crate::state::{Account, AtHandle};
use sordino_crypto::verify_struct;
use sordino_effects::RecordVersion;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountReject, AccountRequestTbs, Handle, Nonce, PROTOCOL_VERSION,
    SignatureKey,
};

/// Somebody who has the key that the request names. Whose device it is, is not said yet.
pub(crate) struct Signer<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) client_key: &'a SignatureKey,
    pub(crate) nonce: &'a Nonce,
}

/// A device of an account, and the account as it was read.
pub(crate) struct Device<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) client_key: &'a SignatureKey,
    pub(crate) nonce: &'a Nonce,
    pub(crate) account: Account,
    pub(crate) version: RecordVersion,
}

/// Checks the signature by the key that the request names.
pub(crate) fn signer<'a>(
    shared: &Shared,
    admitted: &'a Admitted,
) -> Result<Signer<'a>, AccountReject> {
    let claim = admitted.claim.as_ref();
    let claim = claim.ok_or(AccountReject::BadAuthentication)?;
    verify_struct(
        &claim.client_key,
        ACCOUNT_REQUEST_LABEL,
        &tbs(shared, claim),
        &claim.signature,
    )
    .map_err(|_| AccountReject::BadAuthentication)?;
    Ok(Signer {
        handle: &claim.handle,
        client_key: &claim.client_key,
        nonce: &claim.nonce,
    })
}

fn tbs(shared: &Shared, claim: &Claim) -> AccountRequestTbs {
    AccountRequestTbs {
        version: PROTOCOL_VERSION,
        domain: shared.config.domain.clone(),
        handle: claim.handle.clone(),
        client_key: claim.client_key.clone(),
        time_s: claim.time_s,
        nonce: claim.nonce,
        body_hash: claim.body_hash,
    }
}

/// A signer whose key is one of the account's devices'.
pub(crate) fn device(signer: Signer<'_>, at: AtHandle) -> Result<Device<'_>, AccountReject> {
    match at {
        AtHandle::Account(account, version) if account.has(signer.client_key) => Ok(Device {
            handle: signer.handle,
            client_key: signer.client_key,
            nonce: signer.nonce,
            account: *account,
            version,
        }),
        _ => Err(AccountReject::BadAuthentication),
    }
}
