//! Owns which requests cost tokens, and what each of them is about.
//!
//! Invariant: what a client pays for is what the hub's price list names, never what an answer says it
//! should be.

use sordino_crypto::sha256;
use sordino_tokens::Operation;
use sordino_wire::{AccountRequestBody, Authentication, Digest, GroupId, RequestBody, encode};

/// Something that may cost tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// What, by the price list.
    pub(crate) operation: Operation,
    /// Of how many, where that is counted.
    pub(crate) units: usize,
    /// Names the request among all of this device.
    pub(crate) request: Digest,
    /// What it is about: tokens that were seen with one thing are used for that alone.
    pub(crate) scope: Digest,
    /// Whether it always costs. What only may (a join, a message) is asked for first.
    pub(crate) always: bool,
}

/// What a request of the pseudonymous world may cost.
pub(crate) fn of_hub(
    body: &RequestBody,
    auth: &Authentication,
    body_bytes: &[u8],
) -> Option<Purchase> {
    let is_joiner = matches!(auth, Authentication::Joiner { .. });
    let about = |group: &GroupId| group.0.to_vec();
    let (operation, units, about, always) = match body {
        RequestBody::CreateGroup(request) => {
            let group = about(&request.access.group_id);
            (Operation::CreateGroup, 1, group, true)
        }
        RequestBody::OpenInbox(request) => {
            (Operation::OpenInboxes, 1, request.inbox_id.0.to_vec(), true)
        }
        RequestBody::PublishKeyPackages(request) => (
            Operation::PublishKeyPackages,
            request.entries.len(),
            request.contact_token.expose().to_vec(),
            true,
        ),
        RequestBody::FetchKeyPackages(request) => (
            Operation::FetchKeyPackages,
            1,
            request.contact_token.expose().to_vec(),
            true,
        ),
        RequestBody::Commit(request) if is_joiner => {
            let group = about(&request.access.group_id);
            (Operation::Join, 1, group, false)
        }
        RequestBody::Proposals(request) if is_joiner => {
            let group = about(&request.access.group_id);
            (Operation::Join, 1, group, false)
        }
        RequestBody::Send(request) => {
            let group = about(&request.head.group_id);
            (Operation::SendOverBudget, 1, group, false)
        }
        _ => return None,
    };
    Some(purchase(operation, units, &about, body_bytes, always))
}

/// What a request about somebody else's account costs.
pub(crate) fn of_accounts(body: &AccountRequestBody) -> Option<Purchase> {
    let (operation, about) = match body {
        AccountRequestBody::LookUp(handle) => (Operation::LookUpHandle, encode(handle).ok()?),
        AccountRequestBody::SendConnectionRequest(request) => {
            (Operation::RequestConnection, encode(&request.handle).ok()?)
        }
        _ => return None,
    };
    let body_bytes = encode(body).ok()?;
    Some(purchase(operation, 1, &about, &body_bytes, true))
}

fn purchase(
    operation: Operation,
    units: usize,
    about: &[u8],
    body_bytes: &[u8],
    always: bool,
) -> Purchase {
    let name = operation.name().as_bytes();
    Purchase {
        operation,
        units,
        request: sha256(&[name, &[0], body_bytes].concat()),
        scope: sha256(&[name, &[0], about].concat()),
        always,
    }
}
