//! Stage 6, apply: one module per operation.
//!
//! Owns: what each operation checks and changes. Invariant: a refusal leaves the state as it was
//! read, since nothing outlives the request but the write set.

pub(crate) mod attend;
pub(crate) mod commit;
pub(crate) mod confirm;
pub(crate) mod create;
pub(crate) mod frame;
pub(crate) mod freeze;
pub(crate) mod generation;
pub(crate) mod inbox;
pub(crate) mod key_packages;
pub(crate) mod key_request;
pub(crate) mod merge;
mod pool;
pub(crate) mod proposals;
pub(crate) mod read;
pub(crate) mod rekey;
pub(crate) mod send;
pub(crate) mod store_state;
pub(crate) mod stream;
#[cfg(test)]
mod vectors;
pub(crate) mod welcome;

use crate::outcome::{Fault, Refusal};
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::framing::{MlsMessageBodyIn, MlsMessageIn, PublicMessageIn};
use openmls::group::QueuedProposal;
use sordino_wire::limits::MAX_COMMIT_PROPOSALS_BYTES;
use sordino_wire::{GroupId, Reject};
use tls_codec::DeserializeBytes as _;

/// Reads a proposal that openmls queued.
pub(crate) fn read_queued(bytes: &[u8]) -> Result<(ProposalRef, QueuedProposal), Fault> {
    postcard::from_bytes(bytes).map_err(|_| Fault::Inconsistent)
}

/// Parses a handshake: a PublicMessage of this group and epoch.
pub(crate) fn parse_handshake(
    bytes: &[u8],
    group_id: GroupId,
    epoch: u64,
) -> Result<PublicMessageIn, Refusal> {
    let public = parse_public(bytes)?;
    check_place(&public, &group_id.0, epoch)?;
    Ok(public)
}

/// Handshakes are readable: everything else is refused by its wire format.
pub(crate) fn parse_public(bytes: &[u8]) -> Result<PublicMessageIn, Reject> {
    if !frame::has_few_proposals(bytes) {
        let limit = u32::try_from(MAX_COMMIT_PROPOSALS_BYTES).unwrap_or(u32::MAX);
        return Err(Reject::LimitReached { limit });
    }
    let message =
        MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|_| Reject::Malformed)?;
    match message.extract() {
        MlsMessageBodyIn::PublicMessage(public) => Ok(public),
        MlsMessageBodyIn::PrivateMessage(_) => Err(Reject::PrivateHandshake),
        _ => Err(Reject::Malformed),
    }
}

/// A handshake is for one epoch of one group.
pub(crate) fn check_place(
    public: &PublicMessageIn,
    group_id: &[u8],
    epoch: u64,
) -> Result<(), Reject> {
    if public.group_id().as_slice() != group_id {
        return Err(Reject::UnknownGroup);
    }
    if public.epoch().as_u64() != epoch {
        return Err(Reject::WrongEpoch { current: epoch });
    }
    Ok(())
}
