//! Owns the keys of a group's generation and epoch (design page 2.4).
//!
//! Invariant: everything comes from `group_secret_g`; the hub, which gets `ear_key_g` or less, can
//! derive neither it nor the wrapper key of the identity entries. Removed members cannot walk
//! forward: only the next generation's wrapper key opens this one's.

use crate::aead::OneTimeKey;
use crate::labels::{encode_secret, expand, hmac, labelled};
use crate::secret::secret;
use crate::{CryptoError, sha256};
use hmac::Mac as _;
use sordino_wire::{
    Bytes, Digest, GroupId, KeyCheckContent, Locator, PreviousWrapper, REQUEST_LABEL, RequestTbs,
    Secret32, encode,
};
use tls_codec::{TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

/// Label of the MLS exporter for `group_secret_g`, with [`exporter_group_context`], 32 B.
pub const EXPORTER_GROUP: &str = "Sordino 1.0 group";
/// Label of the MLS exporter for `sender_key_e`, with an empty context, 32 B.
pub const EXPORTER_SENDER: &str = "Sordino 1.0 sender";

/// Context of the MLS exporter for `group_secret_g`: `uint64 g`.
pub fn exporter_group_context(generation: u64) -> [u8; 8] {
    generation.to_be_bytes()
}

secret! {
    /// `group_secret_g`: members alone.
    GroupSecret;
    /// `ear_key_g`: opens every record of the group, at the hub for the time of a request.
    EarKey;
    /// Opens the head.
    HeadKey;
    /// Opens tree and deltas.
    TreeKey;
    /// Opens the roster.
    RosterKey;
    /// Opens pending proposals and kept snapshots.
    PendingKey;
    /// Opens the records kept for a rekey.
    PreviousKey;
    /// Names and seals the generation's streams; stands inside the head.
    DeliveryKey;
    /// `ilwk_g`: opens identity entries; never at a hub.
    WrapperKey;
    /// `sender_key_e`: authorises sends of one epoch.
    SenderKey;
}

impl GroupSecret {
    /// `ear_key_g`.
    pub fn ear_key(&self) -> Result<EarKey, CryptoError> {
        Ok(EarKey::new(self.derive("state at rest", b"")?))
    }

    /// `ilwk_g`.
    pub fn wrapper_key(&self) -> Result<WrapperKey, CryptoError> {
        Ok(WrapperKey::new(self.derive("identity entry wrapper", b"")?))
    }
}

impl EarKey {
    /// `head_key_g`.
    pub fn head_key(&self) -> Result<HeadKey, CryptoError> {
        Ok(HeadKey::new(self.derive("head", b"")?))
    }

    /// `tree_key_g`.
    pub fn tree_key(&self) -> Result<TreeKey, CryptoError> {
        Ok(TreeKey::new(self.derive("tree", b"")?))
    }

    /// `roster_key_g`.
    pub fn roster_key(&self) -> Result<RosterKey, CryptoError> {
        Ok(RosterKey::new(self.derive("roster", b"")?))
    }

    /// `pending_key_g`.
    pub fn pending_key(&self) -> Result<PendingKey, CryptoError> {
        Ok(PendingKey::new(self.derive("pending", b"")?))
    }

    /// `previous_key_g`.
    pub fn previous_key(&self) -> Result<PreviousKey, CryptoError> {
        Ok(PreviousKey::new(self.derive("previous", b"")?))
    }

    /// `delivery_key_g`.
    pub fn delivery_key(&self) -> Result<DeliveryKey, CryptoError> {
        Ok(DeliveryKey::new(self.derive("delivery", b"")?))
    }

    /// Where the record of that name is in this generation.
    pub fn locator(&self, record: &str) -> Result<Locator, CryptoError> {
        let context = encode(&RecordName {
            record: VLByteSlice(record.as_bytes()),
        })?;
        let bytes = expand::<16>(self.secret().expose(), "locator", &context)?;
        Ok(Locator(*bytes))
    }
}

/// Context of a locator.
#[derive(TlsSerialize, TlsSize)]
struct RecordName<'a> {
    record: VLByteSlice<'a>,
}

impl SenderKey {
    /// HMAC-SHA-256 over the labelled request.
    pub fn mac(&self, request: &RequestTbs) -> Result<Digest, CryptoError> {
        let content = encode(request)?;
        let message = encode(&labelled(REQUEST_LABEL, &content))?;
        let mac = hmac(self.secret().expose(), &message)?;
        Ok(Digest(mac.finalize().into_bytes().into()))
    }

    /// Compares in constant time.
    pub fn verify_mac(&self, request: &RequestTbs, mac: &Digest) -> Result<(), CryptoError> {
        let content = encode(request)?;
        let message = encode(&labelled(REQUEST_LABEL, &content))?;
        hmac(self.secret().expose(), &message)?
            .verify_slice(&mac.0)
            .map_err(|_| CryptoError::Mac)
    }
}

/// `keys_hash` of a key check: SHA-256 of [`KeyCheckContent`].
pub fn keys_hash(
    group_id: GroupId,
    epoch: u64,
    ear_key: &EarKey,
    sender_key: &SenderKey,
) -> Result<Digest, CryptoError> {
    let content = KeyCheckContent {
        label: Bytes::new(b"key check")?,
        group_id,
        epoch,
        ear_key: ear_key.secret().duplicate(),
        sender_key: sender_key.secret().duplicate(),
    };
    Ok(sha256(&encode_secret(&content)?))
}

