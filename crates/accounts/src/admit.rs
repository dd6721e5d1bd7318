//! Stage 1, admit: what can be said of a request before any record is opened.
//!
//! Owns: size, version, parsing, address, whether anybody signs, freshness, repetition, in that
//! order. Invariant: what leaves here is well formed, on time and new.

use crate::outcome::Refusal;
use crate::{Endpoint, Shared};
use sordino_crypto::sha256;
use sordino_effects::{Env, Records, Remembered, ReplaySlot, check_time};
use sordino_wire::{
    AccountAuthentication, AccountReject, AccountRequest, AccountRequestBody, Digest, Handle,
    Nonce, Outcome, SignatureBytes, SignatureKey, encode,
};
use tls_codec::{TlsSerialize, TlsSize};

/// A request that is worth opening a record for.
pub(crate) struct Admitted {
    /// What is asked.
    pub(crate) body: AccountRequestBody,
    /// Who says to ask, where anybody does.
    pub(crate) claim: Option<Claim>,
    /// Where its outcome will be remembered, and the key that seals it.
    pub(crate) replay: Option<ReplaySlot>,
}

/// A device that says to ask: see [`AccountAuthentication::Client`].
pub(crate) struct Claim {
    pub(crate) handle: Handle,
    pub(crate) client_key: SignatureKey,
    pub(crate) time_s: u64,
    pub(crate) nonce: Nonce,
    pub(crate) signature: SignatureBytes,
    /// SHA-256 of the body, which the signature covers.
    pub(crate) body_hash: Digest,
}

/// What makes two requests the same one, however often their time was set anew.
#[derive(TlsSerialize, TlsSize)]
struct SameRequest {
    handle: Handle,
    client_key: SignatureKey,
    body_hash: Digest,
}

pub(crate) fn admit(
    shared: &Shared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &Env<'_>,
) -> Result<Admitted, Refusal> {
    let parsed = AccountRequest::parse(bytes)?;
    let AccountRequest { body, auth } = parsed.request;
    if !endpoint.accepts(&body) {
        return Err(AccountReject::WrongEndpoint.into());
    }
    let claim = match auth {
        AccountAuthentication::Nobody => None,
        AccountAuthentication::Client {
            handle,
            client_key,
            time_s,
            nonce,
            signature,
        } => Some(Claim {
            handle,
            client_key,
            time_s,
            nonce,
            signature,
            body_hash: sha256(parsed.body_bytes),
        }),
    };
    // What needs nobody must name nobody: no account shows itself without need.
    if needs_device(&body) != claim.is_some() {
        return Err(AccountReject::BadAuthentication.into());
    }
    let Some(claim) = claim else {
        return Ok(Admitted {
            body,
            claim: None,
            replay: None,
        });
    };
    check_time(claim.time_s, env.now_s)
        .map_err(|hub_time_s| AccountReject::StaleTime { hub_time_s })?;
    let replay = if is_mutating(&body) {
        Some(replay_slot(shared, &claim, records)?)
    } else {
        None
    };
    Ok(Admitted {
        body,
        claim: Some(claim),
        replay,
    })
}

/// The slot of a request that was not done before.
fn replay_slot(
    shared: &Shared,
    claim: &Claim,
    records: &dyn Records,
) -> Result<ReplaySlot, Refusal> {
    let same = SameRequest {
        handle: claim.handle.clone(),
        client_key: claim.client_key.clone(),
        body_hash: claim.body_hash,
    };
    let request = sha256(&encode(&same)?);
    let slot = ReplaySlot::new(&shared.outer, &claim.nonce, claim.time_s, &request)?;
    match slot.look_up::<Outcome>(records)? {
        Remembered::Nothing => Ok(slot),
        Remembered::Same(_) => Err(Refusal::Repeated),
        Remembered::Other => Err(AccountReject::Replayed.into()),
    }
}

fn needs_device(body: &AccountRequestBody) -> bool {
    !matches!(
        body,
        AccountRequestBody::AdmissionTerms
            | AccountRequestBody::LookUp(_)
            | AccountRequestBody::SendConnectionRequest(_)
    )
}

fn is_mutating(body: &AccountRequestBody) -> bool {
    !matches!(
        body,
        AccountRequestBody::AdmissionTerms
            | AccountRequestBody::ReadAccount
            | AccountRequestBody::ReadConnectionRequests(_)
            | AccountRequestBody::LookUp(_)
            | AccountRequestBody::SendConnectionRequest(_)
    )
}
