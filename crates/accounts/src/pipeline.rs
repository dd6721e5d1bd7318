//! The whole way of a request, on one page.
//!
//! ```text
//! bytes -> admit -> unseal -> authenticate -> apply -> reseal -> (commit -> wake -> reply)
//! ```
//! Owns the order. Invariant: each stage takes the value of the stage before, so none is skipped.

use crate::admit::{Admitted, admit};
use crate::authenticate::{Device, device, signer};
use crate::outcome::{Refusal, Step};
use crate::unseal::open_handle;
use crate::{Endpoint, Shared, apply};
use sordino_effects::{Env, Records};
use sordino_wire::{AccountReject, AccountRequestBody, AccountResponseBody};

/// When to try again after a fault, in seconds.
const FAULT_RETRY_S: u32 = 5;

pub(crate) fn handle(
    shared: &Shared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &mut Env<'_>,
) -> Step {
    match run(shared, bytes, endpoint, records, env) {
        Ok(step) => step,
        Err(Refusal::Reject(reject)) => Step::Answer(AccountResponseBody::Rejected(reject)),
        Err(Refusal::Repeated) => Step::Answer(AccountResponseBody::Done),
        Err(Refusal::Fault(fault)) => {
            let reject = AccountReject::Unavailable {
                retry_after_s: FAULT_RETRY_S,
            };
            Step::Failed {
                fault,
                answer: AccountResponseBody::Rejected(reject),
            }
        }
    }
}

fn run(
    shared: &Shared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &mut Env<'_>,
) -> Result<Step, Refusal> {
    let admitted = admit(shared, bytes, endpoint, records, env)?;
    let replay = admitted.replay.as_ref();
    match &admitted.body {
        AccountRequestBody::AdmissionTerms => apply::admission::terms(shared, env),
        AccountRequestBody::LookUp(handle) => {
            let at = open_handle(shared, records, handle)?;
            apply::look_up::look_up(shared, handle, at)
        }
        AccountRequestBody::SendConnectionRequest(request) => {
            apply::connection_requests::send(shared, records, env, request)
        }
        AccountRequestBody::Register(request) => {
            let signer = signer(shared, &admitted)?;
            let at = open_handle(shared, records, signer.handle)?;
            apply::register::register(shared, records, env, replay, signer, at, request)
        }
        AccountRequestBody::PutClient(credential) => {
            let signer = signer(shared, &admitted)?;
            let at = open_handle(shared, records, signer.handle)?;
            apply::devices::put(shared, env, replay, signer, at, credential)
        }
        AccountRequestBody::ReadAccount => {
            let device = asking_device(shared, records, &admitted)?;
            apply::look_up::read_account(shared, &device)
        }
        AccountRequestBody::ReplaceAccountKey(request) => {
            let device = asking_device(shared, records, &admitted)?;
            apply::keys::replace_account_key(shared, env, replay, device, request)
        }
        AccountRequestBody::ReplaceConnectionKey(connection_key) => {
            let device = asking_device(shared, records, &admitted)?;
            apply::keys::replace_connection_key(shared, env, replay, device, connection_key)
        }
        AccountRequestBody::DeleteAccount(signature) => {
            let device = asking_device(shared, records, &admitted)?;
            apply::delete::delete(shared, env, replay, device, signature)
        }
        AccountRequestBody::ReadConnectionRequests(request) => {
            let device = asking_device(shared, records, &admitted)?;
            apply::connection_requests::read(shared, records, env, &device, request)
        }
        AccountRequestBody::SettleConnectionRequests(request) => {
            let device = asking_device(shared, records, &admitted)?;
            apply::connection_requests::settle(shared, records, env, replay, &device, request)
        }
    }
}

fn asking_device<'a>(
    shared: &Shared,
    records: &dyn Records,
    admitted: &'a Admitted,
) -> Result<Device<'a>, Refusal> {
    let signer = signer(shared, admitted)?;
    let at = open_handle(shared, records, signer.handle)?;
    Ok(device(signer, at)?)
}
