//! Doors for tests: hostile clients change a request's body before it is signed; audits list what
//! must never stand in a hub's database (only with the feature `audit`).
//!
//! Nothing in the library uses them; without a hook, requests are what they are.

#[cfg(feature = "audit")]
pub use crate::audit::Trace;

use sordino_crypto::SigningKey;
use sordino_wire::{GroupId, RequestBody};
use std::sync::Arc;

/// What a hook may need to forge consistently.
pub struct HookContext<'a> {
    /// The group, where the request is about one.
    pub group_id: GroupId,
    /// The leaf key that signs what is inside the body (the new one, in a rotation).
    pub leaf_key: Option<&'a SigningKey>,
    /// The epoch that the request is signed for.
    pub epoch: u64,
}

/// Changes a body before it is signed.
pub type RequestHook = Arc<dyn Fn(&mut RequestBody, &HookContext<'_>) + Send + Sync>;

/// Lists what must never stand in a hub's database, as this device knows it now.
#[cfg(feature = "audit")]
pub async fn traces(client: &crate::Client) -> crate::Result<Vec<Trace>> {
    client.core.traces().await
}

/// Hands a connection request on to somebody for whom it is not, as a disloyal recipient can.
pub fn forward_request(
    from: &crate::Client,
    id: crate::RequestId,
    to: &crate::Client,
) -> crate::Result<()> {
    let waiting = from.core.waiting_request(id)?;
    to.core.take_forwarded(waiting)
}
