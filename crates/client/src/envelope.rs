//! Owns how a request is made: freshness, signatures, padding.
//!
//! Invariant: what is signed names the hub, the group, the epoch, the time and the body
//! (design page 3.1); a request is one byte string from the moment it is signed.

use crate::error::Result;
use sordino_crypto::{SenderKey, SigningKey, sha256};
use sordino_wire::{
    Authentication, Domain, DsRequest, Freshness, GroupId, Nonce, REQUEST_LABEL, RequestBody,
    RequestTbs, encode,
};

/// Who signs a request.
pub(crate) enum Signing<'a> {
    /// Nobody: the keys inside open the record, or they do not.
    Possession,
    /// A member of the epoch, not which.
    Epoch(&'a SenderKey),
    /// A leaf.
    Leaf { index: u32, key: &'a SigningKey },
    /// A user and a leaf of it.
    User {
        index: u32,
        key: &'a SigningKey,
        user_key: &'a SigningKey,
    },
    /// A leaf that is about to be.
    Joiner { key: &'a SigningKey },
}

/// What every signature of a request covers beside its body.
pub(crate) struct Occasion<'a> {
    pub(crate) hub_domain: &'a Domain,
    pub(crate) group_id: GroupId,
    pub(crate) epoch: u64,
    pub(crate) time_s: u64,
    pub(crate) nonce: [u8; 16],
}

/// Signs a body and pads the request.
pub(crate) fn seal(
    body: RequestBody,
    signing: &Signing<'_>,
    occasion: &Occasion<'_>,
) -> Result<Vec<u8>> {
    let auth = authenticate(&body, signing, occasion)?;
    Ok(DsRequest::free(body, auth).encode()?)
}

fn authenticate(
    body: &RequestBody,
    signing: &Signing<'_>,
    occasion: &Occasion<'_>,
) -> Result<Authentication> {
    let freshness = Freshness {
        epoch: occasion.epoch,
        time_s: occasion.time_s,
        nonce: Nonce(occasion.nonce),
    };
    let tbs = RequestTbs::new(
        occasion.hub_domain.clone(),
        occasion.group_id,
        freshness,
        sha256(&encode(body)?),
    );
    Ok(match signing {
        Signing::Possession => Authentication::Possession,
        Signing::Epoch(key) => Authentication::EpochMember {
            freshness,
            mac: key.mac(&tbs)?,
        },
        Signing::Leaf { index, key } => Authentication::Leaf {
            freshness,
            leaf_index: *index,
            signature: key.sign_struct(REQUEST_LABEL, &tbs)?,
        },
        Signing::User {
            index,
            key,
            user_key,
        } => Authentication::PseudonymousUser {
            freshness,
            leaf_index: *index,
            leaf_signature: key.sign_struct(REQUEST_LABEL, &tbs)?,
            user_signature: user_key.sign_struct(REQUEST_LABEL, &tbs)?,
        },
        Signing::Joiner { key } => Authentication::Joiner {
            freshness,
            signature_key: key.public(),
            signature: key.sign_struct(REQUEST_LABEL, &tbs)?,
        },
    })
}
