//! Stage 1, admit: what can be said of a request before any group key is used.
//!
//! Owns: size, version, parsing, endpoint, freshness, replay look-up, in that order.
//! Invariant: what leaves here is well formed, on time and new. Never sees a group.

use crate::outcome::{Fault, Refusal, StoreKey};
use crate::records::Records;
use crate::{Endpoint, Env, HubShared};
use sordino_crypto::{Address, LayerKey, Space, expand, open_layer, seal_layer, sha256};
use sordino_wire::limits::{MAX_TIME_SKEW_S, REPLAY_MEMORY_S, TIME_GRAIN_S};
use sordino_wire::{
    Authentication, Digest, DsRequest, Freshness, Outcome, Reject, RequestBody, ResponseBody,
    Secret32, exact,
};

/// A request that is worth opening a record for.
pub(crate) struct Admitted {
    /// What is asked.
    pub(crate) body: RequestBody,
    /// Who says so.
    pub(crate) auth: Authentication,
    /// SHA-256 of the body, which signatures cover.
    pub(crate) body_hash: Digest,
    /// Where its outcome will be remembered, and the key that seals it.
    pub(crate) replay: Option<ReplaySlot>,
}

/// Where the outcome of a mutating request is remembered.
pub(crate) struct ReplaySlot {
    address: Address,
    key: LayerKey,
    nonce_time_s: u64,
}

pub(crate) fn admit(
    shared: &HubShared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &Env<'_>,
) -> Result<Admitted, Refusal> {
    let parsed = DsRequest::parse(bytes)?;
    let DsRequest { body, auth } = parsed.request;
    if !endpoint.accepts(&body) {
        return Err(Reject::WrongEndpoint.into());
    }
    if needs_signer(&body) == matches!(auth, Authentication::Possession) {
        return Err(Reject::BadAuthentication.into());
    }
    let body_hash = sha256(parsed.body_bytes);
    let Some(freshness) = auth.freshness().copied() else {
        return Ok(Admitted {
            body,
            auth,
            body_hash,
            replay: None,
        });
    };
    check_time(&freshness, env.now_s)?;
    let replay = if is_mutating(&body) {
        let slot = ReplaySlot::new(shared, &freshness, parsed.body_bytes)?;
        slot.look_up(records)?;
        Some(slot)
    } else {
        None
    };
    Ok(Admitted {
        body,
        auth,
        body_hash,
        replay,
    })
}

fn check_time(freshness: &Freshness, now_s: u64) -> Result<(), Reject> {
    let off_grain = !freshness.time_s.is_multiple_of(TIME_GRAIN_S);
    // The grain itself makes an honest time up to a minute old.
    if off_grain || freshness.time_s.abs_diff(now_s) > MAX_TIME_SKEW_S + TIME_GRAIN_S {
        return Err(Reject::StaleTime {
            hub_time_s: floor_time(now_s),
        });
    }
    Ok(())
}

/// The hub's time as clients see it.
pub(crate) fn floor_time(now_s: u64) -> u64 {
    now_s - now_s % TIME_GRAIN_S
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
    )
}

fn is_mutating(body: &RequestBody) -> bool {
    !matches!(
        body,
        RequestBody::InspectMembership(_)
            | RequestBody::WelcomeInformation(_)
            | RequestBody::ExternalCommitInformation(_)
            | RequestBody::ReadInbox(_)
            | RequestBody::ReadStreams(_)
    )
}

impl ReplaySlot {
    fn new(shared: &HubShared, freshness: &Freshness, body: &[u8]) -> Result<Self, Refusal> {
        let store_key = shared
            .outer
            .index()
            .blind(Space::Replay, &freshness.nonce.0)?;
        // The body holds keys of the group, so nobody opens this who could not send the request.
        let key = expand::<32>(&sha256(body).0, "replay", &freshness.nonce.0)?;
        Ok(Self {
            address: Address {
                space: Space::Replay,
                store_key,
            },
            key: LayerKey::new(Secret32::new(*key)),
            nonce_time_s: freshness.time_s,
        })
    }

    fn look_up(&self, records: &dyn Records) -> Result<(), Refusal> {
        let Some(bytes) = records.replay(&self.address.store_key)? else {
            return Ok(());
        };
        let opened = open_layer(&self.key, &self.address, &bytes).map_err(|_| Reject::Replayed)?;
        let outcome: Outcome = exact(&opened).map_err(|_| Fault::Inconsistent)?;
        Err(Refusal::Repeated(Box::new(ResponseBody::Done(outcome))))
    }

    /// The record that remembers an outcome for an hour.
    pub(crate) fn remember(
        &self,
        outcome: &Outcome,
        env: &mut Env<'_>,
    ) -> Result<crate::outcome::Replay, Fault> {
        let plain = sordino_wire::encode(outcome).map_err(|_| Fault::Encoding)?;
        let value =
            seal_layer(&self.key, &self.address, &plain, env.rng).map_err(|_| Fault::Crypto)?;
        let last_s = self
            .nonce_time_s
            .max(env.now_s)
            .saturating_add(REPLAY_MEMORY_S);
        let expires_hour = u32::try_from(last_s / 3_600).unwrap_or(u32::MAX);
        let key: StoreKey = self.address.store_key;
        Ok(crate::outcome::Replay {
            key,
            value,
            expires_hour,
        })
    }
}
