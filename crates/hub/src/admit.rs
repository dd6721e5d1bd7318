//! Stage 1, admit: what can be said of a request before any group key is used.
//!
//! Owns: size, version, parsing, endpoint, freshness, replay look-up, in that order.
//! Invariant: what leaves here is well formed, on time and new. Never sees a group.

use crate::outcome::Refusal;
use crate::{Endpoint, Env, HubShared};
use sordino_crypto::sha256;
use sordino_effects::{Records, Remembered, Settlement, check_time};
use sordino_wire::{
    Authentication, Digest, DsRequest, Freshness, Reject, RequestBody, ResponseBody, Tokens,
};

pub(crate) use sordino_effects::{ReplaySlot, floor_time};

/// What stands beside the body of a request that is worth opening a record for.
pub(crate) struct Admitted {
    /// Who says so.
    pub(crate) auth: Authentication,
    /// SHA-256 of the body, which signatures cover.
    pub(crate) body_hash: Digest,
    /// The size of all of it.
    pub(crate) size_bytes: usize,
    /// The tokens that came with it.
    pub(crate) tokens: Tokens,
    /// What it uses up when it succeeds: its nonce, and what it is paid with.
    pub(crate) settlement: Settlement,
}

pub(crate) fn admit(
    shared: &HubShared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &Env<'_>,
) -> Result<(RequestBody, Admitted), Refusal> {
    let parsed = DsRequest::parse(bytes)?;
    let DsRequest { body, auth, tokens } = parsed.request;
    if !endpoint.accepts(&body) {
        return Err(Reject::WrongEndpoint.into());
    }
    if needs_signer(&body) == matches!(auth, Authentication::Possession) {
        return Err(Reject::BadAuthentication.into());
    }
    let body_hash = sha256(parsed.body_bytes);
    let mut settlement = Settlement::default();
    if let Some(freshness) = auth.freshness() {
        check_time(freshness.time_s, env.now_s)
            .map_err(|hub_time_s| Reject::StaleTime { hub_time_s })?;
        settlement.nonce = Some(replay_slot(shared, freshness, &body_hash, records)?);
    }
    let admitted = Admitted {
        auth,
        body_hash,
        size_bytes: bytes.len(),
        tokens,
        settlement,
    };
    Ok((body, admitted))
}

/// The slot of a request that was not done before. The body, by whose hash it opens, holds keys of
/// the group: nobody opens it who could not send the request.
fn replay_slot(
    shared: &HubShared,
    freshness: &Freshness,
    body_hash: &Digest,
    records: &dyn Records,
) -> Result<ReplaySlot, Refusal> {
    let slot = ReplaySlot::new(&shared.outer, &freshness.nonce, freshness.time_s, body_hash)?;
    match slot.look_up(records)? {
        Remembered::Nothing => Ok(slot),
        Remembered::Other => Err(Reject::Replayed.into()),
        Remembered::Same(outcome) => {
            let answer = ResponseBody::Done(outcome);
            Err(Refusal::Repeated(Box::new(answer)))
        }
    }
}

/// Whether more than possession of keys is asked for. What needs no more gives no more: nobody
/// shows a leaf without need.
fn needs_signer(body: &RequestBody) -> bool {
    !matches!(
        body,
        RequestBody::InspectMembership(_)
            | RequestBody::ExternalCommitInformation(_)
            | RequestBody::KeyRequest(_)
            | RequestBody::OpenInbox(_)
            | RequestBody::ReadInbox(_)
            | RequestBody::ReadStreams(_)
            | RequestBody::Deposit(_)
            | RequestBody::PublishKeyPackages(_)
            | RequestBody::DropKeyPackages(_)
            | RequestBody::FetchKeyPackages(_)
            | RequestBody::InspectKeyPackages(_)
            | RequestBody::TokenTerms
    )
}