/// Context of a wrapped wrapper key.
#[derive(TlsSerialize, TlsSize)]
struct PreviousWrapperContext {
    group_id: GroupId,
    generation: u64,
}

fn previous_wrapper_key(
    next: &WrapperKey,
    group_id: GroupId,
    generation: u64,
) -> Result<OneTimeKey, CryptoError> {
    let context = encode(&PreviousWrapperContext {
        group_id,
        generation,
    })?;
    OneTimeKey::derive(next.secret().expose(), "previous wrapper", &context)
}

/// Seals `ilwk_g` under `ilwk_{g+1}`; `generation` is g, that of `previous`.
///
/// Key and nonce depend on no salt: one `ilwk_{g+1}` seals one value.
pub fn wrap_previous(
    next: &WrapperKey,
    group_id: GroupId,
    generation: u64,
    previous: &WrapperKey,
) -> Result<PreviousWrapper, CryptoError> {
    let key = previous_wrapper_key(next, group_id, generation)?;
    let ciphertext = key.seal(b"", previous.secret().expose())?;
    Ok(PreviousWrapper {
        generation,
        ciphertext: Bytes::new(ciphertext)?,
    })
}

/// Opens `ilwk_g` with `ilwk_{g+1}`.
pub fn unwrap_previous(
    next: &WrapperKey,
    group_id: GroupId,
    wrapper: &PreviousWrapper,
) -> Result<WrapperKey, CryptoError> {
    let key = previous_wrapper_key(next, group_id, wrapper.generation)?;
    let opened = Zeroizing::new(key.open(b"", wrapper.ciphertext.as_slice())?);
    let bytes: [u8; 32] = opened
        .as_slice()
        .try_into()
        .map_err(|_| CryptoError::Length)?;
    Ok(WrapperKey::new(Secret32::new(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flips, group_id, request, secret};
    use std::collections::HashSet;

    #[test]
    fn keys_of_one_generation_all_differ() {
        let group = GroupSecret::new(secret(1));
        let ear = group.ear_key().unwrap();
        let keys = [
            *group.secret().expose(),
            *ear.secret().expose(),
            *group.wrapper_key().unwrap().secret().expose(),
            *ear.head_key().unwrap().secret().expose(),
            *ear.tree_key().unwrap().secret().expose(),
            *ear.roster_key().unwrap().secret().expose(),
            *ear.pending_key().unwrap().secret().expose(),
            *ear.previous_key().unwrap().secret().expose(),
            *ear.delivery_key().unwrap().secret().expose(),
        ];
        assert_eq!(HashSet::from(keys).len(), keys.len());
    }

    #[test]
    fn places_move_with_the_generation_and_differ_by_name() {
        let ear = EarKey::new(secret(1));
        let next = EarKey::new(secret(2));
        assert_ne!(ear.locator("head"), ear.locator("previous"));
        assert_ne!(ear.locator("head"), next.locator("head"));
    }

    #[test]
    fn a_mac_serves_one_key_and_request() {
        let key = SenderKey::new(secret(1));
        let mac = key.mac(&request(1)).unwrap();
        assert_eq!(key.verify_mac(&request(1), &mac), Ok(()));
        assert_eq!(key.verify_mac(&request(2), &mac), Err(CryptoError::Mac));
        let other = SenderKey::new(secret(2));
        assert_eq!(other.verify_mac(&request(1), &mac), Err(CryptoError::Mac));
        for flipped in flips(&mac.0) {
            let flipped = Digest(flipped.try_into().unwrap());
            assert_eq!(key.verify_mac(&request(1), &flipped), Err(CryptoError::Mac));
        }
    }

    #[test]
    fn every_part_of_a_key_check_is_in_its_hash() {
        let ear = EarKey::new(secret(1));
        let sender = SenderKey::new(secret(2));
        let base = keys_hash(group_id(), 3, &ear, &sender).unwrap();
        let others = [
            keys_hash(GroupId([1; 16]), 3, &ear, &sender),
            keys_hash(group_id(), 4, &ear, &sender),
            keys_hash(group_id(), 3, &EarKey::new(secret(3)), &sender),
            keys_hash(group_id(), 3, &ear, &SenderKey::new(secret(3))),
        ];
        assert!(others.iter().all(|other| *other != Ok(base)));
    }

    #[test]
    fn one_walks_back_and_not_forward() {
        let previous = WrapperKey::new(secret(1));
        let next = WrapperKey::new(secret(2));
        let wrapper = wrap_previous(&next, group_id(), 7, &previous).unwrap();
        let opened = unwrap_previous(&next, group_id(), &wrapper).unwrap();
        assert_eq!(opened, previous);
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(unwrap_previous(&previous, group_id(), &wrapper), refused);
    }

    #[test]
    fn a_wrapper_of_another_group_or_generation_does_not_open() {
        let next = WrapperKey::new(secret(2));
        let wrapper = wrap_previous(&next, group_id(), 7, &WrapperKey::new(secret(1))).unwrap();
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(unwrap_previous(&next, GroupId([1; 16]), &wrapper), refused);
        let moved = PreviousWrapper {
            generation: 8,
            ciphertext: wrapper.ciphertext.clone(),
        };
        assert_eq!(unwrap_previous(&next, group_id(), &moved), refused);
        for flipped in flips(wrapper.ciphertext.as_slice()) {
            let flipped = PreviousWrapper {
                generation: 7,
                ciphertext: Bytes::new(flipped).unwrap(),
            };
            assert_eq!(unwrap_previous(&next, group_id(), &flipped), refused);
        }
    }
}
