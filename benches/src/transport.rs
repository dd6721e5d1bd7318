//! Owns the seam between clients and a hub, which is in memory or behind HTTP.

use sordino_hub::Endpoint;
use sordino_wire::{
    Authentication, Domain, DsRequest, Outcome, RequestBody, ResponseBody, SignatureKey,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// A hub, however it is reached.
pub trait Transport {
    /// Its domain.
    fn domain(&self) -> Domain;
    /// Its signature key.
    fn signature_key(&self) -> SignatureKey;
    /// One request, one answer; what changes is kept.
    fn exchange(&mut self, endpoint: Endpoint, request: &[u8]) -> ResponseBody;
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Asks with possession alone.
pub fn ask(hub: &mut dyn Transport, endpoint: Endpoint, body: RequestBody) -> ResponseBody {
    let auth = Authentication::Possession;
    hub.exchange(endpoint, &DsRequest::free(body, auth).encode().unwrap())
}

/// What must have succeeded.
#[track_caller]
pub fn done(answer: ResponseBody) -> Outcome {
    match answer {
        ResponseBody::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}
